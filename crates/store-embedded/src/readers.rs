//! Reading connections of one shard's tables.
//!
//! A small question is answered on the caller's own thread: its pages nearly always are in memory, and waking another
//! thread costs more than the answer. When several turn out slow (a cold disk), the next ones go to blocking threads,
//! a few at a time, as large ones always do.

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
/// A question that takes longer has met the disk, or lost its processor for a while.
const SLOW: Duration = Duration::from_millis(2);
/// What a slow question counts; a quick one takes one away. Losing the processor now and then does not add up.
const SLOW_COUNTS: u32 = 16;
/// From this count on questions go to blocking threads.
const DISTRUST: u32 = 64;
/// The count stays below this, so that trust comes back.
const SLOW_MAX: u32 = 256;

/// A page as large as a client may ask for; reading it takes some 0.3 ms when it is in memory.
const SMALL_ROWS_MAX: u32 = 200;

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
        if rows <= SMALL_ROWS_MAX { Self::Small } else { Self::Large }
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
    /// How slow questions have been lately.
    slowness: AtomicU32,
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
                slowness: AtomicU32::new(0),
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
            && self.shared.slowness.load(Ordering::Relaxed) < DISTRUST
            && let Some(_gate) = self.shared.gate.try_read()
        {
            return Ok(self.shared.run(work)?);
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
    fn learn(&self, took: Duration) {
        // Two at once may lose a count; it is a rule of thumb.
        let slowness = self.slowness.load(Ordering::Relaxed);
        let next = if took > SLOW {
            (slowness + SLOW_COUNTS).min(SLOW_MAX)
        } else {
            slowness.saturating_sub(1)
        };
        if next != slowness {
            self.slowness.store(next, Ordering::Relaxed);
        }
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
        let started = Instant::now();
        let answer = work(&conn);
        self.learn(started.elapsed());
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
