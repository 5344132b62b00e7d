//! Writes synced rows into the tables, many batches in one sorted transaction. One thread a shard.
//!
//! It owns the writing connection and everything that happens to the write-ahead log. When it fails (a full disk)
//! it goes on trying; meanwhile the committer refuses, readers go on.

mod direct;
mod queue;
mod sorted;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::RwLock;

pub(crate) use direct::Page;
pub(crate) use queue::{Progress, Queue};
use queue::{Taken, Work};
use sorted::Sorted;

use crate::{
    core::Core,
    error::TableError,
    tables::{Meta, TableWriter},
};

type Result<T> = std::result::Result<T, TableError>;

/// Rows written since the last checkpoint that make another one worth its syncs.
const CHECKPOINT_ROWS: usize = 150_000;
/// A write-ahead log of this many bytes is truncated, and readers wait meanwhile.
const WAL_BYTES_MAX: u64 = 256 << 20;
/// A shard at rest keeps a write-ahead log of at most so many bytes.
const WAL_BYTES_AT_REST: u64 = 1 << 20;
/// First and longest pause between two tries of what failed.
const RETRY_MS: (u64, u64) = (100, 5_000);

/// A shard's applier.
pub(crate) struct Applier {
    core: Arc<Core>,
    writer: TableWriter,
    meta: Meta,
    /// Readers share it; taken alone while the log is truncated.
    gate: Arc<RwLock<()>>,
    wal: PathBuf,
    rows_since_checkpoint: usize,
    /// Called when a checkpoint made segments of the journal superfluous.
    reclaim: Box<dyn Fn() + Send>,
}

impl Applier {
    /// Starts the thread. `meta` is the row as it stands in the tables.
    pub(crate) fn start(
        core: Arc<Core>,
        writer: TableWriter,
        meta: Meta,
        gate: Arc<RwLock<()>>,
        wal: PathBuf,
        reclaim: Box<dyn Fn() + Send>,
    ) -> io::Result<JoinHandle<()>> {
        let name = format!("applier {}", core.id);
        let applier = Self { core, writer, meta, gate, wal, rows_since_checkpoint: 0, reclaim };
        Builder::new().name(name).spawn(move || applier.run())
    }

    fn run(mut self) {
        let mut pause = RETRY_MS.0;
        while let Some(work) = self.core.queue.next() {
            let work = match work {
                Work::Direct(page) => {
                    self.direct(page);
                    continue;
                }
                work => work,
            };
            match self.work(&work) {
                Ok(()) => {
                    pause = RETRY_MS.0;
                    self.core.queue.done();
                }
                Err(error) => {
                    self.writer.roll_back();
                    tracing::error!(shard = self.core.id.0, %error, "rows could not be written into the tables; trying again");
                    self.core.queue.failed(work, error.sentence(), Duration::from_millis(pause));
                    pause = (pause * 2).min(RETRY_MS.1);
                }
            }
        }
    }

    fn work(&mut self, work: &Work) -> Result<()> {
        match work {
            Work::Apply(taken) => self.apply(taken),
            Work::Direct(_) => Ok(()),
            Work::Settle => self.settle(),
            Work::Truncate => self.truncate(),
        }
    }

    fn apply(&mut self, taken: &[Taken]) -> Result<()> {
        let Some(last) = taken.last() else {
            return Ok(());
        };
        let started = Instant::now();
        let up_to = last.at;
        let sorted = Sorted::of(taken);
        let mut meta = self.meta;
        meta.applied = up_to;
        meta.dispatched = self.core.dispatched_through(0).max(meta.dispatched);
        meta.incarnation = self.core.incarnation;
        self.writer.begin()?;
        sorted.write(&mut self.writer)?;
        self.writer.meta(&meta)?;
        self.writer.commit()?;
        self.meta = meta;
        let rows: usize = taken.iter().map(|batch| batch.rows.len()).sum();
        for batch in taken {
            self.core.overlay.evict(&batch.rows, up_to);
        }
        self.rows_since_checkpoint += rows;
        self.core.queue.applied(up_to, meta.dispatched);
        self.report(rows, started);
        if self.rows_since_checkpoint >= CHECKPOINT_ROWS {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Brings the logs to an end: notes up to where there is nothing of this shard, and empties the write-ahead log.
    fn settle(&mut self) -> Result<()> {
        let Some(idle) = self.core.idle_through() else {
            // Something is on its way; there will be another end of it.
            self.core.queue.settle_later();
            self.core.queue.settled();
            return Ok(());
        };
        let mut meta = self.meta;
        meta.applied = meta.applied.max(idle);
        meta.dispatched = self.core.dispatched_through(idle).max(meta.dispatched);
        meta.incarnation = self.core.incarnation;
        if meta != self.meta {
            self.writer.meta(&meta)?;
            self.meta = meta;
            self.core.queue.applied(meta.applied, meta.dispatched);
        }
        self.writer.release_memory()?;
        // A long log takes long to read at the next start.
        if self.wal_bytes() > WAL_BYTES_AT_REST {
            self.truncate()?;
        } else {
            self.checkpoint()?;
        }
        if self.core.queue.progress().checkpointed < self.meta.applied {
            self.core.queue.settle_later();
        }
        self.core.queue.settled();
        Ok(())
    }

    fn wal_bytes(&self) -> u64 {
        std::fs::metadata(&self.wal).map_or(0, |file| file.len())
    }

    fn report(&self, rows: usize, started: Instant) {
        let shard = self.core.id.to_string();
        let took = started.elapsed().as_secs_f64();
        let lag = self.core.journal.synced().saturating_sub(self.meta.applied);
        metrics::histogram!("ostracon_applier_rows", "shard" => shard.clone()).record(rows as f64);
        metrics::histogram!("ostracon_applier_seconds", "shard" => shard.clone()).record(took);
        metrics::gauge!("ostracon_applier_lag_bytes", "shard" => shard).set(lag as f64);
        metrics::gauge!("ostracon_overlay_bytes").set(self.core.overlay.bytes_of_all() as f64);
    }

    fn checkpoint(&mut self) -> Result<()> {
        let done = self.writer.checkpoint(false)?;
        if done.is_complete() {
            self.checkpointed();
        }
        if self.wal_bytes() > WAL_BYTES_MAX {
            self.truncate()?;
        }
        Ok(())
    }

    /// Empties the write-ahead log. Most of it is copied before the readers have to wait.
    fn truncate(&mut self) -> Result<()> {
        let done = self.writer.checkpoint(false)?;
        if self.core.pins.load(Ordering::SeqCst) > 0 {
            // Waiting for a backup would hold every reader up.
            if done.is_complete() {
                self.checkpointed();
            }
            return Ok(());
        }
        let done = {
            let _alone = self.gate.write();
            self.writer.checkpoint(true)?
        };
        if done.is_complete() {
            self.checkpointed();
            self.core.queue.truncated(self.meta.applied);
        }
        Ok(())
    }

    fn checkpointed(&mut self) {
        self.rows_since_checkpoint = 0;
        // Only this thread writes, so the file now holds all that it has committed.
        self.core.queue.checkpointed(self.meta.applied, self.meta.dispatched);
        (self.reclaim)();
    }
}
