//! One shard of the embedded store behind the seam: hands commands to its committer and questions to its readers.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::Ordering},
};

use async_trait::async_trait;
use ostracon_domain::{ConversationId, InboxEntry, ShardId, UnitAt, UnitId, UserId, UserRev};
use ostracon_store::{
    AnnexPage, AnnexRows, Batch, Changes, ChangesSince, Commit, InboxChanges, InboxPage, InboxRows,
    Incarnation, Indexed, MembersPage, MembersRows, MessagePage, Messages, Overview, Position,
    Read, SearchIndex, Shard, ShardError, ShardStats, Undispatched, Unread,
};
use rusqlite::Connection;
use tokio::sync::Mutex;

use crate::{
    committer::Committer,
    core::Core,
    error::TableError,
    journal::{Journal, ReadError},
    overlay::Overlay,
    payload::{self, Payload},
    read,
    readers::{Readers, Size},
    search::EmbeddedSearch,
    tables::TableReader,
};

type Result<T> = std::result::Result<T, ShardError>;

/// A shard of an [`EmbeddedStore`](crate::EmbeddedStore).
pub struct EmbeddedShard {
    core: Arc<Core>,
    /// One batch at a time.
    committer: Mutex<Committer>,
    readers: Readers,
    path: PathBuf,
    /// Where its search index is, and whose it is.
    search_at: (PathBuf, u128),
    /// Opened when it is asked for first; none when the disk does not let us.
    search: OnceLock<Option<Arc<EmbeddedSearch>>>,
}

impl EmbeddedShard {
    pub(crate) fn new(
        core: Arc<Core>,
        committer: Committer,
        readers: Readers,
        path: PathBuf,
        search_at: (PathBuf, u128),
    ) -> Self {
        let committer = Mutex::new(committer);
        Self { core, committer, readers, path, search_at, search: OnceLock::new() }
    }

    /// The file of its search index.
    pub(crate) fn search_path(&self) -> &Path {
        &self.search_at.0
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The file of its tables.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Holds every commit up until the guard is dropped; everything before it is published.
    pub(crate) async fn hold(&self) -> Result<tokio::sync::MutexGuard<'_, Committer>> {
        let mut committer = self.committer.lock().await;
        committer.ready().await?;
        Ok(committer)
    }

    /// Finishes what a caller left half-way, if nobody else is about to.
    pub(crate) async fn tidy(&self) {
        if let Ok(mut committer) = self.committer.try_lock() {
            // It refuses new work while the tables cannot be written; nothing is asked for here.
            drop(committer.ready().await);
        }
    }

    /// The committer, when it is this caller's turn.
    pub(crate) async fn committer(&self) -> tokio::sync::MutexGuard<'_, Committer> {
        self.committer.lock().await
    }

    /// Runs a question with a reader.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        size: Size,
        question: impl FnOnce(&Overlay, &Connection) -> std::result::Result<T, TableError>
        + Send
        + 'static,
    ) -> Result<T> {
        let core = Arc::clone(&self.core);
        self.readers.run(size, move |conn| question(&core.overlay, conn)).await
    }

    /// Holds the applier before its next transaction, or lets it go on: what is acked meanwhile is read from the overlay.
    pub fn pause_applier(&self, paused: bool) {
        self.core.queue.pause(paused);
    }

    /// Pages of movers that are on their way into the tables, of one unit.
    pub fn pages_under_way(&self, unit: UnitId) -> usize {
        self.core.queue.direct_of(unit)
    }

    /// Waits until everything acked so far is in the tables.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be written.
    pub async fn flush(&self) -> Result<()> {
        self.core.flushed().await
    }

    /// Waits until everything acked so far is in the tables and synced there, as after a while without work.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be written.
    pub async fn settle(&self) -> Result<()> {
        self.core.settled().await
    }

    /// Waits until the tables can be written again, if they cannot now.
    pub async fn writable(&self) {
        let mut progress = self.core.queue.watch();
        // An error means that the shard is closing: nobody needs to wait for that.
        drop(progress.wait_for(|progress| progress.failure.is_none()).await);
    }

    /// Forgets every cached row, as after a failure of the journal.
    pub async fn forget_cache(&self) {
        self.committer.lock().await.forget_all();
    }
}

#[async_trait]
impl Shard for EmbeddedShard {
    fn id(&self) -> ShardId {
        self.core.id
    }

    fn incarnation(&self) -> Incarnation {
        self.core.incarnation
    }

    async fn commit(&self, batch: Batch) -> Result<Commit> {
        self.committer.lock().await.commit(batch).await
    }

    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>> {
        let size = Size::of(u32::try_from(wanted.len() * 8).unwrap_or(u32::MAX));
        let wanted = wanted.to_vec();
        self.ask(size, move |overlay, conn| read::overviews(overlay, conn, reader, &wanted)).await
    }

    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>> {
        let size = Size::of(u32::try_from(wanted.len() * 2).unwrap_or(u32::MAX));
        let wanted = wanted.to_vec();
        self.ask(size, move |overlay, conn| read::unread(overlay, conn, &wanted)).await
    }

