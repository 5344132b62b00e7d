//! Stories of overrides: hot users in the map.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{Cover, MapChange, ShardId, Slot, UnitId, UserOverride};

use super::{
    Fixture,
    stage::{A, B, begun, carved, direct, done, founded, on_a, sentence, to_b, together, user},
};
use crate::directory::{Directory, MovePhase};

fn hot(id: u64, rank: u64, targets: &[ShardId]) -> MapChange {
    MapChange::AddUser { user: user(id), rank, targets: targets.to_vec() }
}

fn forget(id: u64) -> MapChange {
    MapChange::ForgetUser { user: user(id) }
}

/// Some slots of direct conversations of this user that are on A.
fn slots_on_a(id: u64, count: usize) -> Vec<Slot> {
    let slots = (1..).filter(|other| *other != id).map(|other| direct(id, other).slot());
    let mut some: Vec<_> = slots.filter(|slot| slot.get() % 2 == 0).take(count * 2).collect();
    some.sort_unstable();
    some.dedup();
    some.truncate(count);
    some
}

fn cover(id: u64, slots: &[Slot]) -> Cover {
    Cover::User { user: user(id), slots: slots.to_vec(), own: false }
}

fn carve(id: u64, slots: &[Slot], child: UnitId) -> MapChange {
    let parents = slots.iter().map(|slot| slot.unit()).collect();
    MapChange::Carve { parents, child, cover: cover(id, slots) }
}

fn merge(id: u64, slots: &[Slot], child: UnitId, last: bool) -> MapChange {
    let parents = slots.iter().map(|slot| slot.unit()).collect();
    MapChange::Merge { child, parents, cover: cover(id, slots), last }
}

async fn of(d: &dyn Directory, id: u64) -> Option<UserOverride> {
    d.map().await.unwrap().user_override(user(id)).cloned()
}

/// Named, given other targets, forgotten; each is a version of the map.
pub async fn a_user_becomes_hot_and_is_forgotten(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let rank = d.next_rank().await.unwrap();
    assert_eq!(d.change_overrides(&hot(7, rank, &[B, A, B])).await, Ok(2));
    let d = fixture.reopened(d).await;
    assert_eq!(of(&*d, 7).await, Some(UserOverride::new(user(7), rank, vec![B, A, B])));
    assert_eq!(d.change_overrides(&hot(7, 99, &[A])).await, Ok(3));
    let d = fixture.reopened(d).await;
    assert_eq!(of(&*d, 7).await, Some(UserOverride::new(user(7), rank, vec![A])));
    sentence(d.change_overrides(&hot(8, rank, &[A])).await);
    sentence(d.change_overrides(&hot(8, rank + 1, &[ShardId(9)])).await);
    sentence(d.change_overrides(&forget(8)).await);
    sentence(d.change_overrides(&MapChange::Move { units: vec![UnitId(0)], to: B }).await);
    assert_eq!(d.map().await.unwrap().version, 3);
    assert_eq!(d.change_overrides(&forget(7)).await, Ok(4));
    let d = fixture.reopened(d).await;
    assert_eq!(of(&*d, 7).await, None);
    let next = d.next_rank().await.unwrap();
    assert!(next > rank);
}

/// In steps, to another shard, and all the way back.
pub async fn a_hot_user_is_carved_moved_and_merged(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let rank = d.next_rank().await.unwrap();
    d.change_overrides(&hot(7, rank, &[B])).await.unwrap();
    let child = d.reserve_units(1).await.unwrap();
    let slots = slots_on_a(7, 6);
    let (first, second) = slots.split_at(3);
    done(&*d, on_a(carve(7, first, child))).await;
    done(&*d, on_a(carve(7, second, child))).await;
    let d = fixture.reopened(d).await;
    let table = of(&*d, 7).await.unwrap().table;
    assert!(table.into_iter().eq(slots.iter().map(|slot| (*slot, child))));
    sentence(d.change_overrides(&forget(7)).await);
    done(&*d, to_b(&[child])).await;
    let left = d.garbage().await.unwrap().remove(0);
    assert_eq!((left.shard, left.unit), (A, child));
    let mut home = to_b(&[child]);
    (home.source, home.destination) = (B, A);
    home.change = MapChange::Move { units: vec![child], to: A };
    d.delete_garbage(left.id).await.unwrap();
    done(&*d, home).await;
    done(&*d, on_a(merge(7, first, child, false))).await;
    let d = fixture.reopened(d).await;
    let table = of(&*d, 7).await.unwrap().table;
    assert!(table.into_iter().eq(second.iter().map(|slot| (*slot, child))));
    done(&*d, on_a(merge(7, second, child, true))).await;
    d.change_overrides(&forget(7)).await.unwrap();
    let d = fixture.reopened(d).await;
    let map = d.map().await.unwrap();
    assert_eq!((of(&*d, 7).await, map.home(child)), (None, None));
    assert_eq!(map.unit_of(direct(7, 8)), direct(7, 8).slot().unit());
}

/// What a carve covers is decided when it begins: nobody is forgotten before it is over.
pub async fn nobody_is_forgotten_beside_a_carve(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    for id in [7, 8] {
        let rank = d.next_rank().await.unwrap();
        d.change_overrides(&hot(id, rank, &[B])).await.unwrap();
    }
    let child = d.reserve_units(1).await.unwrap();
    let shared = [direct(7, 8).slot()];
    let source = d.map().await.unwrap().home(shared[0].unit()).unwrap().shard;
    let mut new = on_a(carve(8, &shared, child));
    (new.source, new.destination) = (source, source);
    let row = begun(&*d, new).await;
    sentence(d.change_overrides(&forget(7)).await);
    let (from, to) = (MovePhase::Copying, MovePhase::Freezing);
    let row = d.advance_move(row.id, row.lease, from, to, 30).await.unwrap();
    d.commit_move(row.id, row.lease, row.freeze, 31).await.unwrap();
    let (from, to) = (MovePhase::Committed, MovePhase::Done);
    d.advance_move(row.id, row.lease, from, to, 32).await.unwrap();
    // Now it is the older claim that keeps their conversation where its rows are.
    let map = d.map().await.unwrap();
    assert_eq!(map.unit_of(direct(7, 8)), shared[0].unit());
    assert_eq!(map.user_override(user(8)).unwrap().table[&shared[0]], child);
    let why = sentence(d.change_overrides(&forget(7)).await);
    assert!(why.contains("isolate"), "{why}");
}

/// Whoever is late with a rank draws another one.
pub async fn hot_users_at_once_have_an_order(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let named = together((1..=10).map(|id| {
        let d = &*d;
        async move {
            loop {
                let rank = d.next_rank().await.unwrap();
                if d.change_overrides(&hot(id, rank, &[A, B])).await.is_ok() {
                    return rank;
                }
            }
        }
    }))
    .await;
    let map = d.map().await.unwrap();
    assert_eq!(map.version, 11);
    let mut ranks = named.clone();
    ranks.sort_unstable();
    ranks.dedup();
    assert_eq!(ranks.len(), 10);
    for (id, rank) in (1..).zip(named) {
        assert_eq!(map.user_override(user(id)).unwrap().rank, rank);
    }
    assert_eq!(d.reserve_units(1).await.unwrap(), carved(0));
}
