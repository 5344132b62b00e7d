//! Unread counts, read and delivered marks.

use serde_json::{Value, json};

use crate::world::{User, World};

async fn unread(user: &User, conversation: &str) -> u64 {
    user.entry(conversation).await["unread"].as_u64().unwrap()
}

async fn total(user: &User) -> Value {
    user.get("/conversations/unread").await.is(200)
}

/// C8: own messages never count, also on a device that signs in later.
#[tokio::test(flavor = "multi_thread")]
async fn own_messages_are_never_unread() {
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    for n in 0..5 {
        alice.say(&id, &format!("m{n}")).await;
    }
    assert_eq!((unread(&alice, &id).await, unread(&bob, &id).await), (0, 5));
    let later = world.session(&alice).await;
    assert_eq!(unread(&later, &id).await, 0);
    let sync = later.get("/sync").await.is(200);
    assert_eq!(sync["conversations"][0]["unread"], 0);
    assert_eq!(total(&later).await, json!({"total": 0, "conversations": {}}));
    bob.say(&id, "an answer").await;
    assert_eq!((unread(&alice, &id).await, unread(&bob, &id).await), (1, 0));
    let membership = bob.entry(&id).await["membership"].clone();
    assert_eq!((&membership["read_seq"], &membership["unread_floor"]), (&json!(6), &json!(6)));
}

/// C8: read on one device is read on the other, at once and after it was offline.
#[tokio::test(flavor = "multi_thread")]
async fn read_elsewhere_is_read_here() {
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let laptop = world.session(&bob).await;
    let mut open = laptop.connect().await;
    for n in 0..4 {
        alice.say(&id, &format!("m{n}")).await;
    }
    open.event_where("inbox_updated", |data| data["unread"] == 4).await;
    bob.mark_read(&id, 3).await;
    let receipt = open.event("receipt").await;
    assert_eq!((&receipt["user_id"], &receipt["read_seq"]), (&json!(bob.id), &json!(3)));
    open.event_where("inbox_updated", |data| data["unread"] == 1).await;
    assert_eq!(unread(&laptop, &id).await, 1);
    let cursor = laptop.get("/sync").await.is(200)["cursor"].as_str().unwrap().to_owned();
    open.leave().await;
    bob.mark_read(&id, 4).await;
    let sync = laptop.get(&format!("/sync?cursor={cursor}")).await.is(200);
    assert_eq!(sync["conversations"][0]["unread"], 0, "{sync}");
}

/// C8: what is deleted, hidden, muted or archived.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_hidden_messages_are_not_unread() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    for n in 0..5 {
        alice.say(&id, &format!("m{n}")).await;
    }
    for seq in [2, 4] {
        alice.delete(&format!("/conversations/{id}/messages/{seq}")).await.is(200);
    }
    assert_eq!(unread(&bob, &id).await, 3, "tombstones do not count");
    bob.mark_read(&id, 1).await;
    assert_eq!(unread(&bob, &id).await, 2);
    let inbox = format!("/conversations/{id}/inbox");
    bob.patch(&inbox, json!({"hidden_to": 99})).await.is(200);
    assert_eq!(unread(&bob, &id).await, 0, "a hidden dialog has nothing unread");
    assert_eq!(total(&bob).await["total"], 0);
    alice.say(&id, "again").await;
    assert_eq!(unread(&bob, &id).await, 1, "what comes later is unread");
    assert_eq!(total(&bob).await["total"], 1);
}

