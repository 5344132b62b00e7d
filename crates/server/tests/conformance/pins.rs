//! Pinned messages: the same list for everybody, told to every device, gone with their message.

use serde_json::json;

use crate::world::{World, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_seen_by_everybody() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    for n in 1..=3 {
        alice.say(&id, &format!("m{n}")).await;
    }
    let mut phone = bob.connect().await;
    let pins = format!("/conversations/{id}/pins");
    assert_eq!(bob.get(&pins).await.is(200)["messages"], json!([]));
    let done = bob.put(&format!("{pins}/3")).await.is(200);
    alice.put(&format!("{pins}/1")).await.is(200);
    assert_eq!(
        alice.put(&format!("{pins}/3")).await.is(200)["rev"],
        done["rev"],
        "it is so already"
    );
    let list = alice.get(&pins).await.is(200);
    assert_eq!(numbers(&list["messages"], "seq"), [1, 3]);
    assert!(list["messages"][1]["pinned_at"].is_u64());
    assert_eq!(bob.get(&pins).await.is(200)["messages"], list["messages"]);

    let updated = phone.event("message_updated").await;
    assert_eq!((&updated["seq"], &updated["rev"]), (&json!(3), &done["rev"]));
    let since = done["rev"].as_u64().unwrap() - 1;
    let changes =
        bob.get(&format!("/conversations/{id}/changes?since_rev={since}&history=0")).await;
    assert!(changes.is(200)["reset"].as_bool().unwrap(), "another history");

    alice.delete(&format!("/conversations/{id}/messages/3")).await.is(200);
    alice.delete(&format!("{pins}/1")).await.is(200);
    assert_eq!(alice.get(&pins).await.is(200)["messages"], json!([]));
    alice.put(&format!("{pins}/3")).await.refused(404, "not_found");
    alice.put(&format!("{pins}/99")).await.refused(404, "not_found");
}
