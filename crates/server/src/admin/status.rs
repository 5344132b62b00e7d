//! What the process is and does, and ending it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::extract::State;
use http::StatusCode;
use ostracon_proto::rest::Empty;

use super::types::Status;
use crate::{
    app::App,
    audit,
    error::ApiResult,
    extract::Operator,
    process,
    respond::{json, ok},
};

/// A stop waits no longer for its entry in the audit log.
const AUDIT_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn status(State(app): State<Arc<App>>, _: Operator) -> std::future::Ready<ApiResult> {
    let usage = process::usage();
    let up = app.clock.now() - app.started_at;
    std::future::ready(Ok(ok(&Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process_id: std::process::id(),
        started_at: app.started_at,
        uptime_s: u64::try_from(up / 1_000).unwrap_or_default(),
        connections: app.engine.connection_count() as u64,
        open_sockets: app.open_sockets.load(Ordering::Relaxed) as u64,
        pending_bytes: app.backends.pending_bytes(),
        failure: app.backends.failure(),
        resident_bytes: usage.resident_bytes,
        cpu_seconds: usage.cpu_seconds,
    })))
}

pub(crate) async fn stop(State(app): State<Arc<App>>, operator: Operator) -> ApiResult {
    tracing::info!("an operator stops the server");
    let entry = audit::record(&app, operator, "server.stop", "server", "");
    if tokio::time::timeout(AUDIT_WAIT, entry).await.is_err() {
        tracing::warn!("the stop is not in the audit log: the directory does not answer");
    }
    app.stop.cancel();
    Ok(json(StatusCode::ACCEPTED, &Empty {}))
}
