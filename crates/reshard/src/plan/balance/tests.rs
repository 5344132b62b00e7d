//! Balancing: what is even stays, what is not comes closer, what has just moved rests. And fewer shards than before, with
//! carved units.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{ConversationId, Cover, MapChange, PlacementMap, ShardId, UnitId, UserId};
use ostracon_store::ShardStats;

use super::{Sizes, balance};
use crate::plan::resize;

fn sizes(map: &PlacementMap, messages: &[u64]) -> Sizes {
    let of = |(id, messages): (usize, &u64)| {
        let stats = ShardStats { messages: *messages, ..ShardStats::default() };
        (ShardId(u32::try_from(id).unwrap()), stats)
    };
    Sizes::new(map, messages.iter().enumerate().map(of).collect())
}

fn shards(count: u32) -> Vec<ShardId> {
    (0..count).map(ShardId).collect()
}

/// Units that leave each shard, and those that come to it.
fn flow(map: &PlacementMap, messages: &[u64], resting: &BTreeSet<UnitId>) -> BTreeMap<u32, i64> {
    let count = u32::try_from(messages.len()).unwrap();
    let plan = balance(map, &sizes(map, messages), &shards(count), resting).unwrap();
    let mut flow = BTreeMap::new();
    for new in &plan.moves {
        let MapChange::Move { units, .. } = &new.change else { panic!("{new:?}") };
        assert!(units.iter().all(|unit| !resting.contains(unit)));
        *flow.entry(new.source.0).or_default() -= units.len() as i64;
        *flow.entry(new.destination.0).or_default() += units.len() as i64;
    }
    flow
}

#[test]
fn what_is_even_stays() {
    let map = PlacementMap::initial(&shards(4));
    let none = BTreeSet::new();
    assert!(flow(&map, &[0, 0, 0, 0], &none).is_empty());
    assert!(flow(&map, &[1_000, 1_000, 1_000, 1_000], &none).is_empty());
    assert!(flow(&map, &[1_040, 1_000, 980, 990], &none).is_empty(), "within the threshold");
}

#[test]
fn the_fullest_gives_to_the_emptiest() {
    let map = PlacementMap::initial(&shards(4));
    let flow = flow(&map, &[40_960, 20_480, 20_480, 0], &BTreeSet::new());
    assert!(flow[&0] < -1_000, "{flow:?}");
    assert!(flow[&3] > 1_000, "{flow:?}");
}

#[test]
fn a_new_shard_is_filled() {
    let map = PlacementMap::initial(&shards(3));
    let flow = flow(&map, &[30_000, 30_000, 30_000, 0], &BTreeSet::new());
    let came = flow[&3];
    assert!((3_800..=4_200).contains(&came), "{flow:?}");
}

#[test]
fn what_has_just_moved_rests() {
    let map = PlacementMap::initial(&shards(2));
    let resting = map.units().map(|(unit, _)| unit).collect();
    assert!(flow(&map, &[100_000, 0], &resting).is_empty());
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let map = PlacementMap::initial(&shards(3));
    let none = BTreeSet::new();
    let plan = || balance(&map, &sizes(&map, &[9_000, 100, 50]), &shards(3), &none).unwrap();
    assert_eq!(plan(), plan());
}

#[test]
fn without_shards_there_is_no_plan() {
    let map = PlacementMap::initial(&shards(1));
    assert!(balance(&map, &sizes(&map, &[1]), &[], &BTreeSet::new()).is_err());
}

#[test]
fn fewer_shards_take_carved_units_too() {
    let map = PlacementMap::initial(&shards(4));
    let talk = ConversationId::direct(UserId::new(1).unwrap(), UserId::new(2).unwrap());
    let (unit, child) = (map.unit_of(talk), UnitId(20_000));
    let carve = MapChange::Carve { parents: vec![unit], child, cover: Cover::Conversation(talk) };
    let mut map = map.apply(&carve).unwrap();
    let away = MapChange::Move { units: vec![child], to: ShardId(3) };
    if map.home(child).unwrap().shard != ShardId(3) {
        map = map.apply(&away).unwrap();
    }
    let plan = resize(&map, &sizes(&map, &[9, 9, 9, 9]), &shards(2)).unwrap();
    for new in &plan.moves {
        map = map.apply(&new.change).unwrap();
    }
    let mut held: BTreeMap<ShardId, usize> = BTreeMap::new();
    for (_, home) in map.units() {
        *held.entry(home.shard).or_default() += 1;
    }
    assert_eq!(held.keys().copied().collect::<Vec<_>>(), shards(2));
    assert_eq!(held.values().sum::<usize>(), 16_385);
    let slots = |shard| {
        map.units().filter(|(unit, home)| home.shard == shard && unit.slot().is_some()).count()
    };
    assert_eq!((slots(ShardId(0)), slots(ShardId(1))), (8_192, 8_192));
}
