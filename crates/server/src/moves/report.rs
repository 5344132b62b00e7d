//! What a job did and how far it is, as people and programs are told. Pure, but for what this process remembers of it.

use ostracon_domain::{MapChange, Millis};
use ostracon_proto::rest::admin;
use ostracon_store::directory::{JobRow, JobState, MoveKind, MovePhase, MoveRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Moves;

/// Moves named in an answer.
const MOVES_LISTED_MAX: usize = 1_000;

/// What is stored of a request. Its JSON is stored: names are never reused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// The body of the call.
    pub(crate) what: Value,
    /// The shard that is emptied by it.
    pub(crate) drains: Option<u32>,
    /// The user whom it isolates.
    pub(crate) user: Option<u64>,
    /// Whether it evens shards out.
    pub(crate) balances: bool,
    /// Rows to copy, about.
    pub(crate) rows: u64,
    /// Bytes to copy, about.
    pub(crate) bytes: u64,
}

impl Asked {
    /// What a job was asked for; nothing of one that somebody else stored.
    pub(crate) fn of(job: &JobRow) -> Self {
        serde_json::from_str(&job.request).unwrap_or_default()
    }
}

/// What a job did.
pub(crate) fn report(
    moves: &Moves,
    job: &JobRow,
    rows: &[MoveRow],
    now: Millis,
) -> admin::JobReport {
    let done = || rows.iter().filter(|row| row.phase == MovePhase::Done);
    let mut freezes: Vec<u32> =
        rows.iter().flat_map(|row| row.progress.freeze_us.iter().copied()).collect();
    freezes.sort_unstable();
    let (began, refused) = moves.runs.of(job.id).unwrap_or((job.created_at, 0));
    let until = match job.state {
        JobState::Planned => began,
        state if state.is_over() => job.updated_at,
        _ => now,
    };
    admin::JobReport {
        job_id: job.id,
        state: state(job.state),
        moves: done().count() as u64,
        units: done().map(moved_units).sum(),
        rows: rows.iter().map(|row| row.progress.rows).sum(),
        bytes: rows.iter().map(|row| row.progress.bytes).sum(),
        freezes: rows.iter().map(|row| u64::from(row.progress.freezes)).sum(),
        freeze_ms: admin::FreezeMs {
            p50: percentile(&freezes, 50),
            p99: percentile(&freezes, 99),
            max: percentile(&freezes, 100),
        },
        refused,
        seconds: until.saturating_sub(began).max(0) as f64 / 1_000.0,
    }
}

/// The same with everything that is known; `whole` lists all moves, otherwise those under way.
pub(crate) fn details(
    moves: &Moves,
    job: &JobRow,
    rows: &[MoveRow],
    now: Millis,
    whole: bool,
) -> admin::Job {
    let report = report(moves, job, rows, now);
    let asked = Asked::of(job);
    let known = |count: fn(&MoveRow) -> (u64, u64)| -> u64 {
        rows.iter().map(count).map(|(done, estimated)| done.max(estimated)).sum()
    };
    let rows_estimated =
        known(|row| (row.progress.rows, row.progress.rows_estimated)).max(asked.rows);
    let bytes_estimated =
        known(|row| (row.progress.bytes, row.progress.bytes_estimated)).max(asked.bytes);
    let total = rows.len() as u64;
    let over =
        rows.iter().filter(|row| matches!(row.phase, MovePhase::Done | MovePhase::Aborted)).count()
            as u64;
    let failed = rows.iter().rev().find_map(|row| row.error.clone());
    let can_undo = job.state.is_over() && report.moves > 0;
    let listed = rows.iter().filter(|row| whole || row.phase.is_active()).take(MOVES_LISTED_MAX);
    admin::Job {
        title: job.title.clone(),
        by: job.by.clone(),
        created_at: job.created_at,
        updated_at: job.updated_at,
        moves_total: total,
        rows_estimated,
        bytes_estimated,
        rows_per_s: if report.seconds > 0.0 {
            (report.rows as f64 / report.seconds) as u64
        } else {
            0
        },
        eta_s: if job.state == JobState::Running {
            eta(report.seconds, (over, total), (report.rows, rows_estimated))
        } else {
            None
        },
        backlog: rows
            .iter()
            .filter(|row| row.phase.is_active())
            .map(|row| row.progress.backlog)
            .sum(),
        verified: rows.iter().map(|row| row.progress.verified).sum(),
        error: job.error.clone().or(failed),
        undo: can_undo.then(|| format!("ostracon shards undo {}", job.id)),
        list: listed.map(item).collect(),
        report,
    }
}

