//! What committer, applier and readers of one shard share. Each field says who writes it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use ostracon_domain::{Millis, Row, ShardId, UnitId};
use ostracon_store::{Ids, Incarnation, Purged, ShardError, UnitState};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    applier::{Page, Queue},
    journal::{Journal, Position},
    notes::Notes,
    overlay::Overlay,
};

/// One shard's middle.
pub(crate) struct Core {
    pub(crate) id: ShardId,
    pub(crate) incarnation: Incarnation,
    pub(crate) journal: Arc<Journal>,
    pub(crate) ids: Arc<dyn Ids>,
    /// The committer publishes, the applier evicts.
    pub(crate) overlay: Overlay,
    /// What changed in captured units; the committer writes. Locked before the overlay.
    pub(crate) notes: Mutex<Notes>,
    /// The committer puts, the applier takes.
    pub(crate) queue: Queue,
    /// Whether the committer has an append under way that is not published yet.
    pub(crate) under_way: AtomicBool,
    /// End of the newest record of this shard; the committer sets it.
    pub(crate) last: AtomicU64,
    /// End of the newest record that a dispatcher passes on; the committer sets it.
    pub(crate) last_batch: AtomicU64,
    /// How far the dispatcher is, as it said.
    pub(crate) dispatched: AtomicU64,
    /// Backups that are under way: the write-ahead log must not be truncated under them.
    pub(crate) pins: AtomicUsize,
    /// Deleted content that journal and write-ahead log may still hold.
    pub(crate) deleted: Mutex<Option<Deleted>>,
}

/// A page of a mover that the applier has.
pub(crate) struct PageUnderWay(oneshot::Receiver<Result<Purged, ShardError>>);

impl PageUnderWay {
    /// Waits until it is written. It is written also when nobody waits.
    ///
    /// # Errors
    /// `Unavailable` when it was not.
    pub(crate) async fn answer(self) -> Result<Purged, ShardError> {
        let closing = |_| Err(ShardError::Unavailable("the shard is closing".to_owned()));
        self.0.await.unwrap_or_else(closing)
    }
}

/// Deleted content on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// When the oldest of it was deleted; none: before this start.
    pub(crate) since: Option<Millis>,
    /// Where the newest of it stands.
    pub(crate) through: Position,
    /// The journal was rotated behind this position to get rid of it.
    pub(crate) rotated: Option<Position>,
}

impl Core {
    /// Makes synced rows visible and hands them to the applier.
    pub(crate) fn publish(
        &self,
        at: Position,
        rows: Vec<Row>,
        dispatches: bool,
        now: Option<Millis>,
    ) {
        if dispatches {
            self.notes.lock().note(&rows);
        }
        self.overlay.publish(at, &rows, dispatches);
        self.note_deletions(at, &rows, now);
        self.queue.put(at, rows, Vec::new());
        self.last.store(at, Ordering::SeqCst);
        if dispatches {
            self.last_batch.store(at, Ordering::SeqCst);
        }
    }

    /// Remembers that content is to be gone for good some time later, if these rows delete any.
    pub(crate) fn note_deletions(&self, at: Position, rows: &[Row], now: Option<Millis>) {
        if rows.iter().any(is_deletion) {
            let mut deleted = self.deleted.lock();
            let known = deleted.get_or_insert(Deleted { since: now, through: at, rotated: None });
            known.through = known.through.max(at);
        }
    }

    /// Makes synced states of units count, with the rows that carry another unit now, and hands them to the applier.
    pub(crate) fn publish_units(&self, at: Position, rows: Vec<Row>, states: Vec<UnitState>) {
        self.overlay.publish(at, &rows, false);
        {
            let mut notes = self.notes.lock();
            for state in &states {
                let before = self.overlay.unit(state.unit).map(|state| state.phase);
                notes.follow(before, state, at, self.incarnation);
                self.overlay.set_unit(*state);
            }
        }
        self.queue.put(at, rows, states);
        self.last.store(at, Ordering::SeqCst);
    }

