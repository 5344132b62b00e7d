//! Why a request failed, and what it looks like on the wire.

use ostracon_domain::Refusal;
use ostracon_proto::{ErrorCode, ErrorObject};
use ostracon_store::{DirectoryError, ShardError};

use crate::limits::{BUSY_RETRY_MS, UNAVAILABLE_RETRY_MS};

/// What a caller can do about a failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A bound is reached; nothing was changed. Try again.
    #[error("the server is busy")]
    Busy,
    /// The shard does not answer; the outcome may be unknown. Try again with the same client id.
    #[error("the store of this conversation is unavailable")]
    Unavailable,
    /// Too many requests; milliseconds to wait.
    #[error("too many requests")]
    RateLimited(u64),
    /// A fault of the server; it is in the log.
    #[error("internal error")]
    Internal,
}

impl From<ShardError> for EngineError {
    fn from(error: ShardError) -> Self {
        match error {
            ShardError::Busy => Self::Busy,
            ShardError::Unavailable(reason) => {
                // The shard says once that it does not serve; this is every request's.
                tracing::debug!(reason, "shard unavailable");
                Self::Unavailable
            }
            ShardError::Corrupt(_) | ShardError::Unexpected(_) | ShardError::Restarted => {
                tracing::error!(%error, "shard failed");
                Self::Internal
            }
        }
    }
}

impl From<DirectoryError> for EngineError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Unavailable(reason) => {
                // Whoever watches over the directory says so once; this is every request's.
                tracing::debug!(reason, "directory unavailable");
                Self::Unavailable
            }
            DirectoryError::Taken(_) | DirectoryError::Refused(_) => {
                tracing::warn!(%error, "directory failed");
                Self::Internal
            }
        }
    }
}

impl EngineError {
    /// The refusal as clients see it.
    pub fn object(&self) -> ErrorObject {
        match self {
            Self::Refused(refusal) => ErrorObject::from(refusal.clone()),
            Self::Busy => ErrorObject::new(ErrorCode::Busy, "The server is busy. Try again.")
                .retry_after(BUSY_RETRY_MS),
            Self::Unavailable => ErrorObject::new(
                ErrorCode::ShardUnavailable,
                "The store does not answer. Try again with the same client_id.",
            )
            .retry_after(UNAVAILABLE_RETRY_MS),
            Self::RateLimited(ms) => {
                ErrorObject::new(ErrorCode::RateLimited, "Too many requests.").retry_after(*ms)
            }
            Self::Internal => ErrorObject::new(ErrorCode::Internal, "Something went wrong."),
        }
    }
}
