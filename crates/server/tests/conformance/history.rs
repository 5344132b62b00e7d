//! Which part of a conversation one may see: before joining, while a member, after leaving.

use serde_json::json;

use crate::{
    replica::Replica,
    world::{World, numbers, texts},
};

/// `FetchHistoricalJoinedEventDenied`: what was said before joining is not there, by any call.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_joining_is_not_readable() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[]).await;
    for n in 1..=3 {
        alice.say(&id, &format!("early secret {n}")).await;
    }
    let first = alice.page(&id, "").await["messages"][0].clone();
    let path = format!("/conversations/{id}/messages");
    alice
        .post(&format!("/conversations/{id}/members"), json!({"user_ids": [bob.id]}))
        .await
        .is(200);
    let entry = bob.entry(&id).await;
    assert!(entry["last_message"].is_null(), "{entry}");
    alice.say(&id, "welcome").await;

    let ids = first["message_id"].as_str().unwrap();
    let early = first["timestamp"].as_u64().unwrap();
    for query in [
        String::new(),
        "?before=4".to_owned(),
        "?after=0".to_owned(),
        "?around=1".to_owned(),
        format!("?around={ids}"),
        format!("?after={}", early - 1),
        format!("?before={ids}"),
    ] {
        let page = bob.page(&id, &query).await;
        let seqs = numbers(&page["messages"], "seq");
        assert!(seqs.iter().all(|seq| *seq >= 4), "{query}: {page}");
        assert_eq!(
            (&page["first_seq"], &page["has_more_before"]),
            (&json!(4), &json!(false)),
            "{query}"
        );
    }
    for text in [
        bob.get(&format!("/conversations/{id}/changes")).await.text(),
        bob.get("/conversations").await.text(),
        bob.get("/sync").await.text(),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
    // As if they did not exist.
    bob.post(&path, json!({"content": "x", "reply_to": 1})).await.refused(404, "not_found");
    bob.put(&format!("{path}/1/reactions/%F0%9F%91%8D")).await.refused(404, "not_found");
    bob.patch(&format!("{path}/1"), json!({"content": "x"})).await.refused(404, "not_found");
    bob.delete(&format!("{path}/1")).await.refused(404, "not_found");
    let read = format!("/conversations/{id}/read");
    bob.post(&read, json!({"message_id": ids})).await.refused(404, "not_found");
    // A later change of an early message tells nothing of it either.
    let mut listener = bob.connect().await;
    alice.patch(&format!("{path}/2"), json!({"content": "edited secret"})).await.is(200);
    alice.say(&id, "fence").await;
    listener.hears("fence").await;
    let log = serde_json::to_string(&listener.log).unwrap();
    assert!(!log.contains("secret"), "{log}");
    let held = Replica::fresh(&bob).await;
    assert_eq!(held.of(&id).texts(), ["welcome", "fence"]);
}

/// A quote of an early message must not carry its text to somebody who may not read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_quote_does_not_show_what_was_said_before_joining() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[]).await;
    alice.say(&id, "early secret").await;
    alice
        .post(&format!("/conversations/{id}/members"), json!({"user_ids": [bob.id]}))
        .await
        .is(200);
    let mut listener = bob.connect().await;
    let path = format!("/conversations/{id}/messages");
    alice.post(&path, json!({"content": "as I said", "reply_to": 1})).await.is(201);
    let event = listener.hears("as I said").await;
    let page = bob.page(&id, "").await;
    let changes = bob.get(&format!("/conversations/{id}/changes")).await.is(200);
    for (name, value) in [("event", &event), ("page", &page), ("changes", &changes)] {
        assert!(!value.to_string().contains("secret"), "{name}: {value}");
    }
}

/// A group may show everything to those who join.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_show_everything_to_new_members() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[]).await;
    alice.say(&id, "early").await;
    let settings = json!({"settings": {"history_for": "all"}});
    alice.patch(&format!("/conversations/{id}"), settings).await.is(200);
    alice
        .post(&format!("/conversations/{id}/members"), json!({"user_ids": [bob.id]}))
        .await
        .is(200);
    let page = bob.page(&id, "").await;
    assert_eq!(
        (texts(&page["messages"]), &page["first_seq"]),
        (vec!["early".to_owned()], &json!(1))
    );
    let entry = bob.entry(&id).await;
    assert_eq!((&entry["unread"], &entry["membership"]["joined_seq"]), (&json!(0), &json!(2)));
    let path = format!("/conversations/{id}/messages");
    bob.post(&path, json!({"content": "about that", "reply_to": 1})).await.is(201);
    assert_eq!(Replica::fresh(&bob).await.of(&id).texts(), ["early", "about that"]);
}

/// A former member reads what was there, tombstones too; of later edits only that there was one.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_member_reads_what_was_there() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[&bob]).await;
    for text in ["plain", "edited before", "edited after", "deleted after", "reacted after"] {
        alice.say(&id, text).await;
    }
    let path = format!("/conversations/{id}/messages");
    alice.patch(&format!("{path}/2"), json!({"content": "edited in time"})).await.is(200);
    let mut held = Replica::fresh(&bob).await;
    let mut listener = bob.connect().await;
    alice.delete(&format!("/conversations/{id}/members/{}", bob.id)).await.is(200);
    let event = listener.event("member_updated").await;
    assert_eq!(
        (&event["member"]["user_id"], &event["member"]["left_seq"]),
        (&json!(bob.id), &json!(5))
    );
    alice.patch(&format!("{path}/3"), json!({"content": "a later secret"})).await.is(200);
    alice.delete(&format!("{path}/4")).await.is(200);
    alice.put(&format!("{path}/5/reactions/%F0%9F%91%8D")).await.is(200);
    alice.say(&id, "another secret").await;
    alice.patch(&format!("/conversations/{id}"), json!({"name": "secret name"})).await.is(200);

    let page = bob.page(&id, "").await;
    assert_eq!(texts(&page["messages"]), ["plain", "edited in time", "-", "-", "reacted after"]);
    assert_eq!(page["messages"][2]["withheld"], true);
    assert!(page["messages"][3]["deleted_at"].is_u64());
    assert_eq!((&page["head_seq"], &page["has_more_after"]), (&json!(5), &json!(false)));
    held.level(&bob).await;
    let fresh = Replica::fresh(&bob).await;
    assert_eq!(fresh.of(&id).texts(), ["plain", "edited in time", "-", "-", "reacted after"]);
    for user_sees in
        [bob.get(&format!("/conversations/{id}/changes")).await.text(), bob.get(&path).await.text()]
    {
        assert!(
            !user_sees.contains("later secret") && !user_sees.contains("another"),
            "{user_sees}"
        );
    }
    listener.heartbeat().await;
    let log = serde_json::to_string(&listener.log).unwrap();
    assert!(!log.contains("secret"), "no events after leaving: {log}");
}

/// What a former member hides leaves the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_member_can_hide_the_group() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[&bob]).await;
    alice.say(&id, "hello").await;
    bob.delete(&format!("/conversations/{id}/members/{}", bob.id)).await.is(200);
    let list = bob.get("/conversations").await.is(200);
    assert_eq!(list["conversations"].as_array().unwrap().len(), 1, "kept until hidden");
    let inbox =
        bob.patch(&format!("/conversations/{id}/inbox"), json!({"hidden_to": 1})).await.is(200);
    assert_eq!(inbox["hidden_to"], 1);
}
