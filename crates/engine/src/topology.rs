//! The shards an engine runs, as one immutable value: it is replaced as a whole while everything runs.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::ShardId;
use ostracon_store::{Position, Shard, Shards};

use crate::{committer::CommitterQueue, lane::Lane};

/// Shards with what belongs to each.
#[derive(Clone, Default)]
pub(crate) struct Topology {
    pub(crate) shards: Shards,
    pub(crate) committers: BTreeMap<ShardId, CommitterQueue>,
    /// Lanes that changes are put into.
    pub(crate) lanes: BTreeMap<ShardId, Arc<Lane>>,
    /// Lanes of shards that go: nothing more is put in, what they hold still counts.
    pub(crate) leaving: Vec<Arc<Lane>>,
}

impl Topology {
    /// Lanes that may hold something.
    pub(crate) fn all_lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.values().chain(&self.leaving)
    }

    /// The lane for users of this shard. A map may name a shard that is not here yet: any lane keeps their changes.
    pub(crate) fn lane(&self, shard: ShardId) -> Option<&Arc<Lane>> {
        self.lanes.get(&shard).or_else(|| self.all_lanes().next())
    }

    /// Everything of a source up to here is committed in the lists of users.
    pub(crate) fn done(&self, source: ShardId) -> Position {
        self.all_lanes().map(|lane| lane.done(source)).min().unwrap_or(0)
    }

    /// With one more shard.
    pub(crate) fn with(
        &self,
        shard: Arc<dyn Shard>,
        committer: CommitterQueue,
        lane: Arc<Lane>,
    ) -> Self {
        let mut more = self.clone();
        let id = shard.id();
        more.shards.insert(id, shard);
        more.committers.insert(id, committer);
        more.lanes.insert(id, lane);
        more
    }

    /// The same, but nothing more is put into the lane of this shard.
    pub(crate) fn with_lane_leaving(&self, shard: ShardId) -> Self {
        let mut less = self.clone();
        less.leaving.extend(less.lanes.remove(&shard));
        less
    }

    /// Without a shard. Its lane goes too, unless it may still hold something.
    pub(crate) fn without(&self, shard: ShardId, lane: Option<&Arc<Lane>>) -> Self {
        let mut less = self.clone();
        less.shards.remove(&shard);
        less.committers.remove(&shard);
        if let Some(lane) = lane {
            less.leaving.retain(|other| !Arc::ptr_eq(other, lane));
        }
        less
    }
}
