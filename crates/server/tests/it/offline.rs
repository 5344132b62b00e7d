//! Putting a backup back, cutting a damaged journal.

use ostracon_server::{Config, Server, offline, testing::TestServer};
use serde_json::{Value, json};

use crate::client::{Caller, operator};

/// The histories of a user's conversations.
async fn histories(user: &Caller) -> Vec<Value> {
    let list = user.get("/api/v1/conversations").await.is(200);
    let entries = list["conversations"].as_array().unwrap();
    entries.iter().map(|entry| entry["conversation"]["history"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_put_back_under_new_histories() {
    let mut server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "in the backup").await;
    alice.group("G", &[&bob]).await;
    let before = histories(&bob).await;
    let cursor = bob.get("/api/v1/sync").await.is(200)["cursor"].as_str().unwrap().to_owned();
    let backup = server.dir().join("backup");
    operator(&server, "POST", "/api/v1/admin/backup", json!({"dir": backup})).await.status.as_u16();
    alice.say(&bob, "after the backup").await;
    server.stop().await;

    let refused = offline::restore(&backup, server.data_dir(), &|_, _| {}).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");
    let restored = server.dir().join("restored");
    offline::restore(&backup, &restored, &|_, _| {}).unwrap();
    let again = offline::restore(&backup, &restored, &|_, _| {}).unwrap_err().to_string();
    assert!(again.contains("not empty"), "{again}");
    let nothing = offline::restore(server.dir(), &server.dir().join("x"), &|_, _| {}).unwrap_err();
    assert!(nothing.to_string().contains("no complete back-up"), "{nothing}");

    server.config_mut().data_dir = restored;
    server.start_again().await;
    let list = bob.get(&format!("/api/v1/dialog/{}/list", alice.id)).await.is(200);
    assert_eq!(
        (&list["total"], &list["messages"][0]["text"]),
        (&json!(1), &json!("in the backup"))
    );
    let after = histories(&bob).await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|history| !before.contains(history)), "{after:?}");
    let sync = bob.get(&format!("/api/v1/sync?cursor={cursor}")).await.is(200);
    assert_eq!(
        (&sync["reset"], sync["conversations"].as_array().unwrap().len()),
        (&json!(true), 2)
    );
    assert_eq!(alice.say(&bob, "on and on").await["seq"], 2);
    let verified = operator(&server, "POST", "/api/v1/admin/verify", Value::Null).await;
    let last: Value = serde_json::from_str(verified.text.lines().last().unwrap()).unwrap();
    assert_eq!(last["result"]["problems"], json!([]), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_cut_only_when_asked() {
    let mut server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    for n in 1..=20 {
        alice.say(&bob, &format!("needle {n} in the journal")).await;
    }
    let before = histories(&bob).await;
    server.stop().await;
    assert!(offline::look(server.data_dir()).await.unwrap().is_none());
    damage(&server, b"needle 3 in");

    let config = || Config { data_dir: server.data_dir().to_owned(), ..Config::default() };
    let refused = Server::open(config()).await.err().unwrap().to_string();
    assert!(refused.contains("damaged") && refused.contains("repair"), "{refused}");
    let plan = offline::look(server.data_dir()).await.unwrap().unwrap();
    assert!(plan.lost_batches > 0, "{plan:?}");
    assert!(Server::open(config()).await.is_err(), "a plan changes nothing");
    let done = offline::repair(config()).await.unwrap().unwrap();
    assert_eq!(done, plan);
    assert!(offline::repair(config()).await.unwrap().is_none());

    server.start_again().await;
    let after = histories(&bob).await;
    assert!(after.iter().all(|history| !before.contains(history)), "{after:?}");
    let list = bob.get(&format!("/api/v1/dialog/{}/list", alice.id)).await.is(200);
    // What the tables had before the stop is not lost with the journal.
    assert_eq!(list["total"], 20);
    assert_eq!(alice.say(&bob, "on and on").await["seq"], 21);
}

/// Flips a byte of the journal where it holds this text.
fn damage(server: &TestServer, text: &[u8]) {
    for entry in std::fs::read_dir(server.data_dir().join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
            bytes[at] ^= 1;
            return std::fs::write(path, bytes).unwrap();
        }
    }
    panic!("the journal does not hold it any more");
}
