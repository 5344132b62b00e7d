//! The contract of the seam, told to PostgreSQL: each story has schemas of its own.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::UnitId;
use ostracon_store::{
    Ids, Shard,
    contract::shard::{ALL, ShardFixture},
};
use ostracon_store_postgres::{PostgresOptions, testing::Server};
use tokio::sync::Mutex;

use crate::fixture::{formatted, open, options_on, shared_url};

/// Remembers where each shard lies that it made.
struct Postgres<'a> {
    url: String,
    /// What becomes of the server between the death of a shard and its next life.
    between: &'a (dyn Fn() + Sync),
    made: Mutex<Vec<(Arc<dyn Shard>, PostgresOptions)>>,
}

impl<'a> Postgres<'a> {
    fn new(url: &str, between: &'a (dyn Fn() + Sync)) -> Self {
        Self { url: url.to_owned(), between, made: Mutex::default() }
    }
}

#[async_trait]
impl ShardFixture for Postgres<'_> {
    async fn fresh(&self, units: &[UnitId], ids: Arc<dyn Ids>) -> Arc<dyn Shard> {
        let options = options_on(&self.url, ids);
        let shard: Arc<dyn Shard> = formatted(&options, units).await;
        self.made.lock().await.push((Arc::clone(&shard), options));
        shard
    }

    async fn reopened(&self, shard: Arc<dyn Shard>, ids: Arc<dyn Ids>) -> Option<Arc<dyn Shard>> {
        let mut made = self.made.lock().await;
        let at = made.iter().position(|(known, _)| Arc::ptr_eq(known, &shard))?;
        let (known, mut options) = made.swap_remove(at);
        drop((known, shard));
        (self.between)();
        options.ids = ids;
        let shard: Arc<dyn Shard> = open(&options).await;
        made.push((Arc::clone(&shard), options));
        Some(shard)
    }
}

/// This story expects that a restart is another incarnation. Here that is a replica that took over.
const NEW_INCARNATION: &str = "units::states_survive_a_restart";
/// This one tells one thing of a mere restart, and another of a new incarnation.
const EITHER: &str = "moves::a_restart_loses_a_capture_and_an_import";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    for (name, story) in ALL.iter().filter(|(name, _)| *name != NEW_INCARNATION) {
        eprintln!("story {name}");
        story(&Postgres::new(shared_url(), &|| ())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_when_a_replica_takes_over() {
    let server = Server::start();
    let fail_over = || {
        server.tell("failover");
    };
    for (name, story) in ALL.iter().filter(|(name, _)| [NEW_INCARNATION, EITHER].contains(name)) {
        eprintln!("story {name}");
        story(&Postgres::new(&server.url(), &fail_over)).await;
    }
}
