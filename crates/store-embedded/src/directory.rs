//! The directory in one SQLite file: accounts, sessions, shards, map, node lease, secrets.
//!
//! It is small and every change of it is durable when the call returns (`synchronous=FULL`).
//! It is not on the way of a message. It serves one node: the second process is kept out by the lock of the data directory.

mod accounts;
mod audit;
mod cluster;
mod copy;
mod errands;
mod failure;
mod invites;
mod job_rows;
mod map;
mod media;
mod move_rows;
mod moves;
mod people;
mod push;
mod schema;
mod sessions;
mod threads;

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use ostracon_store::DirectoryError;
use rusqlite::{Connection, OpenFlags};

use self::{failure::Failure, map::KnownMap, schema::STEPS, threads::Threads};
use crate::migration::{self, MigrationError};

/// "OSTD" in the header of the file.
const APPLICATION_ID: i32 = 0x4f53_5444;
/// Memory a connection keeps pages in, in KiB: enough for the keys of some ten thousand sessions.
const CACHE_KIB: i64 = 8 * 1_024;
/// Statements kept prepared by a connection.
const PREPARED_MAX: usize = 64;

/// A directory file that is open. All calls may come from any task; none blocks the runtime.
///
/// Dropping it waits until its threads have ended and the file is closed.
pub struct SqliteDirectory {
    threads: Threads,
    known_map: KnownMap,
}

impl SqliteDirectory {
    /// Opens the file, makes it if it is missing, and brings an older one up to date. Blocks for some file operations.
    ///
    /// # Errors
    /// `Refused` for a file that is newer, foreign or damaged; nothing in it is changed then.
    /// `Unavailable` when the file system does not let it be opened or written.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let what = path.display().to_string();
        peek(path).map_err(refused)?;
        make(path).map_err(|e| DirectoryError::Unavailable(format!("{what}: {e}")))?;
        let in_file = |e: rusqlite::Error| Failure::from(e).named(&what);

        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(in_file)?;
        migration::migrate(&mut writer, APPLICATION_ID, &what, STEPS).map_err(refused)?;
        // Before there is a write-ahead log: `peek_cluster` reads the file alone.
        cluster::identify(&writer).map_err(|e| e.named(&what))?;
        prepare(&writer).map_err(in_file)?;
        let reader = || connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(in_file);
        let threads = Threads::start(reader()?, reader()?, writer)
            .map_err(|e| DirectoryError::Unavailable(format!("{what}: no thread: {e}")))?;
        Ok(Self { threads, known_map: KnownMap::default() })
    }
}

/// Refuses a foreign or newer file by its first bytes, without opening it.
pub(crate) fn peek(path: &Path) -> Result<(), MigrationError> {
    migration::peek(path, APPLICATION_ID, &path.display().to_string(), STEPS)
}

/// Whose directory the file is, read without opening it for good; none when there is nothing in it.
///
/// A new file has its cluster id before it has a write-ahead log, so the file alone says it.
pub(crate) fn peek_cluster(path: &Path) -> Option<u128> {
    let id: [u8; 16] = migration::peek_row(path, "SELECT id FROM cluster", |row| row.get(0))?;
    Some(u128::from_be_bytes(id))
}

/// Makes the file, readable by its owner only: it holds password hashes and secrets.
fn make(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    new_private_file(path).map(drop)
}

fn new_private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.set_prepared_statement_cache_capacity(PREPARED_MAX);
    Ok(conn)
}

fn prepare(writer: &Connection) -> rusqlite::Result<()> {
    writer.pragma_update(None, "journal_mode", "wal")?;
    writer.pragma_update(None, "synchronous", "full")?;
    writer.pragma_update(None, "foreign_keys", true)?;
    // Replaced password hashes and ended sessions leave no trace in free pages.
    writer.pragma_update(None, "secure_delete", true)
}

fn refused(error: MigrationError) -> DirectoryError {
    match error {
        MigrationError::Sqlite { what, source } => Failure::from(source).named(&what),
        MigrationError::Io { .. } => DirectoryError::Unavailable(error.to_string()),
        MigrationError::Foreign { .. } | MigrationError::Newer { .. } => {
            DirectoryError::Refused(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
