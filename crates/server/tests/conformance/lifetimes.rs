//! Disappearing messages and retention: gone when they are due, for everybody, and from devices that were away.

use std::sync::Arc;

use ostracon_engine::{Clock as _, ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::world::{User, World, numbers, texts, within};

const DAY: i64 = 86_400_000;

async fn world<const N: usize>(names: [&str; N]) -> (World, [User; N], Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let change = |config: &mut ostracon_server::Config| config.messages.retention_days = 30;
    let (world, users) = World::start_at(names, Arc::clone(&clock) as _, change).await;
    (world, users, clock)
}

/// Sweeps until a reader's page looks as it should. The tables may be behind.
async fn swept(world: &World, reader: &User, id: &str, expect: &[&str]) -> Value {
    let sweeping = async {
        loop {
            world.server.sweep().await;
            let page = reader.page(id, "").await;
            if texts(&page["messages"]) == expect {
                return page;
            }
        }
    };
    within("messages to be removed", sweeping).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_under_a_timer_disappears_for_everybody() {
    let (mut world, [alice, bob], clock) = world(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "stays").await;
    let path = format!("/conversations/{id}");
    let mut phone = bob.connect().await;
    let set = alice.patch(&path, json!({"timer_s": 60})).await.is(200);
    assert_eq!(set["conversation"]["timer_s"], 60);
    assert_eq!(phone.event("conversation_updated").await["timer_s"], 60);
    alice.patch(&path, json!({"timer_s": 1})).await.refused(422, "invalid");
    let sent = alice.say(&id, "goes").await;
    assert_eq!(sent["expires_at"].as_i64(), Some(sent["timestamp"].as_i64().unwrap() + 60_000));
    bob.patch(&path, json!({"timer_s": null})).await.is(200);
    bob.say(&id, "stays too").await;
    clock.advance(59_000);
    world.server.sweep().await;
    assert_eq!(texts(&bob.page(&id, "").await["messages"]), ["stays", "goes", "stays too"]);
    world.restart().await;
    let mut phone = bob.connect().await;
    clock.advance(1_000);
    let page = swept(&world, &bob, &id, &["stays", "-", "stays too"]).await;
    assert_eq!(page["messages"][1]["deleted_by"], alice.id);
    let deleted = phone.event("message_deleted").await;
    assert_eq!(deleted["seq"], 2);
    assert_eq!(alice.entry(&id).await["conversation"]["retained_from"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_retained_leaves_no_place() {
    let (mut world, [alice, bob], clock) = world(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    for text in ["one", "two"] {
        alice.say(&id, text).await;
    }
    alice.put(&format!("/conversations/{id}/pins/1")).await.is(200);
    clock.advance(29 * DAY);
    let path = format!("/conversations/{id}/messages");
    bob.post(&path, json!({"content": "answer", "reply_to": 2})).await.is(201);
    let before = bob.entry(&id).await;
    world.restart().await;
    let mut phone = alice.connect().await;
    clock.advance(2 * DAY);
    let page = swept(&world, &alice, &id, &["answer"]).await;
    assert_eq!((&page["first_seq"], &page["has_more_before"]), (&json!(3), &json!(false)));
    assert_eq!(page["messages"][0]["reply_to"], Value::Null);
    assert_eq!(phone.event("conversation_updated").await["retained_from"], 3);
    assert_eq!(
        alice.get(&format!("/conversations/{id}/pins")).await.is(200)["messages"],
        json!([])
    );
    // Who was away learns of it by position.
    let (rev, history) = (&before["conversation"]["rev"], &before["conversation"]["history"]);
    let changes = format!(
        "/conversations/{id}/changes?since_rev={rev}&history={}",
        history.as_str().unwrap()
    );
    let changes = bob.get(&changes).await.is(200);
    assert_eq!(
        (&changes["conversation"]["retained_from"], &changes["messages"]),
        (&json!(3), &json!([]))
    );
    let edited =
        alice.patch(&format!("/conversations/{id}"), json!({"retention_s": 86_400})).await.is(200);
    assert_eq!(edited["conversation"]["retention_s"], 86_400);
    let page = swept(&world, &bob, &id, &[]).await;
    assert_eq!(numbers(&page["messages"], "seq"), Vec::<u64>::new());
    assert_eq!(bob.entry(&id).await["last_message"], Value::Null);
    assert_eq!(alice.say(&id, "on it goes").await["seq"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_say_how_long_messages_of_a_group_live() {
    let (_world, [alice, bob], _) = world(["alice", "bob"]).await;
    let id = alice.group("a group", &[&bob]).await;
    let path = format!("/conversations/{id}");
    bob.patch(&path, json!({"timer_s": 60})).await.refused(403, "forbidden");
    alice.patch(&path, json!({"name": "another", "timer_s": 60})).await.is(200);
    let seen = bob.entry(&id).await;
    assert_eq!(
        (&seen["conversation"]["name"], &seen["conversation"]["timer_s"]),
        (&json!("another"), &json!(60))
    );
}
