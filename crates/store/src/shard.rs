//! The seam of a shard: one store that owns units.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::{
    Command, ConversationId, History, InboxEntry, Limits, MessageId, Millis, Outcome, Refusal, Row,
    ShardId, Subject, UnitAt, UserId, UserRev,
};

use crate::{
    read::{
        AnnexPage, AnnexRows, Changes, ChangesSince, InboxChanges, InboxPage, InboxRows,
        MembersPage, MembersRows, MessagePage, Messages, Overview, Unread,
    },
    search::{Indexed, SearchIndex},
    transfer::{SubjectVersion, Transfer},
    unit_state::UnitState,
};

/// A place in a shard's own log of commits; rises with every batch. Means nothing to another shard.
pub type Position = u64;

/// Which start of a shard this is; what a restart forgets is tagged with it.
pub type Incarnation = u64;

/// A node's source of ids, shared by its shards.
pub trait Ids: Send + Sync {
    /// An id later than `later_than`, not before `now`; `None` when time is used up.
    fn message_id(&self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId>;
    /// A random line of numbers.
    fn history(&self) -> History;
}

/// One command and the unit it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Where the sender's map says that the subject lives.
    pub at: UnitAt,
    /// What to do.
    pub command: Command,
}

/// Commands that become durable together. Order is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The server's time for all of them.
    pub now: Millis,
    /// Limits that the operator has set.
    pub limits: Limits,
    /// The commands; shared, so that whoever sent them can send a fenced one elsewhere.
    pub orders: Arc<Vec<Order>>,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done and durable.
    Done {
        /// What it answers.
        outcome: Outcome,
        /// The rows it changed, in order; empty when nothing changed.
        rows: Vec<Row>,
    },
    /// Refused; nothing was changed.
    Refused(Refusal),
    /// This shard does not serve that unit at that epoch; ask the map again. `None`: it knows nothing of it.
    Fenced(Option<UnitState>),
}

/// A batch that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Where its changes stand in this shard's log: what a dispatcher has passed when it has dispatched them.
    pub position: Position,
    /// Answer n belongs to order n. Fewer answers than orders: the first ones are durable, and of the others the outcome
    /// is unknown, as after [`ShardError::Unavailable`].
    pub answers: Vec<Answer>,
}

/// The result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read<T> {
    /// The rows, all as of one moment not earlier than the call.
    Rows(T),
    /// There is no row of that conversation. A deleted group still has one.
    Absent,
    /// This shard does not serve that unit at that epoch.
    Fenced(Option<UnitState>),
}

/// What a caller can do about a shard that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not reachable, out of space or rebuilding; try again. A command's outcome may be unknown.
    #[error("shard is unavailable: {0}")]
    Unavailable(String),
    /// So much waits to be written into tables that nothing more is taken; nothing was changed.
    #[error("shard is busy")]
    Busy,
    /// Stored bytes are not what was written; a person must look.
    #[error("shard is damaged: {0}")]
    Corrupt(String),
    /// A command of a move is older than one that ran already, or the unit is in another state than it expects.
    #[error("stale or unexpected: the unit is {0:?}")]
    Unexpected(Option<UnitState>),
    /// The shard has started anew since the capture or the import of this unit began, and what it held of it in memory
    /// is gone: begin it again.
    #[error("the shard was started anew meanwhile")]
    Restarted,
}

/// Rows of a batch that may not have been dispatched before a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undispatched {
    /// The batch's place.
    pub position: Position,
    /// Its rows, in order.
    pub rows: Vec<Row>,
}

/// What a shard holds, for operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Conversations.
    pub conversations: u64,
    /// Messages, tombstones included.
    pub messages: u64,
    /// Users with rows of their own.
    pub users: u64,
    /// Bytes on disk of this shard's tables.
    pub bytes: u64,
    /// Conversations that live in a unit of their own.
    pub overridden: u64,
    /// Bytes that are durable but not yet in the tables.
    pub pending_bytes: u64,
}

/// One shard. Every method on a conversation or user checks the fence in the same snapshot as its work; what a mover
/// asks is in [`Transfer`].
#[async_trait]
pub trait Shard: Transfer {
    /// Its number; never reused.
    fn id(&self) -> ShardId;

