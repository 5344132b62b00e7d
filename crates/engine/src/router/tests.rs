//! Which lots a new map opens.

use ostracon_domain::{ConversationId, Epoch, PlacementMap, ShardId, UnitHome, UnitId, UserId};

use super::changed_slots;

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

#[test]
fn a_map_opens_the_lots_of_what_it_changes_and_no_others() {
    let shards = [ShardId(0), ShardId(1)];
    let first = PlacementMap::initial(&shards);
    assert!(changed_slots(&first, &first).is_empty());
    let homes = |change: &[(UnitId, ShardId, u64)]| {
        let mut homes: Vec<_> = first.units().collect();
        for (unit, shard, epoch) in change {
            let home = UnitHome { shard: *shard, epoch: Epoch(*epoch) };
            homes.retain(|(known, _)| known != unit);
            homes.push((*unit, home));
        }
        homes
    };
    // A slot moves, another one only gets an epoch.
    let moved = homes(&[(UnitId(7), ShardId(0), 2), (UnitId(9), ShardId(1), 2)]);
    let moved = PlacementMap::new(2, moved, [], []);
    assert_eq!(changed_slots(&first, &moved).into_iter().collect::<Vec<_>>(), [7, 9]);
    // A conversation is carved, then its unit moves, then it is merged again.
    let id = ConversationId::direct(user(1), user(2));
    let slot = id.slot().get();
    let unit = UnitId(20_000);
    let carved = PlacementMap::new(2, homes(&[(unit, ShardId(0), 1)]), [(id, unit)], []);
    let away = PlacementMap::new(3, homes(&[(unit, ShardId(1), 2)]), [(id, unit)], []);
    for (old, new) in [(&first, &carved), (&carved, &away), (&away, &first)] {
        assert_eq!(changed_slots(old, new).into_iter().collect::<Vec<_>>(), [slot]);
    }
}
