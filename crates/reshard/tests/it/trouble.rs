//! What goes wrong: restarts of either side, a task that dies, a job that is given up.

use std::time::Duration;

use ostracon_domain::{ShardId, UnitId};
use ostracon_store::{
    Moves, Transfer, UnitPhase,
    directory::{JobState, MovePhase},
};
use tokio::time::Instant;

use crate::world::{START, World, talk, user};

/// Moves back and forth while something happens at random moments; nothing may be lost. The longest that a message took.
async fn back_and_forth(world: &World, rounds: u32, disturb: impl AsyncFn(u32)) -> Duration {
    let id = talk(1, 2);
    let unit = id.slot().unit();
    let mut said = 0;
    let mut longest = Duration::ZERO;
    for n in 0..30 {
        said += 1;
        assert_eq!(world.say(id, user(1), &n.to_string()).await, said);
    }
    for round in 0..rounds {
        let from = world.map().await.home(unit).unwrap().shard.0;
        let job = world.begin_moves(world.one(unit, from, 1 - from)).await;
        for n in 0..10 {
            disturb(round * 10 + n).await;
            said += 1;
            let began = Instant::now();
            assert_eq!(world.say(id, user(2), "more").await, said);
            longest = longest.max(began.elapsed());
            tokio::time::sleep(Duration::from_micros(u64::from((round * 7 + n) % 40) * 300)).await;
        }
        let state = world.over(job).await;
        assert!(matches!(state, JobState::Done | JobState::Failed));
        world.clean().await;
        world.check().await;
        assert_eq!(world.texts(id).await.len() as u64, said);
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn shards_that_restart() {
    let world = World::new(2).await;
    world.start();
    back_and_forth(&world, 20, async |n| {
        if n % 3 == 0 {
            world.memory[&ShardId(n % 2)].restart();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_task_of_a_move_dies() {
    let world = World::new(2).await;
    world.start();
    let longest = back_and_forth(&world, 20, async |n| {
        if n % 4 == 1 {
            for id in world.coordinator.moves_under_way() {
                world.coordinator.kill(id);
            }
            world.coordinator.wake();
        }
    })
    .await;
    // By the clock of the test, on which only waits take time.
    assert!(longest <= Duration::from_millis(1_500), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_is_given_up() {
    let world = World::new(2).await;
    let id = talk(1, 2);
    let unit = id.slot().unit();
    for n in 0..100 {
        world.say(id, user(1), &n.to_string()).await;
    }
    let from = world.map().await.home(unit).unwrap().shard.0;
    world.start();
    let job = world.begin_moves(world.one(unit, from, 1 - from)).await;
    // It may be over before anybody looks: then there is nothing to give up.
    while world.directory.moves_of(job).await.unwrap()[0].phase == MovePhase::Planned {
        tokio::task::yield_now().await;
    }
    let running = [JobState::Running];
    world.directory.set_job(job, &running, JobState::Aborted, None, START).await.unwrap();
    world.coordinator.stop_job(job);
    loop {
        let moves = world.directory.moves_of(job).await.unwrap();
        if moves.iter().all(|row| matches!(row.phase, MovePhase::Aborted | MovePhase::Done)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.clean().await;
    world.check().await;
    assert_eq!(world.say(id, user(1), "100").await, 101);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_given_up_at_another_node_ends() {
    let world = World::new(2).await;
    let id = talk(1, 2);
    let unit = id.slot().unit();
    for n in 0..100 {
        world.say(id, user(1), &n.to_string()).await;
    }
    let from = world.map().await.home(unit).unwrap().shard.0;
    // Whoever began it has died, and nobody tells the one that takes over.
    let job = world.begin_moves(world.one(unit, from, 1 - from)).await;
    let first = world.directory.moves_of(job).await.unwrap()[0].id;
    world.directory.begin_move(first, START).await.unwrap();
    let running = [JobState::Running];
    world.directory.set_job(job, &running, JobState::Aborted, None, START).await.unwrap();
    world.start();
    world.coordinator.wake();
    let mut moves = world.directory.moves_of(job).await.unwrap();
    while moves[0].phase.is_active() {
        tokio::task::yield_now().await;
        moves = world.directory.moves_of(job).await.unwrap();
    }
    assert_eq!(moves[0].phase, MovePhase::Aborted);
    world.clean().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn an_old_job_is_driven_behind_many_newer_ones() {
    let world = World::new(2).await;
    let unit = talk(1, 2).slot().unit();
    let from = world.map().await.home(unit).unwrap().shard.0;
    let job = world.begin_moves(world.one(unit, from, 1 - from)).await;
    for _ in 0..250 {
        let newer = world.begin_moves(Vec::new()).await;
        let running = [JobState::Running];
        world.directory.set_job(newer, &running, JobState::Done, None, START).await.unwrap();
    }
    world.start();
    assert_eq!(world.over(job).await, JobState::Done);
    world.clean().await;
    world.check().await;
}

async fn phase(world: &World, shard: u32, unit: UnitId) -> UnitPhase {
    let states = world.memory[&ShardId(shard)].unit_states().await.unwrap();
    states.iter().find(|state| state.unit == unit).unwrap().phase
}

/// Whoever sends while a coordinator stops is answered: by the source, or by the destination if the switch is done.
async fn a_stop_in_the_freeze(hold: Duration) {
    let mut world = World::new(2).await;
    let id = talk(1, 2);
    let unit = id.slot().unit();
    for n in 0..20 {
        world.say(id, user(1), &n.to_string()).await;
    }
    let from = world.map().await.home(unit).unwrap().shard.0;
    // What was committed is not handed over: the freeze stands still behind everything that it copied.
    world.node.dispatch_held.send_replace(true);
    let running = world.start();
    let job = world.begin_moves(world.one(unit, from, 1 - from)).await;
    while phase(&world, from, unit).await != UnitPhase::Frozen {
        tokio::task::yield_now().await;
    }
    world.stop();
    let begun = Instant::now();
    let release = async {
        tokio::time::sleep(hold).await;
        world.node.dispatch_held.send_replace(false);
    };
    let (stopped, ()) = tokio::join!(running, release);
    stopped.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2) + hold, "{:?}", begun.elapsed());
    let home = world.map().await.home(unit).unwrap().shard.0;
    let serving = phase(&world, home, unit).await;
    assert!(matches!(serving, UnitPhase::Open | UnitPhase::Capturing), "{serving:?}");
    assert_eq!(world.say(id, user(2), "nobody coordinates").await, 21);

    drop(world.restart());
    assert_eq!(world.over(job).await, JobState::Done);
    world.clean().await;
    world.check().await;
    assert_eq!(world.say(id, user(1), "moved").await, 22);
    assert_eq!(world.texts(id).await.len(), 22);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_freeze_lets_the_switch_end() {
    a_stop_in_the_freeze(Duration::from_millis(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_a_freeze_that_cannot_end_thaws() {
    a_stop_in_the_freeze(Duration::from_secs(5)).await;
}
