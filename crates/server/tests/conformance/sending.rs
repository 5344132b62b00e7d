//! Sending so that nothing is lost or doubled.

use serde_json::{Value, json};

use crate::{
    replica::Replica,
    world::{User, World, texts},
};

async fn send(user: &User, conversation: &str, body: Value) -> (u16, Value) {
    let reply = user.post(&format!("/conversations/{conversation}/messages"), body).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

/// C1, `SendMessageWithTxn`.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_repeated_with_its_client_id_is_one_message_on_every_device() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut listener = bob.connect().await;
    let mut phone = alice.connect().await;
    let body = json!({"conversation_id": id, "content": "hello", "client_id": "c-1"});
    let first = phone.good("send_message", body.clone()).await;
    assert_eq!((&first["seq"], &first["client_id"]), (&json!(1), &json!("c-1")));

    let again = phone.good("send_message", body).await;
    assert_eq!(again["message_id"], first["message_id"]);
    assert_eq!(again["message"], first["message"]);
    let (status, laptop) = send(&alice, &id, json!({"content": "hello", "client_id": "c-1"})).await;
    assert_eq!((status, &laptop["message_id"]), (200, &first["message_id"]));
    let mut tablet = alice.connect().await;
    let by_user = json!({"to": bob.id, "content": "hello", "client_id": "c-1"});
    let by_user = tablet.good("send_message", by_user).await;
    assert_eq!(by_user["message_id"], first["message_id"]);
    let dialog = format!("/dialog/{}/send", bob.id);
    let simple = alice.post(&dialog, json!({"text": "hello", "client_id": "c-1"})).await.is(200);
    assert_eq!(simple["id"].to_string(), first["message_id"].as_str().unwrap());

    alice.say(&id, "fence").await;
    listener.hears("fence").await;
    assert_eq!(listener.seen("new_message").len(), 2, "one event for one message");
    assert_eq!(texts(&bob.page(&id, "").await["messages"]), ["hello", "fence"]);
}

/// C1: another payload under a used client id is a conflict, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn another_payload_under_a_used_client_id_is_a_conflict() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "zero").await;
    send(&alice, &id, json!({"content": "hello", "client_id": "c-1"})).await;
    let mentions = json!([{"user_id": bob.id, "start": 0, "end": 5}]);
    for other in [
        json!({"content": "hello!", "client_id": "c-1"}),
        json!({"content": "Hello", "client_id": "c-1"}),
        json!({"content": "hello", "client_id": "c-1", "reply_to": 1}),
        json!({"content": "hello", "client_id": "c-1", "mentions": mentions}),
    ] {
        let (status, answer) = send(&alice, &id, other.clone()).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("conflict")), "{other}");
        let mut device = alice.connect().await;
        let mut command = other;
        command["conversation_id"] = json!(id);
        device.refused("send_message", command, "conflict").await;
    }
    assert_eq!(texts(&alice.page(&id, "").await["messages"]), ["zero", "hello"]);
}

/// C1: a client id belongs to one sender in one conversation.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_belongs_to_its_sender_and_its_conversation() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let with_bob = alice.direct(&bob).await;
    let with_carol = alice.direct(&carol).await;
    let body = json!({"content": "same", "client_id": "c-1"});
    let mut ids = Vec::new();
    for (user, conversation) in [(&alice, &with_bob), (&bob, &with_bob), (&alice, &with_carol)] {
        let (status, message) = send(user, conversation, body.clone()).await;
        assert_eq!(status, 201);
        ids.push(message["message_id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "three messages with ids of their own");
}

/// C1: a retry after an edit gets the message as it is now; what the edit says is another payload.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_an_edit_gets_the_edited_message() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let body = json!({"content": "first", "client_id": "c-1"});
    let (_, sent) = send(&alice, &id, body.clone()).await;
    let path = format!("/conversations/{id}/messages/1");
    alice.patch(&path, json!({"content": "second"})).await.is(200);
    let (status, again) = send(&alice, &id, body).await;
    assert_eq!((status, &again["content"]), (200, &json!("second")));
    assert_eq!(again["message_id"], sent["message_id"]);
    assert!(again["rev"].as_u64() > sent["rev"].as_u64());
    let (status, _) = send(&alice, &id, json!({"content": "second", "client_id": "c-1"})).await;
    assert_eq!(status, 409, "the payload that counts is that of the first send");
}

/// C1: a retry never brings a deleted message back, whatever its payload.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_a_deletion_gets_the_tombstone() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    send(&alice, &id, json!({"content": "first", "client_id": "c-1"})).await;
    alice.delete(&format!("/conversations/{id}/messages/1")).await.is(200);
    for text in ["first", "quite another"] {
        let (status, again) = send(&alice, &id, json!({"content": text, "client_id": "c-1"})).await;
        assert_eq!(status, 200);
        assert_eq!(again["seq"], 1);
        assert!(again["deleted_at"].is_u64() && again.get("content").is_none(), "{again}");
    }
    assert_eq!(alice.entry(&id).await["conversation"]["head_seq"], 1);
}

