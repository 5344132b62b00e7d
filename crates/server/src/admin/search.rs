//! The indexes that messages are found with: what they hold, and making them again.

use std::sync::Arc;

use axum::extract::{Request, State};
use ostracon_proto::rest::admin::{Reindex, SearchIndexes, ShardIndex};

use super::users::body;
use crate::{app::App, error::ApiResult, extract::Operator, respond::ok};

pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    Ok(ok(&indexes(&app).await))
}

pub(crate) async fn again(State(app): State<Arc<App>>, _: Operator, request: Request) -> ApiResult {
    let wanted: Reindex = body(request).await?;
    app.engine.reindex(wanted.anew).await?;
    Ok(ok(&indexes(&app).await))
}

async fn indexes(app: &App) -> SearchIndexes {
    let found = app.engine.search_stats().await;
    let shards = found.into_iter().map(|(shard, found)| {
        let (stats, complete) = found.unwrap_or_default();
        ShardIndex {
            shard: shard.0,
            answers: found.is_some(),
            conversations: stats.conversations,
            messages: stats.messages,
            bytes: stats.bytes,
            complete,
        }
    });
    SearchIndexes { shards: shards.collect() }
}
