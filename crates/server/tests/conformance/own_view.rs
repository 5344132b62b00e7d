//! What one deletes for oneself: gone from one's own devices, from nobody else's.

use serde_json::{Value, json};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_deleted_for_oneself_is_gone_for_oneself_only() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    for n in 1..=3 {
        alice.say(&id, &format!("m{n}")).await;
    }
    let before = bob.entry(&id).await;
    assert_eq!(before["unread"], 3);
    let history = before["conversation"]["history"].as_str().unwrap().to_owned();
    let (rev, mark_rev) = (&before["conversation"]["rev"], &before["conversation"]["mark_rev"]);
    let mut phone = bob.connect().await;
    let mut tablet = bob.connect().await;
    let hide = json!({"conversation_id": id, "seq": 3, "for": "me"});
    let done = phone.good("delete_message", hide.clone()).await;
    assert_eq!(done["mark_rev"], mark_rev.as_u64().unwrap() + 1);
    assert_eq!(phone.good("delete_message", hide).await["mark_rev"], done["mark_rev"]);
    let event = tablet.event("message_hidden").await;
    assert_eq!((&event["seq"], &event["mark_rev"]), (&json!(3), &done["mark_rev"]));
    let path = format!("/conversations/{id}/messages/2?for=me");
    let second = bob.delete(&path).await.is(200);
    assert_eq!(second["mark_rev"], mark_rev.as_u64().unwrap() + 2);
    bob.delete(&format!("/conversations/{id}/messages/9?for=me")).await.refused(404, "not_found");
    bob.delete(&format!("/conversations/{id}/messages/2?for=us")).await.refused(422, "invalid");

    let page = bob.page(&id, "").await;
    let shown = |n: usize| (&page["messages"][n]["content"], &page["messages"][n]["hidden"]);
    assert_eq!(shown(0), (&json!("m1"), &Value::Null));
    assert_eq!(shown(1), (&Value::Null, &json!(true)));
    assert_eq!(shown(2), (&Value::Null, &json!(true)));
    let entry = bob.entry(&id).await;
    assert_eq!((&entry["unread"], &entry["last_message"]["hidden"]), (&json!(1), &json!(true)));
    assert_eq!(&entry["conversation"]["rev"], rev, "nobody else sees a change");
    let changes = |user| {
        let rev = rev.as_u64().unwrap();
        let mark = mark_rev.as_u64().unwrap();
        let path = format!(
            "/conversations/{id}/changes?since_rev={rev}&since_mark={mark}&history={history}"
        );
        let user: &crate::world::User = user;
        async move { user.get(&path).await.is(200) }
    };
    let own = changes(&bob).await;
    let seqs: Vec<u64> =
        own["hidden"].as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [2, 3]);
    assert_eq!(changes(&alice).await["hidden"], Value::Null);
    assert_eq!(alice.page(&id, "").await["messages"][1]["content"], "m2", "alice keeps it");
    let dialog = bob.get(&format!("/dialog/{}/list", alice.id)).await.is(200);
    assert_eq!(
        (&dialog["total"], &dialog["messages"][0]["text"], &dialog["messages"][2]["text"]),
        (&json!(3), &json!(""), &json!("m1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_comes_to_the_other_devices_and_nobody_else() {
    let (mut world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "hello").await;
    let inbox = format!("/conversations/{id}/inbox");
    let mut tablet = bob.connect().await;
    let kept = bob.patch(&inbox, json!({"draft": "Dear \u{1F600}"})).await.is(200);
    assert_eq!(kept["draft"], "Dear \u{1F600}");
    let mut told = tablet.event("inbox_updated").await;
    while told["inbox"]["draft"].is_null() {
        told = tablet.event("inbox_updated").await;
    }
    assert_eq!(told["inbox"]["draft"], "Dear \u{1F600}");
    assert_eq!(alice.entry(&id).await["inbox"]["draft"], Value::Null);
    bob.patch(&inbox, json!({"draft": "x".repeat(10_001)})).await.refused(422, "invalid");
    bob.patch(&inbox, json!({"draft": "\0"})).await.refused(422, "invalid");
    bob.patch(&inbox, json!({"pinned": true})).await.is(200);
    world.restart().await;
    let sync = bob.get("/sync").await.is(200);
    assert_eq!(sync["conversations"][0]["inbox"]["draft"], "Dear \u{1F600}");
    let gone = bob.patch(&inbox, json!({"draft": null})).await.is(200);
    assert_eq!((&gone["draft"], &gone["pinned"]), (&Value::Null, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_conversation_returns_with_a_message_unless_it_is_muted() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "one").await;
    let inbox = format!("/conversations/{id}/inbox");
    let archived = async || bob.entry(&id).await["inbox"]["archived"].clone();
    bob.patch(&inbox, json!({"archived": true})).await.is(200);
    alice.put(&format!("/conversations/{id}/messages/1/reactions/%F0%9F%91%8D")).await.is(200);
    assert_eq!(archived().await, true, "a reaction is no message");
    alice.say(&id, "two").await;
    assert_eq!(archived().await, false);
    bob.patch(&inbox, json!({"archived": true, "muted_until": 9_000_000_000_000_u64}))
        .await
        .is(200);
    alice.say(&id, "three").await;
    assert_eq!(archived().await, true);
    bob.patch(&inbox, json!({"muted_until": null})).await.is(200);
    assert_eq!(archived().await, true);
    alice.say(&id, "four").await;
    assert_eq!(archived().await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_messages_are_a_conversation_with_oneself() {
    let (_world, [alice]) = World::start(["alice"]).await;
    let id = alice.direct(&alice).await;
    let mut phone = alice.connect().await;
    alice.say(&id, "milk").await;
    assert_eq!(phone.event("new_message").await["content"], "milk");
    let entry = alice.entry(&id).await;
    assert_eq!((&entry["unread"], &entry["conversation"]["member_count"]), (&json!(0), &json!(1)));
    alice
        .patch(&format!("/conversations/{id}/messages/1"), json!({"content": "oat milk"}))
        .await
        .is(200);
    alice.put(&format!("/conversations/{id}/pins/1")).await.is(200);
    alice.put(&format!("/conversations/{id}/messages/1/reactions/%E2%9D%A4")).await.is(200);
    let page = alice.page(&id, "").await;
    let message = &page["messages"][0];
    assert_eq!(
        (&message["content"], &message["reactions"][0]["emoji"]),
        (&json!("oat milk"), &json!("❤\u{FE0F}"))
    );
    alice.delete(&format!("/conversations/{id}/messages/1")).await.is(200);
    assert_eq!(alice.page(&id, "").await["messages"][0]["content"], Value::Null);
}
