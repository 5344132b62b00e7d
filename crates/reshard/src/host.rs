//! What a coordinator needs of the node it runs in.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ostracon_domain::{MapChange, Millis, ShardId};
use ostracon_store::Shard;

/// A part of the node does not answer; try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node does not answer")]
pub struct Unreachable;

/// The node: shards by number, its dispatchers, its routers, its clock.
#[async_trait]
pub trait Host: Send + Sync {
    /// A shard that this node has open.
    fn shard(&self, id: ShardId) -> Option<Arc<dyn Shard>>;

    /// Returns when everything that the shard committed before the call has been handed to whom it concerns.
    ///
    /// # Errors
    /// When the dispatcher does not run.
    async fn dispatched(&self, shard: ShardId) -> Result<(), Unreachable>;

    /// The map has this version now, made by this change. A router that holds the version before need not load it.
    async fn map_changed(&self, version: u64, change: &MapChange);

    /// The state of a unit has changed: routers try again what waits.
    async fn units_changed(&self);

    /// The server's time.
    fn now(&self) -> Millis;

    /// How long commits of clients take at present, 99th percentile; none when there are none.
    fn foreground_p99(&self) -> Option<Duration>;
}
