//! Mentions and answers: counted and found again, gone with their messages.

use serde_json::{Value, json};

use crate::world::{User, World, numbers, texts};

#[tokio::test(flavor = "multi_thread")]
async fn mentions_have_their_own_count() {
    let (mut world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let id = alice.group("a group", &[&bob, &carol]).await;
    let path = format!("/conversations/{id}/messages");
    let mention = |user: u64| json!([{"user_id": user, "start": 0, "end": 4}]);
    alice.say(&id, "plain").await;
    for (text, user) in [("@bob one", bob.id), ("@bob two", bob.id), ("@carol three", carol.id)] {
        alice.post(&path, json!({"content": text, "mentions": mention(user)})).await.is(201);
    }
    world.restart().await;
    let counts = async |user: &User| {
        let entry = user.entry(&id).await;
        (entry["unread"].as_u64().unwrap(), entry["unread_mentions"].as_u64().unwrap_or(0))
    };
    assert_eq!(counts(&bob).await, (4, 2));
    assert_eq!(counts(&carol).await, (4, 1));
    assert_eq!(counts(&alice).await, (0, 0));
    alice.patch(&format!("{path}/2"), json!({"content": "nobody"})).await.is(200);
    assert_eq!(counts(&bob).await, (4, 1), "the mention was in the old text");
    alice.delete(&format!("{path}/3")).await.is(200);
    assert_eq!(counts(&bob).await, (3, 0));
    carol.delete(&format!("{path}/4?for=me")).await.is(200);
    assert_eq!(counts(&carol).await.1, 0);
    alice.post(&path, json!({"content": "@bob again", "mentions": mention(bob.id)})).await.is(201);
    let sync = bob.get("/sync").await.is(200);
    assert_eq!(sync["conversations"][0]["unread_mentions"], 1);
    bob.mark_read(&id, 5).await;
    assert_eq!(bob.entry(&id).await["unread_mentions"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_message_are_a_thread() {
    let (_world, [alice, bob, eve]) = World::start(["alice", "bob", "eve"]).await;
    let id = alice.direct(&bob).await;
    let path = format!("/conversations/{id}/messages");
    alice.say(&id, "root").await;
    alice.say(&id, "aside").await;
    for n in 1..=4 {
        bob.post(&path, json!({"content": format!("answer {n}"), "reply_to": 1})).await.is(201);
    }
    let thread = alice.get(&format!("{path}/1/replies?limit=3")).await.is(200);
    assert_eq!(numbers(&thread["messages"], "seq"), [3, 4, 5]);
    assert_eq!((&thread["count"], &thread["has_more_after"]), (&json!(4), &json!(true)));
    let rest = alice.get(&format!("{path}/1/replies?after=5")).await.is(200);
    assert_eq!(texts(&rest["messages"]), ["answer 4"]);
    bob.delete(&format!("{path}/4")).await.is(200);
    alice.delete(&format!("{path}/5?for=me")).await.is(200);
    let thread = alice.get(&format!("{path}/1/replies")).await.is(200);
    assert_eq!(texts(&thread["messages"]), ["answer 1", "-", "answer 4"]);
    assert_eq!(thread["count"], 3);
    assert_eq!(alice.get(&format!("{path}/2/replies")).await.is(200)["count"], 0);
    alice.get(&format!("{path}/99/replies")).await.refused(404, "not_found");
    eve.get(&format!("{path}/1/replies")).await.refused(404, "not_found");
}
