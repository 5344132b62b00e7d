//! What belongs to a message: replies, reactions, mentions, edits, its deletion.

use serde_json::{Value, json};

use crate::{
    replica::Replica,
    world::{World, numbers},
};

/// `RelationsPagination`: replies page like all messages, each with its quote.
#[tokio::test(flavor = "multi_thread")]
async fn replies_page_with_their_quotes() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let long = format!("{}\u{1F469}\u{200D}\u{1F680}{}", "a".repeat(139), "b".repeat(300));
    alice.say(&id, &long).await;
    let path = format!("/conversations/{id}/messages");
    for n in 0..25 {
        let body = json!({"content": format!("reply {n}"), "reply_to": 1});
        bob.post(&path, body).await.is(201);
    }
    let mut seqs = Vec::new();
    let mut after = 1;
    loop {
        let page = alice.page(&id, &format!("?limit=7&after={after}")).await;
        for message in page["messages"].as_array().unwrap() {
            let quote = &message["reply_to"];
            assert_eq!((&quote["seq"], &quote["sender_id"]), (&json!(1), &json!(alice.id)));
            let excerpt = quote["excerpt"].as_str().unwrap();
            assert!(excerpt.encode_utf16().count() <= 140 && long.starts_with(excerpt));
            assert!(excerpt.len() >= 139, "{excerpt}");
        }
        seqs.extend(numbers(&page["messages"], "seq"));
        after = *seqs.last().unwrap();
        if page["has_more_after"] == false {
            break;
        }
    }
    assert_eq!(seqs, (2..=26).collect::<Vec<_>>());
    bob.post(&path, json!({"content": "x", "reply_to": 99})).await.refused(404, "not_found");
    bob.post(&path, json!({"content": "x", "reply_to": 0})).await.refused(404, "not_found");
}

/// A quote is what the quoted message says now, and the reply keeps its own number.
#[tokio::test(flavor = "multi_thread")]
async fn a_quote_follows_the_quoted_message() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "nine").await;
    let path = format!("/conversations/{id}/messages");
    let reply = bob.post(&path, json!({"content": "fine", "reply_to": 1})).await.is(201);
    assert_eq!(reply["reply_to"]["excerpt"], "nine");
    alice.patch(&format!("{path}/1"), json!({"content": "ten"})).await.is(200);
    let seen = bob.page(&id, "").await["messages"][1].clone();
    assert_eq!((&seen["reply_to"]["excerpt"], &seen["rev"]), (&json!("ten"), &reply["rev"]));
    alice.delete(&format!("{path}/1")).await.is(200);
    let seen = bob.page(&id, "").await["messages"][1].clone();
    assert_eq!((&seen["reply_to"]["excerpt"], &seen["rev"]), (&json!(""), &reply["rev"]));
    bob.post(&path, json!({"content": "late", "reply_to": 1})).await.refused(404, "not_found");
}

/// `RelationsPagination` for reactions: counts of all, names of the first ten, at most fifty kinds.
#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_counted_and_bounded() {
    let (world, [alice]) = World::start(["alice"]).await;
    let mut others = Vec::new();
    for n in 0..12 {
        others.push(world.user(&format!("user{n}")).await);
    }
    let id = alice.group("group", &others.iter().collect::<Vec<_>>()).await;
    alice.say(&id, "vote").await;
    let mut listener = alice.connect().await;
    let path = |emoji: &str| format!("/conversations/{id}/messages/1/reactions/{emoji}");
    let thumb = "%F0%9F%91%8D";
    for user in &others {
        let first = user.put(&path(thumb)).await.is(200);
        assert_eq!(user.put(&path(thumb)).await.is(200), first, "twice is once");
    }
    let message = alice.page(&id, "").await["messages"][0].clone();
    let mut ids: Vec<u64> = others.iter().map(|user| user.id).collect();
    ids.sort_unstable();
    assert_eq!(message["reactions"], json!([{"emoji": "👍", "count": 12, "user_ids": ids[..10]}]));
    let last = others.last().unwrap();
    last.delete(&path(thumb)).await.is(200);
    listener.event_where("message_updated", |message| message["reactions"][0]["count"] == 11).await;
    last.delete(&path(thumb)).await.is(200);
    others[0].delete(&path("%F0%9F%8E%89")).await.is(200);
    let message = alice.page(&id, "").await["messages"][0].clone();
    assert_eq!(message["reactions"][0]["count"], 11);
    assert_eq!(message["content_rev"], 15, "a reaction is no change of the content: {message}");

    // Fifty kinds, then no more; one that is there can still be joined.
    for n in 1..50 {
        let emoji = char::from_u32(0x1F600 + n).unwrap();
        let encoded: String = emoji.to_string().bytes().map(|b| format!("%{b:02X}")).collect();
        others[0].put(&path(&encoded)).await.is(200);
    }
    others[0].put(&path("%F0%9F%9A%80")).await.refused(409, "conflict");
    others[1].put(&path("%F0%9F%98%81")).await.is(200);
    let too_long = "%F0%9F%91%8D".repeat(17);
    others[1].put(&path(&too_long)).await.refused(422, "invalid");
    others[1].put(&path("%00")).await.refused(422, "invalid");
    // `changes` has the message once, however often it changed.
    let changes = alice.get(&format!("/conversations/{id}/changes?limit=1000")).await.is(200);
    assert_eq!(numbers(&changes["messages"], "seq"), [1]);
    assert_eq!(changes["messages"][0]["reactions"].as_array().unwrap().len(), 50);
}

