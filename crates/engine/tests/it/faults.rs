//! A shard that can be told to be slow or to fail, and that checks what every commit must keep: numbers without gaps.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use ostracon_domain::{
    ConversationId, InboxEntry, Row, ShardId, Subject, UnitAt, UnitId, UserId, UserRev,
};
use ostracon_store::{
    AnnexPage, AnnexRows, Answer, Batch, Changes, ChangesSince, Commit, Hit, InboxChanges,
    InboxPage, InboxRows, Incarnation, Indexed, MembersPage, MembersRows, MessagePage, Messages,
    Note, Overview, Pair, Position, Purged, Read, Relabel, ScanCursor, ScanPage, SearchFor,
    SearchIndex, SearchStats, Shard, ShardError, ShardStats, SubjectDigest, SubjectHead,
    SubjectRows, SubjectVersion, Transfer, Undispatched, UnitChange, UnitState, Unread, Update,
    memory::MemoryShard,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A [`MemoryShard`] with faults.
pub(crate) struct TestShard {
    pub(crate) memory: MemoryShard,
    /// Commits that answer `Busy`.
    pub(crate) busy: AtomicUsize,
    /// Commits that are carried out and answer `Unavailable`.
    pub(crate) answers_lost: AtomicUsize,
    /// Whether nobody learns what was not dispatched.
    pub(crate) undispatched_fails: AtomicBool,
    /// Whether nobody learns what is unread.
    pub(crate) unread_fails: AtomicBool,
    /// Whether it has a search index.
    pub(crate) searchable: AtomicBool,
    /// Whether the index does not answer those who ask from now on.
    pub(crate) search_fails: AtomicBool,
    /// Whether reads of members fail.
    pub(crate) members_fail: AtomicBool,
    /// Whether reads of members never answer.
    pub(crate) members_hang: AtomicBool,
    /// A conversation whose member rows are damaged.
    pub(crate) damaged: Mutex<Option<ConversationId>>,
    /// Of the next batch of more commands only so many are committed; 0 is off.
    pub(crate) stops_after: AtomicUsize,
    /// Commands of all batches, and how many batches there were.
    pub(crate) committed: Mutex<Vec<usize>>,
    /// The kind of read whose next answer is to wait.
    next_held: Mutex<Option<&'static str>>,
    held: watch::Sender<bool>,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Numbers {
    revs: BTreeMap<ConversationId, (u64, u64)>,
    user_revs: BTreeMap<UserId, u64>,
}

impl TestShard {
    pub(crate) fn new(memory: MemoryShard) -> Arc<Self> {
        Arc::new(Self {
            memory,
            busy: AtomicUsize::new(0),
            stops_after: AtomicUsize::new(0),
            answers_lost: AtomicUsize::new(0),
            undispatched_fails: AtomicBool::new(false),
            unread_fails: AtomicBool::new(false),
            searchable: AtomicBool::new(false),
            search_fails: AtomicBool::new(false),
            members_fail: AtomicBool::new(false),
            members_hang: AtomicBool::new(false),
            damaged: Mutex::default(),
            committed: Mutex::default(),
            next_held: Mutex::default(),
            held: watch::Sender::default(),
            numbers: Mutex::default(),
        })
    }

    pub(crate) fn id_number(&self) -> usize {
        self.memory.id().0 as usize
    }

    /// Makes the next answer to a kind of read wait after it was computed.
    pub(crate) fn hold_answer(&self, read: &'static str) {
        *self.next_held.lock() = Some(read);
    }

    /// Lets that answer go; one that was not asked for yet will not wait.
    pub(crate) fn release_answer(&self) {
        *self.next_held.lock() = None;
        self.held.send_replace(false);
    }

    /// Returns when that answer waits.
    pub(crate) async fn until_held(&self) {
        self.held.subscribe().wait_for(|held| *held).await.unwrap();
    }

    async fn answer(&self, read: &'static str) {
        if self.next_held.lock().take_if(|wanted| *wanted == read).is_some() {
            self.held.send_replace(true);
            self.held.subscribe().wait_for(|held| !held).await.unwrap();
        }
    }

    /// Every durable change takes the next number of exactly one kind.
    fn check_numbers(&self, rows: &[Row]) {
        let mut numbers = self.numbers.lock();
        for row in rows {
            match row {
                Row::Conversation(row) => {
                    let (rev, mark_rev) = numbers.revs.get(&row.id).copied().unwrap_or_default();
                    assert!(row.rev >= rev && row.mark_rev >= mark_rev, "{row:?}");
                    numbers.revs.insert(row.id, (row.rev, row.mark_rev));
                }
                Row::User(row) => {
                    let known = numbers.user_revs.insert(row.user, row.user_rev).unwrap_or(0);
                    let entries = rows.iter().filter(
                        |other| matches!(other, Row::Inbox(entry) if entry.user == row.user),
                    );
                    assert_eq!(row.user_rev, known + entries.count() as u64, "{row:?}");
                }
                _ => {}
            }
        }
    }
}

fn told_to_fail() -> ShardError {
    ShardError::Unavailable("told to fail".to_owned())
}

#[async_trait]
impl Shard for TestShard {
    fn id(&self) -> ShardId {
        self.memory.id()
    }

    fn search_index(&self) -> Option<Arc<dyn SearchIndex>> {
        let index =
            self.memory.search_index().filter(|_| self.searchable.load(Ordering::SeqCst))?;
        if self.search_fails.load(Ordering::SeqCst) {
            return Some(Arc::new(SilentIndex));
        }
        Some(index)
    }

    fn incarnation(&self) -> Incarnation {
        self.memory.incarnation()
    }

    async fn commit(&self, mut batch: Batch) -> Result<Commit, ShardError> {
        if self.busy.load(Ordering::Relaxed) > 0 {
            self.busy.fetch_sub(1, Ordering::Relaxed);
            return Err(ShardError::Busy);
        }
        let stops_after = self.stops_after.load(Ordering::Relaxed);
        if stops_after > 0 && batch.orders.len() > stops_after {
            self.stops_after.store(0, Ordering::Relaxed);
            Arc::make_mut(&mut batch.orders).truncate(stops_after);
        }
        let commands = batch.orders.len();
        let commit = self.memory.commit(batch).await?;
        for answer in &commit.answers {
            if let Answer::Done { rows, .. } = answer {
                self.check_numbers(rows);
            }
        }
        self.committed.lock().push(commands);
        if self.answers_lost.load(Ordering::Relaxed) > 0 {
            self.answers_lost.fetch_sub(1, Ordering::Relaxed);
            return Err(told_to_fail());
        }
        Ok(commit)
    }

    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>, ShardError> {
        let answer = self.memory.overviews(reader, wanted).await;
        self.answer("overviews").await;
        answer
    }

    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>, ShardError> {
        let answer = self.memory.unread(wanted).await;
        self.answer("unread").await;
        if self.unread_fails.load(Ordering::Relaxed) {
            return Err(told_to_fail());
        }
        answer
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
        if self.members_fail.load(Ordering::Relaxed) {
            return Err(told_to_fail());
        }
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
        let answer = self.memory.inbox_large(at, user).await;
        self.answer("inbox_large").await;
        answer
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
        if self.undispatched_fails.load(Ordering::Relaxed) {
            return Err(told_to_fail());
        }
        self.memory.undispatched(after, limit).await
    }

    async fn dispatched(&self, up_to: Position) -> Result<(), ShardError> {
        self.memory.dispatched(up_to).await
    }

    async fn stats(&self) -> Result<ShardStats, ShardError> {
        self.memory.stats().await
    }
}

/// The mover's part, unchanged but for members that cannot be read.
#[async_trait]
impl Transfer for TestShard {
    async fn unit_states(&self) -> Result<Vec<UnitState>, ShardError> {
        self.memory.unit_states().await
    }

    async fn set_unit_state(&self, change: UnitChange) -> Result<UnitState, ShardError> {
        self.memory.set_unit_state(change).await
    }

    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Result<ScanPage, ShardError> {
        self.memory.scan_unit(unit, from, limit).await
    }

    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Result<Vec<Option<SubjectRows>>, ShardError> {
        self.memory.subjects_since(unit, since).await
    }

    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<SubjectHead>, ShardError> {
        self.memory.heads(unit, after, limit).await
    }

    async fn digests(
        &self,
        unit: UnitId,
        subjects: &[Subject],
    ) -> Result<Vec<SubjectDigest>, ShardError> {
        self.memory.digests(unit, subjects).await
    }

    async fn notes(&self, at: UnitAt, limit: u32) -> Result<Vec<Note>, ShardError> {
        self.memory.notes(at, limit).await
    }

    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Result<(), ShardError> {
        self.memory.drop_notes(at, notes, pair).await
    }

    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Result<(), ShardError> {
        {
            let mut numbers = self.numbers.lock();
            for row in &rows {
                if let Row::User(row) = row {
                    numbers.user_revs.insert(row.user, row.user_rev);
                }
            }
        }
        self.memory.apply_rows(at, rows, pair).await
    }

    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Result<(), ShardError> {
        self.memory.import_complete(at, pair).await
    }

    async fn relabel(&self, relabel: Relabel) -> Result<(), ShardError> {
        self.memory.relabel(relabel).await
    }

    async fn purge(&self, at: UnitAt, limit: u32) -> Result<Purged, ShardError> {
        self.memory.purge(at, limit).await
    }

    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Option<MembersRows>, ShardError> {
        if self.members_fail.load(Ordering::Relaxed) {
            return Err(told_to_fail());
        }
        if self.members_hang.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if *self.damaged.lock() == Some(conversation) {
            return Err(ShardError::Corrupt("told to be damaged".to_owned()));
        }
        self.memory.members_here(conversation, page).await
    }
}

/// An index that does not answer.
struct SilentIndex;

#[async_trait]
impl SearchIndex for SilentIndex {
    async fn indexed(&self, _: &[ConversationId]) -> Result<Vec<Option<Indexed>>, ShardError> {
        Err(told_to_fail())
    }

    async fn conversations(
        &self,
        _: Option<ConversationId>,
        _: u32,
    ) -> Result<Vec<(ConversationId, Option<Indexed>)>, ShardError> {
        Err(told_to_fail())
    }

    async fn update(&self, _: Vec<Update>) -> Result<(), ShardError> {
        Err(told_to_fail())
    }

    async fn search(&self, _: SearchFor) -> Result<Vec<Hit>, ShardError> {
        Err(told_to_fail())
    }

    async fn tend(&self) -> Result<bool, ShardError> {
        Err(told_to_fail())
    }

    async fn clear(&self) -> Result<(), ShardError> {
        Err(told_to_fail())
    }

    async fn stats(&self) -> Result<SearchStats, ShardError> {
        Err(told_to_fail())
    }
}
