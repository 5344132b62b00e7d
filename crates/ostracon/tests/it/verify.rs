//! `verify`: nothing on a healthy store, running or stopped; damage that was put in is named.

use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::frame::OutgoingMessage;
use rusqlite::Connection;
use serde_json::Value;

use crate::support::{Data, Server, complaint, run, runtime, said};

/// Alice writes to bob; the shard file that has it.
fn filled(dir: &str) -> (Server, String) {
    let server = Server::start(dir);
    let users = server.users(&["alice", "bob"]);
    let id = |user: u64| UserId::new(user).unwrap();
    let conversation = ConversationId::direct(id(users[0].0), id(users[1].0));
    let api = server.api(&users[0].1);
    runtime().block_on(async {
        for n in 0..30 {
            let mut message = OutgoingMessage::text(format!("message {n}"));
            message.client_id = Some(format!("c{n}").into());
            api.send(conversation, &message).await.unwrap();
        }
        api.edit(conversation, 3, "another text", None).await.unwrap();
        api.react(conversation, 4, "👍", false).await.unwrap();
    });
    let shard = conversation.slot().get() % 4;
    (server, format!("{dir}/shards/{shard}.db"))
}

fn report(dir: &str) -> (Option<i32>, Value) {
    let output = run(&["verify", "--json", "--data-dir", dir]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let report =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", complaint(&output)));
    (output.status.code(), report)
}

#[test]
fn a_healthy_store_is_healthy() {
    let data = Data::new();
    let (server, _) = filled(&data.text("data"));
    let running = server.verify();
    assert_eq!(running["counts"]["messages"], 30);
    assert_eq!(running["counts"]["conversations"], 1);
    assert!(running["counts"]["journal_rows"].as_u64().unwrap() > 30);
    let dir = server.dir.clone();
    server.stop();
    let (code, stopped) = report(&dir);
    assert_eq!((code, &stopped["problems"]), (Some(0), &serde_json::json!([])));
    assert_eq!(stopped["counts"]["entries"], 2);
    assert!(said(&["verify", "--data-dir", &dir]).contains("Nothing is wrong."));
}

#[test]
fn a_store_after_kill_is_healthy() {
    let data = Data::new();
    let (server, _) = filled(&data.text("data"));
    let dir = server.dir.clone();
    server.kill();
    let (code, report) = report(&dir);
    assert_eq!((code, &report["problems"]), (Some(0), &serde_json::json!([])));
}

#[test]
fn damage_is_named() {
    for (damage, kind) in [
        ("DELETE FROM message WHERE seq = 7", "seq"),
        ("UPDATE message SET rev = 5 WHERE seq = 9", "rev"),
        ("UPDATE conversation SET head_seq = 31", "seq"),
        ("UPDATE conversation SET member_count = 3", "members"),
        ("UPDATE conversation SET unit = 16000", "placement"),
    ] {
        let data = Data::new();
        let (server, file) = filled(&data.text("data"));
        let dir = server.dir.clone();
        server.stop();
        let tables = Connection::open(&file).unwrap();
        assert_eq!(tables.execute(damage, []).unwrap(), 1, "{damage}");
        drop(tables);
        let (code, report) = report(&dir);
        assert_eq!(code, Some(1), "{damage}");
        let problems = report["problems"].as_array().unwrap();
        let kinds: Vec<_> =
            problems.iter().map(|problem| problem["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&kind), "{damage}: {report}");
        let shown = run(&["verify", "--data-dir", &dir]);
        assert!(String::from_utf8_lossy(&shown.stdout).contains("problems."));
    }
}

#[test]
fn a_missing_directory_is_not_made() {
    let data = Data::new();
    let dir = data.text("nothing");
    let output = run(&["verify", "--data-dir", &dir]);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("there is no data directory"));
    assert!(!data.path("nothing").exists());
}