/// C2: everything of C1 holds over a restart.
#[tokio::test(flavor = "multi_thread")]
async fn client_ids_are_remembered_over_restarts() {
    let (mut world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let plain = json!({"content": "plain", "client_id": "plain"});
    let edited = json!({"content": "edited", "client_id": "0b6e3a52-9a9e-4a0e-8d6c-0f6cf7a3c111"});
    let deleted = json!({"content": "deleted", "client_id": "deleted"});
    let mut first = Vec::new();
    for body in [&plain, &edited, &deleted] {
        first.push(send(&alice, &id, body.clone()).await.1);
    }
    alice.patch(&format!("/conversations/{id}/messages/2"), json!({"content": "e2"})).await.is(200);
    alice.delete(&format!("/conversations/{id}/messages/3")).await.is(200);
    for round in 0..2 {
        world.restart().await;
        for (body, first) in [&plain, &edited, &deleted].into_iter().zip(&first) {
            let (status, again) = send(&alice, &id, body.clone()).await;
            assert_eq!((status, &again["message_id"]), (200, &first["message_id"]), "{round}");
        }
        let (status, _) = send(&alice, &id, json!({"content": "p2", "client_id": "plain"})).await;
        assert_eq!(status, 409);
        let (status, _) = send(&alice, &id, json!({"content": "d2", "client_id": "deleted"})).await;
        assert_eq!(status, 200);
        let (status, _) = send(&bob, &id, json!({"content": "own", "client_id": "plain"})).await;
        assert_eq!(status, if round == 0 { 201 } else { 200 }, "bob's own message");
    }
    assert_eq!(texts(&bob.page(&id, "").await["messages"]), ["plain", "e2", "-", "own"]);
}

/// C1 for groups: creating one again with its client id finds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_created_again_with_its_client_id_is_the_same_group() {
    let (mut world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let body = json!({"type": "group", "name": "g", "member_ids": [bob.id], "client_id": "g-1"});
    let first = alice.post("/conversations", body.clone()).await.is(201);
    let id = &first["conversation"]["conversation_id"];
    assert_eq!(
        &alice.post("/conversations", body.clone()).await.is(200)["conversation"]["conversation_id"],
        id
    );
    world.restart().await;
    assert_eq!(
        &alice.post("/conversations", body.clone()).await.is(200)["conversation"]["conversation_id"],
        id
    );
    let mut other = body.clone();
    other["name"] = json!("another");
    alice.post("/conversations", other).await.refused(409, "conflict");
    let by_bob = bob.post("/conversations", body).await.is(201);
    assert_ne!(&by_bob["conversation"]["conversation_id"], id);
}

/// `TxnInEvent`: the sender finds the client id again wherever the message is, nobody else does.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_id_comes_back_to_its_sender_only() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut listener = bob.connect().await;
    let body = json!({"content": "hello", "client_id": "secret-7"});
    let (_, sent) = send(&alice, &id, body).await;
    assert_eq!(sent["client_id"], "secret-7");
    listener.hears("hello").await;
    alice.patch(&format!("/conversations/{id}/messages/1"), json!({"content": "2"})).await.is(200);
    bob.put(&format!("/conversations/{id}/messages/1/reactions/%F0%9F%91%8D")).await.is(200);
    listener.event("message_updated").await;
    alice.delete(&format!("/conversations/{id}/messages/1")).await.is(200);
    listener.event("message_deleted").await;
    send(&alice, &id, json!({"content": "more", "client_id": "secret-8"})).await;
    listener.hears("more").await;

    let log = serde_json::to_string(&listener.log).unwrap();
    assert!(!log.contains("secret-"), "{log}");
    let paths = [
        format!("/conversations/{id}/messages"),
        format!("/conversations/{id}/changes"),
        format!("/conversations/{id}"),
        "/conversations".to_owned(),
        "/sync".to_owned(),
        format!("/dialog/{}/list", alice.id),
    ];
    for path in &paths {
        let text = String::from_utf8(bob.get(path).await.body.to_vec()).unwrap();
        assert!(!text.contains("secret-"), "{path}: {text}");
    }
    for path in &paths[..5] {
        let text = String::from_utf8(alice.get(path).await.body.to_vec()).unwrap();
        assert!(text.contains("secret-8"), "{path}: {text}");
    }
    let page = alice.page(&id, "").await;
    assert_eq!(page["messages"][0]["client_id"], "secret-7", "a tombstone keeps it");
}