    /// Which start of the shard this is.
    fn incarnation(&self) -> Incarnation;

    /// Commits a batch: durable when this returns, each command wholly or not at all. Fenced and refused commands drop
    /// out, the others commit.
    ///
    /// # Errors
    /// After `Unavailable` the outcome of every command is unknown: what was done is among the
    /// [undispatched](Self::undispatched) at the latest when a later batch is. After `Busy` nothing was changed.
    async fn commit(&self, batch: Batch) -> Result<Commit, ShardError>;

    /// Several conversations as one user sees them; answer n belongs to question n, each with its own fence check.
    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>, ShardError>;

    /// What is unread, each for a user of its own; answer n belongs to question n, each with its own fence check.
    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>, ShardError>;

    /// A page of messages inside the reader's access; none for a stranger, nor of a deleted group.
    async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>, ShardError>;

    /// What changed after a rev, in rev order, cut after `limit` rows.
    async fn changes(&self, at: UnitAt, since: ChangesSince) -> Result<Read<Changes>, ShardError>;

    /// A page of member rows, former members included, whoever asks.
    async fn members(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Read<MembersRows>, ShardError>;

    /// A page of a user's list, hidden and removed entries left out.
    async fn inbox(
        &self,
        at: UnitAt,
        user: UserId,
        page: InboxPage,
    ) -> Result<Read<InboxRows>, ShardError>;

    /// What changed in a user's list after a user rev.
    async fn inbox_changes(
        &self,
        at: UnitAt,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<Read<InboxChanges>, ShardError>;

    /// One entry of a user's list, if it is there.
    async fn inbox_entry(
        &self,
        at: UnitAt,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Read<Option<Arc<InboxEntry>>>, ShardError>;

    /// The entries of a user's list that are large and not removed, by conversation id: the ones that a reader
    /// brings up to date. At most [`ostracon_domain::limits::LARGE_PER_USER_MAX`].
    async fn inbox_large(&self, at: UnitAt, user: UserId) -> Result<Read<InboxRows>, ShardError>;

    /// Small rows of a conversation inside the reader's access; none for a stranger, nor of a deleted group.
    async fn annexes(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: AnnexPage,
    ) -> Result<Read<AnnexRows>, ShardError>;

    /// Batches after the dispatch cursor and after `after` that changed something, oldest first, at most `limit`:
    /// what a dispatcher repeats after a crash, and where it looks for batches whose answer was lost. Whoever sees a batch
    /// sees all before it. `after` is 0 or the position of some commit.
    async fn undispatched(
        &self,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Undispatched>, ShardError>;

    /// Moves the dispatch cursor forward: everything up to here has taken effect elsewhere. Durable some time later.
    async fn dispatched(&self, up_to: Position) -> Result<(), ShardError>;

    /// What the shard holds.
    async fn stats(&self) -> Result<ShardStats, ShardError>;

    /// Conversations after one, by id, at most `limit`, whatever their units' states, each with how far it has come: for who compares a whole shard with something made from it. Backends have a quicker way than this one.
    async fn conversation_heads(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<(ConversationId, Indexed)>, ShardError> {
        let nothing = SubjectVersion { rev: i64::MAX as u64, mark_rev: i64::MAX as u64 };
        let mut found = Vec::new();
        for state in self.unit_states().await? {
            for head in self.heads(state.unit, None, u32::MAX).await? {
                let Subject::Conversation(id) = head.subject else { continue };
                if after.is_some_and(|after| id <= after) {
                    continue;
                }
                let rows = self.subjects_since(state.unit, &[(head.subject, nothing)]).await?;
                for row in rows.into_iter().flatten().flat_map(|rows| rows.rows) {
                    if let Row::Conversation(row) = row {
                        found.push((id, Indexed { history: row.history, rev: row.rev }));
                    }
                }
            }
        }
        found.sort_unstable_by_key(|(id, _)| *id);
        found.truncate(limit as usize);
        Ok(found)
    }

    /// The index over its messages; `None` where it has none. Made from its rows by whoever runs the shard.
    fn search_index(&self) -> Option<Arc<dyn SearchIndex>> {
        None
    }
}

/// Shards by number, as an engine holds them.
pub type Shards = std::collections::BTreeMap<ShardId, Arc<dyn Shard>>;
