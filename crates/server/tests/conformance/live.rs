//! What is live: who is online, who is typing, who has read.

use serde_json::{Value, json};

use crate::{
    device::{Device, opening},
    world::{User, World, numbers},
};

async fn watch(device: &mut Device, users: &[&User]) {
    let ids: Vec<u64> = users.iter().map(|user| user.id).collect();
    device.good("presence_subscribe", json!({ "user_ids": ids })).await;
}

async fn status_of(device: &mut Device, user: &User, status: &str) -> Value {
    let fits = |data: &Value| data["user_id"] == user.id && data["status"] == status;
    device.event_where("presence_update", fits).await
}

async fn presence(viewer: &User, users: &[&User]) -> Value {
    let ids: Vec<String> = users.iter().map(|user| user.id.to_string()).collect();
    viewer.get(&format!("/presence?user_ids={}", ids.join(","))).await.is(200)
}

async fn background(user: &User) -> Device {
    let request = opening(user.place.get(), "/api/v1/ws?background=1", Some(&user.token), None);
    Device::try_open(user.place.get(), request, Default::default()).await.unwrap()
}

/// C17: who comes and goes is told to who watches; a push-woken device does not flash online; when somebody was last
/// seen survives a restart, and nobody is online after it who is not there.
#[tokio::test(flavor = "multi_thread")]
async fn presence_is_told_to_who_watches() {
    let (mut world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let mut watching = alice.connect().await;
    watch(&mut watching, &[&bob, &carol]).await;
    let first = watching.seen("presence_update");
    assert_eq!(first.len(), 2, "the present state comes before the answer");
    assert_eq!(first[0], &json!({"user_id": bob.id, "status": "offline", "last_seen": null}));

    let woken = background(&carol).await;
    let device = bob.connect().await;
    let online = status_of(&mut watching, &bob, "online").await;
    assert!(online["last_seen"].is_i64());
    let all = presence(&alice, &[&carol, &bob, &alice]).await;
    assert_eq!(numbers(&all, "user_id"), [carol.id, bob.id, alice.id]);
    let status = |all: &Value, n: usize| all[n]["status"].as_str().unwrap().to_owned();
    assert_eq!([0, 1, 2].map(|n| status(&all, n)), ["offline", "online", "online"]);
    woken.leave().await;
    device.leave().await;
    // The state at the time of the question had none.
    let gone = |data: &Value| {
        data["user_id"] == bob.id && data["status"] == "offline" && data["last_seen"].is_i64()
    };
    let offline = watching.event_where("presence_update", gone).await;
    let last_seen = offline["last_seen"].as_i64().unwrap();
    assert!(last_seen >= online["last_seen"].as_i64().unwrap() - 1_000);
    let of_carol = watching.seen("presence_update");
    assert_eq!(of_carol.iter().filter(|data| data["user_id"] == carol.id).count(), 1);

    drop(watching);
    world.restart().await;
    let all = presence(&alice, &[&bob, &carol, &alice]).await;
    assert_eq!([0, 1, 2].map(|n| status(&all, n)), ["offline"; 3], "no ghosts");
    assert_eq!(all[0]["last_seen"], last_seen);
    assert_eq!(all[1]["last_seen"], Value::Null, "a woken device is nobody");
    assert!(all[2]["last_seen"].is_i64());
}

/// A connection that died without a word: its user goes offline once the allowed silence is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_is_no_ghost() {
    let (world, [alice, bob]) = World::start_with(["alice", "bob"], |config| {
        config.connections.heartbeat_s = 1;
        config.connections.silence_s = 2;
    })
    .await;
    let wire = crate::proxy::Wire::to(world.server.address()).await;
    let lost = Device::connect(wire.address, &bob.token).await;
    let mut watching = alice.connect().await;
    watch(&mut watching, &[&bob]).await;
    status_of(&mut watching, &bob, "online").await;
    let dead = wire.dies().await;
    status_of(&mut watching, &bob, "offline").await;
    drop((dead, lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn privacy_is_set_and_kept() {
    let (mut world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let open = json!({"presence": "everyone", "read_receipts": true});
    assert_eq!(bob.get("/me").await.is(200)["privacy"], open);
    let _device = bob.connect().await;
    let mut watching = alice.connect().await;
    watch(&mut watching, &[&bob]).await;
    status_of(&mut watching, &bob, "online").await;
    let change = json!({"privacy": {"presence": "nobody"}});
    let hidden = json!({"presence": "nobody", "read_receipts": true});
    assert_eq!(bob.patch("/me", change).await.is(200)["privacy"], hidden);
    let offline = status_of(&mut watching, &bob, "offline").await;
    assert_eq!(offline["last_seen"], Value::Null);
    world.restart().await;
    let me = bob.get("/me").await.is(200);
    assert_eq!((&me["privacy"], &me["username"]), (&hidden, &json!("bob")));
    let _device = bob.connect().await;
    assert_eq!(presence(&alice, &[&bob]).await[0]["status"], "offline");
    assert_eq!(presence(&bob, &[&alice]).await[0]["last_seen"], Value::Null, "both ways");
    bob.patch("/me", json!({"privacy": {"presence": "someone"}})).await.refused(422, "invalid");
    bob.patch("/me", json!({"privacy": {"presence": "contacts"}})).await.is(200);
    assert_eq!(presence(&alice, &[&bob]).await[0]["status"], "offline");
    let id = alice.direct(&bob).await;
    bob.say(&id, "hello").await;
    bob.patch("/me", json!({"privacy": {"presence": "everyone"}})).await.is(200);
    assert_eq!(presence(&alice, &[&bob]).await[0]["status"], "online");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_presence_have_bounds() {
    let (_world, [alice]) = World::start(["alice"]).await;
    for query in ["", "?user_ids=", "?user_ids=1,,2", "?user_ids=x", "?user_ids=-1"] {
        alice.get(&format!("/presence{query}")).await.refused(422, "invalid");
    }
    let many: Vec<String> = (1..=501).map(|id: u64| id.to_string()).collect();
    alice.get(&format!("/presence?user_ids={}", many.join(","))).await.refused(422, "invalid");
    alice.get("/presence?user_ids=ext:nobody").await.refused(404, "not_found");
    let mut device = alice.connect().await;
    let ids: Vec<u64> = (1..=501).collect();
    device.refused("presence_subscribe", json!({ "user_ids": ids }), "invalid").await;
    device.refused("presence_subscribe", json!({ "user_ids": [0] }), "invalid").await;
    device.refused("presence_subscribe", json!({}), "invalid").await;
    device.good("presence_subscribe", json!({ "user_ids": [] })).await;
    device.good("presence_unsubscribe", json!({ "user_ids": [7, 8] })).await;
    let unknown = device.good("presence_subscribe", json!({ "user_ids": [9_999_999] })).await;
    assert_eq!(unknown, json!({}));
    let told = device.seen("presence_update");
    assert_eq!(told, [&json!({"user_id": 9_999_999, "status": "offline", "last_seen": null})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_told_to_members() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let id = alice.direct(&bob).await;
    let (mut a, mut b, mut c) = (alice.connect().await, bob.connect().await, carol.connect().await);
    a.tell("typing", json!({"conversation_id": id, "is_typing": true})).await;
    let told = b.event("typing").await;
    assert_eq!(told, json!({"conversation_id": id, "user_id": alice.id, "is_typing": true}));
    let ended = b.event("typing").await;
    assert_eq!(ended["is_typing"], false, "nobody said so again");
    c.refused("typing", json!({"conversation_id": id, "is_typing": true}), "not_found").await;
    c.refused("typing", json!({"conversation_id": id}), "invalid").await;
    a.heartbeat().await;
    c.heartbeat().await;
    b.heartbeat().await;
    assert_eq!([&a, &b, &c].map(|device| device.seen("typing").len()), [0, 2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_is_told_unless_hidden() {
    let (_world, [alice, bob, carol, dave]) = World::start(["alice", "bob", "carol", "dave"]).await;
    let id = alice.group("three", &[&bob, &carol]).await;
    alice.say(&id, "m1").await;
    let seen = format!("/conversations/{id}/messages/1/seen");
    let nobody = json!({"read": [], "delivered": []});
    assert_eq!(alice.get(&seen).await.is(200), nobody);
    carol.patch("/me", json!({"privacy": {"read_receipts": false}})).await.is(200);
    let mut a = alice.connect().await;
    carol.mark_read(&id, 1).await;
    bob.mark_read(&id, 1).await;
    let receipt = a.event("receipt").await;
    assert_eq!((&receipt["user_id"], &receipt["read_seq"]), (&json!(bob.id), &json!(1)));
    a.heartbeat().await;
    assert_eq!(a.seen("receipt").len(), 1, "Carol does not tell");
    let expected = json!({"read": [bob.id], "delivered": [carol.id]});
    assert_eq!(alice.get(&seen).await.is(200), expected);
    let members = alice.get(&format!("/conversations/{id}/members")).await.is(200);
    let read: Vec<&Value> =
        members["members"].as_array().unwrap().iter().map(|member| &member["read_seq"]).collect();
    assert_eq!(read, [&json!(1), &json!(1), &Value::Null]);
    let changes = alice.get(&format!("/conversations/{id}/changes?since_rev=0")).await.is(200);
    let of_carol = |list: &str| {
        let list = changes[list].as_array().unwrap();
        list.iter().find(|row| row["user_id"] == carol.id).unwrap()["read_seq"].clone()
    };
    assert_eq!((of_carol("members"), of_carol("receipts")), (Value::Null, json!(0)));
    let own = carol.get(&format!("/conversations/{id}/members")).await.is(200);
    let read: Vec<&Value> =
        own["members"].as_array().unwrap().iter().map(|member| &member["read_seq"]).collect();
    assert_eq!(read, [&Value::Null, &Value::Null, &json!(1)], "she sees her own only");
    dave.get(&seen).await.refused(404, "not_found");
    alice.get(&format!("/conversations/{id}/messages/2/seen")).await.refused(404, "not_found");
}
