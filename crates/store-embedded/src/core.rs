//! What committer, applier and readers of one shard share. Each field says who writes it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use ostracon_domain::{Millis, Row, ShardId};
use ostracon_store::{Ids, Incarnation, ShardError, UnitState};
use parking_lot::Mutex;

use crate::{
    applier::Queue,
    journal::{Journal, Position},
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
        self.overlay.publish(at, &rows);
        if rows.iter().any(is_deletion) {
            let mut deleted = self.deleted.lock();
            let known = deleted.get_or_insert(Deleted { since: now, through: at, rotated: None });
            known.through = at;
        }
        self.queue.put_rows(at, rows);
        self.last.store(at, Ordering::SeqCst);
        if dispatches {
            self.last_batch.store(at, Ordering::SeqCst);
        }
    }

    /// Makes synced states of units count and hands them to the applier.
    pub(crate) fn publish_units(&self, at: Position, states: Vec<UnitState>) {
        for state in &states {
            self.overlay.set_unit(*state);
        }
        self.queue.put_units(at, states);
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
        let last = self.last.load(Ordering::SeqCst);
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
