//! What everything in one world stands on: chance, weather, journal, the newest map, what was seen.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ostracon_domain::{PlacementMap, ShardId};
use ostracon_store::memory::{MemoryShard, directory::MemoryDirectory};
use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{journal::Journal, oracle::Oracle, random::Random, weather::Sky};

/// How long a request is held for steps that do not come.
const HELD: Duration = Duration::from_secs(3);

pub(crate) struct Ground {
    pub(crate) random: Random,
    pub(crate) sky: Sky,
    pub(crate) journal: Journal,
    pub(crate) oracle: Oracle,
    pub(crate) directory: Arc<MemoryDirectory>,
    pub(crate) shards: BTreeMap<ShardId, Arc<MemoryShard>>,
    /// The map as the directory has it, so that routers need not copy it.
    map: Mutex<Arc<PlacementMap>>,
    /// Steps that ran, by place.
    steps: Mutex<BTreeMap<u32, watch::Sender<u64>>>,
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
            steps: Mutex::default(),
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

    /// A step is about to run; whoever waits for it comes right behind it.
    pub(crate) fn step(&self, place: u32) {
        let mut steps = self.steps.lock();
        steps.entry(place).or_default().send_modify(|count| *count += 1);
    }

    /// Returns when so many steps more have run, or it has taken too long.
    pub(crate) async fn behind(&self, place: u32, steps: u64) {
        let mut count = self.steps.lock().entry(place).or_default().subscribe();
        let until = *count.borrow() + steps;
        // Either way it goes on.
        let _ = timeout(HELD, count.wait_for(|count| *count >= until)).await;
    }

    pub(crate) fn restart(&self, place: u32) {
        if let Some(shard) = self.shards.get(&ShardId(place)) {
            self.journal.note(format_args!("shard {place} starts anew"));
            shard.restart();
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
