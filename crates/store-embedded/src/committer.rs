//! Commits the batches of one shard, one after another: load what is missing, decide, append, wait for the sync, publish.
//!
//! It owns the working set, which is ahead of what is synced only between append and answer. When an append fails,
//! the set and the filters are thrown away and everything is loaded again from what is synced.
//! A future that is dropped half-way leaves its append in `pending`; whoever comes next finishes it first.

mod import;
mod load;
mod relabel;
mod units;

pub(crate) use import::{Import, newer_rows};

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use ostracon_domain::{Action, Command, InboxAction, Millis, Row, UnitId};
use ostracon_store::{
    Answer, Batch, Commit, Missing, Order, ShardError, UnitPhase, UnitState, WorkingSet,
};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    core::Core,
    filters::Filters,
    journal::{Append, AppendError, Position},
    payload,
};

type Result<T> = std::result::Result<T, ShardError>;

/// About so many bytes of rows go into one frame; a larger batch is committed in several.
const FRAME_BYTES: usize = 6 << 20;
/// Subjects whose rows are kept; when there are twice as many, the least recently used go.
const SUBJECTS_KEPT: usize = 20_000;

/// The one committer of a shard.
pub(crate) struct Committer {
    core: Arc<Core>,
    set: WorkingSet,
    filters: Filters,
    /// The journal's count of failures that the set rests on.
    generation: u64,
    pending: Option<Pending>,
    /// Where this start of the shard began.
    began: Position,
    /// The newest record of each unit that came or went since then: pages that go straight into the tables, or take rows
    /// out of them, come behind it.
    unserved: FxHashMap<UnitId, Position>,
    loader: Arc<Loader>,
    /// Bytes of all overlays at which nothing more is taken.
    overlay_bytes_max: usize,
}

/// The committer's own reading connection.
pub(crate) struct Loader {
    path: PathBuf,
    conn: Mutex<Option<Connection>>,
    gate: Arc<RwLock<()>>,
}

/// A record on its way into the journal.
struct Pending {
    append: Append,
    record: Record,
    now: Option<Millis>,
}

enum Record {
    Batch(Vec<Row>),
    Imported(UnitId, Vec<Row>),
    /// States of units, and rows that carry another unit now.
    Units(Vec<Row>, Vec<UnitState>),
}

impl Committer {
    pub(crate) fn new(
        core: Arc<Core>,
        path: PathBuf,
        gate: Arc<RwLock<()>>,
        overlay_bytes_max: usize,
    ) -> Self {
        let generation = core.journal.status().generation();
        Self {
            filters: Filters::new(core.overlay.hashes()),
            began: core.last.load(Ordering::SeqCst),
            unserved: FxHashMap::default(),
            core,
            set: WorkingSet::default(),
            generation,
            pending: None,
            loader: Arc::new(Loader { path, conn: Mutex::default(), gate }),
            overlay_bytes_max,
        }
    }

    /// Commits a batch. After an error nothing of the set is trusted any more.
    pub(crate) async fn commit(&mut self, batch: Batch) -> Result<Commit> {
        self.ready().await?;
        if self.core.overlay.bytes_of_all() >= self.overlay_bytes_max {
            return Err(ShardError::Busy);
        }
        if batch.orders.iter().map(estimate).sum::<usize>() <= FRAME_BYTES {
            return self.commit_frame(&batch).await;
        }
        let mut commit = Commit { position: 0, answers: Vec::with_capacity(batch.orders.len()) };
        for orders in parts(Arc::unwrap_or_clone(batch.orders)) {
            let part = Batch { now: batch.now, limits: batch.limits, orders: Arc::new(orders) };
            match self.commit_frame(&part).await {
                Ok(part) => {
                    commit.position = part.position;
                    commit.answers.extend(part.answers);
                }
                Err(error) if commit.answers.is_empty() => return Err(error),
                // The parts before it are durable: whoever asked must hear of them, and everybody else too.
                Err(error) => {
                    tracing::warn!(shard = self.core.id.0, %error, "a part of a batch failed");
                    break;
                }
            }
        }
        Ok(commit)
    }

