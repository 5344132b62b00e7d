//! Moves as asked for: one unit, a new shard, a drained one, back again.

use ostracon_domain::{ShardId, id::SLOTS};
use ostracon_reshard::plan::{self, Sizes};
use ostracon_store::{
    Moves,
    directory::{JobState, MovePhase},
};

use crate::world::{World, talk, user};

#[tokio::test(start_paused = true)]
async fn a_unit_moves_with_everything_in_it() {
    let world = World::new(2).await;
    let id = talk(1, 2);
    let unit = id.slot().unit();
    let from = world.map().await.home(unit).unwrap().shard.0;
    for n in 1..=50 {
        world.say(id, user(1), &n.to_string()).await;
    }
    world.start();
    let to = 1 - from;
    let job = world.begin_moves(world.one(unit, from, to)).await;
    for n in 51..=80 {
        assert_eq!(world.say(id, user(2), &n.to_string()).await, n);
    }
    assert_eq!(world.over(job).await, JobState::Done);
    assert_eq!(world.map().await.home(unit).unwrap().shard, ShardId(to));
    assert_eq!(world.say(id, user(1), "81").await, 81);
    let texts: Vec<String> = (1..=81).map(|n| n.to_string()).collect();
    assert_eq!(world.texts(id).await, texts);
    world.clean().await;
    world.check().await;
    // And back at once.
    let job = world.begin_moves(world.one(unit, to, from)).await;
    assert_eq!(world.say(id, user(2), "82").await, 82);
    assert_eq!(world.over(job).await, JobState::Done);
    assert_eq!(world.texts(id).await.len(), 82);
    world.clean().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn sixteen_become_thirty_two_and_only_half_moves() {
    let old: Vec<ShardId> = (0..16).map(ShardId).collect();
    let new: Vec<ShardId> = (16..32).map(ShardId).collect();
    let map = ostracon_domain::PlacementMap::initial(&old);
    let sizes = Sizes::default();
    let plan = plan::add(&map, &sizes, &old, &new).unwrap();
    let mut after = map.clone();
    let mut moved = 0;
    for new in &plan.moves {
        moved += new.change.units().len();
        after = after.apply(&new.change).unwrap();
    }
    assert_eq!(moved, usize::from(SLOTS) / 2);
    for (unit, home) in after.units() {
        assert_eq!(home.shard.0, unit.0 % 32);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_added_and_another_drained_while_people_talk() {
    let world = World::new(3).await;
    world.start();
    let map = world.map().await;
    // Two shards take what the third holds; then it is given back.
    let accepting = [ShardId(0), ShardId(1)];
    for n in 0..40 {
        world.say(talk(1, 2 + n), user(1), "hello").await;
    }
    let sizes = Sizes::default();
    let mut drained = plan::drain(&map, &sizes, &accepting, ShardId(2)).unwrap();
    // Those that have something in them, and a few others: the memory twin copies maps.
    let held: Vec<_> = (0..40).map(|n| talk(1, 2 + n).slot().unit()).collect();
    drained.moves.retain(|new| new.change.units().iter().any(|unit| held.contains(unit)));
    let job = world.begin(drained).await;
    for round in 0..20 {
        for n in 0..40 {
            assert_eq!(world.say(talk(1, 2 + n), user(2 + n), "again").await, 2 + round);
        }
    }
    assert_eq!(world.over(job).await, JobState::Done);
    world.clean().await;
    world.check().await;
    let map = world.map().await;
    assert!(held.iter().all(|unit| map.home(*unit).unwrap().shard != ShardId(2)));
    let moves = world.directory.moves_of(job).await.unwrap();
    let undo = plan::undo(&map, &moves).unwrap();
    let (state, moves) = world.run(undo).await;
    assert_eq!(state, JobState::Done);
    assert!(moves.iter().all(|row| row.phase == MovePhase::Done && row.progress.freezes >= 1));
    for n in 0..40 {
        assert_eq!(world.texts(talk(1, 2 + n)).await.len(), 21);
    }
    world.clean().await;
    world.check().await;
}
