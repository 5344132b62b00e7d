//! Lists follow their conversations: merged, paced, committed before they are read, and repeated after a crash.

use std::sync::{Arc, atomic::Ordering};

use ostracon_domain::{Action, ConversationId, UserId};
use ostracon_store::{InboxPage, Read, Shard};

use crate::world::{ALICE, BOB, CAROL, DAVE, World, pass, user, yield_all};

/// The revs that a user's stored entries have reached, newest activity first; nothing is brought up to date for it.
pub(crate) async fn stored(world: &World, user: UserId) -> Vec<(ConversationId, u64)> {
    let map = world.engine().map();
    let unit = map.unit_of_user(user);
    let at = ostracon_domain::UnitAt { unit, epoch: map.home(unit).unwrap().epoch };
    let page = InboxPage { after: None, limit: 100 };
    let Read::Rows(page) = world.shard_of_user(user).inbox(at, user, page).await.unwrap() else {
        panic!("no list")
    };
    page.entries.iter().map(|entry| (entry.conversation, entry.applied.rev)).collect()
}

fn direct() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

#[tokio::test(start_paused = true)]
async fn a_lone_change_goes_at_once_and_a_flood_four_times_a_second() {
    let world = World::new().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    bob.read();
    world.say(ALICE, direct(), "first").await;
    pass(1).await;
    assert_eq!(bob.inbox_words(), ["inbox r4 m1 u1 unread 1"]);
    // A command every 5 ms for two seconds.
    for number in 0..400 {
        alice.say(&world, number, direct(), "x").await;
        pass(5).await;
    }
    let told = bob.inbox_words();
    assert!((7..=9).contains(&told.len()), "{told:?}");
    pass(300).await;
    assert_eq!(stored(&world, BOB).await, [(direct(), 404)]);
}

