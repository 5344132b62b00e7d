//! A node: its clock, whether it stands still, whether it hears of the map, and what a coordinator needs of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ostracon_domain::{MapChange, Millis, ShardId};
use ostracon_reshard::{Host, Unreachable};
use ostracon_store::Shard;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{faulty_shard::FaultyShard, ground::Ground, link::pause, router::Router};

pub(crate) const START: Millis = 1_700_000_000_000;

pub(crate) struct Node {
    pub(crate) id: u64,
    began: Instant,
    /// Calls wait until then.
    stands_until: Mutex<Instant>,
    /// Changes of the map do not arrive until then.
    deaf_until: Mutex<Instant>,
    /// Milliseconds that its clock is off.
    clock: AtomicI64,
    deaths: AtomicU64,
    pub(crate) died: Notify,
}

impl Node {
    pub(crate) fn new(id: u64) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            id,
            began: now,
            stands_until: Mutex::new(now),
            deaf_until: Mutex::new(now),
            clock: AtomicI64::new(0),
            deaths: AtomicU64::new(0),
            died: Notify::new(),
        })
    }

    /// Returns when the node does not stand still.
    pub(crate) async fn awake(&self) {
        loop {
            let until = *self.stands_until.lock();
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    pub(crate) fn stall(&self, length: Duration) {
        let mut until = self.stands_until.lock();
        *until = (*until).max(Instant::now() + length);
    }

    pub(crate) fn deafen(&self, length: Duration) {
        *self.deaf_until.lock() = Instant::now() + length;
    }

    pub(crate) fn is_deaf(&self) -> bool {
        *self.deaf_until.lock() > Instant::now()
    }

    /// The coordinator of this node is gone, without a word.
    pub(crate) fn die(&self) {
        self.deaths.fetch_add(1, Ordering::Relaxed);
        self.died.notify_one();
    }

    pub(crate) fn set_clock(&self, off_ms: i64) {
        self.clock.store(off_ms, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Millis {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(0);
        START + passed + self.clock.load(Ordering::Relaxed)
    }
}

/// A node as its coordinator sees it.
pub(crate) struct SimHost {
    pub(crate) ground: Arc<Ground>,
    pub(crate) node: Arc<Node>,
    pub(crate) shards: BTreeMap<ShardId, Arc<FaultyShard>>,
    pub(crate) routers: Vec<Arc<Router>>,
}

impl SimHost {
    /// Tells every router, some sooner than others.
    fn tell(&self) {
        for router in &self.routers {
            let router = Arc::clone(router);
            let delay = Duration::from_millis(self.ground.random.below(4));
            tokio::spawn(async move {
                pause(delay).await;
                router.look_again();
            });
        }
    }
}

#[async_trait]
impl Host for SimHost {
    fn shard(&self, id: ShardId) -> Option<Arc<dyn Shard>> {
        self.shards.get(&id).map(|shard| Arc::clone(shard) as Arc<dyn Shard>)
    }

    async fn dispatched(&self, shard: ShardId) -> Result<(), Unreachable> {
        self.node.awake().await;
        let Some(shard) = self.ground.shards.get(&shard) else { return Err(Unreachable) };
        // All that is there now; later batches are of other units.
        let Ok(waiting) = shard.undispatched(None, u32::MAX).await else { return Err(Unreachable) };
        let Some(last) = waiting.last().map(|batch| batch.position) else { return Ok(()) };
        loop {
            let Ok(first) = shard.undispatched(None, 1).await else { return Err(Unreachable) };
            if first.first().is_none_or(|batch| batch.position > last) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn map_changed(&self, _: u64, _: &MapChange) {
        self.tell();
    }

    async fn units_changed(&self) {
        self.tell();
    }

    fn now(&self) -> Millis {
        self.node.now()
    }

    fn foreground_p99(&self) -> Option<Duration> {
        None
    }
}
