//! What PostgreSQL says, as what a caller of the directory can do about it.

use ostracon_store::DirectoryError;
use tokio_postgres::error::SqlState;

use crate::error::{OpenError, PgError};

/// Why work on a directory failed.
pub(super) enum Failure {
    Postgres(PgError),
    Directory(DirectoryError),
}

impl From<PgError> for Failure {
    fn from(error: PgError) -> Self {
        Self::Postgres(error)
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        Self::Directory(error)
    }
}

impl From<OpenError> for DirectoryError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unavailable(why) => Self::Unavailable(why),
            OpenError::Refused(why) => Self::Refused(why),
        }
    }
}

/// Unique values with what they are for people.
const TAKEN: [(&str, &str); 5] = [
    ("account_username", "username"),
    ("account_external_id", "external id"),
    ("session_token", "token"),
    ("invite_code", "code"),
    ("shard_pkey", "shard number"),
];

impl Failure {
    /// For the caller.
    pub(super) fn named(self) -> DirectoryError {
        let error = match self {
            Self::Directory(error) => return error,
            Self::Postgres(error) => error,
        };
        if error.is_damage() {
            tracing::error!(%error, "the directory's database is damaged");
            return DirectoryError::Refused(format!(
                "the directory is damaged, restore it from a backup: {error}"
            ));
        }
        // Said by the keeper, or among the complaints of the database, once for all requests.
        DirectoryError::Unavailable(error.to_string())
    }
}

/// What the caller asked for and cannot have.
pub(super) fn refusal(error: &PgError) -> Option<DirectoryError> {
    let PgError::Postgres(error) = error else { return None };
    let error = error.as_db_error()?;
    let constraint = error.constraint().unwrap_or_default();
    let refused = |why: &str| Some(DirectoryError::Refused(why.to_owned()));
    match *error.code() {
        SqlState::UNIQUE_VIOLATION => {
            let (_, what) = TAKEN.iter().find(|(name, _)| *name == constraint)?;
            Some(DirectoryError::Taken(what))
        }
        SqlState::FOREIGN_KEY_VIOLATION if constraint == "session_of_account" => {
            refused("there is no such user")
        }
        // The one character that PostgreSQL does not store.
        SqlState::CHARACTER_NOT_IN_REPERTOIRE => refused("a text holds U+0000"),
        _ => None,
    }
}

/// Whether the transaction was rolled back only because another one was in the way.
pub(super) fn is_race(error: &PgError) -> bool {
    let PgError::Postgres(error) = error else { return false };
    let races = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    error.code().is_some_and(|code| races.contains(code))
}
