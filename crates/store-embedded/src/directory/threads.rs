//! The connections, each owned by one thread that does one job after the other: one looks up, one scans, one writes.
//!
//! Waiting callers wait in their task, so nothing here blocks the runtime.
//! The queues are bounded; a caller of a full one waits for room.

use std::{io, thread, thread::JoinHandle};

use ostracon_store::DirectoryError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;

/// Jobs that wait for one connection; more callers wait for room.
const WAITING_MAX: usize = 1_024;
/// Look-ups that share one snapshot. Their answers leave together: in a storm of sign-ins, waking
/// the runtime for each would cost several times the look-up.
const LOOKUPS_TOGETHER_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) -> Answer + Send>;
/// Hands the result to who waits for it.
type Answer = Box<dyn FnOnce() + Send>;

/// The threads end in the order of the fields.
/// The writer is the last, because only it can bring the log into the file when it closes.
pub(super) struct Threads {
    lookups: Worker,
    scans: Worker,
    writes: Worker,
}

impl Threads {
    pub(super) fn start(
        lookups: Connection,
        scans: Connection,
        writer: Connection,
    ) -> io::Result<Self> {
        let writes = Worker::start("dir-write", writer, do_one)?;
        Ok(Self {
            lookups: Worker::start("dir-lookup", lookups, look_up_together)?,
            scans: Worker::start("dir-scan", scans, do_one)?,
            writes,
        })
    }

    /// Reads a few rows by key.
    pub(super) async fn look_up<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        self.lookups.run(work).await
    }

    /// Reads what may take long, so that no look-up waits behind it.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        self.scans.run(work).await
    }

    /// Writes. It is done even if the caller no longer waits.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        self.writes.run(work).await
    }
}

/// The fields go in this order: without a sender the thread ends, then it is waited for.
struct Worker {
    jobs: mpsc::Sender<Job>,
    _thread: Joined,
}

impl Worker {
    fn start(
        name: &str,
        mut conn: Connection,
        work: fn(&mut Connection, &mut mpsc::Receiver<Job>),
    ) -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&mut conn, &mut waiting))?;
        Ok(Self { jobs, _thread: Joined(Some(thread)) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let done = work(conn);
            Box::new(move || {
                // Nobody listens when the caller has gone; the work stands all the same.
                let _ = answer.send(done);
            })
        });
        let gone = || DirectoryError::Unavailable("its thread has ended".to_owned());
        self.jobs.send(job).await.map_err(|_| gone())?;
        let done = answered.await.map_err(|_| gone())?;
        done.map_err(|failure| failure.named("the directory"))
    }
}

fn do_one(conn: &mut Connection, waiting: &mut mpsc::Receiver<Job>) {
    while let Some(job) = waiting.blocking_recv() {
        job(conn)();
    }
}

fn look_up_together(conn: &mut Connection, waiting: &mut mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(LOOKUPS_TOGETHER_MAX);
    let mut answers = Vec::with_capacity(LOOKUPS_TOGETHER_MAX);
    while waiting.blocking_recv_many(&mut jobs, LOOKUPS_TOGETHER_MAX) > 0 {
        // The snapshot begins after all of these were asked, so each sees every write its caller
        // had seen end. Should it not begin or end, the look-ups are as good one by one.
        let shared = jobs.len() > 1 && conn.execute_batch("BEGIN").is_ok();
        answers.extend(jobs.drain(..).map(|job| job(conn)));
        if shared && conn.execute_batch("COMMIT").is_err() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        answers.drain(..).for_each(|answer| answer());
    }
}

struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // One that panicked has closed its connection too.
            let _ = thread.join();
        }
    }
}
