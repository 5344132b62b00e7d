//! Stories of one move on its way.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{Epoch, UnitId};

use super::{
    Fixture,
    stage::{
        A, B, aborting, at, begun, committed, done, founded, freezing, isolate, on_a, planned,
        reunite, sentence, talk_on_a, to_b, together,
    },
};
use crate::directory::{
    Directory, DirectoryError, FREEZES_KEPT, MoveKind, MoveLost, MovePhase, MoveRow, Progress,
};

use MovePhase::{Aborted, Aborting, Committed, Copying, Done, Freezing, Planned};

fn lost<T: std::fmt::Debug>(answer: Result<T, MoveLost>) -> MoveRow {
    match answer {
        Err(MoveLost::Lost(row)) => *row,
        other => panic!("not lost: {other:?}"),
    }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, MoveLost>) -> String {
    match answer {
        Err(MoveLost::Failed(error)) => sentence(Err::<T, _>(error)),
        other => panic!("not refused: {other:?}"),
    }
}

/// What is written is what was answered.
async fn is(d: &dyn Directory, row: &MoveRow) {
    assert_eq!(d.move_row(row.id).await.unwrap().as_ref(), Some(row));
}

/// There and back through a freeze, then to the end; one transaction changes map, phase and garbage.
pub async fn a_move_goes_its_way(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let units = [UnitId(0), UnitId(8)];
    let row = freezing(&*d, to_b(&units)).await;
    assert_eq!(
        (row.kind(), row.phase, row.freeze, row.since),
        (Some(MoveKind::Move), Freezing, 1, 30)
    );
    let row = d.advance_move(row.id, row.lease, Freezing, Copying, 31).await.unwrap();
    assert_eq!((row.phase, row.freeze), (Copying, 1));
    let row = d.advance_move(row.id, row.lease, Copying, Freezing, 32).await.unwrap();
    assert_eq!((row.phase, row.freeze, row.since), (Freezing, 2, 32));
    is(&*d, &row).await;
    let before = d.map().await.unwrap();
    assert_eq!(before.version, 1);
    assert_eq!(d.garbage().await.unwrap(), []);

    assert_eq!(d.commit_move(row.id, row.lease, 2, 33).await, Ok(2));
    let d = fixture.reopened(d).await;
    let now = d.move_row(row.id).await.unwrap().unwrap();
    assert_eq!((now.phase, now.since, now.lease), (Committed, 33, row.lease));
    let map = d.map().await.unwrap();
    assert_eq!(map, before.apply(&row.change).unwrap());
    assert_eq!(at(&*d, UnitId(8)).await.map(|(shard, at)| (shard, at.epoch)), Some((B, Epoch(2))));
    let garbage = d.garbage().await.unwrap();
    let left: Vec<_> = garbage.iter().map(|g| (g.shard, g.unit, g.epoch, g.since)).collect();
    assert_eq!(left, units.map(|unit| (A, unit, Epoch(1), 33)));
    assert_eq!(d.unfinished_moves().await.unwrap(), std::slice::from_ref(&now));

    let row = d.advance_move(row.id, row.lease, Committed, Done, 34).await.unwrap();
    is(&*d, &row).await;
    assert_eq!(d.unfinished_moves().await.unwrap(), []);
    assert_eq!(d.map().await.unwrap().version, 2);
}

