//! Shards that come and go while the server runs.

use std::sync::Arc;

use ostracon_domain::ShardId;
use ostracon_store::{Shard, directory::ShardRow};
use ostracon_store_postgres::{PostgresOptions, PostgresShard, check_url, is_url};

use super::Backends;
use crate::config::ShardUrl;

impl Backends {
    /// Whether a new shard may be kept there.
    ///
    /// # Errors
    /// A sentence without the address: a password may stand in it.
    pub(crate) fn check(&self, url: &ShardUrl) -> Result<(), String> {
        if url.is_embedded() {
            return Ok(());
        }
        if !is_url(url.as_str()) {
            return Err("must be embedded or begin with postgres://".to_owned());
        }
        check_url(url.as_str()).map_err(|error| error.to_string())
    }

    /// Makes the tables of a shard that the directory has just got, and opens it.
    ///
    /// # Errors
    /// A sentence without the address.
    pub(crate) async fn add_shard(&self, row: &ShardRow) -> Result<Arc<dyn Shard>, String> {
        let id = row.id;
        if ShardUrl::from(row.url.as_str()).is_embedded() {
            let store = self.store().ok_or("the server stops")?;
            let added = tokio::task::spawn_blocking(move || store.add(id)).await;
            let shard = added.map_err(|error| error.to_string())?;
            return Ok(shard.map_err(|error| error.to_string())?);
        }
        let ids = Arc::clone(&self.ids) as _;
        let options = PostgresOptions::new(&row.url, self.cluster, id, ids);
        let options = options.map_err(|error| error.to_string())?;
        PostgresShard::format(&options, []).await.map_err(|error| error.to_string())?;
        let shard = PostgresShard::open(options, Vec::new()).await;
        let shard = shard.map_err(|error| error.to_string())?;
        Ok(Arc::new(shard))
    }

    /// Closes a shard that nobody uses any more. What is in its tables stays where it is, put aside if it is embedded.
    pub(crate) async fn remove_shard(&self, id: ShardId) {
        let Some(store) = self.store() else { return };
        if let Err(error) = store.remove(id).await {
            tracing::warn!(%error, shard = id.0, "a shard that is gone stays open until the next start");
        }
    }
}
