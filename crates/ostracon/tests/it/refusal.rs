//! Newer, foreign and damaged data directories: one sentence, exit code 1, and not a byte is changed.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::support::{Data, Server, complaint, files, run, runtime};
use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::frame::OutgoingMessage;

/// Starts on a directory that must be refused; what it says.
fn refused(dir: &str) -> String {
    let before = files(Path::new(dir));
    let output =
        run(&["serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--log-level", "off"]);
    assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
    let after = files(Path::new(dir));
    let names = |files: &[(PathBuf, Option<Vec<u8>>)]| {
        files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after), "{}", complaint(&output));
    for ((path, before), (_, after)) in before.iter().zip(&after) {
        // Who holds the lock is written into it; it says nothing of what is stored.
        assert!(before == after || path.ends_with("LOCK"), "{} was changed", path.display());
    }
    let words = complaint(&output);
    assert_eq!(words.trim_end().lines().count(), 1, "{words}");
    words
}

/// A data directory with some messages, stopped in order.
fn stopped(data: &Data) -> String {
    let dir = data.text("data");
    fill(&dir, 20).stop();
    dir
}

/// A running server with some messages of alice to bob.
fn fill(dir: &str, messages: usize) -> Server {
    let server = Server::start(dir);
    let users = server.users(&["alice", "bob"]);
    let id = |user: u64| UserId::new(user).unwrap();
    let conversation = ConversationId::direct(id(users[0].0), id(users[1].0));
    let api = server.api(&users[0].1);
    runtime().block_on(async {
        for n in 0..messages {
            let message = OutgoingMessage::text(format!("message {n}"));
            api.send(conversation, &message).await.unwrap();
        }
    });
    server
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let data = Data::new();
    std::fs::create_dir(data.path("home")).unwrap();
    std::fs::write(data.path("home").join("letter.txt"), "dear").unwrap();
    assert!(refused(&data.text("home")).contains("was not made by this program"));
}

#[test]
fn a_newer_directory_is_left_alone() {
    let data = Data::new();
    let dir = stopped(&data);
    std::fs::write(data.path("data").join("FORMAT"), "ostracon data directory, format 99\n")
        .unwrap();
    assert!(refused(&dir).contains("format 99"));
}

#[test]
fn newer_tables_are_left_alone() {
    for file in ["directory.db", "shards/1.db"] {
        let data = Data::new();
        let dir = stopped(&data);
        // `user_version`, big-endian at offset 60 of an SQLite file.
        write_at(&data.path("data").join(file), 60, &9_999u32.to_be_bytes());
        let words = refused(&dir);
        assert!(words.contains("9999") || words.contains("newer"), "{words}");
    }
}

#[test]
fn a_foreign_file_in_the_place_of_tables_is_left_alone() {
    for file in ["directory.db", "shards/0.db"] {
        let data = Data::new();
        let dir = stopped(&data);
        std::fs::write(data.path("data").join(file), "this is no database").unwrap();
        assert!(refused(&dir).contains(file), "{file}");
    }
}

#[test]
fn a_directory_without_its_accounts_is_left_alone() {
    let data = Data::new();
    let dir = stopped(&data);
    std::fs::remove_file(data.path("data").join("directory.db")).unwrap();
    let output =
        run(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--log-level", "off"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("directory"), "{}", complaint(&output));
}

#[test]
fn a_damaged_journal_is_left_alone_and_its_place_is_named() {
    let data = Data::new();
    let dir = data.text("data");
    // Killed, so that the journal is all that has the messages.
    fill(&dir, 60).kill();
    let segment = damage_journal(&data.path("data"));
    let words = refused(&dir);
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(words.contains("damaged") && words.contains("repair"), "{name}: {words}");
}

/// Flips a bit a few frames before the end of what the journal holds.
pub(crate) fn damage_journal(dir: &Path) -> PathBuf {
    let folder = dir.join("journal");
    let used = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |end| end + 1)
    };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let segment = entries.max_by_key(used).unwrap();
    let at = used(&segment) as u64 - 6_000;
    let mut byte = [0];
    let file = OpenOptions::new().read(true).write(true).open(&segment).unwrap();
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    segment
}

fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}
