//! What messages said before: kept only where the operator wants it, gone with the message; and how long they may be changed.

use serde_json::{Value, json};

use crate::world::{World, texts};

#[tokio::test(flavor = "multi_thread")]
async fn former_contents_are_read_where_they_are_kept() {
    let change = |config: &mut ostracon_server::Config| config.messages.edit_history = true;
    let (mut world, [alice, bob, eve]) = World::start_with(["alice", "bob", "eve"], change).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "one").await;
    let message = format!("/conversations/{id}/messages/1");
    for text in ["two", "three"] {
        alice.patch(&message, json!({"content": text})).await.is(200);
    }
    world.restart().await;
    let edits = format!("{message}/edits");
    let found = bob.get(&edits).await.is(200);
    assert_eq!(texts(&found["edits"]), ["one", "two"]);
    assert!(found["edits"][0]["since"].is_u64());
    eve.get(&edits).await.refused(404, "not_found");
    bob.get(&format!("/conversations/{id}/messages/2/edits")).await.refused(404, "not_found");
    bob.delete(&format!("{message}?for=me")).await.is(200);
    bob.get(&edits).await.refused(404, "not_found");
    alice.delete(&message).await.is(200);
    alice.get(&edits).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_by_default() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "one").await;
    let message = format!("/conversations/{id}/messages/1");
    alice.patch(&message, json!({"content": "two"})).await.is(200);
    assert_eq!(alice.get(&format!("{message}/edits")).await.is(200)["edits"], json!([]));
    assert_eq!(alice.page(&id, "").await["messages"][0]["withheld"], Value::Null);
}
