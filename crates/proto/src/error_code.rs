//! Stable codes of refusals, with the HTTP status and what a caller can do about each.
//! It is not the body that carries them: that is `error`.

use serde::{Deserialize, Serialize};

/// Why a call or a command was refused. The names never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request could not be read at all.
    BadRequest,
    /// No session, or one that is over.
    Unauthorized,
    /// Known, but not allowed.
    Forbidden,
    /// No longer a member.
    NotMember,
    /// One of the two has blocked the other.
    Blocked,
    /// Does not exist, or is a stranger's.
    NotFound,
    /// Clashes with what is stored.
    Conflict,
    /// Above a size limit.
    TooLarge,
    /// The kind of content is not accepted.
    UnsupportedMedia,
    /// A field has a wrong value.
    Invalid,
    /// Too many requests.
    RateLimited,
    /// A queue of the server is full.
    Busy,
    /// The store of this conversation does not answer now.
    ShardUnavailable,
    /// A fault of the server.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; 14] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotMember,
        Self::Blocked,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::Invalid,
        Self::RateLimited,
        Self::Busy,
        Self::ShardUnavailable,
        Self::Internal,
    ];

    /// The code as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotMember => "not_member",
            Self::Blocked => "blocked",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::Invalid => "invalid",
            Self::RateLimited => "rate_limited",
            Self::Busy => "busy",
            Self::ShardUnavailable => "shard_unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::NotMember | Self::Blocked => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMedia => 415,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Busy | Self::ShardUnavailable => 503,
        }
    }

    /// What it means to a caller, in one or two sentences.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::BadRequest => {
                "The request or frame could not be read: no JSON, no object, an unknown frame type."
            }
            Self::Unauthorized => {
                "No token, an unknown, expired or revoked one, or a wrong name or password."
            }
            Self::Forbidden => "You may see this, but not do that to it.",
            Self::NotMember => "You were a member of this group and are one no longer.",
            Self::Blocked => "One of the two people of this direct conversation blocked the other.",
            Self::NotFound => {
                "There is no such thing, or it is not yours: the answer is the same for both."
            }
            Self::Conflict => {
                "Something else is stored there already: a taken name, another payload under this \
                 `client_id`, a newer `content_rev`, an owner who must transfer first."
            }
            Self::TooLarge => "A body, frame or text above its limit.",
            Self::UnsupportedMedia => "The content type is not accepted.",
            Self::Invalid => "A field has a wrong type or value; `details.field` names it.",
            Self::RateLimited => "Too many requests; wait `retry_after_ms`.",
            Self::Busy => "A queue is full. Nothing was written; retry after `retry_after_ms`.",
            Self::ShardUnavailable => {
                "The store of this conversation does not answer. The outcome of a send may be \
                 unknown: retry with the same `client_id`."
            }
            Self::Internal => {
                "A fault of the server; `details.request_id` finds it in the operator's log."
            }
        }
    }

    /// Whether the very same request may succeed later without any change to it.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Busy | Self::ShardUnavailable)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
