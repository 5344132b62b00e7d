//! What goes wrong between a shard and its database, and what becomes of it at the seam.

use std::{sync::Arc, time::Duration};

use ostracon_store::ShardError;
use tokio_postgres::error::SqlState;

/// A statement, or a connection, did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PgError {
    /// The server or the connection to it says so.
    #[error("{}", sentence(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be had.
    #[error("no connection: {0}")]
    NoConnection(String),
    /// A column holds what was never written.
    #[error("a stored row has no valid {0}")]
    Damaged(&'static str),
    /// The server hangs, or the way to it.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It is known not to serve: nothing was tried, or what was tried was given up.
    #[error("{0}")]
    Broken(Arc<str>),
    /// An earlier statement of the same flight could not be sent, so this one was not.
    #[error("given up, because an earlier statement failed")]
    GivenUp,
}

/// Why a shard cannot be opened or formatted.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server cannot be reached or refuses; try again.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
    /// It is not what was expected; nothing was changed. The sentence says what to do.
    #[error("{0}")]
    Refused(String),
}

fn sentence(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) if *error.code() == SqlState::DISK_FULL => {
            "disk full: free some space on the database server, writing goes on by itself"
                .to_owned()
        }
        // Details quote values of rows, which belong in no log.
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => error.to_string(),
    }
}

/// Whether a statement that failed with this code fails whenever it is repeated: values that do not fit, broken rules of a
/// table, things that are not there or not allowed. Everything that is not known to is taken for something that passes:
/// connections, resources, an operator's doing, lost races.
fn refuses(code: &str) -> bool {
    /// A unique value is a race with somebody else. A table is missing while a backup is being restored, and the name of a
    /// statement is taken or unknown behind some poolers.
    const PASSES: [&str; 4] = ["23505", "42P01", "42P05", "42P07"];
    ["22", "23", "42"].iter().any(|class| code.starts_with(class)) && !PASSES.contains(&code)
}

impl PgError {
    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the transaction was rolled back for a reason that its repetition does not meet again:
    /// somebody else was faster.
    pub(crate) fn is_lost_race(&self) -> bool {
        self.code().is_some_and(|code| {
            [
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::UNIQUE_VIOLATION,
            ]
            .contains(code)
        })
    }

    /// Whether the session can be used again once it was rolled back.
    pub(crate) fn leaves_session_usable(&self) -> bool {
        match self {
            Self::Postgres(error) => error.as_db_error().is_some(),
            Self::Damaged(_) => true,
            Self::NoConnection(_) | Self::Silent(_) | Self::Broken(_) | Self::GivenUp => false,
        }
    }

    /// Whether somebody must look: trying again cannot help.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
            || self.code().is_some_and(|code| {
                [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code)
            })
    }

    /// What a mover is told whose rows were to be written: a statement that the database refuses for what it says would be
    /// refused as often as it is repeated, and the mover repeats what is unavailable.
    pub(crate) fn of_a_step(self) -> ShardError {
        if self.code().is_some_and(|code| refuses(code.code())) {
            return ShardError::Corrupt(format!("the database refused a statement: {self}"));
        }
        self.into()
    }
}

impl From<PgError> for ShardError {
    fn from(error: PgError) -> Self {
        if error.is_damage() {
            tracing::error!(%error, "a shard's database is damaged");
            Self::Corrupt(error.to_string())
        } else {
            // Said by the keeper, or among the complaints of the database, once for all requests.
            Self::Unavailable(error.to_string())
        }
    }
}

impl From<PgError> for OpenError {
    fn from(error: PgError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        PgError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::refuses;

    #[test]
    fn what_is_refused_again_is_told_from_what_passes() {
        // Characters that cannot be stored, a check, no column, no right.
        for code in ["22P05", "22021", "22003", "23502", "23514", "42703", "42501"] {
            assert!(refuses(code), "{code}");
        }
        // Races, locks and time, connections, resources, shutdown, read only, a table that is not there yet.
        for code in [
            "40001", "40P01", "23505", "55P03", "57014", "08006", "08P01", "53100", "53300",
            "57P01", "57P02", "57P03", "58030", "25006", "25P03", "XX000", "26000", "0A000",
            "28P01", "3D000", "42P01", "42P05",
        ] {
            assert!(!refuses(code), "{code}");
        }
    }
}
