//! Who is noted for being told elsewhere, and whether it still holds when it is to be told.

use std::time::Duration;

use ostracon_domain::{Action, ConversationId, UserId};
use ostracon_engine::{AwayLook, AwayOptions, AwayQuestion};
use ostracon_store::{
    Errands as _, Push as _,
    directory::{Errand, ErrandKind, NewSubscription},
};

use crate::world::{ALICE, BOB, CAROL, Plan, World, pass, user};

fn pair() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

/// Everybody is noted, and every message is told to one system.
fn all() -> AwayOptions {
    AwayOptions { delay: Duration::from_secs(2), everybody: true, created: vec!["crm".to_owned()] }
}

fn only_devices() -> AwayOptions {
    AwayOptions { everybody: false, created: Vec::new(), ..all() }
}

async fn world(away: AwayOptions) -> World {
    World::planned(Plan { away: Some(away), ..Plan::default() }).await
}

/// What is in the queue, also what is not due yet.
async fn queue(world: &World) -> Vec<Errand> {
    let mut queue = world.directory.take_errands(i64::MAX - 1, i64::MAX, 1_000).await.unwrap();
    queue.sort_by(|one, other| one.key.cmp(&other.key));
    queue
}

/// "2: 1 of 1", "crm 1": whom, the newest message and how many; or which system.
async fn told(world: &World) -> Vec<String> {
    let words = |errand: &Errand| match &errand.kind {
        ErrandKind::Tell { user, .. } => format!("{user}: {} of {}", errand.seq, errand.count),
        ErrandKind::Event { hook, .. } => format!("{hook} {}", errand.seq),
        ErrandKind::Device { .. } => unreachable!(),
    };
    queue(world).await.iter().map(words).collect()
}

fn asked(user: UserId, seq: u64) -> AwayQuestion {
    AwayQuestion {
        user,
        conversation: pair(),
        seq,
        mention_seq: 0,
        count: seq as u32,
        mentions_only: false,
    }
}

/// "tell 2", "read", "later".
async fn look(world: &World, question: AwayQuestion) -> String {
    match world.engine().look_away(question).await.unwrap() {
        AwayLook::Tell(news) => format!("tell {}", news.message.seq),
        AwayLook::Silent(why) => why.to_owned(),
        AwayLook::Later(_) => "later".to_owned(),
    }
}

async fn subscribe(world: &World, user: UserId) {
    let new = NewSubscription {
        user,
        session: None,
        endpoint: format!("https://push.example/{user}"),
        p256dh: [4; 65],
        auth: [1; 16],
        expires_at: None,
    };
    world.directory.subscribe(new, 1).await.unwrap();
    world.engine().subscribed(user);
}

#[tokio::test(start_paused = true)]
async fn everybody_but_the_sender_is_noted() {
    let world = world(all()).await;
    let group = world.group(ALICE, "friends", &[BOB, CAROL]).await;
    world.say(BOB, group, "one").await;
    world.say(BOB, group, "two").await;
    world.settle().await;
    assert_eq!(told(&world).await, ["crm 1", "crm 2", "1: 2 of 2", "3: 2 of 2"]);
    assert_eq!(world.undispatched().await, 0, "the cursor goes on");
}

