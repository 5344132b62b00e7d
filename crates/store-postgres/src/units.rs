//! States of units. What is legal is judged by the seam; here a judgement is written if the row is still as it was judged.

use ostracon_domain::UnitId;
use ostracon_store::{ShardError, UnitChange, UnitState};

use crate::{
    error::PgError,
    pool::Database,
    session::Session,
    sql::{FENCE_LOCK, UNIT, unit_columns},
    value,
};

type Result<T> = std::result::Result<T, PgError>;

const ALL: &str = concat!("SELECT ", unit_columns!(), " FROM unit_state ORDER BY unit");
const CHANGE: &str = "SELECT change_unit($1, $2, $3, $4, $5)";

/// The row was changed so often by others while it was judged that somebody must be running wild.
const ATTEMPTS: u32 = 50;

/// Every state, by unit.
pub(crate) async fn unit_states(session: &Session) -> Result<Vec<UnitState>> {
    session.run(ALL, &[]).await?.iter().map(|row| value::unit_state(row, 0)).collect()
}

fn columns(state: &UnitState) -> Vec<i64> {
    vec![
        state.epoch.0 as i64,
        i64::from(value::phase_number(state.phase)),
        state.incarnation as i64,
        state.pair.lease as i64,
        state.pair.step as i64,
    ]
}

async fn unit_state(session: &Session, unit: UnitId) -> Result<Option<UnitState>> {
    let rows = session.run(UNIT, &[&i64::from(unit.0)]).await?;
    rows.first().map(|row| value::unit_state(row, 0)).transpose()
}

/// Changes a state. The server's own transaction waits for every batch under the old one, which then are durable.
pub(crate) async fn set_unit_state(
    database: &Database,
    change: UnitChange,
) -> std::result::Result<UnitState, ShardError> {
    let done = async {
        let session = database.session().await?;
        let done = judge(&session, database, change).await;
        session.end(done).await
    };
    database.timed(done).await?
}

async fn judge(
    session: &Session,
    database: &Database,
    change: UnitChange,
) -> Result<std::result::Result<UnitState, ShardError>> {
    let server = database.server();
    for _ in 0..ATTEMPTS {
        let current = unit_state(session, change.unit).await?;
        let verdict = change.apply(current, server.incarnation());
        let Some(state) = verdict.to_store() else {
            return Ok(verdict.answer());
        };
        let was = current.as_ref().map(columns);
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&FENCE_LOCK, &server.lock_key(), &i64::from(change.unit.0), &was, &columns(&state)];
        let rows = session.run(CHANGE, &params).await?;
        let written = rows.first().map(|row| value::get::<bool>(row, 0)).transpose()?;
        if written == Some(true) {
            return Ok(verdict.answer());
        }
    }
    Ok(Err(ShardError::Busy))
}
