//! Isolating a conversation and a hot user, and taking it back.

use std::collections::BTreeSet;

use ostracon_domain::{MapChange, ShardId, Slot};
use ostracon_reshard::plan;
use ostracon_store::{Moves, directory::JobState};

use crate::world::{World, talk, user};

#[tokio::test(start_paused = true)]
async fn one_conversation_goes_alone_and_comes_back() {
    let world = World::new(2).await;
    world.start();
    let id = talk(1, 2);
    for n in 1..=10 {
        world.say(id, user(1), &n.to_string()).await;
    }
    let map = world.map().await;
    let from = map.home(map.unit_of(id)).unwrap().shard;
    let to = ShardId(1 - from.0);
    let child = world.directory.reserve_units(1).await.unwrap();
    let plan = plan::conversation(&map, id, to, child).unwrap();
    let job = world.begin(plan).await;
    for n in 11..=20 {
        assert_eq!(world.say(id, user(2), &n.to_string()).await, n);
    }
    assert_eq!(world.over(job).await, JobState::Done);
    let map = world.map().await;
    assert_eq!((map.unit_of(id), map.home(child).unwrap().shard), (child, to));
    world.clean().await;
    world.check().await;
    // Moving it where it is does nothing; undoing brings it back.
    assert!(plan::conversation(&map, id, to, child).unwrap().moves.is_empty());
    let undo = plan::undo(&map, &world.directory.moves_of(job).await.unwrap()).unwrap();
    let job = world.begin(undo).await;
    assert_eq!(world.say(id, user(1), "21").await, 21);
    assert_eq!(world.over(job).await, JobState::Done);
    let map = world.map().await;
    assert_eq!((map.unit_of(id), map.home(child)), (id.slot().unit(), None));
    assert_eq!(world.texts(id).await.len(), 21);
    world.clean().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_nobody_has_opened_goes_alone_too() {
    let world = World::new(2).await;
    world.start();
    let id = talk(1, 2);
    let map = world.map().await;
    let from = map.home(map.unit_of(id)).unwrap().shard;
    let to = ShardId(1 - from.0);
    let child = world.directory.reserve_units(1).await.unwrap();
    let job = world.begin(plan::conversation(&map, id, to, child).unwrap()).await;
    assert_eq!(world.over(job).await, JobState::Done);
    assert_eq!(world.say(id, user(1), "first").await, 1);
    let map = world.map().await;
    assert_eq!((map.unit_of(id), map.home(child).unwrap().shard), (child, to));
    world.clean().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_carve_goes_on_when_its_shard_starts_anew() {
    let world = World::new(2).await;
    let id = talk(1, 2);
    world.say(id, user(1), "first").await;
    let map = world.map().await;
    let from = map.home(map.unit_of(id)).unwrap().shard;
    let child = world.directory.reserve_units(1).await.unwrap();
    let plan = plan::conversation(&map, id, ShardId(1 - from.0), child).unwrap();
    world.start();
    let job = world.begin(plan).await;
    for _ in 0..40 {
        world.memory[&from].restart();
        tokio::task::yield_now().await;
    }
    assert_eq!(world.over(job).await, JobState::Done);
    assert_eq!(world.texts(id).await, ["first"]);
    world.clean().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_hot_user_is_spread_over_shards_and_comes_home() {
    let world = World::new(4).await;
    world.start();
    let hot = user(1);
    let people = 40;
    for n in 1..=people {
        world.say(talk(1, 1 + n), hot, "first").await;
        world.say(talk(2, 2 + n), user(2), "not theirs").await;
    }
    let map = world.map().await;
    let slots: BTreeSet<Slot> = (1..=people).map(|n| talk(1, 1 + n).slot()).collect();
    let to = [ShardId(2), ShardId(3)];
    let rank = world.directory.next_rank().await.unwrap();
    let first = world.directory.reserve_units(8).await.unwrap();
    let plan = plan::user(&map, hot, &slots, &to, rank, first).unwrap();
    let job = world.begin(plan).await;
    for n in 1..=people {
        assert_eq!(world.say(talk(1, 1 + n), user(1 + n), "second").await, 2);
    }
    // A conversation that is born meanwhile.
    world.say(talk(1, 900), hot, "born").await;
    assert_eq!(world.over(job).await, JobState::Done);
    let map = world.map().await;
    for n in 1..=people {
        let id = talk(1, 1 + n);
        let home = map.home(map.unit_of(id)).unwrap().shard;
        assert_eq!(home, to[usize::from(id.slot().get()) % 2]);
        assert_eq!(world.texts(id).await, ["first", "second"]);
    }
    world.clean().await;
    world.check().await;
    let undo = plan::undo(&map, &world.directory.moves_of(job).await.unwrap()).unwrap();
    let job = world.begin(undo).await;
    for n in 1..=people {
        assert_eq!(world.say(talk(1, 1 + n), user(1 + n), "third").await, 3);
    }
    assert_eq!(world.over(job).await, JobState::Done);
    let map = world.map().await;
    assert!(map.user_override(hot).is_none(), "nothing is left of the override");
    for n in 1..=people {
        let id = talk(1, 1 + n);
        assert_eq!(map.unit_of(id), id.slot().unit());
        assert_eq!(world.texts(id).await, ["first", "second", "third"]);
        assert_eq!(world.texts(talk(2, 2 + n)).await.first().unwrap(), "not theirs");
    }
    world.clean().await;
    world.check().await;
    let twice = MapChange::ForgetUser { user: hot };
    world.directory.change_overrides(&twice).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_user_who_has_nothing_yet_is_isolated_too() {
    let world = World::new(2).await;
    world.start();
    let nobody = user(77);
    let map = world.map().await;
    let to = [ShardId(1 - map.home(map.unit_of_user(nobody)).unwrap().shard.0)];
    let rank = world.directory.next_rank().await.unwrap();
    let first = world.directory.reserve_units(2).await.unwrap();
    let plan = plan::user(&map, nobody, &BTreeSet::new(), &to, rank, first).unwrap();
    let (state, moves) = world.run(plan).await;
    assert_eq!(state, JobState::Done, "{moves:?}");
    let map = world.map().await;
    let own = map.unit_of_user(nobody);
    assert_eq!(map.home(own).unwrap().shard, to[0]);
    world.clean().await;
    world.check().await;
}
