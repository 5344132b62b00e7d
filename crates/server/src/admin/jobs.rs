//! Jobs as an operator handles them: listed, begun, paused, given up, taken back.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::ShardId;
use ostracon_proto::{
    query::Limit,
    rest::admin::{JobReport, Jobs},
};
use ostracon_reshard::plan;
use ostracon_store::directory::{JobRow, JobState, NewJob, ShardAdmission};
use serde_json::json;

use super::shards::{capital, refused, set_admission};
use crate::{
    app::App,
    audit,
    error::{ApiError, ApiResult},
    extract::{Operator, Params, QueryText},
    moves::{Asked, details, report},
    respond::{created, ok},
};

const LIMIT: Limit = Limit { default: 20, max: 100 };
/// Numbers of rows are never larger.
pub(super) const NUMBER_MAX: u64 = i64::MAX as u64;

pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, query: QueryText) -> ApiResult {
    let query = query.get();
    let limit = query.limit(LIMIT)?;
    let after = query.number("after")?.map(|after| after.min(NUMBER_MAX));
    let rows = app.directory.jobs(after, limit).await?;
    let next = rows.last().map(|job| job.id).filter(|_| rows.len() == limit as usize);
    let mut jobs = Vec::with_capacity(rows.len());
    for job in rows {
        let moves = app.directory.moves_of(job.id).await?;
        jobs.push(details(&app.moves, &job, &moves, app.clock.now(), false));
    }
    Ok(ok(&Jobs { jobs, next }))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    _: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let job = known(&app, id).await?;
    let moves = app.directory.moves_of(id).await?;
    Ok(ok(&details(&app.moves, &job, &moves, app.clock.now(), true)))
}

pub(crate) async fn apply(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let job = known(&app, id).await?;
    if job.state == JobState::Running {
        return Ok(ok(&report_of(&app, &job).await?));
    }
    Ok(ok(&begin(&app, operator, job).await?))
}

pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let job = change(&app, operator, id, &[JobState::Running], JobState::Paused).await?;
    Ok(ok(&report_of(&app, &job).await?))
}

pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let job = change(&app, operator, id, &[JobState::Paused], JobState::Running).await?;
    app.moves.coordinator.wake();
    Ok(ok(&report_of(&app, &job).await?))
}

pub(crate) async fn abort(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let from = [JobState::Planned, JobState::Running, JobState::Paused];
    let job = change(&app, operator, id, &from, JobState::Aborted).await?;
    app.moves.coordinator.stop_job(id);
    Ok(ok(&report_of(&app, &job).await?))
}

pub(crate) async fn undo(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let job = known(&app, id).await?;
    if !job.state.is_over() {
        return Err(ApiError::conflict(format!(
            "Job {id} is {}: wait for its end, or abort it first.",
            job.state
        )));
    }
    let map = app.directory.map().await?;
    let moves = app.directory.moves_of(id).await?;
    let plan =
        plan::undo(&map, &moves).map_err(|why| ApiError::conflict(capital(&why.to_string())))?;
    let drained = match Asked::of(&job).drains {
        Some(id) => app.directory.shards().await?.into_iter().find(|row| row.id.0 == id),
        None => None,
    };
    // Moves back are planned only to a shard that takes units.
    if let Some(row) = &drained {
        app.directory.set_admission(row.id, ShardAdmission::Accepting).await?;
    }
    let request = Asked {
        what: json!({"undo": id}),
        rows: moves.iter().map(|row| row.progress.rows).sum(),
        bytes: moves.iter().map(|row| row.progress.bytes).sum(),
        ..Asked::default()
    };
    let title = format!("undo of job {id}: {}", job.title);
    let job = match store(&app, operator, title, &request, plan.moves).await {
        Ok(job) => job,
        Err(error) => {
            // Nothing is undone: it takes as little as before.
            if let Some(row) = drained {
                app.directory.set_admission(row.id, row.state).await?;
            }
            return Err(error);
        }
    };
    if let Some(row) = drained {
        set_admission(&app, operator, row.id, ShardAdmission::Accepting).await?;
    }
    Ok(created(&begin(&app, operator, job).await?))
}

/// Writes a job down, planned.
pub(super) async fn store(
    app: &App,
    operator: Operator,
    title: String,
    asked: &Asked,
    moves: Vec<ostracon_store::directory::NewMove>,
) -> Result<JobRow, ApiError> {
    let new = NewJob {
        title,
        request: serde_json::to_string(asked).unwrap_or_default(),
        by: audit::who(app, operator).await,
        moves,
    };
    let job = app.directory.plan_job(new, app.clock.now()).await.map_err(refused)?;
    let target = format!("job {}", job.id);
    audit::record(app, operator, "job.plan", target, job.title.clone()).await;
    Ok(job)
}

/// Begins a planned job. One without moves is done at once; one in any other state is refused, and nothing is changed.
pub(super) async fn begin(
    app: &App,
    operator: Operator,
    job: JobRow,
) -> Result<JobReport, ApiError> {
    let is_empty = app.directory.moves_of(job.id).await?.is_empty();
    let to = if is_empty { JobState::Done } else { JobState::Running };
    let job = change(app, operator, job.id, &[JobState::Planned], to).await?;
    app.moves.runs.begins(job.id, app.clock.now());
    if let Some(drained) = Asked::of(&job).drains {
        set_admission(app, operator, ShardId(drained), ShardAdmission::Draining).await?;
    }
    app.moves.coordinator.wake();
    report_of(app, &job).await
}

async fn change(
    app: &App,
    operator: Operator,
    id: u64,
    from: &[JobState],
    to: JobState,
) -> Result<JobRow, ApiError> {
    let before = known(app, id).await?;
    let Some(job) = app.directory.set_job(id, from, to, None, app.clock.now()).await? else {
        let job = known(app, id).await?;
        return Err(ApiError::conflict(format!(
            "Job {id} is {}: it cannot become {to}.",
            job.state
        )));
    };
    let detail = format!("{} → {to}", before.state);
    audit::record(app, operator, "job.state", format!("job {id}"), detail).await;
    Ok(job)
}

pub(super) async fn known(app: &App, id: u64) -> Result<JobRow, ApiError> {
    let job = if id > NUMBER_MAX { None } else { app.directory.job(id).await? };
    job.ok_or_else(|| ApiError::not_found(format!("There is no job {id}.")))
}

pub(super) async fn report_of(app: &App, job: &JobRow) -> Result<JobReport, ApiError> {
    let moves = app.directory.moves_of(job.id).await?;
    Ok(report(&app.moves, job, &moves, app.clock.now()))
}
