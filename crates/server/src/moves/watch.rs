//! Follows jobs and shards for people: ends of jobs go into the audit log, how things stand into the metrics,
//! and that the directory does not serve into the log, once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ostracon_domain::{MapChange, UserId};
use ostracon_store::{
    DirectoryError,
    directory::{AuditEntry, JobRow, JobState, MovePhase},
};
use tokio_util::sync::CancellationToken;

use super::{Asked, Facts, report};
use crate::app::App;

const PERIOD: Duration = Duration::from_secs(1);
/// Periods between two counts of what shards hold.
const PERIODS_A_COUNT: u32 = 30;
/// Jobs that are looked at.
const JOBS: u32 = 100;
const PHASES: [MovePhase; 4] =
    [MovePhase::Copying, MovePhase::Freezing, MovePhase::Committed, MovePhase::Aborting];

/// Runs until it is told to stop.
pub(crate) async fn watch(app: Arc<App>, stop: CancellationToken) {
    let (mut rounds, mut is_silent) = (0u32, false);
    loop {
        match (look(&app).await, is_silent) {
            (Err(error), false) => {
                tracing::warn!(%error, "the directory does not serve; what is known already goes on");
                is_silent = true;
            }
            (Ok(()), true) => {
                tracing::info!("the directory serves");
                is_silent = false;
            }
            (Ok(()), false) | (Err(_), true) => {}
        }
        if rounds.is_multiple_of(PERIODS_A_COUNT)
            && let Err(error) = count(&app).await
        {
            tracing::debug!(%error, "what shards hold is not known");
        }
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn look(app: &App) -> Result<(), DirectoryError> {
    let active = app.directory.unfinished_moves().await?;
    for phase in PHASES {
        let count = active.iter().filter(|row| row.phase == phase).count();
        metrics::gauge!("moves", "phase" => phase.as_str()).set(count as f64);
    }
    for job in app.directory.jobs(None, JOBS).await? {
        if !job.state.is_over() {
            // One that an earlier process began: from now on its end is news.
            if job.state == JobState::Running && !app.moves.runs.is_known(job.id) {
                app.moves.runs.begins(job.id, job.updated_at);
            }
            continue;
        }
        // Moves of a job that was given up may still be on their way back.
        if active.iter().any(|row| row.job == job.id) || !app.moves.runs.ends(job.id) {
            continue;
        }
        forget_user(app, &job).await;
        let rows = app.directory.moves_of(job.id).await?;
        let report = report(&app.moves, &job, &rows, app.clock.now());
        let mut detail = serde_json::to_value(&report).unwrap_or_default();
        if let Some(error) = &job.error {
            detail["error"] = error.as_str().into();
        }
        let entry = AuditEntry {
            at: job.updated_at,
            who: "server".to_owned(),
            from: "coordinator".to_owned(),
            action: format!("job.{}", job.state),
            target: format!("job {}", job.id),
            detail: detail.to_string(),
        };
        app.directory.record(entry).await?;
    }
    Ok(())
}

/// An override that came to nothing goes again; one that places something is refused by the directory, and stays.
async fn forget_user(app: &App, job: &JobRow) {
    let user = Asked::of(job).user.and_then(|user| UserId::new(user).ok());
    let Some(user) = user.filter(|_| job.state != JobState::Done) else { return };
    match app.directory.change_overrides(&MapChange::ForgetUser { user }).await {
        Ok(version) => tracing::info!(user = user.get(), version, "an empty override is gone"),
        Err(error) => tracing::debug!(%error, user = user.get(), "an override stays"),
    }
}

async fn count(app: &App) -> Result<(), DirectoryError> {
    let facts = Facts::gather(app).await?;
    let units = facts.units();
    let mut leftovers: BTreeMap<_, u64> = BTreeMap::new();
    for garbage in app.directory.garbage().await? {
        *leftovers.entry(garbage.shard).or_default() += 1;
    }
    let mut garbage_bytes = 0;
    for (id, stats) in &facts.stats {
        let shard = id.to_string();
        let gauge = |name: &'static str, value: u64| {
            metrics::gauge!(name, "shard" => shard.clone()).set(value as f64);
        };
        gauge("shard_up", u64::from(stats.is_ok()));
        let (units, left) = (
            units.get(id).copied().unwrap_or_default(),
            leftovers.get(id).copied().unwrap_or_default(),
        );
        gauge("shard_units", units);
        gauge("shard_garbage_units", left);
        let Ok(stats) = stats else { continue };
        gauge("shard_conversations", stats.conversations);
        gauge("shard_messages", stats.messages);
        gauge("shard_bytes", stats.bytes);
        // A leftover is about as large as any other unit there.
        garbage_bytes += stats.bytes * left / (units + left).max(1);
    }
    metrics::gauge!("garbage_bytes").set(garbage_bytes as f64);
    metrics::gauge!("map_version").set(facts.map.version as f64);
    let conversations = facts.map.overrides().count();
    metrics::gauge!("overrides", "kind" => "conversation").set(conversations as f64);
    let users = facts.map.user_overrides().count();
    metrics::gauge!("overrides", "kind" => "user").set(users as f64);
    Ok(())
}
