//! What everything in one world stands on: chance, weather, journal, the newest map, what was seen.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ostracon_domain::{PlacementMap, ShardId};
use ostracon_store::memory::{MemoryShard, directory::MemoryDirectory};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{journal::Journal, oracle::Oracle, random::Random, weather::Sky};

/// How long a request is held for steps that do not come.
const HELD: Duration = Duration::from_secs(3);

/// Steps of one place: how many ran, and the requests that are held until a later one runs, in the order they go on.
#[derive(Default)]
struct Steps {
    count: u64,
    held: BTreeMap<(u64, u64), oneshot::Sender<()>>,
}

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
    steps: Mutex<BTreeMap<u32, Steps>>,
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
        let Steps { count, held } = steps.entry(place).or_default();
        *count += 1;
        let later = held.split_off(&(*count + 1, 0));
        for (_, behind) in std::mem::replace(held, later) {
            // Who was held too long is gone already.
            let _ = behind.send(());
        }
    }

    /// Returns when so many steps more have run, or it has taken too long.
    pub(crate) async fn behind(&self, place: u32, steps: u64) {
        let (tell, behind) = oneshot::channel();
        let number = self.random.next();
        {
            let mut known = self.steps.lock();
            let Steps { count, held } = known.entry(place).or_default();
            held.insert((*count + steps, number), tell);
        }
        // Either way it goes on.
        drop(timeout(HELD, behind).await);
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
