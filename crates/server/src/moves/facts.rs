//! What plans rest on: the newest map, the shards as the directory knows them, and what each of them holds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use ostracon_domain::{PlacementMap, ShardId};
use ostracon_reshard::plan::Sizes;
use ostracon_store::{
    DirectoryError, Shard, ShardStats, Shards,
    directory::{ShardAdmission, ShardRow},
};

use crate::app::App;

/// How long a shard may take to count what it holds.
const STATS_WAIT: Duration = Duration::from_secs(10);

/// What shards hold, or why they do not say.
pub(crate) type Stats = BTreeMap<ShardId, Result<ShardStats, String>>;

/// Asks shards at the same time; one that is silent holds nobody up for longer than [`STATS_WAIT`].
pub(crate) async fn stats_of(ids: impl IntoIterator<Item = ShardId>, shards: &Shards) -> Stats {
    let asked = ids.into_iter().map(|id| {
        let shard: Option<Arc<dyn Shard>> = shards.get(&id).cloned();
        async move {
            let Some(shard) = shard else { return (id, Err("it is not open here".to_owned())) };
            let stats = match tokio::time::timeout(STATS_WAIT, shard.stats()).await {
                Ok(stats) => stats.map_err(|error| error.to_string()),
                Err(_) => Err("it does not answer".to_owned()),
            };
            (id, stats)
        }
    });
    join_all(asked).await.into_iter().collect()
}

/// A look at everything at about one time.
pub(crate) struct Facts {
    pub(crate) map: PlacementMap,
    pub(crate) rows: Vec<ShardRow>,
    pub(crate) stats: Stats,
}

impl Facts {
    pub(crate) async fn gather(app: &App) -> Result<Self, DirectoryError> {
        let map = app.directory.map().await?;
        let rows = app.directory.shards().await?;
        let stats = stats_of(rows.iter().map(|row| row.id), &app.engine.shards()).await;
        Ok(Self { map, rows, stats })
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let known = self.stats.iter().filter_map(|(id, stats)| Some((*id, stats.clone().ok()?)));
        Sizes::new(&self.map, known.collect())
    }

    /// Shards that take units, by number.
    pub(crate) fn accepting(&self) -> Vec<ShardId> {
        let rows = self.rows.iter().filter(|row| row.state == ShardAdmission::Accepting);
        rows.map(|row| row.id).collect()
    }

    pub(crate) fn row(&self, id: ShardId) -> Option<&ShardRow> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// Units by shard.
    pub(crate) fn units(&self) -> BTreeMap<ShardId, u64> {
        let mut units: BTreeMap<ShardId, u64> = BTreeMap::new();
        for (_, home) in self.map.units() {
            *units.entry(home.shard).or_default() += 1;
        }
        units
    }
}
