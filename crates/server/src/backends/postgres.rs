//! Shards on PostgreSQL: made with a new cluster, opened with an old one.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{PlacementMap, ShardId};
use ostracon_engine::NodeIds;
use ostracon_store::Shards;
use ostracon_store_postgres::{PostgresOptions, PostgresReplica, PostgresShard};
use tokio::task::JoinSet;

use super::home::Homes;
use crate::server::StartError;

/// Shards of one cluster.
pub(super) struct PostgresShards {
    shards: Vec<PostgresOptions>,
    replicas: Replicas,
}

/// Replicas of shards that have one.
pub(super) type Replicas = BTreeMap<ShardId, PostgresReplica>;

fn refused(id: ShardId, error: &dyn std::fmt::Display) -> StartError {
    StartError::Store(format!("shard {id}: {error}"))
}

impl PostgresShards {
    pub(super) fn new(
        homes: &Homes,
        cluster: u128,
        ids: &Arc<NodeIds>,
    ) -> Result<Self, StartError> {
        let mut opened = Self { shards: Vec::new(), replicas: Replicas::new() };
        for (id, home) in &homes.postgres {
            let options =
                PostgresOptions::new(home.url.as_str(), cluster, *id, Arc::clone(ids) as _);
            let options = options.map_err(|error| refused(*id, &error))?;
            if let Some(url) = &home.replica {
                let replica = options.on(url.as_str()).map_err(|error| refused(*id, &error))?;
                let replica =
                    PostgresReplica::new(replica).map_err(|error| refused(*id, &error))?;
                opened.replicas.insert(*id, replica);
            }
            opened.shards.push(options);
        }
        Ok(opened)
    }

    /// Makes the tables of new shards, which serve nothing yet.
    pub(super) async fn make(&self) -> Result<(), StartError> {
        for options in &self.shards {
            let made = PostgresShard::format(options, []).await;
            made.map_err(|error| refused(options.shard, &error))?;
        }
        Ok(())
    }

    /// Opens all of them at once.
    pub(super) async fn open(self, map: &PlacementMap) -> Result<(Shards, Replicas), StartError> {
        let mut opening = JoinSet::new();
        for options in self.shards {
            let id = options.shard;
            let units = map.units().filter(|(_, home)| home.shard == id);
            let units: Vec<_> = units.map(|(unit, home)| (unit, home.epoch)).collect();
            opening.spawn(async move {
                // One without units was perhaps added just before a crash: its tables may not be there yet.
                if units.is_empty()
                    && let Err(error) = PostgresShard::format(&options, []).await
                {
                    tracing::warn!(%error, shard = id.0, "tables were not looked at");
                }
                (id, PostgresShard::open(options, units).await)
            });
        }
        let mut shards = Shards::new();
        while let Some(opened) = opening.join_next().await {
            let (id, opened) = opened.map_err(|error| StartError::Store(error.to_string()))?;
            shards.insert(id, Arc::new(opened.map_err(|error| refused(id, &error))?));
        }
        Ok((shards, self.replicas))
    }
}
