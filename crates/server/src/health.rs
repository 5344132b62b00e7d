//! `/healthz`: the process lives. `/readyz`: it serves, with the state of each shard, or why it does not.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use futures_util::future::join_all;
use http::StatusCode;
use ostracon_domain::{ConversationId, UnitAt, UserId};
use ostracon_store::Shard;
use serde::Serialize;

use crate::{app::App, respond::json};

/// How long a shard may take to answer.
const SHARD_WAIT: Duration = Duration::from_secs(2);

/// The state of a shard that serves.
const OK: &str = "ok";

#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// Sentences.
    reasons: Vec<String>,
    /// `ok`, or what is wrong, by shard number.
    shards: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

pub(crate) fn alive() -> std::future::Ready<Response> {
    std::future::ready(json(StatusCode::OK, &Alive { status: "ok" }))
}

pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let mut ready = Ready { ready: true, reasons: Vec::new(), shards: BTreeMap::new() };
    if app.is_stopping() {
        ready.reasons.push("The server stops.".to_owned());
    }
    if let Some(failure) = app.backends.failure() {
        ready.reasons.push(format!("Tables cannot be written: {failure}."));
    }
    if let Err(error) = app.directory.cluster_id().await {
        ready.reasons.push(format!("The directory does not answer: {error}."));
    }
    let serves = ready.reasons.is_empty();
    let map = app.engine.map();
    let shards = app.engine.shards();
    let asked = shards.iter().map(async |(id, shard)| {
        let state = match map.units().find(|(_, home)| home.shard == *id) {
            Some((unit, home)) => ask(&**shard, UnitAt { unit, epoch: home.epoch }).await,
            None => OK.to_owned(),
        };
        (*id, state)
    });
    // One that hangs does not keep the answer about the others back.
    for (id, state) in join_all(asked).await {
        if state != OK {
            ready.reasons.push(format!("Shard {id}: {state}."));
        }
        ready.shards.insert(id.to_string(), state);
    }
    // A shard that is lost is lost to every node: taking this one away would take the other shards along.
    let any_shard = ready.shards.is_empty() || ready.shards.values().any(|state| state == OK);
    ready.ready = serves && any_shard;
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &ready)
}

/// A read that finds nothing but goes all the way: `ok`, or what is wrong.
async fn ask(shard: &dyn Shard, at: UnitAt) -> String {
    let Ok(nobody) = UserId::new(1) else {
        return OK.to_owned();
    };
    let wanted = [(at, ConversationId::direct(nobody, nobody))];
    match tokio::time::timeout(SHARD_WAIT, shard.overviews(nobody, &wanted)).await {
        Ok(Ok(_)) => OK.to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "does not answer".to_owned(),
    }
}
