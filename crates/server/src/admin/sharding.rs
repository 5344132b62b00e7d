//! What each shard holds.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use ostracon_engine::EngineError;

use super::types::{ShardHolds, Sharding};
use crate::{app::App, error::ApiResult, extract::Operator, respond::ok};

pub(crate) async fn sharding(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    let map = app.engine.map();
    let mut units: BTreeMap<_, u64> = BTreeMap::new();
    for (_, home) in map.units() {
        *units.entry(home.shard).or_default() += 1;
    }
    let mut shards = Vec::new();
    for (id, shard) in app.engine.shards() {
        let stats = shard.stats().await.map_err(EngineError::from)?;
        shards.push(ShardHolds {
            shard: id.0,
            units: units.get(&id).copied().unwrap_or_default(),
            conversations: stats.conversations,
            messages: stats.messages,
            users: stats.users,
            bytes: stats.bytes,
            overridden: stats.overridden,
            pending_bytes: stats.pending_bytes,
        });
    }
    Ok(ok(&Sharding {
        map_version: map.version,
        overrides: map.overrides().count() as u64,
        shards,
    }))
}
