//! The chat list, groups, members, one's own view.

use ostracon_engine::{Clock as _, SystemClock};
use ostracon_server::testing::TestServer;
use serde_json::{Value, json};

use crate::client::{Caller, path_of};

async fn three(server: &TestServer) -> [Caller; 3] {
    [
        Caller::new(server, "alice").await,
        Caller::new(server, "bob").await,
        Caller::new(server, "carol").await,
    ]
}

#[tokio::test]
async fn a_direct_conversation_exists_once() {
    let server = TestServer::start().await;
    let [alice, bob, carol] = three(&server).await;
    let open = json!({"type": "direct", "user_id": bob.id});
    let first = alice.post("/api/v1/conversations", open.clone()).await.is(201);
    let path = path_of(&first["conversation"]);
    let again = alice.post("/api/v1/conversations", open).await.is(200);
    assert_eq!(again["conversation"], first["conversation"]);
    let other = bob.post("/api/v1/conversations", json!({"type": "direct", "user_id": alice.id}));
    assert_eq!(path_of(&other.await.is(200)["conversation"]), path);
    bob.get(&path).await.is(200);

    // A stranger cannot tell it from one that does not exist.
    let strange = carol.get(&path).await.refused(404, "not_found");
    let group = "/api/v1/conversations/0190163d-8694-739b-aea5-966c26f8ad91";
    assert_eq!(carol.get(group).await.refused(404, "not_found"), strange);
    assert_eq!(carol.get("/api/v1/conversations/x").await.refused(404, "not_found"), strange);
    for (method, rest, body) in [
        ("GET", "/messages", Value::Null),
        ("GET", "/changes", Value::Null),
        ("GET", "/members", Value::Null),
        ("POST", "/messages", json!({"content": "x"})),
        ("POST", "/read", json!({"seq": 1})),
        ("PATCH", "/inbox", json!({"pinned": true})),
        ("PATCH", "/messages/1", json!({"content": "x"})),
        ("DELETE", "/messages/1", Value::Null),
        ("PUT", "/messages/1/reactions/%F0%9F%91%8D", Value::Null),
        ("POST", "/members", json!({"user_ids": [carol.id]})),
        ("DELETE", "", Value::Null),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = carol.send(method, &format!("{path}{rest}"), body.clone()).await;
        let refused = answer.refused(404, "not_found");
        let unknown = carol.send(method, &format!("{group}{rest}"), body).await;
        assert_eq!(unknown.refused(404, "not_found"), refused, "{method} {rest}");
    }
}

