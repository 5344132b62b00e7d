//! The audit log in its table.

use async_trait::async_trait;
use ostracon_store::directory::{Audit, AuditEntry, AuditRow, DirectoryError};
use rusqlite::{Row, params};

use super::SqliteDirectory;

type Result<T> = std::result::Result<T, DirectoryError>;

#[async_trait]
impl Audit for SqliteDirectory {
    async fn record(&self, entry: AuditEntry) -> Result<u64> {
        self.threads
            .write(move |conn| {
                conn.prepare_cached(
                    "INSERT INTO audit (at, who, origin, action, target, detail)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    entry.at,
                    entry.who,
                    entry.from,
                    entry.action,
                    entry.target,
                    entry.detail
                ])?;
                Ok(conn.last_insert_rowid().unsigned_abs())
            })
            .await
    }

    async fn audit(&self, after: Option<u64>, limit: u32) -> Result<Vec<AuditRow>> {
        self.threads
            .scan(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT id, at, who, origin, action, target, detail FROM audit
                     WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2",
                )?;
                let found = statement.query_map(params![after, limit], read)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let entry = AuditEntry {
        at: row.get(1)?,
        who: row.get(2)?,
        from: row.get(3)?,
        action: row.get(4)?,
        target: row.get(5)?,
        detail: row.get(6)?,
    };
    Ok(AuditRow { id: row.get(0)?, entry })
}
