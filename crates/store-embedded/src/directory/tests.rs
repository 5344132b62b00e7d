//! The contract over SQLite, and what only a file can suffer.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use ostracon_domain::{ConversationId, ShardId, UnitId, UserId};
use ostracon_store::{
    Accounts, Cluster, Directory, DirectoryError, Moves, Sessions,
    contract::directory::{Fixture, run_all},
    directory::{AccountRole, NewSession, NewUser, ShardRow},
};
use parking_lot::Mutex;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{SqliteDirectory, schema::STEPS};

struct Files(Mutex<TempDir>);

#[async_trait]
impl Fixture for Files {
    async fn fresh(&self) -> Arc<dyn Directory> {
        let dir = tempfile::tempdir().unwrap();
        let opened = open(dir.path());
        *self.0.lock() = dir;
        Arc::new(opened)
    }

    async fn reopened(&self, directory: Arc<dyn Directory>) -> Arc<dyn Directory> {
        assert_eq!(Arc::strong_count(&directory), 1);
        drop(directory);
        Arc::new(open(self.0.lock().path()))
    }
}

/// As after a crash: what was on disk at that moment, nothing of a closing.
struct Crashes(Mutex<TempDir>);

#[async_trait]
impl Fixture for Crashes {
    async fn fresh(&self) -> Arc<dyn Directory> {
        let dir = tempfile::tempdir().unwrap();
        let opened = open(dir.path());
        *self.0.lock() = dir;
        Arc::new(opened)
    }