/// Only the steps of the protocol exist, and a caller is shown where a move stands.
pub async fn no_other_step_exists(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let all = [Planned, Copying, Freezing, Committed, Done, Aborting, Aborted];
    let row = begun(&*d, to_b(&[UnitId(0)])).await;
    let mut steps = Vec::new();
    for (from, to) in all.into_iter().flat_map(|from| all.map(|to| (from, to))) {
        if from.may_advance(to) {
            steps.push((from, to));
        } else {
            refused(d.advance_move(row.id, row.lease, from, to, 30).await);
        }
        if from != Copying && from.may_advance(to) {
            assert_eq!(lost(d.advance_move(row.id, row.lease, from, to, 30).await), row);
        }
    }
    let expect = [
        (Copying, Freezing),
        (Copying, Aborting),
        (Freezing, Copying),
        (Freezing, Aborting),
        (Committed, Done),
    ];
    assert_eq!(steps, expect);
    assert_eq!(lost(d.commit_move(row.id, row.lease, 0, 30).await), row);
    assert_eq!(lost(d.finish_abort(row.id, row.lease, 30).await), row);
    is(&*d, &row).await;
    refused(d.advance_move(99, 1, Copying, Freezing, 30).await);
    refused(d.commit_move(99, 1, 1, 30).await);
    refused(d.finish_abort(99, 1, 30).await);
    refused(d.take_over_move(99, 30).await);
    assert_eq!(d.map().await.unwrap().version, 1);
    assert_eq!(d.garbage().await.unwrap(), []);
}

/// After the commit there is no way back.
pub async fn a_committed_move_goes_forward_only(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = committed(&*d, to_b(&[UnitId(0)])).await;
    for (from, to) in [(Copying, Aborting), (Freezing, Aborting), (Freezing, Copying)] {
        assert_eq!(lost(d.advance_move(row.id, row.lease, from, to, 50).await), row);
    }
    // The same commit again, as after an answer that did not come: the row says that it was done.
    let again = lost(d.commit_move(row.id, row.lease, row.freeze, 51).await);
    assert_eq!(again, row);
    assert_eq!(d.map().await.unwrap().version, 2);
    assert_eq!(d.garbage().await.unwrap().len(), 1);
}

/// A caller with an old lease or an old freeze changes nothing.
pub async fn who_lost_the_lease_changes_nothing(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let old = freezing(&*d, to_b(&[UnitId(0)])).await;
    let new = d.take_over_move(old.id, 31).await.unwrap();
    assert!(new.lease > old.lease);
    assert_eq!((new.phase, new.since, new.freeze), (Copying, 31, 1));
    assert_eq!(lost(d.commit_move(old.id, old.lease, old.freeze, 32).await), new);
    assert_eq!(lost(d.advance_move(old.id, old.lease, Freezing, Copying, 32).await), new);
    assert_eq!(lost(d.advance_move(old.id, old.lease, Copying, Aborting, 32).await), new);
    let frozen = d.advance_move(new.id, new.lease, Copying, Freezing, 33).await.unwrap();
    assert_eq!(frozen.freeze, 2);
    // Its own lease, but the freeze before.
    assert_eq!(lost(d.commit_move(new.id, new.lease, 1, 34).await), frozen);
    // The old lease and the new freeze.
    assert_eq!(lost(d.commit_move(new.id, old.lease, 2, 34).await), frozen);
    assert_eq!(d.map().await.unwrap().version, 1);
    assert_eq!(d.commit_move(new.id, new.lease, 2, 35).await, Ok(2));
}

/// A take-over leaves every phase but freezing, and takes none that is not active.
pub async fn a_take_over_keeps_the_phase(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let copying = begun(&*d, to_b(&[UnitId(0)])).await;
    let back = aborting(&*d, to_b(&[UnitId(2)])).await;
    let forth = committed(&*d, to_b(&[UnitId(4)])).await;
    let d = fixture.reopened(d).await;
    let mut last = forth.lease.max(back.lease);
    for row in [&copying, &back, &forth] {
        let taken = d.take_over_move(row.id, 60).await.unwrap();
        assert!(taken.lease > last, "leases rise");
        last = taken.lease;
        assert_eq!(taken, MoveRow { lease: taken.lease, ..row.clone() });
        is(&*d, &taken).await;
    }
    let planned = planned(&*d, to_b(&[UnitId(6)])).await;
    let done = done(&*d, to_b(&[UnitId(8)])).await;
    for row in [planned, done] {
        assert_eq!(lost(d.take_over_move(row.id, 60).await), row);
    }
}

