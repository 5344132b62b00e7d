//! What the coordinator needs of this node: the engine's shards, dispatchers and routers, and the server's clock.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use ostracon_domain::{MapChange, Millis, ShardId};
use ostracon_reshard::{Host, Unreachable};
use ostracon_store::Shard;

use crate::{app::App, metrics};

/// Does not keep the server alive: the coordinator is a part of it.
pub(super) struct EngineHost {
    pub(super) app: Weak<App>,
}

#[async_trait]
impl Host for EngineHost {
    fn shard(&self, id: ShardId) -> Option<Arc<dyn Shard>> {
        self.app.upgrade()?.engine.shards().get(&id).cloned()
    }

    async fn dispatched(&self, shard: ShardId) -> Result<(), Unreachable> {
        let app = self.app.upgrade().ok_or(Unreachable)?;
        app.engine.dispatch_barrier(shard).await.map_err(|error| {
            tracing::warn!(%error, shard = shard.0, "a dispatcher does not answer a mover");
            Unreachable
        })
    }

    async fn map_changed(&self, version: u64, change: &MapChange) {
        if let Some(app) = self.app.upgrade()
            && let Err(error) = app.engine.map_changed(version, change).await
        {
            // Routers look again by themselves.
            tracing::warn!(%error, "the map was not read");
        }
    }

    async fn units_changed(&self) {
        if let Some(app) = self.app.upgrade() {
            app.engine.units_changed();
        }
    }

    fn now(&self) -> Millis {
        self.app.upgrade().map_or(0, |app| app.clock.now())
    }

    fn foreground_p99(&self) -> Option<Duration> {
        metrics::commit_p99()
    }
}
