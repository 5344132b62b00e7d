//! Messages of a conversation.

use ostracon_server::testing::TestServer;
use serde_json::{Value, json};

use crate::client::{Caller, path_of};

/// Two people and the path of their conversation, with so many messages.
async fn talk(server: &TestServer, messages: u32) -> (Caller, Caller, String) {
    let (alice, bob) = (Caller::new(server, "alice").await, Caller::new(server, "bob").await);
    let open = json!({"type": "direct", "user_id": bob.id});
    let entry = alice.post("/api/v1/conversations", open).await.is(201);
    let path = path_of(&entry["conversation"]);
    for n in 1..=messages {
        alice.post(&format!("{path}/messages"), json!({"content": format!("m{n}")})).await.is(201);
    }
    (alice, bob, path)
}

fn seqs(page: &Value) -> Vec<u64> {
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|m| m["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_lie_around_every_kind_of_position() {
    let server = TestServer::start().await;
    let (alice, bob, path) = talk(&server, 10).await;
    let page = async |query: &str| bob.get(&format!("{path}/messages?{query}")).await.is(200);
    let all = page("").await;
    assert_eq!(seqs(&all), (1..=10).collect::<Vec<_>>());
    assert_eq!((&all["first_seq"], &all["head_seq"]), (&json!(1), &json!(10)));
    assert_eq!((&all["has_more_before"], &all["has_more_after"]), (&json!(false), &json!(false)));
    let id = all["messages"][4]["message_id"].as_str().unwrap();
    assert_eq!(id.len(), 19);
    let at = all["messages"][0]["timestamp"].as_u64().unwrap();
    for (query, expect, before, after) in [
        ("limit=3".to_owned(), vec![8, 9, 10], true, false),
        ("limit=3&before=8".to_owned(), vec![5, 6, 7], true, true),
        ("limit=3&before=3".to_owned(), vec![1, 2], false, true),
        ("limit=3&after=8".to_owned(), vec![9, 10], true, false),
        (format!("limit=2&after={id}"), vec![6, 7], true, true),
        (format!("limit=2&before={id}"), vec![3, 4], true, true),
        (format!("limit=4&around={id}"), vec![3, 4, 5, 6], true, true),
        (format!("limit=2&after={at}"), vec![1, 2], false, true),
        (format!("before={at}"), vec![], false, true),
        (format!("limit=2&after={}", at / 1_000), vec![1, 2], false, true),
        ("before=1".to_owned(), vec![], false, true),
        ("after=10".to_owned(), vec![], true, false),
        ("after=999".to_owned(), vec![], true, false),
    ] {
        let found = page(&query).await;
        assert_eq!(seqs(&found), expect, "{query}");
        let more = (&found["has_more_before"], &found["has_more_after"]);
        assert_eq!(more, (&json!(before), &json!(after)), "{query}");
    }
    for query in ["limit=0", "limit=-1", "limit=x", "before=x", "before=1&after=1", "before=-1"] {
        bob.get(&format!("{path}/messages?{query}")).await.refused(422, "invalid");
    }
    assert_eq!(seqs(&page("limit=100000").await).len(), 10);
    let rev = all["rev"].as_u64().unwrap();
    page(&format!("min_rev={rev}")).await;
    let ahead = alice.get(&format!("{path}/messages?min_rev={}", rev + 1)).await;
    assert!(ahead.headers.contains_key("retry-after"));
    ahead.refused(503, "shard_unavailable");
}

#[tokio::test]
async fn a_message_is_sent_edited_reacted_to_and_deleted() {
    let server = TestServer::start().await;
    let (alice, bob, path) = talk(&server, 0).await;
    let messages = format!("{path}/messages");
    let mut socket = bob.socket().await;
    let body = json!({"content": "first", "client_id": "x", "mentions": [{"user_id": bob.id, "start": 0, "end": 5}]});
    let sent = alice.post(&messages, body.clone()).await.is(201);
    assert_eq!(sent["client_id"], "x");
    assert_eq!(alice.post(&messages, body).await.is(200)["message_id"], sent["message_id"]);
    assert_eq!(socket.next_of("new_message").await["message_id"], sent["message_id"]);
    let reply = bob.post(&messages, json!({"content": "second", "reply_to": 1})).await.is(201);
    assert_eq!(reply["reply_to"], json!({"seq": 1, "sender_id": alice.id, "excerpt": "first"}));

    let edit = json!({"content": "edited", "if_content_rev": sent["content_rev"]});
    let edited = alice.patch(&format!("{messages}/1"), edit.clone()).await.is(200);
    assert_eq!((&edited["content"], &edited["client_id"]), (&json!("edited"), &json!("x")));
    assert_eq!(socket.next_of("message_updated").await["content"], "edited");
    alice.patch(&format!("{messages}/1"), edit).await.refused(409, "conflict");
    bob.patch(&format!("{messages}/1"), json!({"content": "no"})).await.refused(403, "forbidden");

    let emoji = "%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80";
    let reaction = format!("{messages}/1/reactions/{emoji}");
    let there = bob.put(&reaction).await.is(200);
    assert_eq!(bob.put(&reaction).await.is(200), there);
    let page = alice.get(&messages).await.is(200);
    let shown = json!([{"emoji": "👩‍🚀", "count": 1, "user_ids": [bob.id]}]);
    assert_eq!(page["messages"][0]["reactions"], shown);
    let gone = bob.delete(&reaction).await.is(200);
    assert!(gone["rev"].as_u64() > there["rev"].as_u64());
    bob.put(&format!("{messages}/9/reactions/{emoji}")).await.refused(404, "not_found");
    bob.put(&format!("{messages}/1/reactions/x")).await.refused(422, "invalid");
    bob.put(&format!("{messages}/1/reactions/%FF")).await.refused(404, "not_found");

    let deleted = alice.delete(&format!("{messages}/1?for=everyone")).await.is(200);
    assert_eq!(deleted["deleted_by"], alice.id);
    assert_eq!(alice.delete(&format!("{messages}/1")).await.is(200), deleted);
    assert_eq!(socket.next_of("message_deleted").await["rev"], deleted["rev"]);
    alice.delete(&format!("{messages}/2?for=nobody")).await.refused(422, "invalid");
    alice.delete(&format!("{messages}/2?for=me")).await.is(200);
    alice.delete(&format!("{messages}/2")).await.refused(403, "forbidden");
    alice.delete(&format!("{messages}/+2")).await.refused(404, "not_found");
    let page = bob.get(&messages).await.is(200);
    assert!(page["messages"][0].get("content").is_none(), "{page}");
    assert_eq!(page["messages"][1]["reply_to"]["excerpt"], "");
}

#[tokio::test]
async fn marks_go_forward_only() {
    let server = TestServer::start().await;
    let (alice, bob, path) = talk(&server, 3).await;
    let page = bob.get(&format!("{path}/messages")).await.is(200);
    let id = page["messages"][1]["message_id"].clone();
    bob.post(&format!("{path}/delivered"), json!({"seq": 3})).await.is(200);
    bob.post(&format!("{path}/read"), json!({"message_id": id})).await.is(200);
    bob.post(&format!("{path}/read"), json!({"seq": 1})).await.is(200);
    let entry = bob.get(&path).await.is(200);
    let membership = &entry["membership"];
    assert_eq!((&membership["read_seq"], &membership["delivered_seq"]), (&json!(2), &json!(3)));
    assert_eq!(entry["unread"], 1);
    let members = alice.get(&format!("{path}/members")).await.is(200);
    let seen: Vec<_> =
        members["members"].as_array().unwrap().iter().map(|m| &m["read_seq"]).collect();
    assert_eq!(seen, [3, 2]);
    for body in
        [json!({}), json!({"seq": -1}), json!({"seq": "1"}), json!({"seq": 1, "message_id": id})]
    {
        bob.post(&format!("{path}/read"), body).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_names_its_field() {
    let server = TestServer::start().await;
    let (alice, _, path) = talk(&server, 1).await;
    let messages = format!("{path}/messages");
    let long = "x".repeat(10_001);
    for (body, field) in [
        (json!({}), "content"),
        (json!({"content": ""}), "content"),
        (json!({"content": 7}), "content"),
        (json!({"content": long}), "content"),
        (json!({"content": "a\u{0}b"}), "content"),
        (json!({"content": "x", "type": "system"}), "type"),
        (json!({"content": "x", "client_id": ""}), "client_id"),
        (json!({"content": "x", "client_id": "a\nb"}), "client_id"),
        (json!({"content": "x", "reply_to": -1}), "reply_to"),
    ] {
        let error = alice.post(&messages, body).await.refused(422, "invalid");
        assert_eq!(error["details"]["field"], field, "{error}");
    }
    let whole = "ü".repeat(10_000);
    alice.post(&messages, json!({"content": whole})).await.is(201);
}
