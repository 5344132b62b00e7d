//! Why a call failed, by what the caller can do about it.

use http::{HeaderMap, StatusCode, header};
use ostracon_proto::{ErrorBody, ErrorCode, ErrorObject};
use std::{fmt, time::Duration};

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The server refused.
    #[error("{}: {}", .error.code, .error.message)]
    Refused {
        /// Why.
        error: Box<ErrorObject>,
        /// HTTP status.
        status: u16,
    },
    /// No answer: the outcome of a write is unknown.
    #[error("no answer: {0}")]
    Transport(String),
    /// An answer that is none of this API; asking again will not help.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(String),
}

impl ApiError {
    /// Whether the very same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused { error, .. } => error.code.retryable(),
            Self::Transport(_) => true,
            Self::Unreadable(_) => false,
        }
    }

    /// How long the server asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { error, .. } => error.retry_after_ms.map(Duration::from_millis),
            _ => None,
        }
    }

    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { error, .. } => Some(error.code),
            _ => None,
        }
    }

    /// The refusal itself.
    #[must_use]
    pub fn refused(&self) -> Option<&ErrorObject> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }

    pub(crate) fn transport(error: impl fmt::Display) -> Self {
        Self::Transport(error.to_string())
    }

    pub(crate) fn unreadable(error: impl fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }

    /// Reads a refusal; `Retry-After` counts where the body has no hint of its own.
    pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let Ok(ErrorBody { mut error }) = serde_json::from_slice(body) else {
            // Not our words: a proxy in between. Its "try later" is still one.
            return match status.as_u16() {
                502..=504 => Self::Transport(format!("status {status}")),
                _ => Self::Unreadable(format!("status {status}")),
            };
        };
        error.retry_after_ms = error.retry_after_ms.or_else(|| retry_after_ms(headers));
        Self::Refused { error: Box::new(error), status: status.as_u16() }
    }
}

/// `Retry-After` in seconds, as milliseconds.
pub(crate) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    seconds.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_hint_or_takes_the_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "2".parse().unwrap());
        let read = |body: &str| {
            ApiError::refusal(StatusCode::SERVICE_UNAVAILABLE, &headers, body.as_bytes())
        };
        let hinted =
            read(r#"{"error":{"code":"busy","message":"Full.","retry_after_ms":30,"details":{}}}"#);
        assert_eq!(hinted.retry_after(), Some(Duration::from_millis(30)));
        assert!(hinted.retryable());
        let bare = read(r#"{"error":{"code":"busy","message":"Full."}}"#);
        assert_eq!(bare.retry_after(), Some(Duration::from_secs(2)));
        assert!(read("<html>").retryable());
        let lost = ApiError::refusal(StatusCode::NOT_FOUND, &headers, b"<html>");
        assert!(!lost.retryable());
    }
}
