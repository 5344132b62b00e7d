//! HTTP/1.1 on sockets: accepting, timeouts, what is done around every call. Routes are not here.

pub(crate) mod told;

use std::{
    convert::Infallible,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{Router, response::IntoResponse, response::Response};
use futures_util::FutureExt as _;
use http::{Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::Instant,
};
use tower::Service as _;

use crate::{
    admin::socket::AdminSocket,
    app::{App, OpenSocket},
    error::{ApiError, rate_headers, rate_limit_header},
    extract::{OverAdminSocket, Peer, RateSlot},
};
use told::Told;

const HEADERS_MAX: usize = 64;
/// Bytes of a connection's read buffer, which the head has to fit in.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long calls under way may take when the server stops.
const LAST_CALLS: Duration = Duration::from_secs(5);
/// Pause after accepting failed, for example for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
enum From {
    Tcp(IpAddr),
    AdminSocket,
}

/// Accepts until the server stops.
pub(crate) async fn serve_tcp(app: Arc<App>, listener: TcpListener, router: Router) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(open) = OpenSocket::count(&app) else {
                    metrics::counter!("connections_refused_total").increment(1);
                    continue;
                };
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a socket went away at once");
                    continue;
                }
                let from = From::Tcp(peer.ip());
                let connection = serve(Arc::clone(&app), stream, router.clone(), from, open);
                app.tasks.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "accepting failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// The same on the operator's socket.
pub(crate) async fn serve_unix(app: Arc<App>, socket: AdminSocket, router: Router) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.listener().accept() => accepted,
            () = app.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // Not refused when there are too many: an operator must get in then above all.
                let open = OpenSocket::count_always(&app);
                let from = From::AdminSocket;
                let connection = serve(Arc::clone(&app), stream, router.clone(), from, open);
                app.tasks.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "accepting on the admin socket failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn serve<S>(app: Arc<App>, stream: S, router: Router, from: From, open: OpenSocket)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| call(&app, router.clone(), request, from));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.request_head)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Told::new(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = app.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(LAST_CALLS, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
    drop(open);
}

/// One call, with what is done around every one.
async fn call(
    app: &App,
    mut router: Router,
    mut request: Request<Incoming>,
    from: From,
) -> Result<Response, Infallible> {
    let begun = Instant::now();
    let path = request.uri().path();
    let is_api = path.starts_with("/api/v1/");
    // Attempts are counted by address, and operators are written down with theirs.
    let needs_peer = path.starts_with("/api/v1/auth/") || path.starts_with("/api/v1/admin/");
    let described = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| (request.method().clone(), path.to_owned()));
    let slot = app.rate_burst.filter(|_| is_api).map(|_| RateSlot::default());
    if let Some(slot) = &slot {
        request.extensions_mut().insert(slot.clone());
    }
    match from {
        From::Tcp(address) if needs_peer => {
            request.extensions_mut().insert(Peer(address));
        }
        From::Tcp(_) => {}
        From::AdminSocket => {
            request.extensions_mut().insert(OverAdminSocket);
        }
    }
    let answered = AssertUnwindSafe(router.call(request)).catch_unwind().await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => ApiError::internal(&"a handler panicked").into_response(),
    };
    if let Some(left) = slot.as_ref().and_then(|slot| slot.0.get()) {
        rate_headers(&mut response, left);
    }
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS
        && let Some(burst) = app.rate_burst
    {
        rate_limit_header(&mut response, burst);
    }
    app.metrics.called(status, begun.elapsed());
    if let Some((method, path)) = described {
        let ms = begun.elapsed().as_secs_f64() * 1_000.0;
        tracing::debug!(%method, path, status = status.as_u16(), ms, "call");
    }
    if app.stopping.load(Ordering::Relaxed) {
        let close = http::HeaderValue::from_static("close");
        response.headers_mut().insert(http::header::CONNECTION, close);
    }
    Ok(response)
}
