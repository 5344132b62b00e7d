//! Stories of shards that come and go.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{MapChange, ShardId, UnitId};

use super::{
    Fixture,
    stage::{A, B, aborting, begun, done, founded, job, planned, sentence, to_b, together, user},
};
use crate::directory::{JobState, MovePhase, MoveRefusal, NewMove, ShardAdmission, ShardRow};

/// A number is given once, also after its shard was removed and after a restart.
pub async fn shard_numbers_are_never_reused(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    sentence(d.add_shard("embedded").await);
    d.found(&[ShardRow::new(ShardId(7), "embedded"), ShardRow::new(ShardId(3), "embedded")])
        .await
        .unwrap();
    let added = d.add_shard("postgres://host/db").await.unwrap();
    assert_eq!(added, ShardRow::new(ShardId(8), "postgres://host/db"));
    assert_eq!(d.shards().await.unwrap().pop(), Some(added));
    d.remove_shard(ShardId(8)).await.unwrap();
    let d = fixture.reopened(d).await;
    let numbers = together((0..4).map(|_| d.add_shard("embedded"))).await;
    let mut numbers: Vec<_> = numbers.into_iter().map(|row| row.unwrap().id.0).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [9, 10, 11, 12]);
    assert_eq!(d.shards().await.unwrap().len(), 6);
    assert_eq!(d.map().await.unwrap().version, 1, "no unit has moved");
}

/// A draining shard takes no units; others still leave it.
pub async fn a_draining_shard_takes_no_units(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = d.set_admission(B, ShardAdmission::Draining).await.unwrap().unwrap();
    assert_eq!(row, ShardRow { state: ShardAdmission::Draining, ..ShardRow::new(B, "embedded") });
    assert_eq!(d.set_admission(ShardId(9), ShardAdmission::Draining).await.unwrap(), None);
    let d = fixture.reopened(d).await;
    assert_eq!(d.shards().await.unwrap()[1], row);
    let waits = planned(&*d, to_b(&[UnitId(0)])).await;
    assert_eq!(d.begin_move(waits.id, 20).await, Err(MoveRefusal::Draining(B)));
    d.set_admission(A, ShardAdmission::Draining).await.unwrap();
    d.set_admission(B, ShardAdmission::Accepting).await.unwrap();
    d.begin_move(waits.id, 20).await.unwrap();
}

/// Whatever names a shard keeps it, and the refusal says what that is.
pub async fn a_shard_in_use_is_not_removed(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let why = sentence(d.remove_shard(B).await);
    assert!(why.contains("8192 units"), "{why}");
    sentence(d.remove_shard(ShardId(9)).await);

    let c = d.add_shard("embedded").await.unwrap().id;
    let to_c = |unit| {
        let mut new = to_b(&[unit]);
        new.destination = c;
        new.change = MapChange::Move { units: vec![unit], to: c };
        new
    };
    // Of a plan that is open, of one that is over.
    let plan = d.plan_job(job(vec![to_c(UnitId(0))]), 10).await.unwrap();
    sentence(d.remove_shard(c).await);
    d.set_job(plan.id, &[JobState::Planned], JobState::Aborted, None, 11).await.unwrap();
    d.remove_shard(c).await.unwrap();
    let gone = d.moves_of(plan.id).await.unwrap().remove(0);
    assert_eq!(d.begin_move(gone.id, 20).await, Err(MoveRefusal::NoShard(c)));
    assert_eq!(gone.destination, c, "a move is remembered longer than its shard");

    // Of an active move, even of a job that is over; of its garbage.
    let c = d.add_shard("embedded").await.unwrap().id;
    let to_c = || {
        let mut new = to_b(&[UnitId(2)]);
        new.destination = c;
        new.change = MapChange::Move { units: vec![UnitId(2)], to: c };
        new
    };
    let back = aborting(&*d, to_c()).await;
    d.set_job(back.job, &[JobState::Planned], JobState::Failed, None, 31).await.unwrap();
    sentence(d.remove_shard(c).await);
    d.finish_abort(back.id, back.lease, 40).await.unwrap();
    let why = sentence(d.remove_shard(c).await);
    assert!(why.contains("garbage"), "{why}");
    let left = d.garbage().await.unwrap();
    d.delete_garbage(left[0].id).await.unwrap();

    // Of a hot user.
    let rank = d.next_rank().await.unwrap();
    let hot = MapChange::AddUser { user: user(1), rank, targets: vec![A, c] };
    d.change_overrides(&hot).await.unwrap();
    let why = sentence(d.remove_shard(c).await);
    assert!(why.contains("hot user 1"), "{why}");
    d.change_overrides(&MapChange::ForgetUser { user: user(1) }).await.unwrap();
    d.remove_shard(c).await.unwrap();
    assert_eq!(d.shards().await.unwrap().len(), 2);
}

/// A shard that has served goes once it is empty.
pub async fn an_emptied_shard_goes(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let c = d.add_shard("embedded").await.unwrap().id;
    let units = vec![UnitId(0), UnitId(2), UnitId(4)];
    let between = |source, destination| {
        let change = MapChange::Move { units: units.clone(), to: destination };
        NewMove { source, destination, change }
    };
    let mut last = 0;
    for (from, to) in [(A, c), (c, A)] {
        last = done(&*d, between(from, to)).await.id;
        let left = d.garbage().await.unwrap();
        assert_eq!(left.iter().map(|left| left.unit).collect::<Vec<_>>(), units);
        let why = sentence(d.remove_shard(c).await);
        assert!(why.contains(if to == c { "3 units" } else { "garbage" }), "{why}");
        for left in left {
            assert_eq!(left.shard, from);
            assert!(d.delete_garbage(left.id).await.unwrap());
        }
    }
    // The jobs of these moves are still open, but the moves are over.
    d.remove_shard(c).await.unwrap();
    assert_eq!(d.shards().await.unwrap().len(), 2);
    sentence(d.plan_job(job(vec![between(A, c)]), 60).await);
    let over = MoveRefusal::NotPlanned { id: last, phase: MovePhase::Done };
    assert_eq!(d.begin_move(last, 70).await, Err(over));
    assert_eq!(d.unfinished_moves().await.unwrap(), []);
}

/// A move that has begun goes on beside a shard that starts to drain.
pub async fn draining_stops_no_move_that_has_begun(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = begun(&*d, to_b(&[UnitId(0)])).await;
    d.set_admission(B, ShardAdmission::Draining).await.unwrap();
    let (from, to) = (MovePhase::Copying, MovePhase::Freezing);
    let row = d.advance_move(row.id, row.lease, from, to, 30).await.unwrap();
    assert_eq!(d.commit_move(row.id, row.lease, row.freeze, 40).await, Ok(2));
}
