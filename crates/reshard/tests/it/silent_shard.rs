//! A shard that can be told not to answer movers. What clients ask it always answers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use async_trait::async_trait;
use ostracon_domain::{
    ConversationId, InboxEntry, Row, ShardId, Subject, UnitAt, UnitId, UserId, UserRev,
};
use ostracon_store::{
    AnnexPage, AnnexRows, Batch, Changes, ChangesSince, Commit, InboxChanges, InboxPage, InboxRows,
    Incarnation, MembersPage, MembersRows, MessagePage, Messages, Note, Overview, Pair, Position,
    Purged, Read, Relabel, ScanCursor, ScanPage, Shard, ShardError, ShardStats, SubjectDigest,
    SubjectHead, SubjectRows, SubjectVersion, Transfer, Undispatched, UnitChange, UnitPhase,
    UnitState, Unread, memory::MemoryShard,
};

use crate::world::World;

/// A [`MemoryShard`] that falls silent.
pub(crate) struct SilentShard {
    memory: Arc<MemoryShard>,
    /// Whether it answers no mover.
    silent: AtomicBool,
    /// Whether it changes no state of a unit.
    stiff: AtomicBool,
    /// Whether it falls silent when it has begun to import.
    falls_silent: AtomicBool,
    /// How often it was asked for the states of its units.
    asked: AtomicU32,
}

impl SilentShard {
    /// Puts one before a shard of the world. It answers until it is told otherwise.
    pub(crate) fn before(world: &World, id: ShardId) -> Arc<Self> {
        let shard = Arc::new(Self {
            memory: Arc::clone(&world.memory[&id]),
            silent: AtomicBool::new(false),
            stiff: AtomicBool::new(false),
            falls_silent: AtomicBool::new(false),
            asked: AtomicU32::new(0),
        });
        world.node.shards.lock().insert(id, Arc::clone(&shard) as _);
        shard
    }

    pub(crate) fn be_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    pub(crate) fn be_stiff(&self, stiff: bool) {
        self.stiff.store(stiff, Ordering::Relaxed);
    }

    pub(crate) fn fall_silent_in_a_copy(&self) {
        self.falls_silent.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// How often it was asked for the states of its units since the last call.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    fn heard(&self) -> Result<&MemoryShard, ShardError> {
        if self.is_silent() {
            return Err(ShardError::Unavailable("told to be silent".to_owned()));
        }
        Ok(&self.memory)
    }
}

#[async_trait]
impl Transfer for SilentShard {
    async fn unit_states(&self) -> Result<Vec<UnitState>, ShardError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.heard()?.unit_states().await
    }

    async fn set_unit_state(&self, change: UnitChange) -> Result<UnitState, ShardError> {
        if self.stiff.load(Ordering::Relaxed) {
            return Err(ShardError::Unavailable("told to be stiff".to_owned()));
        }
        let state = self.heard()?.set_unit_state(change).await?;
        let begins = change.phase == UnitPhase::Importing;
        if begins && self.falls_silent.swap(false, Ordering::Relaxed) {
            self.be_silent(true);
        }
        Ok(state)
    }

    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Result<ScanPage, ShardError> {
        self.heard()?.scan_unit(unit, from, limit).await
    }

    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Result<Vec<Option<SubjectRows>>, ShardError> {
        self.heard()?.subjects_since(unit, since).await
    }

    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<SubjectHead>, ShardError> {
        self.heard()?.heads(unit, after, limit).await
    }

    async fn digests(
        &self,
        unit: UnitId,
        subjects: &[Subject],
    ) -> Result<Vec<SubjectDigest>, ShardError> {
        self.heard()?.digests(unit, subjects).await
    }

    async fn notes(&self, at: UnitAt, limit: u32) -> Result<Vec<Note>, ShardError> {
        self.heard()?.notes(at, limit).await
    }

    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Result<(), ShardError> {
        self.heard()?.drop_notes(at, notes, pair).await
    }

    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Result<(), ShardError> {
        self.heard()?.apply_rows(at, rows, pair).await
    }

    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Result<(), ShardError> {
        self.heard()?.import_complete(at, pair).await
    }

    async fn relabel(&self, relabel: Relabel) -> Result<(), ShardError> {
        self.heard()?.relabel(relabel).await
    }

    async fn purge(&self, at: UnitAt, limit: u32) -> Result<Purged, ShardError> {
        self.heard()?.purge(at, limit).await
    }

    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Option<MembersRows>, ShardError> {
        self.memory.members_here(conversation, page).await
    }
}

#[async_trait]
impl Shard for SilentShard {
    fn id(&self) -> ShardId {
        self.memory.id()
    }

    fn incarnation(&self) -> Incarnation {
        self.memory.incarnation()
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, ShardError> {
        self.memory.commit(batch).await
    }

    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>, ShardError> {
        self.memory.overviews(reader, wanted).await
    }

    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>, ShardError> {
        self.memory.unread(wanted).await
    }

    async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>, ShardError> {
        self.memory.messages(at, conversation, reader, page).await
    }

    async fn changes(&self, at: UnitAt, since: ChangesSince) -> Result<Read<Changes>, ShardError> {
        self.memory.changes(at, since).await
    }

    async fn members(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Read<MembersRows>, ShardError> {
        self.memory.members(at, conversation, page).await
    }

    async fn inbox(
        &self,
        at: UnitAt,
        user: UserId,
        page: InboxPage,
    ) -> Result<Read<InboxRows>, ShardError> {
        self.memory.inbox(at, user, page).await
    }

    async fn inbox_changes(
        &self,
        at: UnitAt,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<Read<InboxChanges>, ShardError> {
        self.memory.inbox_changes(at, user, since, limit).await
    }

    async fn inbox_entry(
        &self,
        at: UnitAt,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Read<Option<Arc<InboxEntry>>>, ShardError> {
        self.memory.inbox_entry(at, user, conversation).await
    }

    async fn inbox_large(&self, at: UnitAt, user: UserId) -> Result<Read<InboxRows>, ShardError> {
        self.memory.inbox_large(at, user).await
    }

    async fn annexes(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: AnnexPage,
    ) -> Result<Read<AnnexRows>, ShardError> {
        self.memory.annexes(at, conversation, reader, page).await
    }

    async fn undispatched(
        &self,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Undispatched>, ShardError> {
        self.memory.undispatched(after, limit).await
    }

    async fn dispatched(&self, up_to: Position) -> Result<(), ShardError> {
        self.memory.dispatched(up_to).await
    }

    async fn stats(&self) -> Result<ShardStats, ShardError> {
        self.memory.stats().await
    }
}
