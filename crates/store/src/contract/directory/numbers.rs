//! Stories of what is drawn and held: leases, units, ranks, the right to coordinate.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::UnitId;

use super::{
    Fixture,
    stage::{begun, carved, founded, sentence, to_b, together},
};

/// One sequence for all moves, also over a restart; it can be raised, never lowered.
pub async fn leases_only_rise(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = begun(&*d, to_b(&[UnitId(0)])).await;
    let taken = together((0..10).map(|_| d.take_over_move(row.id, 20))).await;
    let mut leases: Vec<_> = taken.into_iter().map(|row| row.unwrap().lease).collect();
    leases.push(row.lease);
    leases.sort_unstable();
    leases.dedup();
    assert_eq!(leases.len(), 11);
    let highest = leases[10];
    assert_eq!(d.move_row(row.id).await.unwrap().unwrap().lease, highest);
    let d = fixture.reopened(d).await;
    assert_eq!(begun(&*d, to_b(&[UnitId(2)])).await.lease, highest + 1);
    d.raise_leases(1_000_000).await.unwrap();
    d.raise_leases(5).await.unwrap();
    let d = fixture.reopened(d).await;
    assert!(begun(&*d, to_b(&[UnitId(4)])).await.lease > 1_000_000);
    assert_eq!(d.move_row(row.id).await.unwrap().unwrap().lease, highest, "nobody loses a lease");
}

/// Numbers of carved units begin after the slots and are given once.
pub async fn unit_numbers_are_given_once(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    assert_eq!(d.reserve_units(3).await.unwrap(), carved(0));
    let d = fixture.reopened(d).await;
    assert_eq!(d.reserve_units(1).await.unwrap(), carved(3));
    let firsts = together((0..10).map(|_| d.reserve_units(5))).await;
    let mut firsts: Vec<_> = firsts.into_iter().map(|first| first.unwrap().0).collect();
    firsts.sort_unstable();
    assert!(firsts.iter().copied().eq((0..10).map(|n| carved(4 + 5 * n).0)));
    sentence(d.reserve_units(0).await);
    sentence(d.reserve_units(u32::MAX).await);
    assert_eq!(d.reserve_units(1).await.unwrap(), carved(54));
}

/// Every rank is above all before it.
pub async fn ranks_only_rise(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let ranks = together((0..10).map(|_| d.next_rank())).await;
    let mut ranks: Vec<_> = ranks.into_iter().map(Result::unwrap).collect();
    ranks.sort_unstable();
    ranks.dedup();
    assert_eq!(ranks.len(), 10);
    let d = fixture.reopened(d).await;
    assert!(d.next_rank().await.unwrap() > ranks[9]);
}

/// One holder at a time; who comes back under the same number takes over at once.
pub async fn one_coordinates_at_a_time(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let holders = [1, u64::MAX, 3, 4, 5];
    let held = together(holders.map(|holder| d.hold_coordinator(holder, 1_000, 500))).await;
    let held: Vec<_> = held.into_iter().map(Result::unwrap).collect();
    assert_eq!(held.iter().filter(|held| **held).count(), 1);
    let holder = holders[held.iter().position(|held| *held).unwrap()];
    let other = 77;
    assert!(!d.hold_coordinator(other, 1_499, 500).await.unwrap());
    assert!(d.hold_coordinator(holder, 1_400, 500).await.unwrap());
    let d = fixture.reopened(d).await;
    assert!(!d.hold_coordinator(other, 1_899, 500).await.unwrap());
    assert!(d.hold_coordinator(holder, 1_450, 500).await.unwrap());
    assert!(d.hold_coordinator(other, 1_950, 500).await.unwrap());
    assert!(!d.hold_coordinator(holder, 1_951, 500).await.unwrap());
    // Given back.
    assert!(d.hold_coordinator(other, 1_960, 0).await.unwrap());
    assert!(d.hold_coordinator(holder, 1_960, 500).await.unwrap());
}
