//! What handlers take: who calls, ids of the path, the query, the body. A handler's signature shows what it needs.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use ostracon_domain::{ConversationId, Seq, UserId};
use ostracon_engine::Remaining;
use ostracon_proto::{ErrorCode, UserRef, query::Query};
use ostracon_store::directory::{AccountRole, MediaId};

use crate::{app::App, auth::Identity, error::ApiError};

/// How long the rest of a body may take.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a body that is too large which are read nevertheless; a longer one is cut off.
const DISCARD_BYTES_MAX: usize = 16 << 20;
/// How long that may take.
const DISCARD_WAIT: Duration = Duration::from_secs(5);
/// Requests that list users may be larger than others, so many times.
const LIST_FACTOR: usize = 8;

/// A caller with a valid token, whose call was taken from the allowance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub(crate) Identity);

/// Where the extractor leaves what the headers of the answer say.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateSlot(pub(crate) Arc<OnceLock<Remaining>>);

/// The address of the other side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The request came over the socket in the data directory, which only its owner can open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverAdminSocket;

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        let identity = app.auth.identify(token).await?;
        if let Some(left) = app.engine.check_rate(identity.user, identity.session)?
            && let Some(slot) = parts.extensions.get::<RateSlot>()
        {
            // Empty until now: a request has one caller.
            let _ = slot.0.set(left);
        }
        Ok(Self(identity))
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// An operator: over the admin socket, or a caller with the admin role.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operator {
    /// Whoever may open the socket in the data directory.
    Local,
    /// An account, and where it calls from.
    Account(UserId, IpAddr),
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if parts.extensions.get::<OverAdminSocket>().is_some() {
            return Ok(Self::Local);
        }
        let Caller(identity) = Caller::from_request_parts(parts, app).await?;
        match identity.role {
            AccountRole::Admin => {
                let ClientAddress(from) = ClientAddress::from_request_parts(parts, app).await?;
                Ok(Self::Account(identity.user, from))
            }
            AccountRole::User => {
                Err(ApiError::new(ErrorCode::Forbidden, "Only for users with the admin role."))
            }
        }
    }
}

/// The address that attempts to sign in are counted by: with a proxy in front, the one that it saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<Arc<App>> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let forwarded = || {
            let values = parts.headers.get_all("x-forwarded-for").iter().next_back()?;
            values.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        let seen = parts.extensions.get::<Peer>().map(|peer| peer.0);
        let address = if app.behind_proxy { forwarded().or(seen) } else { seen };
        Ok(Self(address.unwrap_or(IpAddr::from([0; 4]))))
    }
}

/// The parameters of a path. What is no id is answered as the id of nothing.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

/// Ids read from the decoded parameters of a path, in order.
pub(crate) trait FromParams: Sized {
    fn from_params(values: &[&str]) -> Result<Self, ApiError>;
}

impl<T: FromParams> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let nothing = |_| ApiError::new(ErrorCode::NotFound, "No such thing.");
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(nothing)?;
        let mut values = [""; 3];
        for ((_, value), place) in params.iter().zip(&mut values) {
            *place = value;
        }
        T::from_params(&values).map(Self)
    }
}

impl FromParams for ConversationId {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        values[0].parse().map_err(|_| ApiError::no_conversation())
    }
}

impl FromParams for (ConversationId, Seq) {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        let digits = values[1].bytes().all(|b| b.is_ascii_digit());
        let seq = values[1].parse().ok().filter(|_| digits);
        Ok((ConversationId::from_params(values)?, seq.ok_or_else(ApiError::no_message)?))
    }
}

impl FromParams for (ConversationId, Seq, String) {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        let (conversation, seq) = FromParams::from_params(values)?;
        Ok((conversation, seq, values[2].to_owned()))
    }
}

impl FromParams for (ConversationId, UserRef) {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        Ok((ConversationId::from_params(values)?, UserRef::from_params(&values[1..])?))
    }
}

impl FromParams for (ConversationId, String) {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        Ok((ConversationId::from_params(values)?, values[1].to_owned()))
    }
}

impl FromParams for UserRef {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        values[0].parse().map_err(|_| ApiError::no_user())
    }
}

/// The number of a shard or job.
impl FromParams for u64 {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        let digits = values[0].bytes().all(|b| b.is_ascii_digit());
        let number = values[0].parse().ok().filter(|_| digits);
        number.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "No such thing."))
    }
}

/// A file.
impl FromParams for MediaId {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        values[0].parse().map_err(|_| ApiError::new(ErrorCode::NotFound, "No such file."))
    }
}

impl FromParams for String {
    fn from_params(values: &[&str]) -> Result<Self, ApiError> {
        Ok(values[0].to_owned())
    }
}

/// The query string, empty when there is none.
#[derive(Debug)]
pub(crate) struct QueryText(String);

impl QueryText {
    pub(crate) fn get(&self) -> Query<'_> {
        Query::new(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for QueryText {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.uri.query().unwrap_or_default().to_owned()))
    }
}

/// The bytes of a body.
#[derive(Debug)]
pub(crate) struct Payload(pub(crate) Bytes);

/// The bytes of a body that lists users.
#[derive(Debug)]
pub(crate) struct ListPayload(pub(crate) Bytes);

impl FromRequest<Arc<App>> for Payload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        read(request, app.body_bytes_max).await.map(Self)
    }
}

impl FromRequest<Arc<App>> for ListPayload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let max = app.body_bytes_max * LIST_FACTOR;
        read(request, max).await.map(Self)
    }
}

/// Reads a body up to a size. The rest of one that is too large is read and thrown away, within bounds: a client that is
/// cut off while it sends does not see why.
pub(crate) async fn read(request: Request, max: usize) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::too_large("The body is too large.");
    // Who waits for leave to send has sent nothing yet.
    let waits = request.headers().contains_key(header::EXPECT);
    let mut body = request.into_body();
    if body.size_hint().lower() > max as u64 {
        if !waits {
            discard(&mut body).await;
        }
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_WAIT, Limited::new(&mut body, max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(too_large())
        }
        Ok(Err(_)) | Err(_) => {
            Err(ApiError::new(ErrorCode::BadRequest, "The body did not arrive."))
        }
    }
}

/// Reads what is left of a body, up to a bound of bytes and of time.
pub(crate) async fn discard(body: &mut Body) {
    let rest = async {
        let mut left = DISCARD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // What does not arrive in time is cut off.
    let _ = tokio::time::timeout(DISCARD_WAIT, rest).await;
}
