//! A shard whose rows are now in the overlay, now in the tables, now half-way, and whose cache is dropped at any time.
//!
//! Before every call it draws what to do from a fixed row of numbers, so that a failure repeats.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
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
    UnitState, Unread,
};
use ostracon_store_embedded::EmbeddedShard;

type Result<T> = std::result::Result<T, ShardError>;

pub(crate) struct Restless {
    shard: Arc<EmbeddedShard>,
    calls: AtomicU64,
}

impl Restless {
    pub(crate) fn new(shard: Arc<EmbeddedShard>) -> Self {
        Self { shard, calls: AtomicU64::new(0) }
    }

    async fn stir(&self) -> &EmbeddedShard {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match call.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61 {
            0 | 1 => self.shard.pause_applier(true),
            2 => {
                self.shard.pause_applier(false);
                self.shard.flush().await.unwrap();
            }
            3 => {
                self.shard.pause_applier(false);
                self.shard.flush().await.unwrap();
                self.shard.forget_cache().await;
                self.shard.pause_applier(true);
            }
            4 => self.shard.forget_cache().await,
            _ => {}
        }
        &self.shard
    }

    /// For what waits until the tables know everything.
    fn calm(&self) -> &EmbeddedShard {
        self.shard.pause_applier(false);
        &self.shard
    }
}

#[async_trait]
impl Shard for Restless {
    fn id(&self) -> ShardId {
        self.shard.id()
    }

    fn incarnation(&self) -> Incarnation {
        self.shard.incarnation()
    }

    async fn commit(&self, batch: Batch) -> Result<Commit> {
        self.stir().await.commit(batch).await
    }

    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>> {
        self.stir().await.overviews(reader, wanted).await
    }

    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>> {
        self.stir().await.unread(wanted).await
    }

    async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>> {
        self.stir().await.messages(at, conversation, reader, page).await
    }

    async fn changes(&self, at: UnitAt, since: ChangesSince) -> Result<Read<Changes>> {
        self.stir().await.changes(at, since).await
    }

    async fn members(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Read<MembersRows>> {
        self.stir().await.members(at, conversation, page).await
    }

    async fn inbox(&self, at: UnitAt, user: UserId, page: InboxPage) -> Result<Read<InboxRows>> {
        self.stir().await.inbox(at, user, page).await
    }

    async fn inbox_changes(
        &self,
        at: UnitAt,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<Read<InboxChanges>> {
        self.stir().await.inbox_changes(at, user, since, limit).await
    }

    async fn inbox_entry(
        &self,
        at: UnitAt,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Read<Option<Arc<InboxEntry>>>> {
        self.stir().await.inbox_entry(at, user, conversation).await
    }

    async fn inbox_large(&self, at: UnitAt, user: UserId) -> Result<Read<InboxRows>> {
        self.stir().await.inbox_large(at, user).await
    }

    async fn annexes(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: AnnexPage,
    ) -> Result<Read<AnnexRows>> {
        self.stir().await.annexes(at, conversation, reader, page).await
    }

    async fn undispatched(&self, after: Option<Position>, limit: u32) -> Result<Vec<Undispatched>> {
        self.stir().await.undispatched(after, limit).await
    }

    async fn dispatched(&self, up_to: Position) -> Result<()> {
        self.shard.dispatched(up_to).await
    }

    async fn stats(&self) -> Result<ShardStats> {
        self.calm().stats().await
    }
}

#[async_trait]
impl Transfer for Restless {
    async fn unit_states(&self) -> Result<Vec<UnitState>> {
        self.shard.unit_states().await
    }

    async fn set_unit_state(&self, change: UnitChange) -> Result<UnitState> {
        let shard = self.stir().await;
        // Before an import the tables must know everything.
        let shard = if change.phase == UnitPhase::Importing { self.calm() } else { shard };
        shard.set_unit_state(change).await
    }

    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Result<ScanPage> {
        self.calm().scan_unit(unit, from, limit).await
    }

    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Result<Vec<Option<SubjectRows>>> {
        self.stir().await.subjects_since(unit, since).await
    }

    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<SubjectHead>> {
        self.stir().await.heads(unit, after, limit).await
    }

    async fn digests(&self, unit: UnitId, subjects: &[Subject]) -> Result<Vec<SubjectDigest>> {
        self.calm().digests(unit, subjects).await
    }

    async fn notes(&self, at: UnitAt, limit: u32) -> Result<Vec<Note>> {
        self.stir().await.notes(at, limit).await
    }

    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Result<()> {
        self.stir().await.drop_notes(at, notes, pair).await
    }

    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Result<()> {
        self.stir().await.apply_rows(at, rows, pair).await
    }

    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Result<()> {
        self.stir().await.import_complete(at, pair).await
    }

    async fn relabel(&self, relabel: Relabel) -> Result<()> {
        self.stir().await.relabel(relabel).await
    }

    async fn purge(&self, at: UnitAt, limit: u32) -> Result<Purged> {
        self.calm().purge(at, limit).await
    }

    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Option<MembersRows>> {
        self.stir().await.members_here(conversation, page).await
    }
}