    /// Begins or ends a backup.
    pub(crate) fn pinned(&self, begins: bool) {
        if begins {
            self.pins.fetch_add(1, Ordering::SeqCst);
        } else {
            self.pins.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// How far this shard's dispatching has come, counting other shards' records that it has nothing to do with.
    ///
    /// `idle`: a position up to which this shard has no record besides those already published.
    pub(crate) fn dispatched_through(&self, idle: Position) -> Position {
        let last_batch = self.last_batch.load(Ordering::SeqCst);
        let dispatched = self.dispatched.load(Ordering::SeqCst);
        if dispatched >= last_batch { dispatched.max(idle) } else { dispatched }
    }
}

fn is_deletion(row: &Row) -> bool {
    match row {
        Row::Message(message) => message.deleted.is_some(),
        Row::MessagesGone { .. } => true,
        _ => false,
    }
}

impl Core {
    /// Waits until everything published so far is in the tables.
    ///
    /// # Errors
    /// `Unavailable` when the applier cannot write.
    pub(crate) async fn flushed(&self) -> Result<(), ShardError> {
        self.flushed_through(self.last.load(Ordering::SeqCst)).await
    }

    /// Waits until everything of this shard up to a position that is published is in the tables.
    ///
    /// # Errors
    /// `Unavailable` when the applier cannot write.
    pub(crate) async fn flushed_through(&self, last: Position) -> Result<(), ShardError> {
        let mut progress = self.queue.watch();
        self.queue.flush(last);
        let reached = progress
            .wait_for(|progress| progress.applied >= last || progress.failure.is_some())
            .await
            .map_err(|_| ShardError::Unavailable("the shard is closing".to_owned()))?;
        match &reached.failure {
            Some(why) if reached.applied < last => Err(ShardError::Unavailable(why.clone())),
            _ => Ok(()),
        }
    }

    /// Writes a page of a mover into the tables, behind everything up to `after`. It is on its way when this returns.
    pub(crate) fn write_page(&self, unit: UnitId, page: Page, after: Position) -> PageUnderWay {
        PageUnderWay(self.queue.put_direct(unit, page, after))
    }

    /// Waits until no page of a unit is on its way into the tables.
    ///
    /// # Errors
    /// `Unavailable` when the applier cannot write.
    pub(crate) async fn pages_written(&self, unit: UnitId) -> Result<(), ShardError> {
        let mut progress = self.queue.watch();
        let reached = progress
            .wait_for(|progress| progress.failure.is_some() || self.queue.direct_of(unit) == 0)
            .await
            .map_err(|_| ShardError::Unavailable("the shard is closing".to_owned()))?;
        match &reached.failure {
            Some(why) if self.queue.direct_of(unit) > 0 => {
                Err(ShardError::Unavailable(why.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Brings tables and logs to an end now instead of after a while.
    pub(crate) async fn settled(&self) -> Result<(), ShardError> {
        self.flushed().await?;
        let mut progress = self.queue.watch();
        let before = progress.borrow_and_update().settled;
        self.queue.settle();
        let reached = progress
            .wait_for(|progress| progress.settled > before || progress.failure.is_some())
            .await
            .map_err(|_| ShardError::Unavailable("the shard is closing".to_owned()))?;
        match &reached.failure {
            Some(why) => Err(ShardError::Unavailable(why.clone())),
            None => Ok(()),
        }
    }

    /// Whether the journal below a position is kept because of this shard's tables or its dispatcher.
    pub(crate) fn holds_up(&self, position: Position) -> bool {
        let progress = self.queue.progress();
        progress.checkpointed < position || progress.dispatched_checkpointed < position
    }

    /// A position up to which this shard has no record that is not in the tables; none while something is on its way.
    pub(crate) fn idle_through(&self) -> Option<Position> {
        // Before the questions: a record that begins after them lies behind it.
        let synced = self.journal.synced();
        let idle = !self.under_way.load(Ordering::SeqCst)
            && self.queue.progress().applied >= self.last.load(Ordering::SeqCst);
        idle.then_some(synced)
    }
}
