//! Where things live: every slot, the overrides, and what the map does not know.

use super::{PlacementMap, UnitHome};
use crate::id::{ConversationId, Epoch, SLOTS, ShardId, UnitId, UserId};

fn shards(count: u32) -> Vec<ShardId> {
    (0..count).map(ShardId).collect()
}

#[test]
fn a_new_cluster_deals_slots_out_in_turn() {
    for count in [1, 2, 3, 4, 16, 32] {
        let map = PlacementMap::initial(&shards(count));
        assert_eq!(map.version, 1);
        assert_eq!(map.units().count(), usize::from(SLOTS));
        for slot in 0..u32::from(SLOTS) {
            let expect = UnitHome { shard: ShardId(slot % count), epoch: Epoch(1) };
            assert_eq!(map.home(UnitId(slot)), Some(expect));
        }
        assert_eq!(map.home(UnitId(u32::from(SLOTS))), None);
        assert_eq!(map.home(UnitId(u32::MAX)), None);
    }
    // Shards keep their numbers, whatever these are.
    let map = PlacementMap::initial(&[ShardId(7), ShardId(3)]);
    assert_eq!(map.home(UnitId(4)).map(|home| home.shard), Some(ShardId(7)));
    assert_eq!(map.home(UnitId(5)).map(|home| home.shard), Some(ShardId(3)));
}

#[test]
fn a_power_of_two_of_shards_is_the_hash_modulo_their_number() {
    for count in [2u64, 4, 16, 32] {
        let map = PlacementMap::initial(&shards(count as u32));
        for (a, b) in [(1, 2), (7, 7), (123, 456), (1, (1 << 53) - 1)] {
            let user = |id| UserId::new(id).expect("in range");
            let talk = ConversationId::direct(user(a), user(b));
            let home = map.home(map.unit_of(talk)).expect("every slot has a home");
            assert_eq!(u64::from(home.shard.0), crate::pair_hash(a, b) % count);
        }
    }
}

#[test]
fn an_override_beats_the_slot_and_touches_nothing_else() {
    let user = |id| UserId::new(id).expect("in range");
    let (hot, other) = (
        ConversationId::direct(user(1), user(2)),
        ConversationId::new_group(1_700_000_000_000, [1; 10]),
    );
    let carved = UnitId(u32::from(SLOTS) + 9);
    let plain = PlacementMap::initial(&shards(4));
    let there = UnitHome { shard: ShardId(3), epoch: Epoch(5) };
    let homes = plain.units().chain([(carved, there)]);
    let map = PlacementMap::new(2, homes, [(hot, carved)], []);
    assert_eq!(map.unit_of(hot), carved);
    assert_eq!(map.home(carved), Some(there));
    assert_eq!(map.unit_of(other), other.slot().unit());
    assert_eq!(map.unit_of_user(user(1)), user(1).slot().unit());
    assert_eq!(map.overrides().collect::<Vec<_>>(), [(hot, carved)]);
    assert_eq!(map.units().count(), usize::from(SLOTS) + 1);
    assert_eq!(plain.unit_of(hot), hot.slot().unit());
}

#[test]
fn a_map_with_holes_says_so() {
    let home = UnitHome { shard: ShardId(0), epoch: Epoch(1) };
    let map = PlacementMap::new(1, [(UnitId(5), home)], [], []);
    assert_eq!(map.home(UnitId(5)), Some(home));
    assert_eq!(map.home(UnitId(4)), None);
    assert_eq!(PlacementMap::initial(&[]).home(UnitId(0)), None);
}
