//! What each shard holds.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;

use super::types::{ShardHolds, Sharding};
use crate::{app::App, error::ApiResult, extract::Operator, moves::stats_of, respond::ok};

pub(crate) async fn sharding(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    let map = app.engine.map();
    let open = app.engine.shards();
    let mut units: BTreeMap<_, u64> = open.keys().map(|id| (*id, 0)).collect();
    for (_, home) in map.units() {
        *units.entry(home.shard).or_default() += 1;
    }
    let stats = stats_of(units.keys().copied(), &open).await;
    let shards = stats.into_iter().map(|(id, stats)| {
        let (stats, error) = match stats {
            Ok(stats) => (stats, None),
            Err(error) => (Default::default(), Some(error)),
        };
        ShardHolds {
            shard: id.0,
            units: units.get(&id).copied().unwrap_or_default(),
            conversations: stats.conversations,
            messages: stats.messages,
            users: stats.users,
            bytes: stats.bytes,
            overridden: stats.overridden,
            pending_bytes: stats.pending_bytes,
            error,
        }
    });
    Ok(ok(&Sharding {
        map_version: map.version,
        overrides: map.overrides().count() as u64,
        shards: shards.collect(),
    }))
}