#[tokio::test(start_paused = true)]
async fn lists_of_the_absent_wait_longer() {
    let world = World::new().await;
    let _alice = world.connect(ALICE).await;
    world.say(ALICE, direct(), "first").await;
    pass(600).await;
    assert_eq!(stored(&world, ALICE).await, [(direct(), 4)]);
    assert_eq!(stored(&world, BOB).await, []);
    pass(3_000).await;
    assert_eq!(stored(&world, BOB).await, [(direct(), 4)]);
    // Who reads does not wait.
    world.say(ALICE, direct(), "second").await;
    let page = world.engine().sync(BOB, None, 10).await.unwrap();
    assert_eq!(page.entries[0].inbox.as_ref().unwrap().applied.rev, 5);
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_what_is_being_committed() {
    let world = World::new().await;
    let _bob = world.connect(BOB).await;
    let id = world.group(ALICE, "g", &[BOB]).await;
    world.settle().await;
    let hold = world.shard_of_user(BOB).memory.hold();
    // The shard of the conversation may be the same one.
    hold.let_through(usize::from(Arc::ptr_eq(world.shard_of_user(BOB), world.shard_of(id))));
    world.say(ALICE, id, "one").await;
    hold.until_waiting(1).await;
    let engine = Arc::clone(world.engine());
    let reading = tokio::spawn(async move { engine.sync(BOB, None, 10).await.unwrap() });
    yield_all().await;
    assert!(!reading.is_finished());
    drop(hold);
    let page = reading.await.unwrap();
    assert_eq!(page.entries[0].inbox.as_ref().unwrap().applied.rev, 4);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_goes_away_leaves_nothing_locked() {
    let world = World::new().await;
    world.say(ALICE, direct(), "one").await;
    let hold = world.shard_of_user(BOB).memory.hold();
    let engine = Arc::clone(world.engine());
    let reading = tokio::spawn(async move { engine.sync(BOB, None, 10).await.unwrap() });
    hold.until_waiting(1).await;
    reading.abort();
    assert!(reading.await.is_err());
    drop(hold);
    let page = world.engine().sync(BOB, None, 10).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    world.settle().await;
    assert_eq!(world.undispatched().await, 0, "the cursor goes on");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_commit_is_put_back() {
    let mut world = World::new().await;
    let _bob = world.connect(BOB).await;
    let id = world.group(ALICE, "g", &[BOB, CAROL, DAVE]).await;
    world.settle().await;
    for round in 0..5 {
        let before = world.undispatched().await;
        assert_eq!(before, 0);
        // The send commits; what fails are the lists that follow from it.
        world.engine().pause_dispatch();
        let (engine, action) = (Arc::clone(world.engine()), world.text("x"));
        let sending = tokio::spawn(async move {
            // What the round before had to spare may still fail the send.
            while engine.run(ALICE, id, action.clone()).await.is_err() {}
        });
        yield_all().await;
        for shard in &world.shards {
            for _ in 0..=round {
                shard.memory.fail_next_commit();
            }
        }
        world.fail_busy((round % 2) as usize, 1);
        world.engine().resume_dispatch();
        sending.await.unwrap();
        pass(400).await;
        assert!(world.undispatched().await > 0, "not before the lists are committed");
        pass(20_000).await;
        for member in [ALICE, BOB, CAROL, DAVE] {
            assert_eq!(stored(&world, member).await, [(id, 6 + round)]);
        }
        assert_eq!(world.undispatched().await, 0);
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_whose_commit_fails_is_told_so_and_loses_nothing() {
    let world = World::new().await;
    world.say(ALICE, direct(), "one").await;
    world.shard_of_user(BOB).memory.fail_next_commit();
    let failed = world.engine().sync(BOB, None, 10).await;
    assert_eq!(failed.unwrap_err(), ostracon_engine::EngineError::Unavailable);
    pass(20_000).await;
    assert_eq!(stored(&world, BOB).await, [(direct(), 4)]);
    assert_eq!(world.undispatched().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_leaves_lists_that_catch_up() {
    for crash_at in (0..40).chain((40..4_000).step_by(150)) {
        let mut world = World::new().await;
        let _alice = world.connect(ALICE).await;
        let id = world.group(ALICE, "g", &[BOB, CAROL]).await;
        world.say(ALICE, id, "one").await;
        world.say(CAROL, direct_of(CAROL), "two").await;
        if crash_at % 3 == 0 {
            world.engine().pause_dispatch();
        }
        let (engine, action) = (Arc::clone(world.engine()), world.text("three"));
        let sending = tokio::spawn(async move { engine.run(BOB, id, action).await });
        let hold = (crash_at % 4 == 1).then(|| world.shards[0].memory.hold());
        if crash_at < 40 {
            for _ in 0..crash_at {
                tokio::task::yield_now().await;
            }
        } else {
            pass(crash_at).await;
        }
        sending.abort();
        drop(sending.await);
        drop(hold);
        world.crash().await;
        world.start().await;
        world.settle().await;
        let (page, _) = {
            let page = ostracon_store::MessagePage::Newest { limit: 10 };
            world.engine().messages(ALICE, id, page).await.unwrap()
        };
        let rev = page.conversation.rev;
        assert!(rev >= 5);
        for member in [ALICE, BOB] {
            let lists = stored(&world, member).await;
            assert!(lists.contains(&(id, rev)), "crash at {crash_at}: {lists:?}, rev {rev}");
        }
        let carol = stored(&world, CAROL).await;
        assert!(carol.contains(&(direct_of(CAROL), 4)) && carol.contains(&(id, rev)));
        assert_eq!(world.undispatched().await, 0);
    }
}

fn direct_of(member: UserId) -> ConversationId {
    ConversationId::direct(member, DAVE)
}

#[tokio::test(start_paused = true)]
async fn members_that_cannot_be_read_are_read_later() {
    for ending in ["later", "crash", "stop"] {
        let mut world = World::new().await;
        let id = world.group(ALICE, "g", &[BOB]).await;
        world.settle().await;
        // Another engine does not know who is in the group.
        world.crash().await;
        world.start().await;
        let bob = world.connect(BOB).await;
        let shard = Arc::clone(world.shard_of(id));
        shard.members_fail.store(true, Ordering::Relaxed);
        let (engine, action) = (Arc::clone(world.engine()), world.text("hi"));
        let sending = tokio::spawn(async move { engine.run(ALICE, id, action).await });
        pass(2_000).await;
        assert!(!sending.is_finished());
        assert!(world.undispatched().await > 0);
        if ending == "later" {
            shard.members_fail.store(false, Ordering::Relaxed);
            sending.await.unwrap().unwrap();
            world.settle().await;
            assert_eq!(bob.words(), ["new s1 r4 hi"]);
        } else {
            if ending == "stop" {
                world.engine().stop().await;
            }
            sending.abort();
            drop(sending.await);
            world.crash().await;
            shard.members_fail.store(false, Ordering::Relaxed);
            world.start().await;
            world.settle().await;
        }
        assert_eq!(stored(&world, BOB).await, [(id, 4)], "{ending}");
        assert_eq!(world.undispatched().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_does_not_pass_what_waits_behind_a_reader() {
    let mut world = World::planned(crate::world::Plan { users: 12, ..Default::default() }).await;
    let away =
        |id: &UserId| !Arc::ptr_eq(world.shard_of(direct_with(*id)), world.shard_of_user(BOB));
    let peer = (3..=12).map(user).find(away).unwrap();
    let id = direct_with(peer);
    world.say(peer, id, "one").await;
    let hold = world.shard_of_user(BOB).memory.hold();
    let engine = Arc::clone(world.engine());
    let reading = tokio::spawn(async move { engine.sync(BOB, None, 10).await });
    hold.until_waiting(1).await;
    // Bob's first change is on its way for the reader; the second waits, and flushes pass it by.
    world.say(peer, id, "two").await;
    pass(10_000).await;
    assert!(!world.shard_of(id).undispatched(None, 10).await.unwrap().is_empty());
    reading.abort();
    drop(reading.await);
    world.crash().await;
    drop(hold);
    world.start().await;
    world.settle().await;
    assert_eq!(stored(&world, BOB).await, [(id, 5)]);
}

fn direct_with(peer: UserId) -> ConversationId {
    ConversationId::direct(peer, BOB)
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_little_to_repeat_and_ends_also_under_load() {
    let mut world = World::new().await;
    world.say(ALICE, direct(), "one").await;
    world.stop().await;
    assert_eq!(world.undispatched().await, 0);
    world.start().await;
    let alice = world.connect(ALICE).await;
    let engine = Arc::clone(world.engine());
    let flood = tokio::spawn(async move {
        let frame = serde_json::json!({
            "type": "send_message",
            "data": {"conversation_id": direct(), "content": "x"},
        });
        loop {
            engine.receive(&alice.connection, frame.to_string().as_bytes()).await;
            alice.read();
            tokio::task::yield_now().await;
        }
    });
    yield_all().await;
    world.engine().stop().await;
    flood.abort();
    drop(flood.await);
    world.crash().await;
    world.start().await;
    world.settle().await;
    assert_eq!(world.undispatched().await, 0);
    assert_eq!(stored(&world, BOB).await, stored(&world, ALICE).await);
}

#[tokio::test(start_paused = true)]
async fn many_offline_members_are_flushed_in_portions() {
    let plan = crate::world::Plan { users: 100, ..Default::default() };
    let world = World::planned(plan).await;
    let others: Vec<_> = (2..=100).map(user).collect();
    let id = world.group(ALICE, "g", &others).await;
    let action = Action::MarkRead { seq: 1 };
    world.say(ALICE, id, "x").await;
    for member in &others {
        world.run(*member, id, action.clone()).await.unwrap();
    }
    pass(7_000).await;
    for member in others {
        assert_eq!(stored(&world, member).await, [(id, 102)]);
    }
    assert_eq!(world.undispatched().await, 0);
}