/// `Redact`: a deleted message leaves a tombstone, and its text is nowhere any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_is_gone_everywhere() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let path = format!("/conversations/{id}/messages");
    let mentions = json!([{"user_id": bob.id, "start": 0, "end": 3}]);
    alice.post(&path, json!({"content": "top secret", "mentions": mentions})).await.is(201);
    bob.post(&path, json!({"content": "what?", "reply_to": 1})).await.is(201);
    bob.put(&format!("{path}/1/reactions/%F0%9F%99%88")).await.is(200);
    alice.patch(&format!("{path}/1"), json!({"content": "still a secret"})).await.is(200);
    let mut held = Replica::fresh(&bob).await;
    let mut listener = bob.connect().await;

    let deleted = alice.delete(&format!("{path}/1")).await.is(200);
    assert_eq!(alice.delete(&format!("{path}/1")).await.is(200), deleted, "twice the same answer");
    let everyone = alice.delete(&format!("{path}/1?for=everyone")).await.is(200);
    assert_eq!(everyone, deleted);
    let event = listener.event("message_deleted").await;
    for field in ["rev", "history", "deleted_at", "deleted_by"] {
        assert_eq!(event[field], deleted[field], "{field}");
    }
    assert_eq!(deleted["deleted_by"], alice.id);
    held.level(&bob).await;
    let tombstone = &held.of(&id).messages[&1];
    for field in ["content", "mentions", "reactions", "edited_at"] {
        let gone = tombstone.get(field).is_none_or(|value| value.is_null() || value == &json!([]));
        assert!(gone || field == "edited_at", "{field} of {tombstone}");
    }
    for field in ["message_id", "sender_id", "timestamp"] {
        assert!(!tombstone[field].is_null(), "{field} of {tombstone}");
    }
    for user in [&alice, &bob] {
        for path in [
            path.clone(),
            format!("/conversations/{id}/changes"),
            format!("/conversations/{id}"),
            "/conversations".to_owned(),
            "/sync".to_owned(),
            format!("/dialog/{}/list", if user.id == alice.id { bob.id } else { alice.id }),
        ] {
            let answer = user.get(&path).await;
            answer.is(200);
            assert!(!answer.text().contains("secret"), "{path}: {}", answer.text());
        }
    }
    let list = bob.get(&format!("/dialog/{}/list", alice.id)).await.is(200);
    assert_eq!(list["total"], 2);
    let simple = &list["messages"][1];
    assert_eq!((&simple["text"], &simple["deleted"]), (&json!(""), &json!(true)));
    alice.patch(&format!("{path}/1"), json!({"content": "back"})).await.refused(404, "not_found");
    bob.put(&format!("{path}/1/reactions/%F0%9F%91%8D")).await.refused(404, "not_found");
}

/// `Redact`: by the sender; in groups also by an admin.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_edit_and_delete() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let direct = alice.direct(&bob).await;
    alice.say(&direct, "mine").await;
    let path = format!("/conversations/{direct}/messages/1");
    bob.delete(&path).await.refused(403, "forbidden");
    bob.patch(&path, json!({"content": "x"})).await.refused(403, "forbidden");

    let group = alice.group("group", &[&bob, &carol]).await;
    bob.say(&group, "of bob").await;
    let path = format!("/conversations/{group}/messages/1");
    carol.delete(&path).await.refused(403, "forbidden");
    carol.patch(&path, json!({"content": "x"})).await.refused(403, "forbidden");
    alice.patch(&path, json!({"content": "x"})).await.refused(403, "forbidden");
    let deleted = alice.delete(&path).await.is(200);
    assert_eq!(deleted["deleted_by"], alice.id, "the owner may");
}

/// An edit can be made to depend on what was read; edits and reactions are told apart.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_may_depend_on_what_was_read() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let sent = alice.say(&id, "first").await;
    let path = format!("/conversations/{id}/messages/1");
    bob.put(&format!("{path}/reactions/%F0%9F%91%8D")).await.is(200);
    let edit = |content: &str, rev: &Value| json!({"content": content, "if_content_rev": rev});
    let second = alice.patch(&path, edit("second", &sent["content_rev"])).await.is(200);
    assert!(second["content_rev"].as_u64() > sent["content_rev"].as_u64());
    alice.patch(&path, edit("third", &sent["content_rev"])).await.refused(409, "conflict");
    let mut device = alice.connect().await;
    let command = json!({"conversation_id": id, "seq": 1, "content": "third",
        "if_content_rev": sent["content_rev"]});
    device.refused("edit_message", command, "conflict").await;
    assert_eq!(bob.page(&id, "").await["messages"][0]["content"], "second");
}

/// Mentions count in UTF-16 units and must lie inside the text.
#[tokio::test(flavor = "multi_thread")]
async fn mentions_count_utf16_units() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let path = format!("/conversations/{id}/messages");
    let mention = |start: u64, end: u64| json!({"content": "🚀 @bob", "mentions": [{"user_id": bob.id, "start": start, "end": end}]});
    let sent = alice.post(&path, mention(3, 7)).await.is(201);
    assert_eq!(sent["mentions"], json!([{"user_id": bob.id, "start": 3, "end": 7}]));
    assert_eq!(bob.page(&id, "").await["messages"][0]["mentions"], sent["mentions"]);
    for (start, end) in [(3, 8), (3, 3), (5, 4), (9_007_199_254_740_991, 9_007_199_254_740_992)] {
        alice.post(&path, mention(start, end)).await.refused(422, "invalid");
    }
    let many: Vec<Value> =
        (0..51).map(|n| json!({"user_id": bob.id, "start": n, "end": n + 1})).collect();
    let body = json!({"content": "x".repeat(60), "mentions": many});
    alice.post(&path, body).await.refused(422, "invalid");
}
