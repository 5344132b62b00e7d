//! Holds map, fences, rows, leftovers and moves of all shards against each other, and says what would put right what
//! does not agree. It changes something only when asked.
//!
//! It is not `verify`, which reads every row: here only fences and the heads of subjects are looked at. A server runs
//! meanwhile; what moves is left alone, and a finding counts only if it is still there at a second look.

mod findings;
mod look;
mod repair;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use ostracon_proto::rest::admin::{Doctor, Repair};
use ostracon_store::directory::ErrandSort;

use crate::{
    admin::users::body,
    app::App,
    audit,
    error::ApiError,
    extract::Operator,
    verify::lines::{self, Steps},
};
use findings::Found;
use look::Look;

/// Answers with lines: `{"progress":{"done","total","text"}}` now and then, then `{"result":Doctor}` or `{"error":text}`.
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> Result<Response, ApiError> {
    let wanted: Repair = body(request).await?;
    let answer = lines::answer(|steps| async move {
        examine(&app, operator, wanted.repair, &steps).await.map_err(|error| error.to_string())
    });
    Ok(answer.into_response())
}

/// Why the doctor cannot say anything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoctorError {
    #[error("the directory did not answer: {0}")]
    Directory(#[from] ostracon_store::DirectoryError),
    #[error("a shard did not answer: {0}")]
    Shard(#[from] ostracon_store::ShardError),
}

async fn examine(
    app: &App,
    operator: Operator,
    repair: bool,
    steps: &Steps,
) -> Result<Doctor, DoctorError> {
    let first = Look::take(app, steps).await?;
    let mut found = findings::of(&first);
    let look = if found.is_empty() {
        first
    } else {
        // What was only on its way is in place by now.
        let second = Look::take(app, steps).await?;
        let before = found;
        found = findings::of(&second);
        found.retain(|one| before.iter().any(|other| other.is_same(one)));
        second
    };
    for one in &mut found {
        let Found { finding, cure } = one;
        let Some(cure) = cure.as_ref().filter(|_| repair) else { continue };
        let outcome = match repair::run(app, cure).await {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("not done: {error}"),
        };
        let what = finding.repair.clone().unwrap_or_default();
        let at = (finding.shard, finding.unit);
        let target = match at {
            (Some(shard), Some(unit)) => format!("unit {unit} on shard {shard}"),
            (Some(shard), None) => format!("shard {shard}"),
            (None, Some(unit)) => format!("unit {unit}"),
            (None, None) => "cluster".to_owned(),
        };
        audit::record(app, operator, "doctor.repair", target, format!("{what}: {outcome}")).await;
        finding.outcome = Some(outcome);
    }
    if repair {
        // Routers and the coordinator look again.
        if let Err(error) = app.engine.refresh_map().await {
            tracing::warn!(%error, "the map was not read");
        }
        app.moves.coordinator.wake();
    }
    for (sort, what) in [
        (ErrandSort::Push, "messages to devices of people who are away"),
        (ErrandSort::Events, "events for other systems"),
    ] {
        let stats = app.directory.errand_stats(sort).await?;
        found.extend(findings::queue(what, stats, app.clock.now()));
    }
    Ok(Doctor {
        map_version: look.map.version,
        units: look.map.units().count() as u64,
        fences: look.states.len() as u64,
        subjects: look.subjects,
        findings: found.into_iter().map(|one| one.finding).collect(),
    })
}
