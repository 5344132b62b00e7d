//! A disk that is full for real: a small filesystem of its own under the data directory.
//!
//! Mounting needs root. Where it is not allowed the test says so and ends; the same faults are tested file by file in
//! `store-embedded`.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use ostracon_client::ApiError;
use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::{
    Position,
    frame::OutgoingMessage,
    rest::{Anchor, MessagesQuery},
};

use crate::support::{Data, Server, runtime};

/// Two journal segments, the tables, and some room.
const SIZE: &str = "size=256m";
/// Bytes that the ballast leaves.
const ROOM: u64 = 6 << 20;
const SENDS_MAX: u32 = 20_000;
const TRIES_MAX: u32 = 600;

/// A filesystem in memory; unmounted with the test.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "none"]).arg(&at).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn free(&self) -> u64 {
        let about = rustix::fs::statvfs(&self.0).unwrap();
        about.f_bavail * about.f_frsize
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a server that a failed test leaves may still be dying.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn fill(mount: &Mount, ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    let block = vec![1; 1 << 20];
    while mount.free() > ROOM {
        file.write_all(&block).unwrap();
    }
}

fn message(n: u32) -> OutgoingMessage<'static> {
    let mut message = OutgoingMessage::text(format!("{n} {}", "x".repeat(8_000)));
    message.client_id = Some(format!("c{n}").into());
    message
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers_by_itself() {
    let data = Data::new();
    let Some(mount) = Mount::new(data.path("disk")) else {
        eprintln!("mounting is not allowed here: no disk was filled");
        return;
    };
    let server = Server::start_with(
        mount.0.join("data").to_str().unwrap(),
        "127.0.0.1:0",
        &["--no-rate-limits"],
    );
    let users = server.users(&["alice", "bob"]);
    let [alice, bob] = [0, 1].map(|at: usize| UserId::new(users[at].0).unwrap());
    let id = ConversationId::direct(alice, bob);
    let api = server.api(&users[0].1);
    let ballast = mount.0.join("ballast");
    fill(&mount, &ballast);

    runtime().block_on(async {
        let mut acked = 0;
        let refusal = loop {
            assert!(acked < SENDS_MAX, "nothing was refused, {} bytes are free", mount.free());
            match api.send(id, &message(acked)).await {
                Ok(sent) => {
                    acked += 1;
                    assert_eq!(sent.value.seq, u64::from(acked));
                }
                Err(error) => break error,
            }
        };
        let ApiError::Refused { error, status } = &refusal else { panic!("{refusal}") };
        assert_eq!(*status, 503, "{error:?}");
        assert!(refusal.retryable(), "{error:?}");

        // Reads go on, and show exactly what was acked.
        let query = |seq| MessagesQuery {
            limit: 200,
            anchor: Anchor::After(Position::Seq(seq)),
            min_rev: None,
        };
        let count = async || {
            let mut seen = 0;
            loop {
                let page = api.messages(id, &query(seen)).await.unwrap();
                if page.messages.is_empty() {
                    return seen;
                }
                for message in &page.messages {
                    seen += 1;
                    assert_eq!(message.seq, seen);
                    let text = message.content.as_deref().unwrap();
                    assert!(text.starts_with(&format!("{} ", seen - 1)), "{seen}");
                }
            }
        };
        assert_eq!(count().await, u64::from(acked));

        fs::remove_file(&ballast).unwrap();
        let mut tries = 0;
        // The same message with the same client id, as a client does.
        while let Err(error) = api.send(id, &message(acked)).await {
            tries += 1;
            assert!(error.retryable() && tries < TRIES_MAX, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(count().await, u64::from(acked) + 1);
    });
    server.verify();
    let dir = server.dir.clone();
    server.kill();
    // Also for a start: everything is there.
    Server::start(&dir).verify();
}