/// `TxnScopeOnLocalEcho`: the connection that sent gets the answer alone, the sender's other
/// connections get the event with the client id.
#[tokio::test(flavor = "multi_thread")]
async fn the_sending_connection_gets_the_answer_and_no_echo() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let (mut phone, mut laptop) = (alice.connect().await, alice.connect().await);
    let body = json!({"conversation_id": id, "content": "hello", "client_id": "c-1"});
    let sent = phone.good("send_message", body).await;
    let echo = laptop.hears("hello").await;
    for field in ["message_id", "seq", "rev", "client_id", "history", "timestamp"] {
        assert_eq!(echo[field], sent[field], "{field}");
    }
    let edit = json!({"conversation_id": id, "seq": 1, "content": "hi"});
    phone.good("edit_message", edit).await;
    laptop.event("message_updated").await;
    let delete = json!({"conversation_id": id, "seq": 1});
    let deleted = phone.good("delete_message", delete).await;
    assert_eq!(laptop.event("message_deleted").await["rev"], deleted["rev"]);
    bob.say(&id, "fence").await;
    phone.hears("fence").await;
    let events = ["new_message", "message_updated", "message_deleted"];
    assert_eq!(events.map(|kind| phone.seen(kind).len()), [1, 0, 0], "{:?}", phone.log);
}

/// REST and WebSocket are the same message: what one writes, all the others read.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_looks_the_same_everywhere() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut listener = bob.connect().await;
    let text =
        "Grüße \u{1F469}\u{200D}\u{1F680} \u{202e}right to left\u{202c} \"quoted\" \\ <b>\n\ttab";
    let sent = alice.say(&id, text).await;
    let event = listener.event("new_message").await;
    let page = bob.page(&id, "").await["messages"][0].clone();
    let change =
        bob.get(&format!("/conversations/{id}/changes")).await.is(200)["messages"][0].clone();
    let entry = bob.entry(&id).await["last_message"].clone();
    let dialog =
        bob.get(&format!("/dialog/{}/list", alice.id)).await.is(200)["messages"][0].clone();
    for (name, seen) in [("sent", &sent), ("event", &event), ("change", &change), ("entry", &entry)]
    {
        for field in
            ["message_id", "seq", "rev", "content_rev", "sender_id", "type", "content", "timestamp"]
        {
            assert_eq!(seen[field], page[field], "{name}: {field}");
        }
        assert_eq!(seen["content"], text);
    }
    assert_eq!((&dialog["text"], &dialog["seq"]), (&json!(text), &json!(1)));
    assert_eq!((&dialog["from_id"], &dialog["to_id"]), (&json!(alice.id), &json!(bob.id)));
    assert_eq!(Replica::fresh(&bob).await.of(&id).texts(), [text]);
}

/// A direct conversation exists once for two people, whoever begins it and however.
#[tokio::test(flavor = "multi_thread")]
async fn two_people_have_one_direct_conversation() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let (left, right) = (alice.connect(), bob.connect());
    let (mut left, mut right) = (left.await, right.await);
    let (a, b) = tokio::join!(
        left.good("send_message", json!({"to": bob.id, "content": "a"})),
        right.good("send_message", json!({"to": alice.id, "content": "b"})),
    );
    assert_eq!(a["conversation_id"], b["conversation_id"]);
    let id = a["conversation_id"].as_str().unwrap();
    assert_eq!(alice.direct(&bob).await, id);
    assert_eq!(bob.direct(&alice).await, id);
    let page = alice.page(id, "").await;
    assert_eq!(page, bob.page(id, "").await);
    let mut said = texts(&page["messages"]);
    said.sort();
    assert_eq!(said, ["a", "b"]);
    let own = alice.direct(&alice).await;
    assert_ne!(own, id, "a conversation with oneself is one too");
    alice.say(&own, "note").await;
    assert_eq!(alice.entry(&own).await["conversation"]["member_count"], 1);
}
