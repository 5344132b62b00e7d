//! Which lots a new map opens.

use ostracon_domain::{
    ConversationId, Epoch, PlacementMap, ShardId, UnitHome, UnitId, UserId, UserOverride, id::Slot,
};

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
    // A user gets hot, slot by slot; the older one's table counts where both are.
    let hot = |id, rank, slots: &[(u16, UnitId)]| UserOverride {
        user: user(id),
        rank,
        table: slots.iter().map(|(slot, unit)| (Slot::new(*slot).unwrap(), *unit)).collect(),
        own: None,
        targets: vec![ShardId(0)],
    };
    let with = |hot: &[UserOverride]| {
        PlacementMap::new(2, homes(&[(unit, ShardId(0), 1)]), [], hot.iter().cloned())
    };
    let (none, one) = (with(&[]), with(&[hot(1, 2, &[(5, unit), (6, unit)])]));
    let two = with(&[hot(1, 2, &[(5, unit), (6, unit), (8, unit)])]);
    let older = with(&[hot(1, 2, &[(5, unit), (6, unit)]), hot(2, 1, &[])]);
    for (old, new, slots) in [
        (&none, &one, &[5, 6][..]),
        (&one, &two, &[8]),
        (&two, &one, &[8]),
        (&one, &older, &[5, 6]),
    ] {
        assert_eq!(changed_slots(old, new).into_iter().collect::<Vec<_>>(), slots);
    }
    let moved = PlacementMap::new(
        3,
        homes(&[(unit, ShardId(1), 2)]),
        [],
        [hot(1, 2, &[(5, unit), (6, unit)])],
    );
    assert_eq!(changed_slots(&one, &moved).into_iter().collect::<Vec<_>>(), [5, 6]);
    let mut own = hot(1, 2, &[(5, unit), (6, unit)]);
    own.own = Some(unit);
    let slot = user(1).slot().get();
    assert_eq!(changed_slots(&one, &with(&[own])).into_iter().collect::<Vec<_>>(), [slot]);
}
