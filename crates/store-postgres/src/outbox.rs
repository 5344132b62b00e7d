//! What a dispatcher repeats after a crash, and how far it has come.

use ostracon_store::{Position, Undispatched, record::decode_all};

use crate::{error::PgError, session::Session, value};

type Result<T> = std::result::Result<T, PgError>;

const UNDISPATCHED: &str = "SELECT position, rows FROM outbox \
     WHERE position > greatest($1, (SELECT position FROM dispatch_cursor)) ORDER BY position LIMIT $2";
const ADVANCE: &str = "WITH before AS (SELECT position FROM dispatch_cursor FOR UPDATE), \
     after AS (UPDATE dispatch_cursor AS c SET position = $1 FROM before WHERE before.position < $1 RETURNING before.position) \
     DELETE FROM outbox USING after WHERE outbox.position > after.position AND outbox.position <= $1";

/// Batches after the cursor and after this position, oldest first. Positions become visible in order, so nothing
/// below the last of them can still come.
pub(crate) async fn undispatched(
    session: &Session,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<Undispatched>> {
    let after = i64::try_from(after.unwrap_or(0)).unwrap_or(i64::MAX);
    let rows = session.run(UNDISPATCHED, &[&after, &i64::from(limit)]).await?;
    rows.iter()
        .map(|row| {
            let rows = decode_all(value::get(row, 1)?).map_err(|_| PgError::Damaged("batch"))?;
            Ok(Undispatched { position: value::number(row, 0)?, rows })
        })
        .collect()
}

/// Moves the cursor forward and removes what it passed, without a wait for the disk: a crash repeats it.
pub(crate) async fn dispatched(session: &Session, up_to: Position) -> Result<()> {
    let up_to = i64::try_from(up_to).unwrap_or(i64::MAX);
    let advance = session.prepare(ADVANCE).await?;
    let flight = tokio::join!(
        biased;
        session.plain("BEGIN; SET LOCAL synchronous_commit = off"),
        async { session.query(&advance, &[&up_to]).await },
    );
    flight.0?;
    flight.1?;
    session.plain("COMMIT").await
}
