//! Rows of jobs in their table.

use ostracon_domain::Millis;
use ostracon_store::directory::{JobRow, JobState, NewJob};
use tokio_postgres::Row;

use super::{Found, map::draw};
use crate::{
    error::PgError,
    session::Session,
    value::{get, number},
};

/// Every state with its number in `job.state`; numbers are never reused. Up to 3 a job is not over.
const STATES: [(JobState, i16); 6] = [
    (JobState::Planned, 1),
    (JobState::Running, 2),
    (JobState::Paused, 3),
    (JobState::Done, 4),
    (JobState::Aborted, 5),
    (JobState::Failed, 6),
];

fn number_of(state: JobState) -> i16 {
    STATES.iter().find(|(known, _)| *known == state).map_or(0, |(_, number)| *number)
}

macro_rules! job_columns {
    () => {
        "id, title, request, asked_by, state, created_at, updated_at, error"
    };
}

const BY_ID: &str = concat!("SELECT ", job_columns!(), " FROM job WHERE id = $1");
const NEWEST: &str =
    concat!("SELECT ", job_columns!(), " FROM job WHERE id < $1 ORDER BY id DESC LIMIT $2");
const PLAN: &str = "INSERT INTO job (id, title, request, asked_by, state, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $6)";
/// Compares and sets in one statement: a row that another one changes meanwhile is compared again.
const SET: &str = concat!(
    "UPDATE job SET state = $3, error = $4, updated_at = $5 WHERE id = $1 AND state = ANY($2) RETURNING ",
    job_columns!()
);

fn read(row: &Row) -> Result<JobRow, PgError> {
    let state: i16 = get(row, 4)?;
    let known = STATES.iter().find(|(_, number)| *number == state);
    Ok(JobRow {
        id: number(row, 0)?,
        title: get(row, 1)?,
        request: get(row, 2)?,
        by: get(row, 3)?,
        state: known.map(|(state, _)| *state).ok_or(PgError::Damaged("state of a job"))?,
        created_at: get(row, 5)?,
        updated_at: get(row, 6)?,
        error: get(row, 7)?,
    })
}

pub(super) async fn by_id(session: &Session, id: i64) -> Found<Option<JobRow>> {
    let rows = session.run(BY_ID, &[&id]).await?;
    Ok(rows.first().map(read).transpose()?)
}

pub(super) async fn newest(session: &Session, below: i64, limit: u32) -> Found<Vec<JobRow>> {
    let rows = session.run(NEWEST, &[&below, &i64::from(limit)]).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

pub(super) async fn plan(session: &Session, new: &NewJob, now: Millis) -> Found<JobRow> {
    let job = JobRow {
        id: draw(session, "job", 1).await?,
        title: new.title.clone(),
        request: new.request.clone(),
        by: new.by.clone(),
        state: JobState::Planned,
        created_at: now,
        updated_at: now,
        error: None,
    };
    let (id, state) = (job.id.cast_signed(), number_of(job.state));
    session.run(PLAN, &[&id, &job.title, &job.request, &job.by, &state, &now]).await?;
    Ok(job)
}

pub(super) async fn set(
    session: &Session,
    id: i64,
    from: &[JobState],
    to: JobState,
    error: Option<&str>,
    now: Millis,
) -> Found<Option<JobRow>> {
    let from: Vec<_> = from.iter().map(|state| number_of(*state)).collect();
    let rows = session.run(SET, &[&id, &from, &number_of(to), &error, &now]).await?;
    Ok(rows.first().map(read).transpose()?)
}
