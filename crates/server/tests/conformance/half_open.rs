//! Connections of which one end is gone without a word.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::{
    device::Device,
    proxy::Wire,
    replica::Replica,
    world::{World, texts},
};

/// C7: messages sent while a connection is dead are stored, and delivered once and in order after the
/// return; the server notices the dead connection by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_loses_nothing_and_is_noticed() {
    let (world, [alice, bob]) = World::start_with(["alice", "bob"], |config| {
        config.connections.heartbeat_s = 1;
        config.connections.silence_s = 2;
    })
    .await;
    let id = alice.direct(&bob).await;
    let mut held = Replica::fresh(&bob).await;
    let wire = Wire::to(world.server.address()).await;
    let mut lost = Device::connect(wire.address, &bob.token).await;
    alice.say(&id, "m0").await;
    lost.hears("m0").await;
    let dead = wire.dies().await;
    for n in 1..=20 {
        alice.say(&id, &format!("m{n}")).await;
    }
    assert_eq!(bob.entry(&id).await["unread"], 21);

    let mut back = bob.connect().await;
    held.level(&bob).await;
    alice.say(&id, "m21").await;
    back.hears("m21").await;
    assert_eq!(back.seen("new_message").len(), 1, "what was found is not told again");
    held.level(&bob).await;
    let all: Vec<String> = (0..=21).map(|n| format!("m{n}")).collect();
    assert_eq!(held.of(&id).texts(), all);
    assert_eq!(texts(&bob.page(&id, "").await["messages"]), all);

    let sent = dead.given_up().await;
    let code = 4408_u16.to_be_bytes();
    let close = sent.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == code);
    assert!(close, "its last word is a close frame with 4408");
    // The live connection is pinged and answers; it outlives the dead one.
    back.heartbeat().await;
}

/// C7: who only answers pings is alive, and so is who only sends heartbeats.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_client_that_answers_pings_stays() {
    let (_world, [alice]) = World::start_with(["alice"], |config| {
        config.connections.heartbeat_s = 1;
        config.connections.silence_s = 2;
    })
    .await;
    let mut device = alice.connect().await;
    assert_eq!(device.hello["heartbeat_s"], 1);
    // Longer than the silence that is allowed: nothing but pings come, and tungstenite answers them.
    let end = tokio::time::timeout(std::time::Duration::from_secs(4), device.closed()).await;
    assert!(end.is_err(), "{end:?}");
    device.heartbeat().await;
}

/// C7: the two outcomes of a send on a dying connection: without an answer nothing is known, and the
/// same `client_id` finds out.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_without_an_answer_is_repeated_harmlessly() {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let body = || {
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        json!({"conversation_id": id, "content": format!("m{n}"), "client_id": format!("c{n}")})
    };
    let wire = Wire::to(world.server.address()).await;
    let mut device = Device::connect(wire.address, &alice.token).await;
    device.good("send_message", body()).await;
    // One that arrives, of which the answer is lost; and one that does not arrive.
    let arrives = body();
    device.tell("send_message", arrives.clone()).await;
    let mut watcher = bob.connect().await;
    Replica::fresh(&bob).await;
    if bob.page(&id, "").await["head_seq"] == 1 {
        watcher.hears("m1").await;
    }
    let _dead = wire.dies().await;
    let vanishes = body();
    device.tell("send_message", vanishes.clone()).await;

    let mut back = alice.connect().await;
    assert_eq!(back.good("send_message", arrives).await["seq"], 2, "the first result");
    assert_eq!(back.good("send_message", vanishes).await["seq"], 3, "sent now");
    assert_eq!(texts(&bob.page(&id, "").await["messages"]), ["m0", "m1", "m2"]);
}
