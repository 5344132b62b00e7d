//! What everything in one world stands on: chance, weather, journal, the newest map, what was seen.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{PlacementMap, ShardId};
use ostracon_store::memory::{MemoryShard, directory::MemoryDirectory};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{journal::Journal, oracle::Oracle, random::Random, weather::Sky};

pub(crate) struct Ground {
    pub(crate) random: Random,
    pub(crate) sky: Sky,
    pub(crate) journal: Journal,
    pub(crate) oracle: Oracle,
    pub(crate) directory: Arc<MemoryDirectory>,
    pub(crate) shards: BTreeMap<ShardId, Arc<MemoryShard>>,
    /// The map as the directory has it, so that routers need not copy it.
    map: Mutex<Arc<PlacementMap>>,
    /// Set with the first thing that must not happen.
    failed: Mutex<Option<String>>,
    pub(crate) over: CancellationToken,
}

impl Ground {
    pub(crate) fn new(
        random: Random,
        sky: Sky,
        directory: Arc<MemoryDirectory>,
        shards: BTreeMap<ShardId, Arc<MemoryShard>>,
        map: PlacementMap,
    ) -> Arc<Self> {
        Arc::new(Self {
            random,
            sky,
            journal: Journal::new(),
            oracle: Oracle::default(),
            directory,
            shards,
            map: Mutex::new(Arc::new(map)),
            failed: Mutex::new(None),
            over: CancellationToken::new(),
        })
    }

    pub(crate) fn map(&self) -> Arc<PlacementMap> {
        Arc::clone(&self.map.lock())
    }

    pub(crate) fn set_map(&self, map: PlacementMap) {
        let mut known = self.map.lock();
        if map.version > known.version {
            *known = Arc::new(map);
        }
    }

    /// Something that must never happen has happened. The first one counts, and ends the world.
    pub(crate) fn fail(&self, why: String) {
        let mut failed = self.failed.lock();
        if failed.is_none() {
            self.journal.note(format_args!("FAILED: {why}"));
            *failed = Some(why);
            self.over.cancel();
        }
    }

    pub(crate) fn failed(&self) -> Option<String> {
        self.failed.lock().clone()
    }
}
