//! Data directories that a server must not start on: it says why in one sentence and changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use ostracon_server::{Config, Server};

use crate::{
    child::Child,
    world::{World, within},
};

/// Every file and folder below a folder, with its bytes.
fn content(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            found.extend(content(&path));
            found.insert(path, None);
        } else if about.is_file() {
            found.insert(path.clone(), Some(fs::read(&path).unwrap()));
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, bytes) in content(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        match bytes {
            None => fs::create_dir_all(target).unwrap(),
            Some(bytes) => {
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(target, bytes).unwrap();
            }
        }
    }
}

async fn open(data_dir: &Path) -> Result<Server, String> {
    let config = Config { data_dir: data_dir.to_owned(), ..Config::default() };
    let opened = within("a server to open or not", Box::pin(Server::open(config))).await;
    opened.map_err(|error| error.to_string())
}

/// It is refused in one sentence, and everything is as before; else what is wrong.
async fn try_refused(data_dir: &Path) -> Result<String, String> {
    let before = content(data_dir);
    let Err(sentence) = open(data_dir).await else { return Err("it was opened".to_owned()) };
    if sentence.is_empty() || sentence.contains('\n') {
        return Err(format!("not one sentence: {sentence:?}"));
    }
    let after = content(data_dir);
    let every: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    // Who holds it now is written into the lock.
    let same = |path: &&&PathBuf| {
        before.get(**path) == after.get(**path)
            || (path.ends_with("LOCK") && before.contains_key(**path))
    };
    let changed: Vec<_> = every.iter().filter(|path| !same(path)).collect();
    if changed.is_empty() { Ok(sentence) } else { Err(format!("{changed:?} changed: {sentence}")) }
}

async fn refused(what: &str, data_dir: &Path) -> String {
    try_refused(data_dir).await.unwrap_or_else(|wrong| panic!("{what}: {wrong}"))
}

/// A data directory of a server that was stopped, with something in it.
async fn used() -> World {
    let (mut world, [alice, bob]) = World::start_embedded(["alice", "bob"]).await;
    for n in 0..8 {
        let group = alice.group(&format!("g{n}"), &[&bob]).await;
        alice.say(&group, "hello").await;
    }
    within("the server to stop", world.server.stop()).await;
    world
}

/// Exchanges the version that SQLite keeps for its user.
fn set_version(file: &Path, version: u32) {
    let mut bytes = fs::read(file).unwrap();
    bytes[60..64].copy_from_slice(&version.to_be_bytes());
    fs::write(file, bytes).unwrap();
}

/// Names of a database and of the files that belong to it.
fn files_of(database: &Path) -> Vec<PathBuf> {
    let name = database.display();
    let all = ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{name}{end}")));
    all.into_iter().filter(|path| path.exists()).collect()
}

fn renamed(file: &Path, from: &Path, to: &Path) -> PathBuf {
    PathBuf::from(
        file.display().to_string().replace(&*from.to_string_lossy(), &to.to_string_lossy()),
    )
}

fn remove(database: &Path) {
    files_of(database).iter().for_each(|file| fs::remove_file(file).unwrap());
}

fn rename(from: &Path, to: &Path) {
    files_of(from).iter().for_each(|file| fs::rename(file, renamed(file, from, to)).unwrap());
}

fn copy_file(from: &Path, to: &Path) {
    for file in files_of(from) {
        fs::copy(&file, renamed(&file, from, to)).unwrap();
    }
}

