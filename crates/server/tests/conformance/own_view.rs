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
