//! The contract of the search index: the same stories, with the same answers, as in memory and in the embedded store.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_store::{
    SearchIndex, Shard as _,
    contract::search::{SearchFixture, run_all},
};

use crate::fixture::{formatted, options, units};

struct Postgres;

#[async_trait]
impl SearchFixture for Postgres {
    async fn fresh(&self) -> Arc<dyn SearchIndex> {
        formatted(&options(), &units()).await.search_index().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_of_search() {
    run_all(&Postgres).await;
}
