//! What SQLite says, as what a caller of the directory can do about it.

use ostracon_store::DirectoryError;
use rusqlite::{ErrorCode, ffi};

/// Why a job on a connection failed.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Directory(DirectoryError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        Self::Directory(error)
    }
}

impl Failure {
    /// For the caller; `what` names the file.
    pub(super) fn named(self, what: &str) -> DirectoryError {
        let error = match self {
            Self::Directory(error) => return error,
            Self::Sqlite(error) => error,
        };
        if let Some(taken) = taken(&error) {
            return DirectoryError::Taken(taken);
        }
        match error.sqlite_error_code() {
            // A value of a kind that no version wrote is damage as well.
            None
            | Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation,
            ) => DirectoryError::Refused(format!(
                "{what} is damaged, restore it from a backup: {error}"
            )),
            Some(_) => DirectoryError::Unavailable(format!("{what}: {error}")),
        }
    }
}

/// Whether a row named something that is not there.
pub(super) fn is_dangling(error: &rusqlite::Error) -> bool {
    extended(error) == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

fn taken(error: &rusqlite::Error) -> Option<&'static str> {
    let unique = [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY];
    if !unique.contains(&extended(error)?) {
        return None;
    }
    let rusqlite::Error::SqliteFailure(_, Some(message)) = error else {
        return None;
    };
    [
        ("user.username", "username"),
        ("user.external_id", "external id"),
        ("session.token_hash", "token"),
        ("invite.code_hash", "code"),
        ("shard.id", "shard number"),
    ]
    .into_iter()
    .find(|(column, _)| message.ends_with(column))
    .map(|(_, what)| what)
}

fn extended(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|e| e.extended_code)
}