/// C8, C9: one cheap call has every count, and a total without muted and archived conversations.
#[tokio::test(flavor = "multi_thread")]
async fn one_call_has_all_unread_counts() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let direct = alice.direct(&bob).await;
    let mut counts = vec![(direct.clone(), 2)];
    for n in 0..2 {
        alice.say(&direct, &format!("m{n}")).await;
    }
    for n in 1..=4_u64 {
        let id = carol.group(&format!("g{n}"), &[&bob]).await;
        for m in 0..n {
            carol.say(&id, &format!("m{m}")).await;
        }
        counts.push((id, n));
    }
    let read = carol.group("read", &[&bob]).await;
    carol.say(&read, "m").await;
    bob.mark_read(&read, 1).await;
    let expected: serde_json::Map<String, Value> =
        counts.iter().map(|(id, count)| (id.clone(), json!(count))).collect();
    let all = total(&bob).await;
    assert_eq!(all, json!({"total": 12, "conversations": expected}));
    let list = bob.get("/conversations?limit=200").await.is(200);
    let entries = list["conversations"].as_array().unwrap();
    let sum: u64 = entries.iter().map(|entry| entry["unread"].as_u64().unwrap()).sum();
    assert_eq!(sum, 12, "the list says the same");

    let inbox = |id: &str| format!("/conversations/{id}/inbox");
    bob.patch(&inbox(&counts[4].0), json!({"muted_until": 4_000_000_000_000_u64})).await.is(200);
    assert_eq!(total(&bob).await["total"], 8, "muted");
    bob.patch(&inbox(&counts[3].0), json!({"archived": true})).await.is(200);
    assert_eq!(total(&bob).await["total"], 5, "archived");
    assert_eq!(total(&bob).await["conversations"], json!(expected), "each has its own count still");
    carol.say(&counts[3].0, "more").await;
    assert_eq!(total(&bob).await["total"], 9, "a message brings it back");
    bob.patch(&inbox(&counts[3].0), json!({"archived": true})).await.is(200);
    bob.patch(&inbox(&counts[3].0), json!({"archived": false})).await.is(200);
    assert_eq!(total(&bob).await["total"], 9);
    bob.patch(&inbox(&counts[4].0), json!({"muted_until": null})).await.is(200);
    assert_eq!(total(&bob).await["total"], 13);
}

/// C8: who leaves has nothing unread; who comes back begins at the next message.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_and_coming_back_sets_the_floor() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[&bob]).await;
    for n in 0..3 {
        alice.say(&id, &format!("m{n}")).await;
    }
    assert_eq!(unread(&bob, &id).await, 3);
    bob.delete(&format!("/conversations/{id}/members/{}", bob.id)).await.is(200);
    assert_eq!(unread(&bob, &id).await, 0);
    assert_eq!(total(&bob).await, json!({"total": 0, "conversations": {}}));
    for n in 3..6 {
        alice.say(&id, &format!("m{n}")).await;
    }
    let members = format!("/conversations/{id}/members");
    alice.post(&members, json!({"user_ids": [bob.id]})).await.is(200);
    assert_eq!(unread(&bob, &id).await, 0, "nothing was said since");
    alice.say(&id, "welcome back").await;
    let entry = bob.entry(&id).await;
    assert_eq!((&entry["unread"], &entry["membership"]["unread_floor"]), (&json!(1), &json!(6)));
    assert_eq!(total(&bob).await["total"], 1);
}

/// `RoomReadMarkers`: marks go forward only, are clamped to the head, take a seq or a message id, and
/// read implies delivered.
#[tokio::test(flavor = "multi_thread")]
async fn marks_go_forward_and_never_beyond_the_head() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(alice.say(&id, &format!("m{n}")).await["message_id"].clone());
    }
    let marks = async || {
        let membership = bob.entry(&id).await["membership"].clone();
        ["read_seq", "delivered_seq"].map(|field| membership[field].as_u64().unwrap())
    };
    let at = |rest: &str| format!("/conversations/{id}/{rest}");
    bob.post(&at("delivered"), json!({"seq": 2})).await.is(200);
    assert_eq!(marks().await, [0, 2]);
    bob.post(&at("read"), json!({"message_id": ids[2]})).await.is(200);
    assert_eq!(marks().await, [3, 3], "read is delivered");
    let before = bob.entry(&id).await["conversation"]["mark_rev"].clone();
    bob.post(&at("read"), json!({"seq": 1})).await.is(200);
    bob.post(&at("delivered"), json!({"seq": 3})).await.is(200);
    bob.post(&at("read"), json!({"seq": 0})).await.is(200);
    assert_eq!(marks().await, [3, 3], "never back");
    assert_eq!(bob.entry(&id).await["conversation"]["mark_rev"], before, "nothing was committed");
    let mut device = bob.connect().await;
    device.good("mark_delivered", json!({"conversation_id": id, "message_id": ids[4]})).await;
    assert_eq!(marks().await, [3, 5]);
    device
        .good("mark_read", json!({"conversation_id": id, "seq": 9_007_199_254_740_991_u64}))
        .await;
    assert_eq!(marks().await, [6, 6], "clamped to the head");
    alice.say(&id, "one more").await;
    assert_eq!(marks().await, [6, 6], "what was beyond the head does not count later");
    bob.post(&at("read"), json!({})).await.refused(422, "invalid");
    let both = json!({"seq": 1, "message_id": ids[0]});
    bob.post(&at("read"), both).await.refused(422, "invalid");
    bob.post(&at("read"), json!({"message_id": "0000000000000000001"}))
        .await
        .refused(404, "not_found");
}