/// An abort ends where it began, and what was imported is garbage in the same step.
pub async fn an_abort_leaves_the_map_alone(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = freezing(&*d, to_b(&[UnitId(0), UnitId(2)])).await;
    let row = d.advance_move(row.id, row.lease, Freezing, Aborting, 40).await.unwrap();
    assert_eq!(d.garbage().await.unwrap(), []);
    let end = d.finish_abort(row.id, row.lease, 41).await.unwrap();
    assert_eq!((end.phase, end.since), (Aborted, 41));
    assert_eq!(lost(d.finish_abort(row.id, row.lease, 42).await), end);
    let d = fixture.reopened(d).await;
    is(&*d, &end).await;
    assert_eq!(d.map().await.unwrap().version, 1);
    let garbage = d.garbage().await.unwrap();
    let left: Vec<_> = garbage.iter().map(|g| (g.shard, g.unit, g.epoch, g.since)).collect();
    assert_eq!(left, [0, 2].map(|unit| (B, UnitId(unit), Epoch(2), 41)));
    // A carve leaves nothing behind.
    let child = d.reserve_units(1).await.unwrap();
    let carve = aborting(&*d, on_a(isolate(talk_on_a(5), child))).await;
    d.finish_abort(carve.id, carve.lease, 43).await.unwrap();
    assert_eq!(d.garbage().await.unwrap(), garbage);
    assert_eq!(at(&*d, child).await, None);
}

/// A carve and a merge change the map as the pure rule says, and leave no garbage.
pub async fn a_carve_and_a_merge_stay_at_home(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let talk = talk_on_a(0);
    let (parent, child) = (talk.slot().unit(), d.reserve_units(1).await.unwrap());
    let carve = done(&*d, on_a(isolate(talk, child))).await;
    assert_eq!(carve.kind(), Some(MoveKind::Carve));
    let d = fixture.reopened(d).await;
    let map = d.map().await.unwrap();
    assert_eq!((map.version, map.unit_of(talk)), (2, child));
    assert_eq!(map.home(parent).unwrap().epoch, Epoch(2));
    assert_eq!(map.home(child).unwrap().epoch, Epoch(1));
    let merge = done(&*d, on_a(reunite(talk, child))).await;
    assert_eq!(merge.kind(), Some(MoveKind::Merge));
    let d = fixture.reopened(d).await;
    let map = d.map().await.unwrap();
    assert_eq!((map.version, map.unit_of(talk), map.home(child)), (3, parent, None));
    assert_eq!(map.overrides().count(), 0);
    assert_eq!(d.garbage().await.unwrap(), []);
}

/// Many who would take the same step: one takes it, the others see it taken.
pub async fn a_step_is_taken_once(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = begun(&*d, to_b(&[UnitId(0)])).await;
    let (id, lease) = (row.id, row.lease);
    let steps = (0..24).map(|n| {
        let to = if n % 2 == 0 { Freezing } else { Aborting };
        d.advance_move(id, lease, Copying, to, 30 + n)
    });
    let answers = together(steps).await;
    let taken: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(taken.len(), 1);
    is(&*d, taken[0]).await;
    for answer in answers.iter().filter(|answer| answer.is_err()) {
        assert_eq!(lost(answer.clone()), *taken[0]);
    }
}

/// A commit races with an abort, a thaw and a take-over of the same freeze: map and phase agree, whoever wins.
pub async fn a_commit_wins_or_changes_nothing(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    for round in 0..8_u32 {
        let unit = UnitId(2 * round);
        let row = freezing(&*d, to_b(&[unit])).await;
        let (id, lease, before) = (row.id, row.lease, d.map().await.unwrap().version);
        let d = &*d;
        let calls = (0..9_u32).map(|n| async move {
            match (n + round) % 4 {
                0 => d.advance_move(id, lease, Freezing, Aborting, 41).await.map(|_| false),
                1 => d.advance_move(id, lease, Freezing, Copying, 41).await.map(|_| false),
                2 => d.take_over_move(id, 41).await.map(|_| false),
                _ => d.commit_move(id, lease, 1, 41).await.map(|_| true),
            }
        });
        let won = together(calls).await.into_iter().filter(|answer| *answer == Ok(true)).count();
        let now = d.move_row(id).await.unwrap().unwrap();
        let map = d.map().await.unwrap();
        assert_eq!(won, usize::from(now.phase == Committed));
        assert_eq!(map.version, before + won as u64);
        assert_eq!(map.home(unit).unwrap().epoch, Epoch(1 + won as u64));
        let left = d.garbage().await.unwrap();
        assert_eq!(left.iter().filter(|left| left.unit == unit).count(), won);
    }
}