#[tokio::test(start_paused = true)]
async fn without_another_system_only_who_has_a_device_is_noted() {
    let world = world(only_devices()).await;
    world.say(ALICE, pair(), "nobody cares").await;
    subscribe(&world, BOB).await;
    world.say(ALICE, pair(), "somebody does").await;
    world.say(BOB, pair(), "not for himself").await;
    world.settle().await;
    assert_eq!(told(&world).await, ["2: 2 of 1"]);
    assert_eq!(world.undispatched().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_loses_nothing_and_doubles_nothing() {
    for crash_at in [0, 1, 50, 150, 199, 200, 201, 250, 400, 600, 1_000, 3_000] {
        let mut world = world(all()).await;
        subscribe(&world, BOB).await;
        world.say(ALICE, pair(), "one").await;
        world.say(ALICE, pair(), "two").await;
        pass(crash_at).await;
        world.crash().await;
        world.start().await;
        world.settle().await;
        let all = queue(&world).await;
        let tell: Vec<_> =
            all.iter().filter(|one| matches!(one.kind, ErrandKind::Tell { .. })).collect();
        assert_eq!((tell.len(), tell[0].seq), (1, 2), "crash at {crash_at}");
        assert_eq!(all.len(), 3, "crash at {crash_at}: {all:?}");
        assert_eq!(world.undispatched().await, 0, "crash at {crash_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_nothing_behind() {
    let mut world = world(all()).await;
    world.say(ALICE, pair(), "one").await;
    world.stop().await;
    assert_eq!(told(&world).await, ["crm 1", "2: 1 of 1"]);
    assert_eq!(world.undispatched().await, 0);
}

#[tokio::test(start_paused = true)]
async fn of_a_large_group_only_who_is_mentioned_is_noted() {
    let plan = Plan {
        users: 130,
        away: Some(AwayOptions { created: Vec::new(), ..all() }),
        ..Plan::default()
    };
    let mut world = World::planned(plan).await;
    let others: Vec<UserId> = (2..=120).map(user).collect();
    let group = world.group(ALICE, "crowd", &others).await;
    world.say(ALICE, group, "all of you").await;
    world.settle().await;
    assert_eq!(told(&world).await, [""; 0]);
    let question = AwayQuestion { conversation: group, ..asked(BOB, 1) };
    assert_eq!(look(&world, question).await, "not_mentioned");
    // The same after a crash.
    world.say(ALICE, group, "and again").await;
    world.crash().await;
    world.start().await;
    world.settle().await;
    assert_eq!(told(&world).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_telling_is_silent() {
    let world = world(only_devices()).await;
    for text in ["one", "two", "three"] {
        world.say(ALICE, pair(), text).await;
    }
    assert_eq!(look(&world, asked(BOB, 3)).await, "tell 3");
    let delete = |seq| Action::Delete { seq };
    world.run(ALICE, pair(), delete(3)).await.unwrap();
    assert_eq!(look(&world, asked(BOB, 3)).await, "tell 2", "the newest that is still there");
    assert_eq!(look(&world, AwayQuestion { count: 1, ..asked(BOB, 3) }).await, "deleted");
    let mentions = AwayQuestion { mentions_only: true, ..asked(BOB, 3) };
    assert_eq!(look(&world, mentions).await, "not_mentioned");
    world.run(BOB, pair(), Action::MarkRead { seq: 2 }).await.unwrap();
    assert_eq!(look(&world, asked(BOB, 2)).await, "read");
    assert_eq!(look(&world, asked(BOB, 3)).await, "deleted");
    assert_eq!(look(&world, asked(CAROL, 3)).await, "gone", "a stranger");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_looked_at_takes_it_itself() {
    let world = world(only_devices()).await;
    let bob = world.connect(BOB).await;
    let advance = async |ms: u64| {
        pass(ms).await;
        world.clock.advance(ms as i64);
    };
    advance(10).await;
    world.say(ALICE, pair(), "one").await;
    advance(2_000).await;
    assert_eq!(look(&world, asked(BOB, 1)).await, "later", "not heard since");
    bob.connection.hear();
    advance(10).await;
    assert_eq!(look(&world, asked(BOB, 1)).await, "delivered");
    world.engine().disconnect(&bob.connection);
    assert_eq!(look(&world, asked(BOB, 1)).await, "tell 1", "it may have come and not been seen");
    // In the background nobody looks at it.
    let engine = world.engine();
    let encoding = bob.connection.encoding;
    let background = engine.connect_in_background(BOB, 9, encoding).await.unwrap();
    background.hear();
    advance(10).await;
    assert_eq!(look(&world, asked(BOB, 1)).await, "tell 1");
}
