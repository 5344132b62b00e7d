//! Reading connections of one shard's tables. They work on blocking threads, a few at a time.

use std::{path::PathBuf, sync::Arc};

use ostracon_store::ShardError;
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{error::TableError, tables};

/// Readers of one shard at a time; more wait.
const READERS: usize = 4;

/// The connections. Clones share them.
#[derive(Clone)]
pub(crate) struct Readers {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
    gate: Arc<RwLock<()>>,
}

impl Readers {
    /// Opens nothing yet. Each reader shares `gate` while it reads; who takes it alone holds all readers up.
    pub(crate) fn new(path: PathBuf, gate: Arc<RwLock<()>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                path,
                permits: Semaphore::new(READERS),
                idle: Mutex::default(),
                gate,
            }),
        }
    }

    /// Runs a question on a blocking thread with a connection of its own.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, TableError> + Send + 'static,
    ) -> Result<T, ShardError> {
        let shared = Arc::clone(&self.shared);
        let _permit = self
            .shared
            .permits
            .acquire()
            .await
            .map_err(|_| closed())?;
        let answer = tokio::task::spawn_blocking(move || shared.run(work))
            .await
            .map_err(|_| closed())?;
        Ok(answer?)
    }
}

impl Shared {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> Result<T, TableError>) -> Result<T, TableError> {
        let idle = self.idle.lock().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => tables::open_read_only(&self.path)?,
        };
        let answer = {
            let _gate = self.gate.read();
            work(&conn)
        };
        // One that failed may be in any state: a new one is cheap.
        if answer.is_ok() {
            self.idle.lock().push(conn);
        }
        answer
    }
}

fn closed() -> ShardError {
    ShardError::Unavailable("the shard is closing".to_owned())
}
