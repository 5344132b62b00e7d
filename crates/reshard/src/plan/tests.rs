//! What plans move, and what they leave alone.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{ConversationId, MapChange, PlacementMap, ShardId, Slot, UnitId, UserId};
use ostracon_store::ShardStats;

use super::{
    NoPlan, PARENTS_A_CARVE, Plan, Sizes, UNITS_A_MOVE, add, conversation, drain, spread, user,
};

fn shards(n: u32) -> Vec<ShardId> {
    (0..n).map(ShardId).collect()
}

fn after(map: &PlacementMap, plan: &Plan) -> PlacementMap {
    let before = plan.before.iter().chain(plan.moves.iter().map(|new| &new.change));
    before.fold(map.clone(), |map, change| map.apply(change).expect("a plan fits its map"))
}

fn held(map: &PlacementMap) -> BTreeMap<ShardId, usize> {
    let mut held = BTreeMap::new();
    map.units().for_each(|(_, home)| *held.entry(home.shard).or_default() += 1);
    held
}

fn moved(plan: &Plan) -> usize {
    let moves = plan.moves.iter().filter(|new| matches!(new.change, MapChange::Move { .. }));
    moves.map(|new| new.change.units().len()).sum()
}

#[test]
fn a_new_shard_gets_its_share_and_nothing_else_moves() {
    let sizes = Sizes::default();
    for (old, new) in [(4, 1), (3, 2), (1, 1), (5, 4)] {
        let map = PlacementMap::initial(&shards(old));
        let all = shards(old + new);
        let plan = add(&map, &sizes, &shards(old), &all[old as usize..]).unwrap();
        let map = after(&map, &plan);
        let held = held(&map);
        let (least, most) = (held.values().min(), held.values().max());
        assert!(most.unwrap() - least.unwrap() <= 1, "{held:?}");
        let arrived: usize = all[old as usize..].iter().map(|id| held[id]).sum();
        assert_eq!(moved(&plan), arrived, "only to the new ones");
        assert!(plan.moves.iter().all(|new| new.change.units().len() <= UNITS_A_MOVE));
        // What is even stays as it is.
        assert_eq!(spread(&map, &sizes, &all).unwrap(), Plan::default());
    }
}

#[test]
fn a_doubling_ends_where_the_new_number_says() {
    let map = PlacementMap::initial(&shards(2));
    let plan = spread(&map, &Sizes::default(), &shards(4)).unwrap();
    let map = after(&map, &plan);
    assert!(map.units().all(|(unit, home)| home.shard.0 == unit.0 % 4));
}

#[test]
fn a_drained_shard_is_empty_and_the_others_are_even() {
    let map = PlacementMap::initial(&shards(4));
    let plan = drain(&map, &Sizes::default(), &shards(4), ShardId(1)).unwrap();
    let held = held(&after(&map, &plan));
    assert_eq!(held.get(&ShardId(1)), None);
    assert!(held.values().max().unwrap() - held.values().min().unwrap() <= 1);
    let nowhere = drain(&map, &Sizes::default(), &[ShardId(1)], ShardId(1));
    assert_eq!(nowhere, Err(NoPlan::Nowhere));
    assert_eq!(spread(&map, &Sizes::default(), &[]), Err(NoPlan::Nowhere));
}

#[test]
fn large_units_go_alone() {
    let map = PlacementMap::initial(&shards(2));
    let stats = ShardStats { conversations: 8_192 * 1_500, messages: 1, ..ShardStats::default() };
    let sizes = Sizes::new(&map, [(ShardId(0), stats.clone()), (ShardId(1), stats)].into());
    let plan = spread(&map, &sizes, &shards(3)).unwrap();
    assert!(plan.moves.iter().all(|new| new.change.units().len() == 1));
    let estimate = sizes.estimate(&plan);
    assert_eq!(estimate.units as usize, moved(&plan));
    assert!(estimate.rows > 1_000_000 && estimate.time.as_secs() > 60);
}

#[test]
fn a_conversation_is_carved_once_and_moved() {
    let map = PlacementMap::initial(&shards(3));
    let id = ConversationId::direct(UserId::new(1).unwrap(), UserId::new(2).unwrap());
    let home = map.home(map.unit_of(id)).unwrap().shard;
    let stays = conversation(&map, id, home, UnitId(20_000)).unwrap();
    assert_eq!(stays, Plan::default());
    let to = ShardId((home.0 + 1) % 3);
    let plan = conversation(&map, id, to, UnitId(20_000)).unwrap();
    assert_eq!(plan.moves.len(), 2);
    let map = after(&map, &plan);
    assert_eq!(map.unit_of(id), UnitId(20_000));
    assert_eq!(map.home(UnitId(20_000)).unwrap().shard, to);
    // Once more: its own unit moves.
    let plan = conversation(&map, id, home, UnitId(20_001)).unwrap();
    assert_eq!((plan.moves.len(), moved(&plan)), (1, 1));
}

#[test]
fn a_hot_user_goes_to_the_targets_by_slot() {
    let map = PlacementMap::initial(&shards(4));
    let hot = UserId::new(42).unwrap();
    let of = |n| ConversationId::direct(hot, UserId::new(n).unwrap());
    let slots: BTreeSet<Slot> = (100..400).map(|n| of(n).slot()).collect();
    let to = [ShardId(2), ShardId(3)];
    let plan = user(&map, hot, &slots, &to, 1, UnitId(20_000)).unwrap();
    for new in &plan.moves {
        if let MapChange::Carve { parents, .. } = &new.change {
            assert!(parents.len() <= PARENTS_A_CARVE);
        }
    }
    assert!(moved(&plan) <= 8, "a few units, not one a slot");
    let map = after(&map, &plan);
    for n in 100..400 {
        let home = map.home(map.unit_of(of(n))).unwrap().shard;
        assert_eq!(home, to[usize::from(of(n).slot().get()) % 2]);
    }
    assert!(to.contains(&map.home(map.unit_of_user(hot)).unwrap().shard));
    // Again: nothing is left to do. With other targets what is carved moves.
    let again = user(&map, hot, &slots, &to, 2, UnitId(30_000)).unwrap();
    assert_eq!(again.moves, []);
    let elsewhere = user(&map, hot, &slots, &[ShardId(0)], 2, UnitId(30_000)).unwrap();
    assert!(elsewhere.moves.iter().all(|new| matches!(new.change, MapChange::Move { .. })));
    let map = after(&map, &elsewhere);
    assert_eq!(map.home(map.unit_of(of(100))).unwrap().shard, ShardId(0));
    assert_eq!(user(&map, hot, &slots, &[], 2, UnitId(30_000)), Err(NoPlan::Nowhere));
}
