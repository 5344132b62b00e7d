//! Every refusal of every call, as one type: status, headers and the JSON of `api`. Causes are logged here, never sent.

use std::fmt::Display;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use ostracon_engine::{EngineError, Remaining};
use ostracon_proto::{ErrorBody, ErrorCode, ErrorObject, Invalid};
use ostracon_store::DirectoryError;

use crate::respond::json;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// A refused call.
#[derive(Debug)]
pub(crate) struct ApiError {
    object: Box<ErrorObject>,
    /// Where the code's own status does not fit.
    status: Option<StatusCode>,
}

pub(crate) type ApiResult = Result<Response, ApiError>;

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: &'static str) -> Self {
        ErrorObject::new(code, message).into()
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(ErrorCode::Unauthorized, "No valid token.")
    }

    pub(crate) fn no_conversation() -> Self {
        Self::new(ErrorCode::NotFound, "No such conversation.")
    }

    pub(crate) fn no_message() -> Self {
        Self::new(ErrorCode::NotFound, "No such message.")
    }

    pub(crate) fn no_user() -> Self {
        Self::new(ErrorCode::NotFound, "No such user.")
    }

    pub(crate) fn busy() -> Self {
        EngineError::Busy.into()
    }

    pub(crate) fn too_large(message: &'static str) -> Self {
        Self::new(ErrorCode::TooLarge, message)
    }

    pub(crate) fn no_such_method() -> Self {
        Self {
            status: Some(StatusCode::METHOD_NOT_ALLOWED),
            ..Self::new(ErrorCode::BadRequest, "This path does not know that method.")
        }
    }

    /// A fault of the server. The cause goes to the log, with the id that the caller gets.
    pub(crate) fn internal(cause: &dyn Display) -> Self {
        let id = format!("{:016x}", getrandom::u64().unwrap_or_default());
        tracing::error!(request_id = %id, cause = %cause, "a call failed inside");
        let object = ErrorObject::new(ErrorCode::Internal, "Something went wrong.");
        object.with("request_id", id).into()
    }

    /// Refused for how things stand, in a sentence for the operator.
    pub(crate) fn conflict(sentence: impl std::fmt::Display) -> Self {
        ErrorObject::new(ErrorCode::Conflict, sentence.to_string()).into()
    }

    pub(crate) fn not_found(sentence: impl std::fmt::Display) -> Self {
        ErrorObject::new(ErrorCode::NotFound, sentence.to_string()).into()
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.object.code
    }
}

impl From<ErrorObject> for ApiError {
    fn from(object: ErrorObject) -> Self {
        Self { object: Box::new(object), status: None }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        ErrorObject::from(invalid).into()
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Internal => Self::internal(&"see the line before"),
            error => error.object().into(),
        }
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Taken(what) => {
                ErrorObject::new(ErrorCode::Conflict, format!("This {what} is taken.")).into()
            }
            DirectoryError::Unavailable(reason) => {
                // `moves::watch` says so once.
                tracing::debug!(reason, "the directory is unavailable");
                EngineError::Unavailable.into()
            }
            DirectoryError::Refused(reason) => Self::internal(&reason),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let object = *self.object;
        let (code, wait) = (object.code, object.retry_after_ms);
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(self.status.unwrap_or(status), &ErrorBody::from(object));
        let headers = response.headers_mut();
        if let Some(ms) = wait {
            let seconds = ms.div_ceil(1_000);
            headers.insert(header::RETRY_AFTER, seconds.into());
            if code == ErrorCode::RateLimited {
                headers.insert(RATE_REMAINING, HeaderValue::from_static("0"));
                headers.insert(RATE_RESET, seconds.into());
            }
        }
        if code == ErrorCode::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Says what is left of an allowance.
pub(crate) fn rate_headers(response: &mut Response, left: &Remaining) {
    let headers = response.headers_mut();
    headers.insert(RATE_LIMIT, left.limit.into());
    headers.insert(RATE_REMAINING, left.remaining.into());
    headers.insert(RATE_RESET, left.reset_s.into());
}

/// Says how large the allowance is that was used up.
pub(crate) fn rate_limit_header(response: &mut Response, burst: u32) {
    response.headers_mut().entry(RATE_LIMIT).or_insert(burst.into());
}
