//! `push` and `webhooks`, as an operator types them.

use crate::support::{Data, Server, complaint, json, run, said};

#[test]
fn the_queue_is_shown() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = ["--data-dir", server.dir.as_str()];
    let status = json(&["push", "status", "--json", dir[0], dir[1]]);
    assert_eq!((&status["enabled"], &status["push"]["waiting"]), (&true.into(), &0.into()));
    let key = status["vapid_key"].as_str().unwrap();
    assert!(said(&["push", "status", dir[0], dir[1]]).contains(key));
    let dead = json(&["push", "dead", "--json", dir[0], dir[1]]);
    assert_eq!(dead["errands"], serde_json::json!([]));
    said(&["push", "dead", dir[0], dir[1]]);
    assert!(said(&["push", "replay", dir[0], dir[1]]).contains("0 to be tried again"));
    let unknown = run(&["push", "test", "alice", dir[0], dir[1]]);
    assert_eq!(unknown.status.code(), Some(1), "{}", complaint(&unknown));
    said(&["user", "add", "alice", "--no-password", dir[0], dir[1]]);
    assert!(said(&["push", "test", "alice", dir[0], dir[1]]).contains("no device"));
    let hooks = json(&["webhooks", "list", "--json", dir[0], dir[1]]);
    assert_eq!(hooks["webhooks"], serde_json::json!([]));
    said(&["webhooks", "dead", dir[0], dir[1]]);
    said(&["webhooks", "replay", "7", dir[0], dir[1]]);
}