#[tokio::test]
async fn a_group_from_its_creation_to_its_end() {
    let server = TestServer::start().await;
    let [alice, bob, carol] = three(&server).await;
    let path = alice.group("Trip", &[&bob]).await;
    let mut socket = bob.socket().await;
    let send = format!("{path}/messages");
    alice.post(&send, json!({"content": "earlier"})).await.is(201);
    bob.post(&format!("{path}/members"), json!({"user_ids": [carol.id]}))
        .await
        .refused(403, "forbidden");
    let added =
        alice.post(&format!("{path}/members"), json!({"user_ids": [carol.id]})).await.is(200);
    assert_eq!(added["members"][0]["user_id"], carol.id);
    assert_eq!(socket.next_of("member_updated").await["rev"], added["members"][0]["rev"]);

    // Who joins sees what is said from then on.
    let seen = carol.get(&send).await.is(200);
    let first = seen["first_seq"].as_u64().unwrap();
    assert!(seen["messages"].as_array().unwrap().iter().all(|m| m["seq"].as_u64() >= Some(first)));
    assert!(!seen.to_string().contains("earlier"), "{seen}");

    let renamed = alice.patch(&path, json!({"name": "Journey"})).await.is(200);
    assert_eq!(renamed["conversation"]["name"], "Journey");
    // The member count changed before.
    while socket.next_of("conversation_updated").await["name"] != "Journey" {}
    bob.patch(&path, json!({"name": "No"})).await.refused(403, "forbidden");
    alice.patch(&path, json!({"name": ""})).await.refused(422, "invalid");

    let member = format!("{path}/members/{}", bob.id);
    let promoted = alice.patch(&member, json!({"role": "admin"})).await.is(200);
    assert!(promoted["rev"].is_u64() && promoted["history"].is_string(), "{promoted}");
    alice.patch(&member, json!({"role": "king"})).await.refused(422, "invalid");
    let page = alice.get(&format!("{path}/members?limit=2")).await.is(200);
    assert_eq!(page["members"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = alice.get(&format!("{path}/members?limit=2&cursor={cursor}")).await.is(200);
    assert_eq!(rest["members"][0]["user_id"], carol.id);
    assert_eq!(rest["next_cursor"], Value::Null);

    // Who left keeps what was there, and gets nothing new.
    carol.delete(&format!("{path}/members/{}", carol.id)).await.is(200);
    alice.post(&send, json!({"content": "later"})).await.is(201);
    assert!(!carol.get(&send).await.is(200).to_string().contains("later"));
    carol.post(&send, json!({"content": "x"})).await.refused(403, "not_member");
    let entry = carol.get(&path).await.is(200);
    assert!(entry["membership"]["left_seq"].is_u64(), "{entry}");
    let own = carol.get(&format!("{path}/members")).await.is(200);
    assert_eq!(own["members"].as_array().unwrap().len(), 1);

    alice.delete(&format!("{path}/members/{}", alice.id)).await.refused(409, "conflict");
    bob.delete(&path).await.refused(403, "forbidden");
    alice.delete(&path).await.is(204);
    alice.get(&path).await.refused(404, "not_found");
    bob.get(&send).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_retried_group_is_the_same() {
    let server = TestServer::start().await;
    let [alice, bob, carol] = three(&server).await;
    let create = |members: Value| json!({"type": "group", "name": "G", "member_ids": members, "client_id": "g1"});
    let path = "/api/v1/conversations";
    let first = alice.post(path, create(json!([bob.id]))).await.is(201);
    let again = alice.post(path, create(json!([bob.id]))).await.is(200);
    assert_eq!(again["conversation"]["conversation_id"], first["conversation"]["conversation_id"]);
    alice.post(path, create(json!([carol.id]))).await.refused(409, "conflict");
    alice.post(path, create(json!([999]))).await.refused(404, "not_found");
    alice.post(path, create(json!(["ext:none"]))).await.refused(404, "not_found");
    alice.post(path, json!({"type": "group", "name": "G"})).await.refused(422, "invalid");
    let many: Vec<_> = (1..=1_001).collect();
    alice.post(path, create(json!(many))).await.refused(413, "too_large");
}

/// The chat list is in order of time, to the millisecond: within one, two conversations may stand either way.
async fn a_later_millisecond() {
    let begun = SystemClock.now();
    while SystemClock.now() <= begun {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_chat_list_in_pages_and_what_is_unread() {
    let server = TestServer::start().await;
    let [alice, bob, carol] = three(&server).await;
    bob.say(&alice, "one").await;
    carol.say(&alice, "two").await;
    a_later_millisecond().await;
    bob.say(&alice, "three").await;
    a_later_millisecond().await;
    let group = alice.group("Quiet", &[&bob]).await;

    let page = alice.get("/api/v1/conversations?limit=2").await.is(200);
    let entries = page["conversations"].as_array().unwrap();
    assert_eq!(path_of(&entries[0]["conversation"]), group);
    assert_eq!(entries[1]["last_message"]["content"], "three");
    assert_eq!(entries[1]["unread"], 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = alice.get(&format!("/api/v1/conversations?limit=2&cursor={cursor}")).await.is(200);
    assert_eq!(rest["conversations"][0]["last_message"]["content"], "two");
    assert_eq!(rest["next_cursor"], Value::Null);
    alice.get("/api/v1/conversations?cursor=x").await.refused(422, "invalid");

    let unread = alice.get("/api/v1/conversations/unread").await.is(200);
    assert_eq!(unread["total"], 3, "{unread}");
    let direct = path_of(&entries[1]["conversation"]);
    alice.post(&format!("{direct}/read"), json!({"seq": 99})).await.is(200);
    assert_eq!(alice.get("/api/v1/conversations/unread").await.is(200)["total"], 1);
}

#[tokio::test]
async fn ones_own_view_is_ones_own() {
    let server = TestServer::start().await;
    let [alice, bob, _] = three(&server).await;
    bob.say(&alice, "hi").await;
    let list = alice.get("/api/v1/conversations").await.is(200);
    let path = path_of(&list["conversations"][0]["conversation"]);
    let inbox = format!("{path}/inbox");
    let body = json!({"pinned": true, "muted_until": 4_000_000_000_000_u64, "marked_unread": true});
    let set = alice.patch(&inbox, body).await.is(200);
    assert_eq!(set["pinned"], true);
    assert_eq!(set["muted_until"], 4_000_000_000_000_u64);
    assert_eq!(alice.get("/api/v1/conversations/unread").await.is(200)["total"], 0);
    assert_eq!(bob.get(&path).await.is(200)["inbox"]["pinned"], false);
    let back = alice.patch(&inbox, json!({"muted_until": null})).await.is(200);
    assert_eq!((&back["muted_until"], &back["pinned"]), (&Value::Null, &json!(true)));
    assert_eq!(alice.patch(&inbox, json!({})).await.is(200), back);
    alice.patch(&inbox, json!({"pinned": 1})).await.refused(422, "invalid");

    alice.patch(&inbox, json!({"hidden_to": 1})).await.is(200);
    let list = alice.get("/api/v1/conversations").await.is(200);
    assert_eq!(list["conversations"], json!([]));
    bob.say(&alice, "again").await;
    let list = alice.get("/api/v1/conversations").await.is(200);
    assert_eq!(list["conversations"][0]["unread"], 1);
}
