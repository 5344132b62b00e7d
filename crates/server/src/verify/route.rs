//! `POST /api/v1/admin/verify`: the check on a running server.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use ostracon_domain::ShardId;

use super::{JournalRows, OnProgress, Progress, Report, VerifyError, lines, verify};
use crate::{app::App, extract::Operator};

/// Answers with lines: `{"progress":{"done","total","text"}}` now and then, then `{"result":Report}` or `{"error":text}`.
pub(crate) fn run(State(app): State<Arc<App>>, _: Operator) -> std::future::Ready<Response> {
    let answer = lines::answer(|steps| async move {
        let on_progress = |progress: Progress| {
            steps.at(progress.done, progress.units, || format!("{} rows", progress.rows));
        };
        check(&app, &on_progress).await
    });
    std::future::ready(answer)
}

async fn check(app: &App, on_progress: OnProgress<'_>) -> Result<Report, VerifyError> {
    let mut journal = JournalRows::default();
    if let Some(store) = app.backends.store() {
        let read = tokio::task::spawn_blocking(move || {
            let take = |shard: ShardId, rows: &[_]| journal.take(shard, rows);
            store.journal_rows(take).map(|()| journal)
        });
        let read = read.await.map_err(|error| VerifyError::Journal(error.to_string()))?;
        journal = read.map_err(|error| VerifyError::Journal(error.to_string()))?;
    }
    verify(&*app.directory, &app.engine.shards(), &journal, on_progress).await
}