    async fn reopened(&self, directory: Arc<dyn Directory>) -> Arc<dyn Directory> {
        let after = tempfile::tempdir().unwrap();
        let mut before = self.0.lock();
        for name in ["directory.db", "directory.db-wal"] {
            fs::copy(before.path().join(name), after.path().join(name)).unwrap();
        }
        drop(directory);
        *before = after;
        Arc::new(open(before.path()))
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("directory.db")
}

fn open(dir: &Path) -> SqliteDirectory {
    SqliteDirectory::open(&file(dir)).unwrap()
}

fn refusal(dir: &Path) -> String {
    match SqliteDirectory::open(&file(dir)) {
        Err(DirectoryError::Refused(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    }
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn person(n: u32) -> NewUser {
    NewUser {
        username: Some(format!("user{n}")),
        external_id: None,
        display_name: format!("User {n}"),
        password_hash: None,
        role: AccountRole::User,
    }
}

fn token(n: u32) -> [u8; 32] {
    let mut token = [7; 32];
    token[..4].copy_from_slice(&n.to_le_bytes());
    token
}

async fn with_sessions(d: &SqliteDirectory, count: u32) {
    let users = d.create_users((0..count).map(person).collect(), 1).await;
    let users = users.unwrap();
    let sessions = users.iter().zip(0..).map(|(user, n)| NewSession {
        user: user.id,
        token_hash: token(n),
        device_name: None,
        expires_at: None,
    });
    d.create_sessions(sessions.collect(), 1).await.unwrap();
}

#[tokio::test]
async fn the_file_keeps_the_contract() {
    run_all(&Files(Mutex::new(tempfile::tempdir().unwrap()))).await;
}

#[tokio::test]
async fn the_contract_holds_over_crashes() {
    run_all(&Crashes(Mutex::new(tempfile::tempdir().unwrap()))).await;
}

#[tokio::test]
async fn a_newer_file_is_refused_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let newer = STEPS.len() + 1;
    let conn = Connection::open(file(dir.path())).unwrap();
    conn.pragma_update(None, "user_version", newer).unwrap();
    drop(conn);
    let before = contents(dir.path());
    let why = refusal(dir.path());
    assert!(why.contains(&format!("has version {newer}")), "{why}");
    assert_eq!(contents(dir.path()), before);
}

#[tokio::test]
async fn foreign_files_and_garbage_are_refused_unchanged() {
    let make: [fn(&Path); 3] = [
        |path| fs::write(path, [0x5a; 8_192]).unwrap(),
        |path| fs::write(path, "x").unwrap(),
        |path| {
            let conn = Connection::open(path).unwrap();
            conn.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE theirs (x);").unwrap();
        },
    ];
    for make in make {
        let dir = tempfile::tempdir().unwrap();
        make(&file(dir.path()));
        let before = contents(dir.path());
        let why = refusal(dir.path());
        assert!(why.contains("was not written by this program"), "{why}");
        assert_eq!(contents(dir.path()), before);
    }
}

#[tokio::test]
async fn damaged_pages_are_reported_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(dir.path());
    with_sessions(&d, 500).await;
    assert_eq!(d.check().await.unwrap(), Vec::<String>::new());
    drop(d);
    let mut bytes = fs::read(file(dir.path())).unwrap();
    // Everything but the first page, which holds the list of tables.
    bytes[4_096..].fill(0xff);
    fs::write(file(dir.path()), &bytes).unwrap();
    let why = refusal(dir.path());
    assert!(why.contains("is damaged"), "{why}");
    assert_eq!(fs::read(file(dir.path())).unwrap(), bytes);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let opened = SqliteDirectory::open(&dir.path().join("no/directory.db"));
    assert!(matches!(opened, Err(DirectoryError::Unavailable(_))));
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(dir.path());
    with_sessions(&d, 1).await;
    d.copy_to(&dir.path().join("copy.db")).await.unwrap();
    for name in ["directory.db", "directory.db-wal", "copy.db"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_copy_of_a_directory_in_use_is_a_directory() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let d = open(dir.path());
    with_sessions(&d, 50).await;
    let key = d.secret("key").await.unwrap();
    d.copy_to(&file(other.path())).await.unwrap();
    assert!(d.copy_to(&file(other.path())).await.is_err());
    d.create_user(person(99), 2).await.unwrap();
    let copy = open(other.path());
    assert_eq!(copy.cluster_id().await.unwrap(), d.cluster_id().await.unwrap());
    assert_eq!(copy.secret("key").await.unwrap(), key);
    assert_eq!(copy.find_users("", None, 100).await.unwrap().len(), 50);
    assert!(copy.session_by_token(&token(49), 2).await.unwrap().is_some());
    assert_eq!(copy.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn two_directories_are_two_clusters() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (open(a.path()), open(b.path()));
    assert_ne!(a.cluster_id().await.unwrap(), b.cluster_id().await.unwrap());
    assert_ne!(a.secret("key").await.unwrap(), b.secret("key").await.unwrap());
}

#[tokio::test]
async fn overrides_are_part_of_the_map() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(dir.path());
    let shards = [0, 1].map(|n| ShardRow::new(ShardId(n), "embedded"));
    d.found(&shards).await.unwrap();
    let user = |n| UserId::new(n).unwrap();
    let id = ConversationId::direct(user(1), user(2));
    let conn = Connection::open(file(dir.path())).unwrap();
    conn.execute("INSERT INTO unit VALUES (20000, 1, 3)", []).unwrap();
    let subject = id.as_u128().to_be_bytes();
    let sql = "INSERT INTO override (kind, subject, unit) VALUES (?1, ?2, 20000)";
    conn.execute(sql, rusqlite::params![1, subject]).unwrap();
    // A kind that this version does not know of is not taken for a conversation.
    conn.execute(sql, rusqlite::params![2, [1_u8; 8]]).unwrap();
    let map = d.map().await.unwrap();
    assert_eq!(map.overrides().collect::<Vec<_>>(), [(id, UnitId(20_000))]);
    let home = map.home(map.unit_of(id)).unwrap();
    assert_eq!((home.shard, home.epoch.0), (ShardId(1), 3));
}

#[tokio::test]
async fn a_directory_of_the_first_version_learns_of_moves() {
    let dir = tempfile::tempdir().unwrap();
    let id = ConversationId::direct(UserId::new(1).unwrap(), UserId::new(2).unwrap());
    let conn = Connection::open(file(dir.path())).unwrap();
    conn.execute_batch(STEPS[0]).unwrap();
    conn.pragma_update(None, "application_id", super::APPLICATION_ID).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    conn.execute_batch(
        "INSERT INTO cluster VALUES (1, zeroblob(16), 9);
         INSERT INTO shard VALUES (0, 'embedded'), (1, 'embedded'), (5, 'embedded');
         DELETE FROM shard WHERE id = 5;
         INSERT INTO unit VALUES (0, 0, 1), (20000, 1, 3);",
    )
    .unwrap();
    let subject = id.as_u128().to_be_bytes();
    let sql = "INSERT INTO override (rank, kind, subject, unit) VALUES (7, 1, ?1, 20000)";
    conn.execute(sql, [subject]).unwrap();
    drop(conn);

    let d = open(dir.path());
    let known = [0, 1].map(|n| ShardRow::new(ShardId(n), "embedded"));
    assert_eq!(d.shards().await.unwrap(), known);
    let map = d.map().await.unwrap();
    assert_eq!((map.version, map.unit_of(id)), (9, UnitId(20_000)));
    assert_eq!(map.user_overrides().count(), 0);
    // Nothing that was used before is given out again.
    assert_eq!(d.reserve_units(1).await.unwrap(), UnitId(20_001));
    assert_eq!(d.next_rank().await.unwrap(), 8);
    assert_eq!(d.add_shard("embedded").await.unwrap().id, ShardId(6));
    assert_eq!(d.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn many_overrides_are_read_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(dir.path());
    d.found(&[0, 1].map(|n| ShardRow::new(ShardId(n), "embedded"))).await.unwrap();
    let mut conn = Connection::open(file(dir.path())).unwrap();
    let tx = conn.transaction().unwrap();
    let user = |n| UserId::new(n).unwrap();
    for n in 0..5_000_u32 {
        let id = ConversationId::direct(user(1), user(u64::from(n) + 2));
        let unit = 20_000 + n;
        tx.execute("INSERT INTO unit VALUES (?1, 1, 3)", [unit]).unwrap();
        let sql = "INSERT INTO override (kind, subject, unit) VALUES (1, ?1, ?2)";
        tx.execute(sql, rusqlite::params![id.as_u128().to_be_bytes(), unit]).unwrap();
    }
    for n in 1..=5_u32 {
        tx.execute("INSERT INTO hot_user VALUES (?1, ?1, 20000)", [n]).unwrap();
        tx.execute("INSERT INTO hot_user_target VALUES (?1, 0, 1), (?1, 1, 0)", [n]).unwrap();
        for slot in 0..3_000 {
            let row = [n, slot, 20_000 + slot];
            tx.execute("INSERT INTO hot_user_slot VALUES (?1, ?2, ?3)", row).unwrap();
        }
    }
    tx.commit().unwrap();
    let map = d.map().await.unwrap();
    assert_eq!(map.units().count(), 16_384 + 5_000);
    assert_eq!(map.overrides().count(), 5_000);
    assert_eq!(map.user_overrides().map(|hot| hot.table.len()).sum::<usize>(), 15_000);
    let hot = map.user_override(user(3)).unwrap();
    assert_eq!((hot.rank, hot.own), (3, Some(UnitId(20_000))));
    assert_eq!(hot.targets, [ShardId(1), ShardId(0)]);
    assert!(hot.table.iter().all(|(slot, unit)| unit.0 == 20_000 + u32::from(slot.get())));
    assert_eq!(d.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_devices_is_answered_while_others_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let d = Arc::new(open(dir.path()));
    with_sessions(&d, 5_000).await;
    let devices: Vec<_> = (0..5_000)
        .map(|n| {
            let d = Arc::clone(&d);
            tokio::spawn(async move { d.session_by_token(&token(n), 2).await })
        })
        .collect();
    let secret = |name: &'static str| {
        let d = Arc::clone(&d);
        tokio::spawn(async move { d.secret(name).await.unwrap() })
    };
    let (first, second) = (secret("one"), secret("one"));
    let newcomer = d.create_user(person(5_001), 3).await.unwrap();
    assert_eq!(newcomer.id.get(), 5_001);
    assert_eq!(first.await.unwrap(), second.await.unwrap());
    for (n, device) in (1..).zip(devices) {
        let (session, user) = device.await.unwrap().unwrap().unwrap();
        assert_eq!((session.user.get(), user.id.get()), (n, n));
    }
}

#[tokio::test]
async fn ended_sessions_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(dir.path());
    let user = d.create_user(person(1), 1).await.unwrap().id;
    for n in 0..10 {
        let new = NewSession {
            user,
            token_hash: token(n),
            device_name: None,
            expires_at: Some(i64::from(n) * 10 + 5),
        };
        d.create_session(new, i64::from(n) * 10).await.unwrap();
    }
    let conn = Connection::open(file(dir.path())).unwrap();
    let rows: i64 = conn.query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}
