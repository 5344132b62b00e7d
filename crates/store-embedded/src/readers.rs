//! Reading connections of one shard's tables.
//!
//! A small question is answered on the caller's own thread: its pages nearly always are in memory, and waking another
//! thread costs more than the answer. When one turns out slow (a cold disk), the next ones and all large ones
//! go to blocking threads, a few at a time.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use ostracon_store::ShardError;
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{error::TableError, tables};

/// Blocking readers of one shard at a time; more wait.
const READERS: usize = 4;
/// A small question that takes longer has met the disk.
const SLOW: Duration = Duration::from_millis(2);
/// So many questions after a slow one go to blocking threads.
const DISTRUST: u32 = 1_000;

/// Whether a question is worth another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// A few pages of the file.
    Small,
    /// Anything else.
    Large,
}

impl Size {
    /// The size of a question for so many rows.
    pub(crate) const fn of(rows: u32) -> Self {
        if rows <= 100 { Self::Small } else { Self::Large }
    }
}

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
    /// Questions that still go to blocking threads because of a slow one.
    distrust: AtomicU32,
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
                distrust: AtomicU32::new(0),
            }),
        }
    }

    /// Runs a question with a connection of its own.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        size: Size,
        work: impl FnOnce(&Connection) -> Result<T, TableError> + Send + 'static,
    ) -> Result<T, ShardError> {
        if size == Size::Small
            && self.shared.trusts()
            && let Some(_gate) = self.shared.gate.try_read()
        {
            let started = Instant::now();
            let answer = self.shared.run(work);
            if started.elapsed() > SLOW {
                self.shared.distrust.store(DISTRUST, Ordering::Relaxed);
            }
            return Ok(answer?);
        }
        let shared = Arc::clone(&self.shared);
        let _permit = self.shared.permits.acquire().await.map_err(|_| closed())?;
        let answer = tokio::task::spawn_blocking(move || {
            let _gate = shared.gate.read();
            shared.run(work)
        })
        .await
        .map_err(|_| closed())?;
        Ok(answer?)
    }
}

impl Shared {
    fn trusts(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.distrust.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, TableError>,
    ) -> Result<T, TableError> {
        let idle = self.idle.lock().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => tables::open_read_only(&self.path)?,
        };
        let answer = work(&conn);
        // One that failed may be in any state: a new one is cheap.
        if answer.is_ok() {
            let mut idle = self.idle.lock();
            if idle.len() < READERS {
                idle.push(conn);
            }
        }
        answer
    }
}

fn closed() -> ShardError {
    ShardError::Unavailable("the shard is closing".to_owned())
}
