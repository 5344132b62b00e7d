//! Ending in good order, and what does not start.

use futures_util::SinkExt as _;
use ostracon_server::{Config, Server, StartError, testing::TestServer};
use ostracon_store::{UnitPhase, UnitState};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Caller, PATIENCE, operator};

#[tokio::test]
async fn pending_answers_are_sent_before_the_close() {
    let mut server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let mut socket = alice.socket().await;
    alice.say(&bob, "opened").await;
    // Nothing is answered while the dispatchers wait, so all of these are pending at the stop.
    server.with_engine(ostracon_engine::Engine::pause_dispatch);
    for n in 1..=100 {
        let data = json!({"to": bob.id, "content": n.to_string()});
        let frame = json!({"type": "send_message", "id": n, "data": data}).to_string();
        socket.0.feed(Message::text(frame)).await.unwrap();
    }
    socket.0.flush().await.unwrap();
    // The last one is known to be read when a frame that needs no commit is answered.
    assert_eq!(socket.ask("heartbeat", 101, json!({})).await["type"], "heartbeat");
    server.with_engine(ostracon_engine::Engine::resume_dispatch);
    let stopping = server.stop();
    let reading = async {
        let mut answered = 0;
        loop {
            match socket.message().await {
                Some(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    answered += u32::from(frame["type"] == "message_sent");
                }
                Some(Message::Close(Some(frame))) => return (answered, u16::from(frame.code)),
                Some(_) => {}
                None => panic!("no close frame after {answered} answers"),
            }
        }
    };
    let ((), read) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(stopping, reading) }).await.unwrap();
    assert_eq!(read, (100, 1001));
    assert!(!server.admin_socket().exists());
    server.start_again().await;
    let list = bob.get(&format!("/api/v1/dialog/{}/list", alice.id)).await.is(200);
    assert_eq!(list["total"], 101);
}

#[tokio::test]
async fn an_operator_stops_it() {
    let mut server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let mut socket = alice.socket().await;
    operator(&server, "POST", "/api/v1/admin/stop", Value::Null).await.is(202);
    assert_eq!(socket.closed().await, 1001);
    server.stop().await;
}

#[tokio::test]
async fn a_second_process_and_a_lost_directory_are_refused() {
    let mut server = TestServer::start().await;
    let config = || Config { data_dir: server.data_dir().to_owned(), ..Config::default() };
    let refused = |opened: Result<Server, StartError>| opened.err().unwrap().to_string();
    let second = refused(Server::open(config()).await);
    assert!(second.contains("in use"), "{second}");
    let config = config();
    server.stop().await;
    std::fs::remove_file(config.data_dir.join("directory.db")).unwrap();
    let lost = refused(Server::open(config).await);
    assert!(lost.contains("directory.db"), "{lost}");
    assert!(!server.data_dir().join("directory.db").exists());
}

#[tokio::test]
async fn demo_users_are_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
    let server = Server::open(config).await.unwrap();
    let made = server.demo_users().await.unwrap();
    let names: Vec<_> = made.iter().map(|user| user.username.as_str()).collect();
    assert_eq!(names, ["alice", "bob", "carol"]);
    assert!(server.demo_users().await.unwrap().is_empty());
}

/// Units that a stop finds frozen serve again before it goes on, so that whoever waits for them is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_frozen_unit_is_answered_before_the_close() {
    let mut server = TestServer::start_with(|config| config.moves.freeze_budget_ms = 2_000).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "opened").await;
    operator(&server, "POST", "/api/v1/admin/shards", json!({"url": "embedded"})).await.is(201);
    let mut socket = alice.socket().await;
    // The freeze waits for the dispatcher of the source.
    server.with_engine(ostracon_engine::Engine::pause_dispatch);
    let body = json!({"pair": format!("{}:{}", alice.id, bob.id), "to": [4]});
    let job = operator(&server, "POST", "/api/v1/admin/shards/move", body).await.is(201);
    let shards = server.with_engine(|engine| engine.shards().clone());
    let frozen = async {
        loop {
            for shard in shards.values() {
                let states = shard.unit_states().await.unwrap();
                let is_ours = |state: &UnitState| state.unit.slot().is_none();
                if states.iter().any(|state| is_ours(state) && state.phase == UnitPhase::Frozen) {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, frozen).await.expect("the pair is frozen");
    for n in 1..=20 {
        let data = json!({"to": bob.id, "content": n.to_string()});
        socket.send("send_message", n, data).await;
    }
    assert_eq!(socket.ask("heartbeat", 21, json!({})).await["type"], "heartbeat");

    operator(&server, "POST", "/api/v1/admin/stop", Value::Null).await.is(202);
    server.with_engine(ostracon_engine::Engine::resume_dispatch);
    let reading = async {
        let mut answers = Vec::new();
        while let Some(Message::Text(text)) = socket.message().await {
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["id"].is_u64() {
                answers.push(frame["type"].as_str().unwrap().to_owned());
            }
        }
        answers
    };
    let ((), answers) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(server.stop(), reading) })
            .await
            .unwrap();
    assert_eq!(answers, ["message_sent"; 20]);

    server.start_again().await;
    let path = format!("/api/v1/admin/shards/jobs/{}", job["job_id"]);
    let moved = async {
        while operator(&server, "GET", &path, Value::Null).await.is(200)["state"] != "done" {}
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("the move ends");
    let list = bob.get(&format!("/api/v1/dialog/{}/list", alice.id)).await.is(200);
    assert_eq!(list["total"], 21);
}