    async fn commit_frame(&mut self, batch: &Batch) -> Result<Commit> {
        let missing = self.set.missing_unless(&batch.orders, |id, sender, client_id| {
            self.filters.certainly_new(id, sender, client_id)
        });
        if !missing.is_empty() {
            self.load(missing).await?;
        }
        let Self { core, set, .. } = self;
        let answers = core.overlay.with_fences(|fence| set.run(batch, fence, &*core.ids));
        set.forget_messages();
        let rows = last_states(&answers);
        if rows.is_empty() {
            // Everything that these answers rest on was synced before this batch began.
            return Ok(Commit { position: core.last_batch.load(Ordering::SeqCst), answers });
        }
        for row in &rows {
            if let Row::Message(message) = row
                && let Some(client_id) = &message.client_id
            {
                self.filters.sent(message.conversation, message.sender, client_id);
            }
        }
        let payload = payload::batch(changed(&answers));
        self.append(payload, Record::Batch(rows), Some(batch.now));
        let position = self.finish().await?;
        self.shrink();
        Ok(Commit { position, answers })
    }

    /// Writes states of units as they are.
    pub(crate) async fn put_units(&mut self, states: Vec<UnitState>) -> Result<()> {
        self.append(payload::units(&states), Record::Units(Vec::new(), states), None);
        self.finish().await?;
        Ok(())
    }

    /// What the tables must know before a page of a unit that is not served.
    fn before_pages(&self, unit: UnitId) -> Position {
        self.unserved.get(&unit).copied().unwrap_or(self.began)
    }

    /// Finishes what somebody left half-way, and brings the journal back if it failed.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        // Whoever began it has gone; what became of it shows in the state of the journal.
        let left = self.finish().await;
        if let Err(error) = left {
            tracing::warn!(shard = self.core.id.0, %error, "an abandoned batch was not written");
        }
        let mut status = self.core.journal.status();
        if status.generation() != self.generation || !status.is_running() {
            self.forget_all();
        }
        if !status.is_running() {
            self.core
                .journal
                .resume()
                .await
                .map_err(|error| ShardError::Unavailable(error.to_string()))?;
            status = self.core.journal.status();
        }
        self.generation = status.generation();
        match self.core.queue.failure() {
            Some(why) => Err(ShardError::Unavailable(why)),
            None => Ok(()),
        }
    }

    fn append(&mut self, payload: Vec<u8>, record: Record, now: Option<Millis>) {
        self.core.under_way.store(true, Ordering::SeqCst);
        let append = self.core.journal.append_in(self.generation, self.core.id.0, payload);
        self.pending = Some(Pending { append, record, now });
    }

    /// Waits for the append under way, if there is one, and publishes it.
    async fn finish(&mut self) -> Result<Position> {
        let Some(pending) = &mut self.pending else {
            return Ok(self.core.last.load(Ordering::SeqCst));
        };
        let answer = (&mut pending.append).await;
        let Some(Pending { record, now, .. }) = self.pending.take() else {
            return Ok(self.core.last.load(Ordering::SeqCst));
        };
        let core = &self.core;
        let position = match answer {
            Ok(position) => position,
            Err(error) => {
                self.core.under_way.store(false, Ordering::SeqCst);
                self.forget_all();
                return Err(match error {
                    AppendError::Full => ShardError::Busy,
                    error => ShardError::Unavailable(error.to_string()),
                });
            }
        };
        match record {
            Record::Batch(rows) => core.publish(position, rows, true, now),
            Record::Imported(unit, rows) => {
                self.unserved.insert(unit, position);
                core.publish(position, rows, false, now);
            }
            Record::Units(rows, states) => {
                for state in &states {
                    if matches!(state.phase, UnitPhase::Importing | UnitPhase::Moved) {
                        self.unserved.insert(state.unit, position);
                    } else {
                        self.unserved.remove(&state.unit);
                    }
                }
                core.publish_units(position, rows, states);
            }
        }
        core.under_way.store(false, Ordering::SeqCst);
        Ok(position)
    }

    pub(crate) fn forget_all(&mut self) {
        self.set.clear();
        self.filters.clear();
    }

    fn shrink(&mut self) {
        let before = self.set.len();
        self.set.shrink(SUBJECTS_KEPT);
        if self.set.len() < before {
            let set = &self.set;
            self.filters.keep(|id| set.knows_conversation(id));
        }
    }

    async fn load(&mut self, missing: Vec<Missing>) -> Result<()> {
        let mut rest = Vec::new();
        for row in missing {
            match load::from_overlay(&self.core.overlay, &row) {
                Some(loaded) => loaded.into_set(&mut self.set, &mut self.filters),
                None => rest.push(row),
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let core = Arc::clone(&self.core);
        let loaded =
            self.loader.run(move |conn| load::from_tables(&core.overlay, conn, &rest)).await?;
        for row in loaded {
            row.into_set(&mut self.set, &mut self.filters);
        }
        Ok(())
    }
}

/// Every changed row of a batch, in order.
fn changed(answers: &[Answer]) -> impl DoubleEndedIterator<Item = &Row> {
    answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Done { rows, .. } => Some(rows),
            _ => None,
        })
        .flatten()
}