/// What is left takes about as long as what was done took, by moves or by rows, whichever is slower.
fn eta(seconds: f64, moves: (u64, u64), rows: (u64, u64)) -> Option<u64> {
    let left = |(done, total): (u64, u64)| {
        (done > 0).then(|| seconds * total.saturating_sub(done) as f64 / done as f64)
    };
    let longest = [left(moves), left(rows)]
        .into_iter()
        .flatten()
        .fold(None, |longest, left| Some(longest.map_or(left, |longest: f64| longest.max(left))));
    longest.map(|left| left.ceil() as u64)
}

fn item(row: &MoveRow) -> admin::MoveItem {
    let freezes = &row.progress.freeze_us;
    admin::MoveItem {
        move_id: row.id,
        kind: match row.kind() {
            Some(MoveKind::Carve) => "carve",
            Some(MoveKind::Merge) => "merge",
            Some(MoveKind::Move) | None => "move",
        }
        .to_owned(),
        source: row.source.0,
        destination: row.destination.0,
        units: row.units().iter().map(|unit| unit.0).collect(),
        phase: match row.phase {
            MovePhase::Planned => admin::MovePhase::Planned,
            MovePhase::Copying => admin::MovePhase::Copying,
            MovePhase::Freezing => admin::MovePhase::Freezing,
            MovePhase::Committed => admin::MovePhase::Committed,
            MovePhase::Done => admin::MovePhase::Done,
            MovePhase::Aborting => admin::MovePhase::Aborting,
            MovePhase::Aborted => admin::MovePhase::Aborted,
        },
        since: row.since,
        rows: row.progress.rows,
        rows_estimated: row.progress.rows_estimated,
        bytes: row.progress.bytes,
        backlog: row.progress.backlog,
        verified: row.progress.verified,
        freezes: u64::from(row.progress.freezes),
        freeze_ms_last: freezes.last().map_or(0.0, |us| ms(*us)),
        freeze_ms_max: freezes.iter().max().map_or(0.0, |us| ms(*us)),
        attempts: row.attempt,
        lease: row.lease,
        error: row.error.clone(),
        retry_at: row.retry_at,
    }
}

fn moved_units(row: &MoveRow) -> u64 {
    match &row.change {
        MapChange::Move { units, .. } => units.len() as u64,
        _ => 0,
    }
}

fn state(state: JobState) -> admin::JobState {
    match state {
        JobState::Planned => admin::JobState::Planned,
        JobState::Running => admin::JobState::Running,
        JobState::Paused => admin::JobState::Paused,
        JobState::Done => admin::JobState::Done,
        JobState::Aborted => admin::JobState::Aborted,
        JobState::Failed => admin::JobState::Failed,
    }
}

/// Nearest rank, of sorted microseconds, in milliseconds.
fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |us| ms(*us))
}

fn ms(us: u32) -> f64 {
    f64::from(us) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::{eta, percentile};

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        assert_eq!(percentile(&[], 99), 0.0);
        assert_eq!(percentile(&[1_500], 50), 1.5);
        let all: Vec<u32> = (1..=100).map(|n| n * 1_000).collect();
        assert_eq!((percentile(&all, 50), percentile(&all, 99)), (50.0, 99.0));
        assert_eq!(percentile(&all, 100), 100.0);
    }

    #[test]
    fn what_is_left_takes_as_long_as_what_was_done() {
        assert_eq!(eta(10.0, (0, 4), (0, 0)), None);
        assert_eq!(eta(10.0, (1, 4), (100, 200)), Some(30));
        assert_eq!(eta(10.0, (3, 4), (100, 1_100)), Some(100));
        assert_eq!(eta(10.0, (4, 4), (200, 200)), Some(0));
    }
}
