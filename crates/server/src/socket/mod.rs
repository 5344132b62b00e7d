//! WebSockets: the upgrade, and one task for each open socket. What frames mean is the engine's.

mod handshake;
mod link;

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts as _, Request, State},
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use hyper_util::rt::TokioIo;
use ostracon_proto::query::Query;
use tokio::net::TcpStream;

use self::{handshake::Handshake, link::Link};
use crate::{
    app::{App, OpenSocket},
    auth::Identity,
    error::ApiError,
    extract::Caller,
};

/// `GET /api/v1/ws`.
pub(crate) async fn open(State(app): State<Arc<App>>, request: Request) -> Response {
    match upgrade(app, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn upgrade(app: Arc<App>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let identity = identify(&app, &mut parts).await?;
    let handshake = Handshake::read(&parts.headers)?;
    if app.is_stopping() {
        return Err(ApiError::busy());
    }
    let open = OpenSocket::count(&app).ok_or_else(ApiError::busy)?;
    let upgrade = hyper::upgrade::on(Request::from_parts(parts, body));
    let (encoding, response) = (handshake.encoding, handshake.accept());
    let task = Arc::clone(&app);
    app.tasks.spawn(upgrade.then(move |upgraded| {
        // Boxed apart: the small future of waiting is all that an upgrade that never comes would hold.
        let link = upgraded.ok().and_then(|upgraded| {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
            Some((parts.io.into_inner(), parts.read_buf))
        });
        async move {
            match link {
                Some((stream, begun)) => Link::run(task, identity, encoding, stream, begun).await,
                None => tracing::debug!("an upgrade did not happen"),
            }
            drop(open);
        }
    }));
    Ok(response)
}

/// By ticket, for browsers, or by token.
async fn identify(app: &Arc<App>, parts: &mut http::request::Parts) -> Result<Identity, ApiError> {
    let ticket = Query::new(parts.uri.query().unwrap_or_default()).get("ticket");
    match ticket {
        Some(ticket) => app.auth.redeem(&ticket),
        None => Ok(Caller::from_request_parts(parts, app).await?.0),
    }
}