/// C20: foreign, newer and damaged directories, each in a copy of its own.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_newer_and_damaged_directories_are_refused_untouched() {
    type Damage = fn(&Path, &Path);
    let world = used().await;
    let other = used().await;
    let good = world.server.data_dir().to_owned();
    let damages: &[(&str, Damage)] = &[
        ("a newer format", |dir, _| {
            let text = fs::read_to_string(dir.join("FORMAT")).unwrap();
            let newer = text.replace("format 1", "format 2");
            assert_ne!(newer, text);
            fs::write(dir.join("FORMAT"), newer).unwrap();
        }),
        ("a format that is none", |dir, _| fs::write(dir.join("FORMAT"), "x").unwrap()),
        ("no format", |dir, _| fs::remove_file(dir.join("FORMAT")).unwrap()),
        ("a newer directory", |dir, _| set_version(&dir.join("directory.db"), 9_999)),
        ("a directory that is no database", |dir, _| {
            fs::write(dir.join("directory.db"), "not a database, but long enough ".repeat(500))
                .unwrap();
        }),
        ("half a directory", |dir, _| {
            let path = dir.join("directory.db");
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("no directory beside shards", |dir, _| remove(&dir.join("directory.db"))),
        ("an empty directory beside shards", |dir, _| {
            fs::write(dir.join("directory.db"), "").unwrap()
        }),
        ("the directory of another cluster", |dir, other| {
            fs::copy(other.join("directory.db"), dir.join("directory.db")).unwrap();
        }),
        ("a newer shard", |dir, _| set_version(&dir.join("shards/1.db"), 9_999)),
        ("a shard that is no database", |dir, _| {
            fs::write(dir.join("shards/1.db"), "not a database, but long enough ".repeat(500))
                .unwrap();
        }),
        ("no shard", |dir, _| remove(&dir.join("shards/1.db"))),
        ("no shards at all", |dir, _| {
            fs::remove_dir_all(dir.join("shards")).unwrap();
            fs::create_dir(dir.join("shards")).unwrap();
        }),
        ("an empty shard", |dir, _| {
            remove(&dir.join("shards/1.db"));
            fs::write(dir.join("shards/1.db"), "").unwrap();
        }),
        ("two shards exchanged", |dir, _| {
            rename(&dir.join("shards/0.db"), &dir.join("shards/x.db"));
            rename(&dir.join("shards/1.db"), &dir.join("shards/0.db"));
            rename(&dir.join("shards/x.db"), &dir.join("shards/1.db"));
        }),
        ("a shard twice", |dir, _| {
            remove(&dir.join("shards/1.db"));
            copy_file(&dir.join("shards/0.db"), &dir.join("shards/1.db"));
        }),
        ("a shard of another cluster", |dir, other| {
            remove(&dir.join("shards/1.db"));
            copy_file(&other.join("shards/1.db"), &dir.join("shards/1.db"));
        }),
        ("the shards of another cluster", |dir, other| {
            fs::remove_dir_all(dir.join("shards")).unwrap();
            copy(&other.join("shards"), &dir.join("shards"));
        }),
        ("the journal of another cluster", |dir, other| {
            fs::remove_dir_all(dir.join("journal")).unwrap();
            copy(&other.join("journal"), &dir.join("journal"));
        }),
    ];
    let mut wrong = Vec::new();
    for (at, (what, damage)) in damages.iter().enumerate() {
        let dir = world.server.dir().join(format!("damaged-{at}"));
        copy(&good, &dir);
        damage(&dir, other.server.data_dir());
        if let Err(how) = try_refused(&dir).await {
            wrong.push(format!("{what}: {how}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The control: a copy without damage is good.
    let dir = world.server.dir().join("undamaged");
    copy(&good, &dir);
    drop(open(&dir).await.unwrap());
}

/// C20: folders of somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn folders_of_somebody_else_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let case = |name: &str| {
        let dir = folder.path().join(name);
        fs::create_dir(&dir).unwrap();
        dir
    };
    let notes = case("notes");
    fs::write(notes.join("notes.txt"), "mine").unwrap();
    refused("a folder with notes", &notes).await;
    let database = case("database");
    fs::write(database.join("directory.db"), "SQLite format 3\0 of another program").unwrap();
    refused("a database of another program", &database).await;
    let hidden = case("hidden");
    fs::write(hidden.join(".git"), "gitdir: elsewhere").unwrap();
    refused("a folder with a hidden file", &hidden).await;
    let inner = case("inner");
    fs::create_dir(inner.join("shards")).unwrap();
    fs::write(inner.join("shards/0.db"), "x").unwrap();
    refused("a folder with a shard only", &inner).await;
    let file = folder.path().join("file");
    fs::write(&file, "a file").unwrap();
    open(&file).await.err().expect("a file is no folder");
    assert_eq!(fs::read(&file).unwrap(), b"a file");
}

/// C20: one process at a time; the first is not disturbed.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_is_refused() {
    let (world, [alice, bob]) = World::start_embedded(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut device = bob.connect().await;
    let sentence = open(world.server.data_dir()).await.err().expect("it is in use");
    assert!(sentence.contains("in use") && !sentence.contains('\n'), "{sentence}");
    alice.say(&id, "undisturbed").await;
    device.hears("undisturbed").await;
}

/// C20: acked messages that were damaged in the journal are not skipped in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_refused_untouched() {
    let (mut child, users) = Child::start(&["alice", "bob"]).await;
    let id = users[0].direct(&users[1]).await;
    for n in 0..30 {
        users[0].say(&id, &format!("needle {n:03}")).await;
    }
    child.kill().await;
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    copy(&child.data_dir(), &good);
    copy(&child.data_dir(), &bad);
    let needle = b"needle 007";
    let mut hit = 0;
    for (path, bytes) in content(&bad.join("journal")) {
        let Some(mut bytes) = bytes else { continue };
        let places: Vec<usize> = bytes
            .windows(needle.len())
            .enumerate()
            .filter(|(_, window)| window == needle)
            .map(|(at, _)| at)
            .collect();
        for at in &places {
            bytes[at + 3] ^= 0x10;
        }
        hit += places.len();
        fs::write(path, bytes).unwrap();
    }
    assert!(hit > 0, "the message is in the journal");
    let sentence = refused("a damaged journal", &bad).await;
    assert!(sentence.contains("repair"), "it says what to do: {sentence}");
    // The control: without the damage everything is there.
    let server = open(&good).await.unwrap();
    drop(server);
    child.go_on().await;
    assert_eq!(users[1].page(&id, "").await["head_seq"], 30);
}
