//! The contract of the seam, told to PostgreSQL: each story has a schema of its own.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_store::{
    Directory,
    contract::directory::{Fixture, run_all},
};
use ostracon_store_postgres::{DirectoryOptions, PostgresDirectory};
use parking_lot::Mutex;

use super::{open, options, turns::Turns};

/// Remembers where it made the newest directory.
#[derive(Default)]
struct Schemas(Mutex<Option<DirectoryOptions>>);

impl Schemas {
    fn newest(&self) -> DirectoryOptions {
        self.0.lock().clone().unwrap()
    }

    async fn make(&self) -> Arc<PostgresDirectory> {
        let options = options();
        *self.0.lock() = Some(options.clone());
        open(&options).await
    }
}

#[async_trait]
impl Fixture for Schemas {
    async fn fresh(&self) -> Arc<dyn Directory> {
        self.make().await
    }

    async fn reopened(&self, directory: Arc<dyn Directory>) -> Arc<dyn Directory> {
        drop(directory);
        open(&self.newest()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    run_all(&Schemas::default()).await;
}

/// Every other call of a story comes from another process.
#[derive(Default)]
struct Processes(Schemas);

#[async_trait]
impl Fixture for Processes {
    async fn fresh(&self) -> Arc<dyn Directory> {
        let first = self.0.make().await;
        Arc::new(Turns::new([first, open(&self.0.newest()).await]))
    }

    async fn reopened(&self, directory: Arc<dyn Directory>) -> Arc<dyn Directory> {
        drop(directory);
        let options = self.0.newest();
        Arc::new(Turns::new([open(&options).await, open(&options).await]))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_in_two_processes() {
    run_all(&Processes::default()).await;
}
