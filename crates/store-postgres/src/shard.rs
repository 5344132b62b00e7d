//! The shard: what the seam asks, given to the module that does it, inside one session each.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::{
    ConversationId, Epoch, InboxEntry, ShardId, UnitAt, UnitId, UserId, UserRev,
};
use ostracon_store::{
    AnnexPage, AnnexRows, Batch, Changes, ChangesSince, Commit, Ids, InboxChanges, InboxPage,
    InboxRows, Incarnation, Indexed, MembersPage, MembersRows, MessagePage, Messages, Overview,
    Position, Read, SearchIndex, Shard, ShardError, ShardStats, Undispatched, Unread,
};

use crate::{
    commit,
    error::OpenError,
    migration,
    options::PostgresOptions,
    outbox,
    pool::Database,
    read,
    search::{self, PostgresSearch},
    stats,
};

/// A handle of a shard in PostgreSQL. There may be several of one shard, in several processes.
///
/// A lost connection is answered with `Unavailable`; the next call makes a new one.
pub struct PostgresShard {
    id: ShardId,
    ids: Arc<dyn Ids>,
    pub(crate) database: Arc<Database>,
}

impl PostgresShard {
    /// Makes the shard's schema with its tables, serving these units, if it is not there; brings it up to date if it is.
    ///
    /// # Errors
    /// When the schema holds something else, another cluster's or another shard's rows, or a newer version.
    pub async fn format(
        options: &PostgresOptions,
        units: impl IntoIterator<Item = (UnitId, Epoch)> + Send,
    ) -> Result<(), OpenError> {
        migration::format(options, units).await
    }

    /// Opens a formatted shard and brings its tables up to date if they are older.
    ///
    /// # Errors
    /// When it is not formatted, somebody else's, newer, or cannot be reached.
    pub async fn connect(options: PostgresOptions) -> Result<Self, OpenError> {
        let database = Arc::new(Database::open(&options, Vec::new(), true).await?);
        Ok(Self { id: options.shard, ids: options.ids, database })
    }

    /// Opens a formatted shard, also when its server cannot be reached: then it answers with `Unavailable` until the
    /// server can be. One that has never known a unit serves these.
    ///
    /// # Errors
    /// When it is not formatted, somebody else's, or newer.
    pub async fn open(
        options: PostgresOptions,
        units: Vec<(UnitId, Epoch)>,
    ) -> Result<Self, OpenError> {
        let database = Arc::new(Database::open(&options, units, false).await?);
        Ok(Self { id: options.shard, ids: options.ids, database })
    }

    /// Waits until the shard's server serves, for as long as it takes.
    pub async fn serves(&self) {
        self.database.serves().await;
    }
}

/// Runs one question in a session of its own.
macro_rules! in_session {
    ($self:expr, |$session:ident| $work:expr) => {{
        let work = async {
            let $session = $self.database.session().await?;
            let done = {
                let $session = &$session;
                $work.await
            };
            $session.end(done).await
        };
        $self.database.timed(work).await.map_err(::ostracon_store::ShardError::from)
    }};
}
pub(crate) use in_session;

#[async_trait]
impl Shard for PostgresShard {
    fn id(&self) -> ShardId {
        self.id
    }

    fn incarnation(&self) -> Incarnation {
        self.database.server().incarnation()
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, ShardError> {
        Ok(commit::commit(&self.database, &*self.ids, &batch).await?)
    }

    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>, ShardError> {
        in_session!(self, |session| read::overviews(session, reader, wanted))
    }

    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>, ShardError> {
        in_session!(self, |session| read::unread(session, wanted))
    }

    async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>, ShardError> {
        in_session!(self, |session| read::messages(session, at, conversation, reader, page))
    }

    async fn changes(&self, at: UnitAt, since: ChangesSince) -> Result<Read<Changes>, ShardError> {
        in_session!(self, |session| read::changes(session, at, since))
    }

    async fn members(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Read<MembersRows>, ShardError> {
        in_session!(self, |session| read::members(session, at, conversation, page))
    }

    async fn inbox(
        &self,
        at: UnitAt,
        user: UserId,
        page: InboxPage,
    ) -> Result<Read<InboxRows>, ShardError> {
        in_session!(self, |session| read::inbox(session, at, user, page))
    }

    async fn inbox_changes(
        &self,
        at: UnitAt,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<Read<InboxChanges>, ShardError> {
        in_session!(self, |session| read::inbox_changes(session, at, user, since, limit))
    }

    async fn inbox_entry(
        &self,
        at: UnitAt,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Read<Option<Arc<InboxEntry>>>, ShardError> {
        in_session!(self, |session| read::inbox_entry(session, at, user, conversation))
    }

    async fn inbox_large(&self, at: UnitAt, user: UserId) -> Result<Read<InboxRows>, ShardError> {
        in_session!(self, |session| read::inbox_large(session, at, user))
    }

    async fn annexes(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: AnnexPage,
    ) -> Result<Read<AnnexRows>, ShardError> {
        in_session!(self, |session| read::annexes(session, at, conversation, reader, page))
    }

    async fn undispatched(
        &self,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Undispatched>, ShardError> {
        in_session!(self, |session| outbox::undispatched(session, after, limit))
    }

    async fn dispatched(&self, up_to: Position) -> Result<(), ShardError> {
        in_session!(self, |session| outbox::dispatched(session, up_to))
    }

    async fn stats(&self) -> Result<ShardStats, ShardError> {
        in_session!(self, |session| stats::stats(session))
    }

    async fn conversation_heads(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<(ConversationId, Indexed)>, ShardError> {
        in_session!(self, |session| search::conversation_heads(session, after, limit))
    }

    fn search_index(&self) -> Option<Arc<dyn SearchIndex>> {
        Some(Arc::new(PostgresSearch::new(Arc::clone(&self.database))))
    }
}
