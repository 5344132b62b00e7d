//! Versions of SQLite files: brings an older file up to date, refuses a foreign or newer one unchanged.
//!
//! A step is a script of SQL that never changes once it was released; a new one goes to the end of its list.
//! The version is the number of steps taken (`user_version`); there is no way down.

use std::{fs::File, io::Read, os::unix::ffi::OsStrExt as _, path::Path};

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, TransactionBehavior, config::DbConfig};

/// Where a SQLite file names its version and its owner, big-endian, in its first 100 bytes.
const HEADER_BYTES: u64 = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

/// Why a file was not brought up to date. The first two changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrationError {
    /// No SQLite file, or one of another program.
    #[error(
        "{what} was not written by this program: move it away or name another data directory; nothing in it was changed"
    )]
    Foreign {
        /// The file, for people.
        what: String,
    },
    /// Written by a newer version of this program.
    #[error(
        "{what} has version {found}, but this program knows versions up to {known} only: run the newer program that wrote it; nothing in it was changed"
    )]
    Newer {
        /// The file, for people.
        what: String,
        /// Its version.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// Damaged, not readable or not writable.
    #[error("{what} cannot be opened: {source}")]
    Sqlite {
        /// The file, for people.
        what: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Not readable at all.
    #[error("{what} cannot be read: {source}")]
    Io {
        /// The file, for people.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Refuses a foreign or newer file by its first bytes, without SQLite, so that not even side files appear.
///
/// A file that passes may still be refused by [`migrate`]: its newest header can be in the write-ahead log.
/// A missing or empty file passes.
pub(crate) fn peek(
    path: &Path,
    application_id: i32,
    what: &str,
    steps: &[&str],
) -> Result<(), MigrationError> {
    let mut header = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut header));
    match read {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(MigrationError::Io { what: what.to_owned(), source });
        }
        Ok(0) => return Ok(()),
        Ok(_) => {}
    }
    if !header.starts_with(MAGIC) {
        return Err(MigrationError::Foreign { what: what.to_owned() });
    }
    match number_at(&header, APPLICATION_ID_AT) {
        Some(id) if id == application_id => {}
        // Perhaps its first step was cut off, and SQLite knows from a file beside it.
        Some(0) if unfinished(path) => return Ok(()),
        _ => {
            return Err(MigrationError::Foreign { what: what.to_owned() });
        }
    }
    let found = i64::from(number_at(&header, USER_VERSION_AT).unwrap_or(0));
    refuse_newer(found, what, steps)
}

/// Reads one row of a file as it lies there: without its log, and without making files beside it.
///
/// None when there is no such row, or when it cannot be read so; opening the file will say why.
pub(crate) fn peek_row<T>(
    path: &Path,
    sql: &str,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Option<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(as_it_lies(path), flags).ok()?;
    // A checkpoint that was cut short may have promised more pages than there are.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true).ok()?;
    conn.query_row(sql, [], row).ok()
}

/// The name under which SQLite takes a file for one that nobody changes.
fn as_it_lies(path: &Path) -> String {
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                name.push(char::from(*byte));
            }
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name.push_str("?immutable=1");
    name
}

/// Takes the steps that this file has not taken yet, each in a transaction of its own with its number.
///
/// Call it before any pragma that writes to the file (`journal_mode`). `what` names the file in errors.
pub(crate) fn migrate(
    conn: &mut Connection,
    application_id: i32,
    what: &str,
    steps: &[&str],
) -> Result<(), MigrationError> {
    // Otherwise closing a refused file would write its log into it.
    let quiet = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    let before = conn
        .db_config(quiet)
        .and_then(|before| conn.set_db_config(quiet, true).map(|_| before))
        .map_err(|e| sqlite(what, e))?;
    let found = version(conn, application_id, what)?;
    refuse_newer(found, what, steps)?;
    conn.set_db_config(quiet, before).map_err(|e| sqlite(what, e))?;

    let taken = usize::try_from(found).unwrap_or(0);
    for (number, step) in steps.iter().enumerate().skip(taken) {
        take(conn, application_id, number + 1, step).map_err(|e| sqlite(what, e))?;
    }
    Ok(())
}

fn take(
    conn: &mut Connection,
    application_id: i32,
    number: usize,
    step: &str,
) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(step)?;
    tx.pragma_update(None, "application_id", application_id)?;
    tx.pragma_update(None, "user_version", i64::try_from(number).unwrap_or(i64::MAX))?;
    tx.commit()
}

fn version(conn: &Connection, application_id: i32, what: &str) -> Result<i64, MigrationError> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let read = || -> rusqlite::Result<_> {
        Ok((
            number("PRAGMA application_id")?,
            number("PRAGMA user_version")?,
            number("SELECT count(*) FROM sqlite_master")?,
        ))
    };
    match read().map_err(|e| sqlite(what, e))? {
        (id, version, _) if id == i64::from(application_id) => Ok(version),
        (0, 0, 0) => Ok(0),
        _ => Err(MigrationError::Foreign { what: what.to_owned() }),
    }
}

fn refuse_newer(found: i64, what: &str, steps: &[&str]) -> Result<(), MigrationError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(MigrationError::Newer { what: what.to_owned(), found, known });
    }
    Ok(())
}

fn sqlite(what: &str, source: rusqlite::Error) -> MigrationError {
    let what = what.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => MigrationError::Foreign { what },
        _ => MigrationError::Sqlite { what, source },
    }
}

fn unfinished(path: &Path) -> bool {
    ["-journal", "-wal"].iter().any(|end| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        Path::new(&beside).exists()
    })
}

fn number_at(header: &[u8], at: usize) -> Option<i32> {
    let bytes = header.get(at..at + 4)?.try_into().ok()?;
    Some(i32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
