//! A shard that does not answer: what does not need it goes on.

use std::time::Duration;

use ostracon_domain::{ConversationId, Epoch, ShardId, UnitId};
use ostracon_store::{
    Moves, Pair, Transfer, UnitChange,
    UnitPhase::{self, Capturing, Frozen, Importing, Moved, Open},
    directory::{JobState, MovePhase},
};

use crate::{
    silent_shard::SilentShard,
    world::{START, World, talk, user},
};

/// Two conversations of different units that live on this shard.
async fn two_on(world: &World, shard: ShardId) -> [ConversationId; 2] {
    let map = world.map().await;
    let mut here = (2..).map(|n| talk(1, n)).filter(|id| {
        let unit = id.slot().unit();
        map.home(unit).unwrap().shard == shard
    });
    let first = here.next().unwrap();
    let second = here.find(|id| id.slot() != first.slot()).unwrap();
    [first, second]
}

async fn phase(world: &World, shard: ShardId, unit: UnitId) -> UnitPhase {
    let states = world.memory[&shard].unit_states().await.unwrap();
    states.iter().find(|state| state.unit == unit).unwrap().phase
}

async fn wait_until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never comes that {what}");
}

#[tokio::test(start_paused = true)]
async fn a_job_is_given_up_while_the_destination_does_not_answer() {
    let world = World::new(3).await;
    let (from, to) = (ShardId(0), ShardId(1));
    let [id, other] = two_on(&world, from).await;
    let unit = id.slot().unit();
    for n in 0..30 {
        world.say(id, user(1), &n.to_string()).await;
    }
    let destination = SilentShard::before(&world, to);
    destination.fall_silent_in_a_copy();
    world.start();
    let job = world.begin_moves(world.one(unit, from.0, to.0)).await;
    wait_until("the destination dies", async || destination.is_silent()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let at = async || world.directory.moves_of(job).await.unwrap()[0].clone();
    assert_eq!(at().await.phase, MovePhase::Copying);

    let running = [JobState::Running];
    world.directory.set_job(job, &running, JobState::Aborted, None, START).await.unwrap();
    world.coordinator.stop_job(job);
    let serves = async || phase(&world, from, unit).await == Open;
    wait_until("the source serves as before", serves).await;
    assert_eq!(world.say(id, user(1), "given up").await, 31);
    // The source is free for others, and what is owed to the destination is no secret.
    let (state, _) = world.run(moved(&world, other, from, ShardId(2))).await;
    assert_eq!(state, JobState::Done);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let row = at().await;
    assert_eq!(row.phase, MovePhase::Aborting);
    let why = row.error.unwrap();
    assert!(why.starts_with("given up by request; and then: no answer"), "{why}");
    assert!(why.len() < 200, "{why}");

    destination.be_silent(false);
    let over = async || at().await.phase == MovePhase::Aborted;
    wait_until("the destination has heard of it", over).await;
    assert_eq!(phase(&world, to, unit).await, Moved);
    world.clean().await;
    world.check().await;
    assert_eq!(world.say(id, user(1), "all well").await, 32);
}

fn moved(
    world: &World,
    id: ConversationId,
    from: ShardId,
    to: ShardId,
) -> ostracon_reshard::plan::Plan {
    let moves = world.one(id.slot().unit(), from.0, to.0);
    ostracon_reshard::plan::Plan { before: None, moves }
}

#[tokio::test(start_paused = true)]
async fn a_take_over_thaws_the_source_while_the_destination_does_not_answer() {
    let world = World::new(2).await;
    let (from, to) = (ShardId(0), ShardId(1));
    let [id, _] = two_on(&world, from).await;
    let unit = id.slot().unit();
    for n in 0..20 {
        world.say(id, user(1), &n.to_string()).await;
    }
    let destination = SilentShard::before(&world, to);
    world.node.dispatch_held.send_replace(true);
    world.start();
    let job = world.begin_moves(world.one(unit, from.0, to.0)).await;
    while phase(&world, from, unit).await != Frozen {
        tokio::task::yield_now().await;
    }
    destination.be_silent(true);
    for id in world.coordinator.moves_under_way() {
        assert!(world.coordinator.kill(id));
    }
    let serves = async || phase(&world, from, unit).await == Capturing;
    wait_until("the source serves", serves).await;
    assert_eq!(world.say(id, user(1), "thawed").await, 21);
    let moves = world.directory.moves_of(job).await.unwrap();
    assert_eq!(moves[0].phase, MovePhase::Copying);

    world.node.dispatch_held.send_replace(false);
    destination.be_silent(false);
    assert_eq!(world.over(job).await, JobState::Done);
    world.clean().await;
    world.check().await;
    assert_eq!(world.texts(id).await.len(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_silent_shard_is_asked_once_a_second() {
    let world = World::new(2).await;
    let shard = SilentShard::before(&world, ShardId(1));
    shard.be_silent(true);
    world.start();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let asked = shard.asked();
    assert!((15..=21).contains(&asked), "{asked}");
    shard.be_silent(false);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(shard.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_dies_while_a_unit_is_closed_holds_nobody_up() {
    let mut world = World::new(3).await;
    let (left, stays) = (ShardId(0), ShardId(1));
    let [id, _] = two_on(&world, left).await;
    let [other, _] = two_on(&world, stays).await;
    let unit = id.slot().unit();
    world.say(id, user(1), "one").await;
    let running = world.start();
    let (state, _) = world.run(moved(&world, id, left, stays)).await;
    assert_eq!(state, JobState::Done);
    world.clean().await;
    world.stop();
    running.await.unwrap();
    // As after a back-up of the shard was restored: it serves what it served once.
    let mut from = (Moved, Epoch(1));
    for (step, phase) in [(1, Importing), (2, Open)] {
        let (epoch, pair) = (Epoch(1), Pair { lease: 1_000, step });
        let change = UnitChange { unit, expect: Some(from), phase, epoch, pair };
        world.memory[&left].set_unit_state(change).await.unwrap();
        from = (phase, epoch);
    }
    let shard = SilentShard::before(&world, left);
    shard.be_stiff(true);
    drop(world.restart());
    let (state, _) = world.run(moved(&world, other, stays, ShardId(2))).await;
    assert_eq!(state, JobState::Done);
    assert_eq!(phase(&world, left, unit).await, Open);
    shard.be_stiff(false);
    let closed = async || phase(&world, left, unit).await == Moved;
    wait_until("it is closed", closed).await;
    world.clean().await;
    world.check().await;
}
