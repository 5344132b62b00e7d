//! Every queue has a bound: beyond it commands are refused before anything is written, and nothing stands still.

use std::sync::{Arc, atomic::Ordering};

use ostracon_domain::{Action, ConversationId, UserId};
use ostracon_engine::{
    EngineError,
    limits::{Bounds, IN_FLIGHT_MAX},
};
use ostracon_store::MessagePage;

use crate::world::{ALICE, BOB, CAROL, Line, Plan, World, pass, user, yield_all};

fn direct() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

async fn world(bounds: Bounds) -> World {
    World::planned(Plan { bounds, ..Plan::default() }).await
}

async fn head(world: &World) -> u64 {
    let page = MessagePage::Newest { limit: 1 };
    world.engine().messages(ALICE, direct(), page).await.unwrap().0.conversation.head_seq
}

/// How many of a connection's answers are of this kind.
fn count(words: &[String], what: &str) -> u64 {
    words.iter().filter(|words| words.contains(what)).count() as u64
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_answers_busy_before_anything_is_written() {
    let world = world(Bounds { committer_queue: 4, batch: 1, ..Bounds::default() }).await;
    world.say(ALICE, direct(), "first").await;
    let alice = world.connect(ALICE).await;
    let hold = world.shard_of(direct()).memory.hold();
    for number in 0..10 {
        alice.say(&world, number, direct(), "x").await;
        yield_all().await;
    }
    // One waits in the shard, four in the queue.
    assert_eq!(count(&alice.words(), "error busy"), 5);
    assert_eq!(alice.connection.in_flight(), 5);
    drop(hold);
    world.settle().await;
    assert_eq!(count(&alice.words(), "sent"), 5);
    assert_eq!(head(&world).await, 6);
}

#[tokio::test(start_paused = true)]
async fn what_a_store_did_before_it_failed_is_told_to_everybody() {
    let world = world(Bounds::default()).await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    bob.words();
    let shard = world.shard_of(direct());
    let hold = shard.memory.hold();
    for number in 0..5 {
        alice.say(&world, number, direct(), "x").await;
        yield_all().await;
    }
    // The first is being committed alone; of the batch behind it the store takes two of four.
    shard.stops_after.store(2, Ordering::Relaxed);
    drop(hold);
    world.settle().await;
    let words = alice.words();
    assert_eq!((count(&words, "sent"), count(&words, "error shard_unavailable")), (3, 2));
    assert_eq!(alice.connection.in_flight(), 0);
    assert_eq!(count(&bob.words(), "new"), 3);
    assert_eq!(head(&world).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_held_dispatcher_stops_commits_and_then_senders() {
    let bounds = Bounds { committer_queue: 4, batch: 1, dispatch_queue: 2, ..Bounds::default() };
    let world = world(bounds).await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let alice = world.connect(ALICE).await;
    world.engine().pause_dispatch();
    for number in 0..20 {
        alice.say(&world, number, direct(), "x").await;
        yield_all().await;
    }
    // One at the dispatcher, two before it, one that waits for room, four in the queue: 8; only what may be dispatched
    // is committed.
    let words = alice.words();
    assert_eq!((count(&words, "sent"), count(&words, "error busy")), (0, 12));
    assert_eq!(head(&world).await, 4);
    world.engine().resume_dispatch();
    world.settle().await;
    assert_eq!(count(&alice.words(), "sent"), 8);
    assert_eq!(head(&world).await, 9);
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_refuses_sends_and_lets_readers_read() {
    let world = world(Bounds { lane_entries: 4, ..Bounds::default() }).await;
    let id = world.group(ALICE, "g", &[BOB, CAROL]).await;
    world.settle().await;
    let holds: Vec<_> = world.shards.iter().map(|shard| shard.memory.hold()).collect();
    let here = world.shard_of(id).id_number();
    let mut refused = None;
    for _ in 0..10 {
        // Its commit passes, lists do not.
        holds[here].let_through(1);
        let (engine, action) = (Arc::clone(world.engine()), world.text("x"));
        let sending = tokio::spawn(async move { engine.run(ALICE, id, action).await });
        pass(1).await;
        if sending.is_finished() {
            refused = sending.await.unwrap().err();
        } else {
            sending.abort();
        }
        let other = world.group_now(BOB, "other").await;
        refused = refused.or(other.err());
    }
    assert_eq!(refused, Some(EngineError::Busy));
    drop(holds);
    world.settle().await;
    world.say(ALICE, id, "again").await;
    world.engine().sync(CAROL, None, 10).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_fails_is_said_to() {
    let world = world(Bounds::default()).await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let alice = world.connect(ALICE).await;
    let shard = Arc::clone(world.shard_of(direct()));
    shard.busy.store(1, Ordering::Relaxed);
    alice.say(&world, 1, direct(), "x").await;
    world.settle().await;
    shard.memory.fail_next_commit();
    alice.say(&world, 2, direct(), "x").await;
    world.settle().await;
    alice.say(&world, 3, direct(), "x").await;
    world.settle().await;
    let answers = ["#1 error busy", "#2 error shard_unavailable", "#3 sent s2 r5 x"];
    assert_eq!(alice.words(), answers);
}

#[tokio::test(start_paused = true)]
async fn in_flight_commands_are_counted_and_their_answers_never_dropped() {
    let world = world(Bounds { outbox_events: 8, ..Bounds::default() }).await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    let hold = world.shard_of(direct()).memory.hold();
    for number in 0..u64::from(IN_FLIGHT_MAX) {
        assert!(!alice.connection.is_saturated());
        alice.say(&world, number, direct(), "x").await;
    }
    assert!(alice.connection.is_saturated());
    drop(hold);
    for _ in 0..20 {
        world.say(BOB, direct(), "y").await;
    }
    world.settle().await;
    assert!(!alice.connection.is_saturated());
    let words = alice.words();
    assert_eq!(count(&words, "sent"), u64::from(IN_FLIGHT_MAX));
    assert!(count(&words, "new") < 20);
    assert_eq!(words.last().unwrap(), "sync_required");
    // Of 256 + 20 events Bob's socket gets eight and a hint; then events flow again.
    assert_eq!(bob.read().len(), 1 + 8 + 1);
    world.say(ALICE, direct(), "z").await;
    world.settle().await;
    assert_eq!(count(&bob.words(), "new"), 1);
}

#[tokio::test(start_paused = true)]
async fn shards_that_write_to_each_other_never_stand_still() {
    let bounds = Bounds {
        committer_queue: 2,
        batch: 2,
        dispatch_queue: 1,
        lane_entries: 6,
        outbox_events: 4,
        ..Bounds::default()
    };
    let plan = Plan { bounds, users: 12, ..Plan::default() };
    let world = World::planned(plan).await;
    let people: Vec<UserId> = (1..=12).map(user).collect();
    let mut pairs = Vec::new();
    for (at, a) in people.iter().enumerate() {
        pairs.extend(people[at + 1..].iter().map(|b| (*a, ConversationId::direct(*a, *b))));
    }
    let homes: std::collections::BTreeSet<_> =
        pairs.iter().map(|(_, id)| world.shard_of(*id).id_number()).collect();
    assert_eq!(homes.len(), 2);
    // Everything is at its bound: shards held, dispatchers held.
    let holds: Vec<_> = world.shards.iter().map(|shard| shard.memory.hold()).collect();
    world.engine().pause_dispatch();
    let mut lines: Vec<Line> = Vec::new();
    let sending: Vec<_> = (0..40)
        .flat_map(|round| pairs.iter().map(move |pair| (round, *pair)))
        .map(|(_, (actor, id))| {
            let (engine, action) = (Arc::clone(world.engine()), world.text("x"));
            tokio::spawn(async move {
                // As a client does: the same again after a pause.
                while let Err(error) = engine.run(actor, id, action.clone()).await {
                    assert_eq!(error, EngineError::Busy);
                    pass(50 + actor.get() * 7).await;
                }
            })
        })
        .collect();
    pass(500).await;
    drop(holds);
    pass(500).await;
    world.engine().resume_dispatch();
    for person in &people {
        lines.push(world.connect(*person).await);
    }
    for sent in sending {
        sent.await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.undispatched().await, 0);
    for person in people {
        let page = world.engine().sync(person, None, 100).await.unwrap();
        assert_eq!(page.entries.len(), 11);
        for entry in page.entries {
            assert_eq!(entry.overview.conversation.head_seq, 40);
            assert_eq!(entry.inbox.unwrap().applied.rev, entry.overview.conversation.rev);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_names_are_refused_without_a_look_up() {
    let world = world(Bounds::default()).await;
    let crowd: Vec<UserId> = (1..=200_000).map(user).collect();
    let id = world.group(ALICE, "g", &[BOB]).await;
    let refused = world.engine().add_members(ALICE, id, crowd.clone()).await.unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused:?}");
    let refused = world
        .engine()
        .create_group(ALICE, "h".into(), crowd, None, Default::default())
        .await
        .unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused:?}");
    let refused = world.run(ALICE, id, Action::DeleteGroup).await;
    assert!(refused.is_ok());
}

/// What is unread in a list is asked of the shard of each conversation: one that hangs holds up nobody else.
#[tokio::test(start_paused = true)]
async fn a_shard_that_hangs_holds_up_no_dispatcher_of_another() {
    let world = World::planned(Plan { shards: 3, users: 40, ..Plan::default() }).await;
    let everybody = (1..=40).map(user);
    let talks = |world: &World, one: UserId, shard: usize| {
        (1..=40).map(user).find(|other| {
            let id = ConversationId::direct(one, *other);
            *other != one && world.shard_of(id).id_number() == shard
        })
    };
    // Three talks of one user: where the list is, on the shard that hangs, and on a third one.
    let one = everybody.clone().find(|one| (0..3).all(|at| talks(&world, *one, at).is_some()));
    let one = one.unwrap();
    let home = world.shard_of_user(one).id_number();
    let (hangs, third) = ((home + 1) % 3, (home + 2) % 3);
    let talk = |at: usize| {
        let other = talks(&world, one, at).unwrap();
        (other, ConversationId::direct(one, other))
    };
    let line = world.connect(one).await;
    line.words();

    let shard = &world.shards[hangs];
    shard.hold_answer("unread");
    let (writer, far) = talk(hangs);
    world.say(writer, far, "into the shard that hangs").await;
    pass(1_000).await;
    assert!(line.words().iter().any(|words| words.contains("into the shard that hangs")));
    shard.until_held().await;
    // The dispatcher of the list's shard goes on, and so do lists.
    for at in [home, third] {
        let (writer, near) = talk(at);
        world.say(writer, near, "meanwhile").await;
    }
    pass(1_000).await;
    let told = line.read();
    let of = |id: ConversationId, kind: &str| {
        let names = |frame: &&String| frame.contains(&id.to_string()) && frame.contains(kind);
        told.iter().filter(names).count()
    };
    for at in [home, third] {
        let (_, near) = talk(at);
        assert_eq!(of(near, "\"new_message\""), 1, "{told:?}");
        assert!(of(near, "\"inbox_updated\"") > 0, "{told:?}");
    }
    assert_eq!(of(far, "\"inbox_updated\""), 0, "{told:?}");

    // What it is asked next is told; what it did not answer in time is left to the heartbeat.
    pass(6_000).await;
    shard.release_answer();
    world.say(writer, far, "again").await;
    world.settle().await;
    let told = line.read();
    let again = told.iter().filter(|frame| frame.contains("inbox_updated"));
    assert!(again.filter(|frame| frame.contains(&far.to_string())).count() > 0, "{told:?}");
}
