//! REST calls over one base address and one token, with kept-alive connections.
//! A call is tried once: when to try again is decided by who calls (see [`ApiError::retryable`]).

mod calls;
pub(crate) mod error;
mod groups;
mod path;
mod pool;

pub use calls::Stored;
pub use error::ApiError;
pub use path::Query;

use crate::address::Address;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use pool::Pool;
use serde::Serialize;
use std::{fmt, sync::Arc, time::Duration};

/// A call that has no answer by then has failed; its outcome is unknown.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls of one user (or of nobody yet). Clones share their connections.
#[derive(Clone)]
pub struct Api {
    pool: Arc<Pool>,
    authorization: Option<Arc<str>>,
}

/// A status below 400 with its body, as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

/// Tokens never reach a log.
impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("address", self.pool.address()).finish_non_exhaustive()
    }
}

impl Api {
    /// Calls to this address; without a token only those that need none succeed.
    #[must_use]
    pub fn new(address: Address, token: Option<&str>) -> Self {
        let api = Self { pool: Arc::new(Pool::new(address)), authorization: None };
        match token {
            Some(token) => api.with_token(token),
            None => api,
        }
    }

    /// The same server and connections, as the owner of this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { pool: Arc::clone(&self.pool), authorization: Some(format!("Bearer {token}").into()) }
    }

    /// Where the calls go.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.pool.address()
    }

    /// Any call: `path` with its query, encoded; `body` as JSON. For calls that have no method of
    /// their own here.
    ///
    /// # Errors
    /// [`ApiError`]; every status of 400 and above is a refusal.
    pub async fn call<B: Serialize + ?Sized + Sync>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Answer, ApiError> {
        let body =
            body.map(|body| serde_json::to_vec(body).map_err(ApiError::unreadable)).transpose()?;
        self.call_raw(method, path, body.map(Bytes::from)).await
    }

    /// The same with a body that is JSON text already.
    ///
    /// # Errors
    /// [`ApiError`]; every status of 400 and above is a refusal.
    pub async fn call_raw(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, ApiError> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.address().path(path))
            .header(header::HOST, self.address().host());
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, &**authorization);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::new(body.unwrap_or_default())).map_err(ApiError::unreadable)?;
        let (head, body) = tokio::time::timeout(CALL_TIMEOUT, self.pool.send(request))
            .await
            .map_err(|_| ApiError::Transport("no answer in time".to_owned()))??;
        if head.status.as_u16() >= 400 {
            return Err(ApiError::refusal(head.status, &head.headers, &body));
        }
        Ok(Answer { status: head.status, body })
    }
}
