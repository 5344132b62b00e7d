//! Stories of moves that begin, and of those that may not.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{Cover, MapChange, MapError, UnitId};

use super::{
    Fixture,
    stage::{
        A, B, aborting, at, begun, carved, committed, direct, done, founded, isolate, on_a,
        planned, reunite, talk_on_a, to_b, together, user,
    },
};
use crate::directory::{MovePhase, MoveRefusal, NewMove};

/// It owns its units from then on, under a lease of its own.
pub async fn a_move_begins_once(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = planned(&*d, to_b(&[UnitId(0)])).await;
    let answers = together((0..8).map(|n| d.begin_move(row.id, 20 + n))).await;
    let begun: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(begun.len(), 1);
    assert_eq!((begun[0].phase, begun[0].attempt), (MovePhase::Copying, 1));
    assert!(begun[0].lease > 0 && begun[0].since >= 20);
    let late = MoveRefusal::NotPlanned { id: row.id, phase: MovePhase::Copying };
    assert_eq!(answers.iter().filter(|answer| **answer == Err(late.clone())).count(), 7);
    assert_eq!(d.unfinished_moves().await.unwrap(), std::slice::from_ref(begun[0]));
    assert_eq!(d.begin_move(99, 20).await, Err(MoveRefusal::Unknown(99)));
    let d = fixture.reopened(d).await;
    assert_eq!(d.unfinished_moves().await.unwrap(), std::slice::from_ref(begun[0]));
}

/// Of two moves that share a unit, one begins; parents and children count.
pub async fn a_unit_is_in_one_active_move(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let talk = talk_on_a(0);
    let (unit, child) = (talk.slot().unit(), d.reserve_units(1).await.unwrap());
    let other = UnitId(unit.0 ^ 2);
    let mut rows = Vec::new();
    for new in
        [to_b(&[unit, other]), to_b(&[unit]), on_a(isolate(talk, child)), to_b(&[other, unit])]
    {
        rows.push(planned(&*d, new).await);
    }
    let answers = together(rows.iter().map(|row| d.begin_move(row.id, 20))).await;
    let begun: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(begun.len(), 1);
    let by = begun[0].id;
    let busy = |answer: &&Result<_, MoveRefusal>| match answer {
        Err(MoveRefusal::Busy { by: other, .. }) => *other == by,
        _ => false,
    };
    assert_eq!(answers.iter().filter(busy).count(), 3);
    assert_eq!(d.unfinished_moves().await.unwrap().len(), 1);
}

/// It owns them until it is over, on the way back too.
pub async fn a_unit_is_free_when_its_move_is_over(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let back = aborting(&*d, to_b(&[UnitId(0)])).await;
    let next = planned(&*d, to_b(&[UnitId(0)])).await;
    let busy = MoveRefusal::Busy { unit: UnitId(0), by: back.id };
    assert_eq!(d.begin_move(next.id, 40).await, Err(busy));
    d.finish_abort(back.id, back.lease, 41).await.unwrap();
    for left in d.garbage().await.unwrap() {
        d.delete_garbage(left.id).await.unwrap();
    }
    d.begin_move(next.id, 42).await.unwrap();

    let forth = committed(&*d, to_b(&[UnitId(2)])).await;
    let home = MapChange::Move { units: vec![UnitId(2)], to: A };
    let home = planned(&*d, NewMove { source: B, destination: A, change: home }).await;
    let busy = MoveRefusal::Busy { unit: UnitId(2), by: forth.id };
    assert_eq!(d.begin_move(home.id, 50).await, Err(busy));
    let (from, to) = (MovePhase::Committed, MovePhase::Done);
    d.advance_move(forth.id, forth.lease, from, to, 51).await.unwrap();
    for left in d.garbage().await.unwrap() {
        d.delete_garbage(left.id).await.unwrap();
    }
    d.begin_move(home.id, 52).await.unwrap();
}

/// A plan that time has passed over does not begin.
pub async fn a_plan_may_be_out_of_date(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let late = planned(&*d, to_b(&[UnitId(2), UnitId(0)])).await;
    done(&*d, to_b(&[UnitId(0)])).await;
    let away = MoveRefusal::NotAtHome { unit: UnitId(0), source_shard: A };
    assert_eq!(d.begin_move(late.id, 60).await, Err(away));
    let never = planned(&*d, to_b(&[carved(9)])).await;
    let away = MoveRefusal::NotAtHome { unit: carved(9), source_shard: A };
    assert_eq!(d.begin_move(never.id, 60).await, Err(away));
    let twice = planned(&*d, to_b(&[UnitId(2), UnitId(2)])).await;
    let refused = d.begin_move(twice.id, 60).await;
    assert_eq!(refused, Err(MoveRefusal::Map(MapError::Twice(UnitId(2)))));
    let talk = talk_on_a(0);
    let child = d.reserve_units(1).await.unwrap();
    let wrong = UnitId(talk.slot().unit().0 ^ 2);
    let cover = Cover::Conversation(talk);
    let carve = MapChange::Carve { parents: vec![wrong], child, cover };
    let wrong = planned(&*d, on_a(carve)).await;
    let why = MapError::WrongParents(vec![talk.slot().unit()]);
    assert_eq!(d.begin_move(wrong.id, 60).await, Err(MoveRefusal::Map(why)));
    assert_eq!(d.unfinished_moves().await.unwrap(), []);
}

