//! The contract of the seam, told to the embedded shard as it is and in its restless form.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::UnitId;
use ostracon_store::{
    Ids, Shard,
    contract::shard::{ShardFixture, run_all},
};
use tokio::sync::Mutex;

use crate::{fixture::Home, restless::Restless};

/// Keeps the folder of every shard it made.
struct Embedded {
    restless: bool,
    homes: Mutex<Vec<(Arc<dyn Shard>, Home)>>,
}

impl Embedded {
    fn new(restless: bool) -> Self {
        Self { restless, homes: Mutex::default() }
    }

    fn shard_of(&self, home: &Home) -> Arc<dyn Shard> {
        if self.restless { Arc::new(Restless::new(home.shard())) } else { home.shard() }
    }
}

#[async_trait]
impl ShardFixture for Embedded {
    async fn fresh(&self, units: &[UnitId], ids: Arc<dyn Ids>) -> Arc<dyn Shard> {
        let home = Home::new(units, ids).await;
        let shard = self.shard_of(&home);
        self.homes.lock().await.push((Arc::clone(&shard), home));
        shard
    }

    async fn reopened(&self, shard: Arc<dyn Shard>, ids: Arc<dyn Ids>) -> Option<Arc<dyn Shard>> {
        let mut homes = self.homes.lock().await;
        let at = homes.iter().position(|(known, _)| Arc::ptr_eq(known, &shard))?;
        let (known, mut home) = homes.swap_remove(at);
        drop((known, shard));
        home.ids = ids;
        home.reopen();
        let shard = self.shard_of(&home);
        homes.push((Arc::clone(&shard), home));
        Some(shard)
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    run_all(&Embedded::new(false)).await;
}

#[tokio::test]
async fn keeps_the_contract_wherever_the_rows_are() {
    run_all(&Embedded::new(true)).await;
}
