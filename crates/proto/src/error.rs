//! The body of a refusal: the same object inside a REST answer and as data of the `error` frame.
//! Which code when is not said here.

use crate::{ErrorCode, Invalid};
use ostracon_domain::{Refusal, RefusalCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the reader of conversation ids says of text that is none.
const NOT_A_CONVERSATION: &str = "not a valid conversation id";

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Error)]
pub struct ErrorObject {
    /// Stable code to act on.
    pub code: ErrorCode,
    /// A sentence for people. It may change; never compare it.
    pub message: String,
    /// Milliseconds to wait before the same request may succeed; null when waiting does not help.
    #[serde(default)]
    #[schema(required = true)]
    pub retry_after_ms: Option<u64>,
    /// More for machines: `field` (with `invalid`), `permission` (with `forbidden`: what the
    /// role or the group's settings do not allow), `request_id` (with `internal`).
    #[serde(default)]
    #[schema(value_type = Object, required = true)]
    pub details: Map<String, Value>,
}

impl ErrorObject {
    /// A refusal without hint or details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, details: Map::new() }
    }

    /// `invalid`, naming the field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message).with("field", field.into())
    }

    /// The same with a hint when to retry, in milliseconds.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// The same with one more detail; a second one of that name replaces the first.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

impl From<Invalid> for ErrorObject {
    fn from(invalid: Invalid) -> Self {
        // What cannot be an id is answered as an id of nobody: a stranger learns nothing from it.
        if invalid.message == NOT_A_CONVERSATION {
            return Self::new(ErrorCode::NotFound, "No such conversation.")
                .with("field", invalid.field);
        }
        Self::invalid(invalid.field, invalid.message)
    }
}

impl From<Refusal> for ErrorObject {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code {
            RefusalCode::NotFound => ErrorCode::NotFound,
            RefusalCode::NotMember => ErrorCode::NotMember,
            RefusalCode::Forbidden => ErrorCode::Forbidden,
            RefusalCode::Conflict => ErrorCode::Conflict,
            RefusalCode::Invalid => ErrorCode::Invalid,
            RefusalCode::RateLimited => ErrorCode::RateLimited,
        };
        let mut error = Self::new(code, refusal.message);
        error.retry_after_ms = refusal.retry_after_ms;
        if let Some(field) = refusal.field {
            error = error.with("field", field);
        }
        match refusal.permission {
            Some(permission) => error.with("permission", permission.name()),
            None => error,
        }
    }
}

/// The body of every REST answer with a status of 400 and above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The refusal.
    pub error: ErrorObject,
}

impl From<ErrorObject> for ErrorBody {
    fn from(error: ErrorObject) -> Self {
        Self { error }
    }
}
