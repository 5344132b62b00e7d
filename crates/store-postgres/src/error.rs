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
