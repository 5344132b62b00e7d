//! Threads that look into files: few, with a low priority, so that a burst of pictures never slows a message down.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::sync::{Semaphore, oneshot};

use crate::MediaError;

/// Files that may wait for a thread; one more is `Busy`.
const WAITING_MAX: usize = 256;
/// How much more willing than others these threads are to wait for a processor.
const NICENESS: i32 = 10;

/// A bound on work that blocks and computes. Safe from any task.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Counts one that waits, also when it goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(threads.max(1))), waiting: AtomicUsize::new(0) }
    }

    /// Does work on a thread of its own. The work is done to its end even if nobody waits for it any more.
    ///
    /// # Errors
    /// `Busy` when too much waits; `Unsupported` when the work panicked: no file is worth that.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
    ) -> Result<T, MediaError> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return Err(MediaError::Busy);
        }
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| MediaError::Busy)?;
        drop(waiting);
        let (answer, answered) = oneshot::channel();
        let thread = thread::Builder::new().name("media".to_owned()).spawn(move || {
            // On Linux this is the thread's own; elsewhere it may be refused.
            let _ = rustix::process::nice(NICENESS);
            let done = std::panic::catch_unwind(AssertUnwindSafe(work));
            let broken = MediaError::Unsupported("The file cannot be read.");
            drop(permit);
            // Who asked may have gone away.
            let _ = answer.send(done.unwrap_or(Err(broken)));
        });
        thread.map_err(|error| MediaError::Unavailable(format!("no thread: {error}")))?;
        answered.await.map_err(|_| MediaError::Unavailable("its thread has ended".to_owned()))?
    }
}
