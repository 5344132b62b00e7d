//! The audit log in its table.

use async_trait::async_trait;
use ostracon_store::directory::{Audit, AuditEntry, AuditRow};
use tokio_postgres::Row;

use super::{Found, PostgresDirectory, Result, in_session, in_transaction, map::draw};
use crate::{
    error::PgError,
    session::Session,
    value::{get, number},
};

const RECORD: &str = "INSERT INTO audit (id, at, who, origin, action, target, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const NEWEST: &str = "SELECT id, at, who, origin, action, target, detail FROM audit \
     WHERE id < $1 ORDER BY id DESC LIMIT $2";

#[async_trait]
impl Audit for PostgresDirectory {
    async fn record(&self, entry: AuditEntry) -> Result<u64> {
        in_transaction!(self, |session| record(session, &entry))
    }

    async fn audit(&self, after: Option<u64>, limit: u32) -> Result<Vec<AuditRow>> {
        let below = below(after);
        in_session!(self, |session| newest(session, below, limit))
    }
}

/// The number that a page's numbers are below.
pub(super) fn below(after: Option<u64>) -> i64 {
    after.map_or(i64::MAX, |after| i64::try_from(after).unwrap_or(i64::MAX))
}

async fn record(session: &Session, entry: &AuditEntry) -> Found<u64> {
    // The row of the sequence is held until the end: an entry never appears below one that was read.
    let id = draw(session, "audit", 1).await?;
    let AuditEntry { at, who, from, action, target, detail } = entry;
    session.run(RECORD, &[&id.cast_signed(), at, who, from, action, target, detail]).await?;
    Ok(id)
}

async fn newest(session: &Session, below: i64, limit: u32) -> Found<Vec<AuditRow>> {
    let rows = session.run(NEWEST, &[&below, &i64::from(limit)]).await?;
    Ok(rows.iter().map(read).collect::<std::result::Result<_, _>>()?)
}

fn read(row: &Row) -> std::result::Result<AuditRow, PgError> {
    let entry = AuditEntry {
        at: get(row, 1)?,
        who: get(row, 2)?,
        from: get(row, 3)?,
        action: get(row, 4)?,
        target: get(row, 5)?,
        detail: get(row, 6)?,
    };
    Ok(AuditRow { id: number(row, 0)?, entry })
}