/// Commits of different moves at once: the map has them all.
pub async fn commits_at_once_lose_nothing(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let mut rows = Vec::new();
    for n in 0..12 {
        rows.push(freezing(&*d, to_b(&[UnitId(2 * n)])).await);
    }
    let commits = rows.iter().map(|row| d.commit_move(row.id, row.lease, row.freeze, 50));
    let mut versions: Vec<_> = together(commits).await.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert!(versions.iter().copied().eq(2..14));
    let map = d.map().await.unwrap();
    assert_eq!(map.version, 13);
    for row in &rows {
        assert_eq!(map.home(row.units()[0]).unwrap().shard, B);
    }
    let garbage = d.garbage().await.unwrap();
    assert_eq!(garbage.len(), rows.len());
    assert!(garbage.is_sorted_by_key(|left| left.id));
}

/// Lossy, bounded, and only for who drives.
pub async fn progress_is_noted_by_who_drives(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let row = begun(&*d, to_b(&[UnitId(0)])).await;
    let freezes = FREEZES_KEPT as u32 + 20;
    let progress = Progress {
        rows: u64::MAX >> 1,
        bytes: 5,
        rows_estimated: 6,
        bytes_estimated: 7,
        freezes,
        freeze_us: (0..freezes).collect(),
        backlog: 8,
        verified: 9,
    };
    let (why, retry) = (Some("shard 1 does not answer".to_owned()), Some(70));
    d.note_progress(row.id, row.lease, progress.clone(), why.clone(), retry).await.unwrap();
    let d = fixture.reopened(d).await;
    let noted = d.move_row(row.id).await.unwrap().unwrap();
    assert_eq!(noted.progress.freeze_us, (20..freezes).collect::<Vec<_>>());
    assert_eq!(noted.progress, progress.bounded());
    assert_eq!((&noted.error, noted.retry_at), (&why, retry));
    assert_eq!((noted.phase, noted.lease, noted.since), (row.phase, row.lease, row.since));
    let taken = d.take_over_move(row.id, 40).await.unwrap();
    assert_eq!(taken, MoveRow { lease: taken.lease, ..noted });
    d.note_progress(row.id, row.lease, Progress::default(), None, None).await.unwrap();
    d.note_progress(99, row.lease, Progress::default(), None, None).await.unwrap();
    is(&*d, &taken).await;
    d.note_progress(row.id, taken.lease, Progress::default(), None, None).await.unwrap();
    let cleared = d.move_row(row.id).await.unwrap().unwrap();
    assert_eq!(
        (cleared.progress, cleared.error, cleared.retry_at),
        (Progress::default(), None, None)
    );
}

/// By number only, and a number is never used again.
pub async fn garbage_is_forgotten_by_number(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let there = done(&*d, to_b(&[UnitId(0)])).await;
    let first = d.garbage().await.unwrap();
    assert!(d.delete_garbage(first[0].id).await.unwrap());
    assert!(!d.delete_garbage(first[0].id).await.unwrap());
    let d = fixture.reopened(d).await;
    assert_eq!(d.garbage().await.unwrap(), []);
    done(&*d, to_b(&[UnitId(2)])).await;
    let second = d.garbage().await.unwrap();
    assert!(second[0].id > first[0].id);
    assert_eq!(second.len(), 1);
    assert_eq!(there.phase, Done);
    let failed: Result<bool, DirectoryError> = d.delete_garbage(first[0].id).await;
    assert_eq!(failed, Ok(false));
    assert_eq!(d.garbage().await.unwrap(), second);
}