/// Nothing comes to a shard, and nothing is carved there, beside leftovers that share a slot.
pub async fn leftovers_are_purged_first(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let (talk, other) = (talk_on_a(0), talk_on_a(1));
    assert_ne!(talk.slot(), other.slot());
    // An import that was given up, on B.
    let back = aborting(&*d, to_b(&[talk.slot().unit()])).await;
    d.finish_abort(back.id, back.lease, 40).await.unwrap();
    let left = d.garbage().await.unwrap()[0];
    let again = planned(&*d, to_b(&[talk.slot().unit()])).await;
    let (shard, unit, garbage) = (left.shard, left.unit, left.id);
    assert_eq!(
        d.begin_move(again.id, 50).await,
        Err(MoveRefusal::Garbage { shard, unit, garbage })
    );
    begun(&*d, to_b(&[other.slot().unit()])).await;
    // Neither does a carved unit of that slot come, though the leftovers are of the slot's unit.
    let child = d.reserve_units(2).await.unwrap();
    done(&*d, on_a(isolate(talk, child))).await;
    let carved_one = planned(&*d, to_b(&[child])).await;
    let refused = d.begin_move(carved_one.id, 60).await;
    assert_eq!(refused, Err(MoveRefusal::Garbage { shard, unit, garbage }));
    assert!(d.delete_garbage(left.id).await.unwrap());
    let row = d.begin_move(carved_one.id, 70).await.unwrap();
    // Leftovers of the carved unit on A, after it left: they are in the way of a carve there.
    let (from, to) = (MovePhase::Copying, MovePhase::Freezing);
    let row = d.advance_move(row.id, row.lease, from, to, 71).await.unwrap();
    d.commit_move(row.id, row.lease, row.freeze, 72).await.unwrap();
    let left = d.garbage().await.unwrap()[0];
    assert_eq!((left.shard, left.unit), (A, child));
    let d = fixture.reopened(d).await;
    let near = (1..).map(|id| direct(900_000, id)).find(|id| id.slot() == talk.slot()).unwrap();
    let near = planned(&*d, on_a(isolate(near, UnitId(child.0 + 1)))).await;
    let garbage = MoveRefusal::Garbage { shard: A, unit: child, garbage: left.id };
    assert_eq!(d.begin_move(near.id, 80).await, Err(garbage));
    d.delete_garbage(left.id).await.unwrap();
    d.begin_move(near.id, 81).await.unwrap();
}

/// A carved unit has a reserved number that no unit had before it.
pub async fn a_child_is_fresh(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let talk = talk_on_a(0);
    let early = planned(&*d, on_a(isolate(talk, carved(0)))).await;
    assert_eq!(d.begin_move(early.id, 20).await, Err(MoveRefusal::Stale(carved(0))));
    assert_eq!(d.reserve_units(1).await.unwrap(), carved(0));
    let row = d.begin_move(early.id, 21).await.unwrap();
    let (from, to) = (MovePhase::Copying, MovePhase::Freezing);
    let row = d.advance_move(row.id, row.lease, from, to, 22).await.unwrap();
    d.commit_move(row.id, row.lease, row.freeze, 23).await.unwrap();
    let (from, to) = (MovePhase::Committed, MovePhase::Done);
    d.advance_move(row.id, row.lease, from, to, 24).await.unwrap();
    done(&*d, on_a(reunite(talk, carved(0)))).await;
    assert_eq!(at(&*d, carved(0)).await, None);
    let again = planned(&*d, on_a(isolate(talk, carved(0)))).await;
    assert_eq!(d.begin_move(again.id, 60).await, Err(MoveRefusal::Stale(carved(0))));
    // One that has a home takes more.
    let rank = d.next_rank().await.unwrap();
    let hot = MapChange::AddUser { user: user(1), rank, targets: vec![B] };
    d.change_overrides(&hot).await.unwrap();
    let child = d.reserve_units(1).await.unwrap();
    let on_a_of_1 = (2..).map(|id| direct(1, id).slot()).filter(|slot| slot.get() % 2 == 0);
    for slot in on_a_of_1.take(2).collect::<Vec<_>>() {
        let cover = Cover::User { user: user(1), slots: vec![slot], own: false };
        let carve = MapChange::Carve { parents: vec![slot.unit()], child, cover };
        done(&*d, on_a(carve)).await;
    }
    assert_eq!(at(&*d, child).await.unwrap().1.epoch.0, 1);
}
