//! A socket that never reads while very much arrives.

use serde_json::json;

use crate::{catching_up::flood, child::Child, replica::Replica, world::within};

/// 60,000 messages for a socket that takes none: the server's memory stays bounded, others hear every
/// one in order, and the slow one is complete after it asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_never_reads_costs_little_and_ends_complete() {
    const ALL: u64 = 60_000;
    const SPEAKERS: u64 = 2;
    let (child, users) = Child::start(&["alice", "bob", "carol", "slow"]).await;
    let [alice, bob, carol, slow] = users.try_into().unwrap_or_else(|_| panic!("four"));
    let id = alice.group("group", &[&bob, &carol, &slow]).await;
    let mut held = Replica::fresh(&slow).await;
    let mut deaf = slow.connect().await;
    let mut hearer = carol.connect().await;
    alice.say(&id, "warm").await;
    hearer.hears("warm").await;
    let before = child.resident();

    let filler = "x".repeat(190);
    let mut speakers = tokio::task::JoinSet::new();
    for (user, name) in [(&alice, "a"), (&bob, "b")] {
        let (user, id, filler) = (user.clone(), id.clone(), filler.clone());
        speakers.spawn(async move {
            let mut device = user.connect().await;
            device.keeps_events = false;
            let texts = (0..ALL / SPEAKERS).map(|n| format!("{name}{n} {filler}"));
            flood(&mut device, &id, texts).await;
        });
    }
    let mut most = 0;
    // The first is what the server says of the new group.
    let (mut seq, mut heard) = (2, 1);
    while heard <= ALL {
        let message = hearer.event("new_message").await;
        seq += 1;
        heard += 1;
        assert_eq!(message["seq"], seq, "in order, each once");
        if seq % 1_000 == 0 {
            most = most.max(child.resident());
            hearer.log.clear();
        }
    }
    within("the speakers", speakers.join_all()).await;
    assert!(hearer.seen("sync_required").is_empty(), "who reads misses nothing");
    let grown = most.max(child.resident()).saturating_sub(before);
    assert!(grown < 100 << 20, "the server grew by {} MiB", grown >> 20);

    // Now it reads: what it kept, in order, then that something is missing, and it is served on.
    deaf.event("sync_required").await;
    let mut last = 0;
    for message in deaf.seen("new_message") {
        let this = message["seq"].as_u64().unwrap();
        assert!(this > last);
        last = this;
    }
    assert!(last < ALL + 2, "nothing was dropped");
    held.level(&slow).await;
    let row = held.of(&id);
    assert!(row.messages.keys().copied().eq(1..=ALL + 2), "complete");
    let speaker = |text: &str| text.split(' ').next().unwrap().to_owned();
    for name in ["a", "b"] {
        let own = row.texts().into_iter().filter(|text| text.starts_with(name) && text.len() > 150);
        let own: Vec<String> = own.map(speaker).collect();
        let wanted: Vec<String> = (0..ALL / SPEAKERS).map(|n| format!("{name}{n}")).collect();
        assert!(own == wanted, "in the order of its sender");
    }
    alice.say(&id, "afterwards").await;
    deaf.hears("afterwards").await;
    deaf.good("mark_read", json!({"conversation_id": id, "seq": ALL + 3})).await;
    assert_eq!(slow.get("/conversations/unread").await.is(200)["total"], 0);
}
