//! Commits that were carried out and whose answer was lost: nobody hands them over, and yet they take effect.

use std::sync::{Arc, atomic::Ordering};

use ostracon_domain::{Action, ConversationId};
use ostracon_engine::EngineError;
use ostracon_store::Shard;
use serde_json::json;

use crate::{
    lanes::stored,
    world::{ALICE, BOB, CAROL, World, pass, user, yield_all},
};

fn direct() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

#[tokio::test(start_paused = true)]
async fn whom_it_concerns_is_told_though_nobody_tries_again() {
    let world = World::new().await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let bob = world.connect(BOB).await;
    let carol = world.connect(CAROL).await;
    bob.read();
    carol.read();
    world.shard_of(direct()).answers_lost.store(1, Ordering::Relaxed);
    let action = world.text("lost");
    assert_eq!(world.run(ALICE, direct(), action).await.unwrap_err(), EngineError::Unavailable);
    world.settle().await;
    let words = bob.words();
    assert_eq!(words.iter().filter(|words| *words == "sync_required").count(), 1, "{words:?}");
    assert_eq!(stored(&world, BOB).await, [(direct(), 5)]);
    assert_eq!(carol.words(), [""; 0]);
    assert_eq!(world.undispatched().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_answered_after_the_first_try_took_effect() {
    for crash in [false, true] {
        let mut world = World::new().await;
        world.say(ALICE, direct(), "first").await;
        world.settle().await;
        let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
        alice.read();
        bob.read();
        let shard = Arc::clone(world.shard_of(direct()));
        shard.answers_lost.store(1, Ordering::Relaxed);
        shard.undispatched_fails.store(true, Ordering::Relaxed);
        let send = json!({"to": 2, "content": "hi", "client_id": "c1"});
        alice.send(&world, "send_message", 1, send.clone()).await;
        pass(1_000).await;
        assert_eq!(alice.words(), ["#1 error shard_unavailable"]);
        alice.send(&world, "send_message", 2, send).await;
        pass(5_000).await;
        // As long as nobody knows what was committed, nothing passes it.
        assert_eq!(alice.words(), [""; 0]);
        assert_eq!(stored(&world, BOB).await, [(direct(), 4)]);
        shard.undispatched_fails.store(false, Ordering::Relaxed);
        assert_ne!(world.undispatched().await, 0);
        if crash {
            world.crash().await;
            world.start().await;
            world.settle().await;
        } else {
            world.settle().await;
            let words = alice.words();
            assert!(words.iter().any(|words| words.starts_with("#2 sent s2 r5 hi")), "{words:?}");
            assert_eq!(bob.words(), ["sync_required"]);
        }
        assert_eq!(stored(&world, BOB).await, [(direct(), 5)]);
        assert_eq!(world.undispatched().await, 0);
        world.say(ALICE, direct(), "next").await;
        world.settle().await;
        assert_eq!(stored(&world, BOB).await, [(direct(), 6)]);
        assert_eq!(world.undispatched().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_barrier_does_not_pass_it() {
    let world = World::new().await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let bob = world.connect(BOB).await;
    bob.read();
    let shard = Arc::clone(world.shard_of(direct()));
    shard.answers_lost.store(1, Ordering::Relaxed);
    shard.undispatched_fails.store(true, Ordering::Relaxed);
    let action = world.text("lost");
    world.run(ALICE, direct(), action).await.unwrap_err();
    assert_eq!(world.engine().dispatch_barrier(shard.id()).await, Err(EngineError::Unavailable));
    shard.undispatched_fails.store(false, Ordering::Relaxed);
    world.engine().dispatch_barrier(shard.id()).await.unwrap();
    assert_eq!(bob.words(), ["sync_required"]);
    // What is committed behind it is told as always.
    world.say(ALICE, direct(), "then").await;
    assert_eq!(bob.words(), ["new s3 r6 then"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_changed_is_told() {
    let world = World::new().await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let bob = world.connect(BOB).await;
    bob.read();
    let hold = world.shard_of_user(BOB).memory.hold();
    hold.let_through(usize::from(Arc::ptr_eq(world.shard_of_user(BOB), world.shard_of(direct()))));
    world.say(ALICE, direct(), "second").await;
    hold.until_waiting(1).await;
    world.shard_of_user(BOB).answers_lost.store(1, Ordering::Relaxed);
    drop(hold);
    world.settle().await;
    assert_eq!(bob.inbox_words(), ["inbox r5 m2 u2 unread 2"]);
    assert_eq!(world.undispatched().await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_was_removed_from_a_large_group_hears_nothing_more() {
    let members = 150;
    let world = World::planned(crate::world::Plan { users: 200, ..Default::default() }).await;
    let others: Vec<_> = (2..=members).map(user).collect();
    let id = world.group(ALICE, "g", &others).await;
    world.settle().await;
    let (bob, carol) = (world.connect(BOB).await, world.connect(CAROL).await);
    bob.read();
    carol.read();
    world.shard_of(id).answers_lost.store(1, Ordering::Relaxed);
    world.run(ALICE, id, Action::RemoveMember { user: BOB }).await.unwrap_err();
    world.settle().await;
    assert!(bob.words().contains(&"sync_required".to_owned()));
    assert!(carol.words().contains(&"sync_required".to_owned()));
    world.say(ALICE, id, "without him").await;
    world.settle().await;
    assert_eq!(bob.words(), [""; 0]);
    assert_eq!(carol.words().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn damaged_members_of_one_conversation_stop_no_other() {
    let mut world = World::new().await;
    let id = world.group(ALICE, "g", &[BOB]).await;
    let shard = world.shard_of(id).id_number();
    let mut near = Vec::new();
    for name in 0..8 {
        near.push(world.group(ALICE, &format!("near {name}"), &[BOB]).await);
    }
    near.retain(|near| world.shard_of(*near).id_number() == shard);
    let near = near[0];
    world.settle().await;
    // Another engine has to read who is in them.
    world.crash().await;
    *world.shards[shard].damaged.lock() = Some(id);
    world.start().await;
    let bob = world.connect(BOB).await;
    bob.read();
    world.say(ALICE, id, "into the damaged one").await;
    world.say(ALICE, near, "into the other").await;
    yield_all().await;
    assert_eq!(bob.words(), ["new s1 r4 into the other"]);
    world.settle().await;
    assert!(!world.shards[shard].undispatched(None, 10).await.unwrap().is_empty());
    // The next start serves too, and leaves the rest to a person.
    world.crash().await;
    world.start().await;
    world.say(ALICE, near, "again").await;
    world.settle().await;
    world.crash().await;
    *world.shards[shard].damaged.lock() = None;
    world.start().await;
    world.settle().await;
    assert!(stored(&world, BOB).await.contains(&(id, 4)));
    assert_eq!(world.undispatched().await, 0);
}