    async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>> {
        let limit = match page {
            MessagePage::Newest { limit }
            | MessagePage::Before { limit, .. }
            | MessagePage::After { limit, .. }
            | MessagePage::Around { limit, .. } => limit,
        };
        self.ask(Size::of(limit), move |overlay, conn| {
            read::messages(overlay, conn, at, conversation, reader, page)
        })
        .await
    }

    async fn changes(&self, at: UnitAt, since: ChangesSince) -> Result<Read<Changes>> {
        self.ask(Size::of(since.limit), move |overlay, conn| {
            read::changes(overlay, conn, at, since)
        })
        .await
    }

    async fn members(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Read<MembersRows>> {
        self.ask(Size::of(page.limit), move |overlay, conn| {
            read::members(overlay, conn, at, conversation, page)
        })
        .await
    }

    async fn inbox(&self, at: UnitAt, user: UserId, page: InboxPage) -> Result<Read<InboxRows>> {
        self.ask(Size::of(page.limit), move |overlay, conn| {
            read::inbox(overlay, conn, at, user, page)
        })
        .await
    }

    async fn inbox_changes(
        &self,
        at: UnitAt,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<Read<InboxChanges>> {
        self.ask(Size::of(limit), move |overlay, conn| {
            read::inbox_changes(overlay, conn, at, user, since, limit)
        })
        .await
    }

    async fn inbox_entry(
        &self,
        at: UnitAt,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Read<Option<Arc<InboxEntry>>>> {
        self.ask(Size::Small, move |overlay, conn| {
            read::inbox_entry(overlay, conn, at, user, conversation)
        })
        .await
    }

    async fn inbox_large(&self, at: UnitAt, user: UserId) -> Result<Read<InboxRows>> {
        self.ask(Size::Large, move |overlay, conn| read::inbox_large(overlay, conn, at, user)).await
    }

    async fn annexes(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: AnnexPage,
    ) -> Result<Read<AnnexRows>> {
        self.ask(Size::of(page.limit), move |overlay, conn| {
            read::annexes(overlay, conn, at, conversation, reader, page)
        })
        .await
    }

    async fn undispatched(&self, after: Option<Position>, limit: u32) -> Result<Vec<Undispatched>> {
        let shard = self.core.id;
        let journal = Arc::clone(&self.core.journal);
        let cursor = self.core.dispatched.load(Ordering::SeqCst);
        let after = after.unwrap_or(0).max(cursor);
        tokio::task::spawn_blocking(move || undispatched(&journal, shard, after, limit as usize))
            .await
            .map_err(|_| ShardError::Unavailable("the shard is closing".to_owned()))?
    }

    async fn dispatched(&self, up_to: Position) -> Result<()> {
        self.core.dispatched.fetch_max(up_to, Ordering::SeqCst);
        Ok(())
    }

    async fn stats(&self) -> Result<ShardStats> {
        let pending_bytes = self.core.overlay.bytes() as u64;
        // What waits is counted too, as long as it can be written.
        if let Err(error) = self.core.flushed().await {
            tracing::warn!(shard = self.core.id.0, %error, "counts are those of the tables alone");
        }
        self.ask(Size::Large, move |_, conn| {
            let [conversations, messages, users, overridden, bytes] =
                TableReader::begin(conn)?.counts()?;
            Ok(ShardStats { conversations, messages, users, bytes, overridden, pending_bytes })
        })
        .await
    }

    async fn conversation_heads(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<(ConversationId, Indexed)>> {
        // What is newer than this comes through the dispatcher.
        self.core.flushed().await?;
        self.ask(Size::Large, move |_, conn| {
            TableReader::begin(conn)?.conversation_heads(after, limit)
        })
        .await
    }

    fn search_index(&self) -> Option<Arc<dyn SearchIndex>> {
        let index = self.search.get_or_init(|| {
            let (path, cluster) = &self.search_at;
            match EmbeddedSearch::open(path, *cluster, self.core.id) {
                Ok(index) => Some(Arc::new(index)),
                Err(error) => {
                    tracing::error!(shard = %self.core.id, %error, "there is no search in this shard");
                    None
                }
            }
        });
        Some(Arc::clone(index.as_ref()?) as Arc<dyn SearchIndex>)
    }
}

/// Frames of a shard behind a position that a dispatcher passes on.
fn undispatched(
    journal: &Journal,
    shard: ShardId,
    after: Position,
    limit: usize,
) -> Result<Vec<Undispatched>> {
    let mut found = Vec::new();
    let end = journal.synced();
    let from = after.max(journal.oldest());
    if from >= end || limit == 0 {
        return Ok(found);
    }
    let damaged = |error: ReadError| ShardError::Corrupt(error.to_string());
    let mut frames = journal.replay_from(from).map_err(damaged)?;
    while found.len() < limit
        && let Some(frame) = frames.next_frame().map_err(damaged)?
    {
        if frame.shard != shard.0 || frame.end <= after || !payload::is_batch(frame.payload) {
            continue;
        }
        match payload::decode(frame.payload) {
            Ok(Payload::Batch(rows)) => found.push(Undispatched { position: frame.end, rows }),
            Ok(_) => {}
            Err(error) => return Err(ShardError::Corrupt(error.to_string())),
        }
    }
    Ok(found)
}