/// `RoomReceipts`: marks reach the others as `receipt`, and stand in the list of members.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_reach_the_other_members() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut watcher = alice.connect().await;
    for n in 0..3 {
        alice.say(&id, &format!("m{n}")).await;
    }
    bob.post(&format!("/conversations/{id}/delivered"), json!({"seq": 3})).await.is(200);
    let delivered = watcher.event("receipt").await;
    assert_eq!((&delivered["user_id"], &delivered["delivered_seq"]), (&json!(bob.id), &json!(3)));
    bob.mark_read(&id, 2).await;
    let read = watcher.event("receipt").await;
    assert_eq!((&read["user_id"], &read["read_seq"]), (&json!(bob.id), &json!(2)));
    assert!(read["mark_rev"].as_u64() > delivered["mark_rev"].as_u64());
    assert_eq!(read["history"], alice.entry(&id).await["conversation"]["history"]);
    let members = alice.get(&format!("/conversations/{id}/members")).await.is(200);
    let row = members["members"].as_array().unwrap().iter().find(|row| row["user_id"] == bob.id);
    let row = row.unwrap();
    assert_eq!((&row["read_seq"], &row["delivered_seq"]), (&json!(2), &json!(3)));
    let changes = alice.get(&format!("/conversations/{id}/changes")).await.is(200);
    let receipts = changes["receipts"].as_array().unwrap();
    let bobs = receipts.iter().find(|row| row["user_id"] == bob.id).unwrap();
    assert_eq!((&bobs["read_seq"], &bobs["delivered_seq"]), (&json!(2), &json!(3)));
    let message = bob.say(&id, "moves my mark").await;
    let event = watcher.hears("moves my mark").await;
    assert_eq!(event["mark_rev"], message["mark_rev"]);
    assert_eq!(bob.entry(&id).await["membership"]["read_seq"], 4);
}

/// `RoomReceipts` in a large group: one's own marks reach one's own devices, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_a_large_group_stay_with_their_owner() {
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let mut crowd = vec![bob.clone()];
    for n in 0..110 {
        crowd.push(world.user(&format!("user{n}")).await);
    }
    let id = alice.group("crowd", &crowd.iter().collect::<Vec<_>>()).await;
    assert_eq!(alice.entry(&id).await["conversation"]["large"], true);
    let (mut watcher, mut other) = (alice.connect().await, bob.connect().await);
    alice.say(&id, "hello").await;
    other.hears("hello").await;
    bob.mark_read(&id, 1).await;
    let receipt = other.event("receipt").await;
    assert_eq!((&receipt["user_id"], &receipt["read_seq"]), (&json!(bob.id), &json!(1)));
    bob.say(&id, "fence").await;
    watcher.hears("fence").await;
    assert!(watcher.seen("receipt").is_empty(), "{:?}", watcher.log);
    let members = alice.get(&format!("/conversations/{id}/members")).await.is(200);
    for row in members["members"].as_array().unwrap() {
        let shown = row.get("read_seq").is_some_and(Value::is_u64);
        assert_eq!(shown, row["user_id"] == alice.id, "{row}");
    }
    let mut fresh = 0;
    let changes = alice.get(&format!("/conversations/{id}/changes?limit=1000")).await.is(200);
    for row in changes["receipts"].as_array().unwrap() {
        assert_eq!(row["user_id"], alice.id);
        fresh += 1;
    }
    assert!(fresh <= 1);
    assert_eq!(unread(&bob, &id).await, 0);
    assert_eq!(
        unread(&crowd[1], &id).await,
        2,
        "nothing is written for a member on a send, and yet"
    );
    assert_eq!(total(&crowd[2]).await["total"], 2);
}
