//! The tables of one shard: a SQLite file behind the journal. What is in them may lag behind what was acked.
//!
//! One connection writes (the applier's), others read. Not the place that decides what is newest: see `snapshot`.

mod columns;
mod import;
mod meta;
mod purge;
mod read;
mod schema;
mod write;

use std::path::Path;

use ostracon_domain::ShardId;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

pub(crate) use columns::{phase_byte, phase_of};
pub(crate) use import::Importing;
pub(crate) use meta::Meta;
pub(crate) use read::{Key, TableReader};
pub(crate) use schema::{APPLICATION_ID, STEPS};
pub(crate) use write::{Known, TableWriter};

use crate::{
    data_dir::DataDir,
    error::TableError,
    migration::{self, MigrationError},
    store::OpenError,
};

type Result<T> = std::result::Result<T, TableError>;

/// Page cache of the writing connection, KiB. Large: hot pages of the indexes are written again and again.
/// It is given back when the shard is idle.
const WRITER_CACHE_KIB: i64 = 32 << 10;
/// Page cache of each reading connection, KiB. Small: the system keeps the file's pages anyway.
const READER_CACHE_KIB: i64 = 2 << 10;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;
/// How long a connection waits for another one's lock, ms; only start-up and strangers meet.
const BUSY_MS: u64 = 1_000;

/// Refuses a foreign or newer file by its first bytes, without opening it.
pub(crate) fn peek(path: &Path, shard: ShardId) -> std::result::Result<(), MigrationError> {
    migration::peek(path, APPLICATION_ID, &what(path, shard), STEPS)
}

/// Whether anything was ever written into the file.
pub(crate) fn was_made(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.len() > 0)
}

/// Whose tables a file holds, read without opening it for good.
///
/// None when it was not made to its end, or when only opening it can tell.
pub(crate) fn peek_identity(path: &Path) -> Option<(u128, ShardId)> {
    let (cluster, shard): ([u8; 16], u32) =
        migration::peek_row(path, "SELECT cluster, shard FROM meta", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Some((u128::from_be_bytes(cluster), ShardId(shard)))
}

/// Refuses the tables of another cluster or shard.
pub(crate) fn judge_identity(
    path: &Path,
    found: (u128, ShardId),
    expected: (u128, ShardId),
) -> std::result::Result<(), OpenError> {
    if found.0 != expected.0 {
        return Err(OpenError::Refused(format!(
            "{} belongs to another cluster: put back the directory that it was made with, or take the shard away",
            path.display()
        )));
    }
    if found.1 != expected.1 {
        return Err(OpenError::Refused(format!(
            "{} is shard {}: give the file its own name back",
            path.display(),
            found.1
        )));
    }
    Ok(())
}

/// Makes the tables of a shard and writes into them whose they are, durably. Does nothing to those that exist. Blocking.
///
/// To be done before anybody is told of the shard: from then on a missing file means a lost one.
///
/// # Errors
/// When the file is foreign or newer, belongs to others, or cannot be written.
pub fn make_shard(
    data_dir: &DataDir,
    cluster: u128,
    shard: ShardId,
) -> std::result::Result<(), OpenError> {
    let path = data_dir.shard_path(shard);
    let mut conn = open_migrated(&path, shard)?;
    let known = Meta::load(&conn)?;
    if let Some(meta) = known {
        return judge_identity(&path, (meta.cluster, meta.shard), (cluster, shard));
    }
    // There is no write-ahead log yet, so that `peek_identity` finds this in the file itself.
    let tx = conn.transaction().map_err(TableError::from)?;
    Meta { cluster, shard, applied: 0, dispatched: 0, incarnation: 0 }.store(&tx)?;
    tx.commit().map_err(TableError::from)?;
    Ok(())
}

fn what(path: &Path, shard: ShardId) -> String {
    format!("shard {shard} ({})", path.display())
}

/// Opens the file for writing, making it when it is missing.
///
/// # Errors
/// Foreign, newer and damaged files are refused unchanged.
pub(crate) fn open_writer(
    path: &Path,
    shard: ShardId,
) -> std::result::Result<Connection, MigrationError> {
    let conn = open_migrated(path, shard)?;
    let set_up = || -> rusqlite::Result<()> {
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        // Content must be gone for good once it is deleted.
        conn.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
        conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        steady(&conn)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(())
    };
    set_up().map_err(|source| MigrationError::Sqlite { what: what(path, shard), source })?;
    Ok(conn)
}

/// Opens the file, brings it up to date, and leaves its kind of log as it is.
fn open_migrated(path: &Path, shard: ShardId) -> std::result::Result<Connection, MigrationError> {
    peek(path, shard)?;
    let what = what(path, shard);
    let sqlite = |source| MigrationError::Sqlite { what: what.clone(), source };
    let mut conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sqlite)?;
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_MS)).map_err(sqlite)?;
    migration::migrate(&mut conn, APPLICATION_ID, &what, STEPS)?;
    Ok(conn)
}

/// Opens the file of a shard for reading only, as another process may: it must exist.
///
/// # Errors
/// What SQLite says.
pub fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    steady(&conn)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// Plans do not depend on bound values: otherwise SQLite prepares statements anew at nearly every use.
fn steady(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}
