//! Stories of jobs.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{MapChange, ShardId, UnitId};

use super::{
    Fixture,
    stage::{A, B, carved, founded, isolate, job, on_a, sentence, talk_on_a, to_b, together, user},
};
use crate::directory::{JobState, MovePhase, NewMove, Progress};

/// A job is written down with its moves in their order, and is there after a restart.
pub async fn a_job_is_planned_whole(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let talk = talk_on_a(0);
    let moves =
        vec![to_b(&[UnitId(4), UnitId(2)]), on_a(isolate(talk, carved(0))), to_b(&[UnitId(6)])];
    let first = d.plan_job(job(moves.clone()), 10).await.unwrap();
    assert_eq!((first.state, first.created_at, first.updated_at), (JobState::Planned, 10, 10));
    assert_eq!((first.title.as_str(), first.by.as_str()), ("Move it", "operator"));
    assert_eq!((first.request.as_str(), &first.error), (r#"{"to":1}"#, &None));
    let idle = d.plan_job(job(Vec::new()), 11).await.unwrap();
    let d = fixture.reopened(d).await;
    assert_eq!(d.job(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(d.job(99).await.unwrap(), None);
    assert_eq!(d.moves_of(idle.id).await.unwrap(), []);
    let rows = d.moves_of(first.id).await.unwrap();
    assert_eq!(rows.len(), moves.len());
    for (row, new) in rows.iter().zip(&moves) {
        assert_eq!(
            (row.source, row.destination, &row.change),
            (new.source, new.destination, &new.change)
        );
        assert_eq!(
            (row.job, row.phase, row.created_at, row.since),
            (first.id, MovePhase::Planned, 10, 10)
        );
        assert_eq!((row.attempt, row.lease, row.freeze), (0, 0, 0));
        assert_eq!((&row.progress, &row.error, row.retry_at), (&Progress::default(), &None, None));
        assert_eq!(d.move_row(row.id).await.unwrap().as_ref(), Some(row));
    }
    assert!(rows.is_sorted_by_key(|row| row.id));
    assert_eq!(d.unfinished_moves().await.unwrap(), [], "a plan owns nothing");
    assert_eq!(d.move_row(99).await.unwrap(), None);
}

/// One that makes no sense is refused with all of its job.
pub async fn a_plan_that_makes_no_sense_is_refused_whole(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let talk = talk_on_a(0);
    let strange = [
        NewMove { source: ShardId(9), ..to_b(&[UnitId(0)]) },
        NewMove { destination: ShardId(9), ..to_b(&[UnitId(0)]) },
        NewMove { destination: A, ..to_b(&[UnitId(0)]) },
        NewMove { source: B, ..to_b(&[UnitId(0)]) },
        NewMove { destination: B, ..on_a(isolate(talk, carved(0))) },
        to_b(&[]),
        on_a(MapChange::ForgetUser { user: user(1) }),
    ];
    for new in strange {
        sentence(d.plan_job(job(vec![to_b(&[UnitId(2)]), new]), 10).await);
    }
    assert_eq!(d.jobs(None, 10).await.unwrap(), []);
    assert_eq!(d.move_row(1).await.unwrap(), None);
}

/// Newest first, page by page.
pub async fn jobs_are_listed_newest_first(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    for at in 0..5 {
        d.plan_job(job(Vec::new()), at).await.unwrap();
    }
    let all = d.jobs(None, 10).await.unwrap();
    assert!(all.iter().rev().is_sorted_by_key(|job| job.id));
    assert_eq!(all.iter().map(|job| job.created_at).collect::<Vec<_>>(), [4, 3, 2, 1, 0]);
    assert_eq!(d.jobs(None, 2).await.unwrap(), all[..2]);
    assert_eq!(d.jobs(Some(all[1].id), 2).await.unwrap(), all[2..4]);
    assert_eq!(d.jobs(Some(all[4].id), 2).await.unwrap(), []);
}

/// Of many who change the state from one to another, one does.
pub async fn a_job_changes_its_state_once(fixture: &dyn Fixture) {
    let d = founded(fixture).await;
    let id = d.plan_job(job(Vec::new()), 10).await.unwrap().id;
    let from = [JobState::Planned, JobState::Paused];
    let (running, failed) = (JobState::Running, JobState::Failed);
    let answers = together((0..20).map(|at| d.set_job(id, &from, running, None, 20 + at))).await;
    let changed: Vec<_> = answers.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(d.job(id).await.unwrap().as_ref(), changed.first());
    let why = Some("shard 1 is gone".to_owned());
    let row = d.set_job(id, &[running], failed, why.clone(), 50).await.unwrap().unwrap();
    assert_eq!((row.state, row.error, row.updated_at, row.created_at), (failed, why, 50, 10));
    assert_eq!(d.set_job(id, &[running], failed, None, 60).await.unwrap(), None);
    assert_eq!(d.set_job(99, &[running], failed, None, 60).await.unwrap(), None);
    let d = fixture.reopened(d).await;
    assert_eq!(d.job(id).await.unwrap().unwrap().updated_at, 50);
    let again = d.set_job(id, &[failed], JobState::Planned, None, 70).await.unwrap().unwrap();
    assert_eq!(again.error, None);
}
