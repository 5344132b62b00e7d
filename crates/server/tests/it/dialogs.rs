//! The simple API.

use ostracon_server::testing::TestServer;
use serde_json::json;

use crate::client::Caller;

#[tokio::test]
async fn two_people_talk() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let path = format!("/api/v1/dialog/{}/list", alice.id);
    let empty = bob.get(&path).await.is(200);
    assert_eq!(empty, json!({"messages": [], "total": 0}));

    let first = alice.say(&bob, "hello").await;
    assert_eq!(first["seq"], 1);
    assert_eq!(first["from_id"], alice.id);
    assert_eq!(first["to_id"], bob.id);
    assert!(first["id"].is_u64(), "{first}");
    assert!(first["created_at"].as_str().unwrap().ends_with('Z'), "{first}");
    for n in 2..=5 {
        bob.say(&alice, &format!("answer {n}")).await;
    }

    let page = bob.get(&format!("{path}?limit=2&offset=1")).await.is(200);
    assert_eq!(page["total"], 5);
    let texts: Vec<_> = page["messages"].as_array().unwrap().iter().map(|m| &m["text"]).collect();
    assert_eq!(texts, ["answer 4", "answer 3"]);
    let beyond = bob.get(&format!("{path}?offset=5")).await.is(200);
    assert_eq!(beyond, json!({"messages": [], "total": 5}));
    let newest = bob.get(&path).await.is(200);
    assert_eq!(newest["messages"][4], first);

    // A deleted one keeps its place.
    let id = first["conversation_id"].as_str().unwrap();
    alice.delete(&format!("/api/v1/conversations/{id}/messages/1")).await.is(200);
    let newest = bob.get(&path).await.is(200);
    assert_eq!(newest["total"], 5);
    assert_eq!(newest["messages"][4]["text"], "");
    assert_eq!(newest["messages"][4]["deleted"], true);
}

#[tokio::test]
async fn a_retry_is_the_same_message() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let path = format!("/api/v1/dialog/{}/send", bob.id);
    let body = json!({"to": bob.id, "text": "once", "client_id": "a-1"});
    let first = alice.post(&path, body.clone()).await.is(201);
    assert_eq!(alice.post(&path, body).await.is(200), first);
    let other = json!({"text": "twice", "client_id": "a-1"});
    alice.post(&path, other).await.refused(409, "conflict");
    let error =
        alice.post(&path, json!({"to": alice.id, "text": "x"})).await.refused(422, "invalid");
    assert_eq!(error["details"]["field"], "to");
    alice.post("/api/v1/dialog/999/send", json!({"text": "x"})).await.refused(404, "not_found");
    alice.get("/api/v1/dialog/999/list").await.refused(404, "not_found");
    alice.get("/api/v1/dialog/-1/list").await.refused(404, "not_found");
    let error = alice.get(&format!("/api/v1/dialog/{}/list?offset=-1", bob.id)).await;
    assert_eq!(error.refused(422, "invalid")["details"]["field"], "offset");
}
