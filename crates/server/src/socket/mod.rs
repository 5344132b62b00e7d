//! WebSockets: the upgrade, and one task for each open socket. What frames mean is the engine's.

mod handshake;
mod link;

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts as _, Request, State},
    response::{IntoResponse as _, Response},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use ostracon_proto::query::Query;
use tokio::net::TcpStream;

use self::{handshake::Handshake, link::Link};
use crate::{
    app::{App, OpenSocket},
    auth::{Checked, Identity},
    error::ApiError,
    extract::Caller,
    http1::told::Told,
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
    let generation = app.auth.generation();
    let identity = identify(&app, &mut parts).await?;
    let in_background = is_in_background(&parts);
    let caller = Checked { identity, generation };
    let handshake = Handshake::read(&parts.headers)?;
    if app.is_stopping() {
        return Err(ApiError::busy());
    }
    let open = OpenSocket::count(&app).ok_or_else(ApiError::busy)?;
    let upgrade = hyper::upgrade::on(Request::from_parts(parts, body));
    let (encoding, response) = (handshake.encoding, handshake.accept());
    let task = Arc::clone(&app);
    app.tasks.spawn(async move {
        match Box::pin(upgraded(upgrade)).await {
            Some((stream, begun)) => {
                Link::run(task, caller, in_background, encoding, stream, begun).await
            }
            None => tracing::debug!("an upgrade did not happen"),
        }
        drop(open);
    });
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

/// Whether it does not make its user look online: a device that was only woken up.
fn is_in_background(parts: &http::request::Parts) -> bool {
    let asked = Query::new(parts.uri.query().unwrap_or_default()).get("background");
    asked.is_some_and(|value| value == "1" || value == "true")
}

/// The bare socket, and what was read of it behind the request.
async fn upgraded(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgrade.await.ok()?.downcast::<TokioIo<Told<TcpStream>>>().ok()?;
    // A copy: the original keeps the whole buffer of the request alive.
    Some((parts.io.into_inner().into_inner(), parts.read_buf.to_vec()))
}