/// The changed rows of a batch. Messages and reactions keep each step, all else stands there once, as it is in the end.
fn last_states(answers: &[Answer]) -> Vec<Row> {
    let mut seen = FxHashSet::default();
    let mut rows: Vec<Row> = changed(answers)
        .rev()
        .filter(|row| match row {
            Row::Conversation(row) => seen.insert((row.id.as_u128(), 0)),
            Row::Member(row) => seen.insert((row.conversation.as_u128(), row.user.get())),
            Row::User(row) => seen.insert((0, row.user.get())),
            // Turned around, so that it is no id of a conversation: the variant bits never are.
            Row::Inbox(row) => seen.insert((!row.conversation.as_u128(), row.user.get())),
            _ => true,
        })
        .cloned()
        .collect();
    rows.reverse();
    rows
}

/// About how many bytes of rows a command makes at most.
fn estimate(order: &Order) -> usize {
    512 + match &order.command {
        Command::Conversation(command) => match &command.action {
            Action::Send(message) => message.content.len() + message.mentions.len() * 96,
            // With the text that it may keep.
            Action::Edit(edit) => edit.content.len() + 4_096 + 32_768,
            Action::CreateGroup(group) => 1_024 + group.members.len() * 128,
            Action::AddMembers { users } => 1_024 + users.len() * 128,
            // The reactions that a deletion takes with it: at most 50 emoji by every member.
            Action::Delete { .. } => 65_536,
            Action::React { .. } => 65_536,
            _ => 2_048,
        },
        Command::Inbox(command) => match &command.action {
            InboxAction::Apply(changes) => changes.len() * 128,
            InboxAction::Set { draft, .. } => {
                256 + draft.as_ref().and_then(Option::as_ref).map_or(0, String::len)
            }
        },
    }
}

fn parts(orders: Vec<Order>) -> Vec<Vec<Order>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0;
    for order in orders {
        let more = estimate(&order);
        if bytes + more > FRAME_BYTES && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += more;
        part.push(order);
    }
    parts.push(part);
    parts
}

impl Loader {
    /// Runs a question on a blocking thread.
    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> std::result::Result<T, crate::error::TableError>
        + Send
        + 'static,
    ) -> Result<T> {
        let loader = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let mut slot = loader.conn.lock();
            let conn = match slot.take() {
                Some(conn) => conn,
                None => crate::tables::open_read_only(&loader.path)?,
            };
            let answer = {
                let _gate = loader.gate.read();
                work(&conn)
            };
            if answer.is_ok() {
                *slot = Some(conn);
            }
            answer
        })
        .await;
        match done {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(ShardError::Unavailable("the shard is closing".to_owned())),
        }
    }
}
