//! Rows of jobs in their table.

use ostracon_domain::Millis;
use ostracon_store::directory::{JobRow, JobState, NewJob};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::Type};

use super::{failure::Failure, map::unreadable};

/// Every state with its number in `job.state`; numbers are never reused. Up to 3 a job is not over.
const STATES: [(JobState, i64); 6] = [
    (JobState::Planned, 1),
    (JobState::Running, 2),
    (JobState::Paused, 3),
    (JobState::Done, 4),
    (JobState::Aborted, 5),
    (JobState::Failed, 6),
];

fn number(state: JobState) -> i64 {
    STATES.iter().find(|(known, _)| *known == state).map_or(0, |(_, number)| *number)
}

#[derive(Debug, thiserror::Error)]
#[error("state {0} of a job is unknown")]
struct UnknownState(i64);

fn read(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let state: i64 = row.get(4)?;
    let known = STATES.iter().find(|(_, number)| *number == state);
    Ok(JobRow {
        id: row.get(0)?,
        title: row.get(1)?,
        request: row.get(2)?,
        by: row.get(3)?,
        state: known
            .map(|(state, _)| *state)
            .ok_or_else(|| unreadable(4, Type::Integer, UnknownState(state)))?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
        error: row.get(7)?,
    })
}

const SELECT: &str =
    "SELECT id, title, request, asked_by, state, created_at, updated_at, error FROM job";

pub(super) fn by_id(conn: &Connection, id: u64) -> Result<Option<JobRow>, Failure> {
    let mut statement = conn.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    Ok(statement.query_row([id], read).optional()?)
}

pub(super) fn newest(
    conn: &Connection,
    after: Option<u64>,
    limit: u32,
) -> Result<Vec<JobRow>, Failure> {
    let sql = format!("{SELECT} WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(params![after, limit], read)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn plan(tx: &Transaction<'_>, new: &NewJob, now: Millis) -> Result<JobRow, Failure> {
    tx.prepare_cached(
        "INSERT INTO job (title, request, asked_by, state, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
    )?
    .execute(params![new.title, new.request, new.by, number(JobState::Planned), now])?;
    Ok(JobRow {
        id: tx.last_insert_rowid().unsigned_abs(),
        title: new.title.clone(),
        request: new.request.clone(),
        by: new.by.clone(),
        state: JobState::Planned,
        created_at: now,
        updated_at: now,
        error: None,
    })
}

/// Writes state, error and time of the change.
pub(super) fn store(tx: &Transaction<'_>, job: &JobRow) -> Result<(), Failure> {
    let sql = "UPDATE job SET state = ?2, error = ?3, updated_at = ?4 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute(params![
        job.id,
        number(job.state),
        job.error,
        job.updated_at
    ])?;
    Ok(())
}
