//! A shard as one node reaches it: every call goes over a [`Link`].

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::{
    Action, Command, ConversationCommand, ConversationId, InboxAction, InboxCommand, InboxEntry,
    NewMessage, Row, ShardId, Subject, UnitAt, UnitId, UserId, UserRev,
};
use ostracon_store::{
    AnnexPage, AnnexRows, Batch, Changes, ChangesSince, Commit, InboxChanges, InboxPage, InboxRows,
    Incarnation, MembersPage, MembersRows, MessagePage, Messages, Note, Overview, Pair, Position,
    Purged, Read, Relabel, ScanCursor, ScanPage, Shard, ShardError, ShardStats, SubjectDigest,
    SubjectHead, SubjectRows, SubjectVersion, Transfer, Undispatched, UnitChange, UnitPhase,
    UnitState, Unread, memory::MemoryShard,
};

use crate::{
    link::{Link, pause},
    weather::Caller,
};

pub(crate) struct FaultyShard {
    pub(crate) link: Link,
    pub(crate) shard: Arc<MemoryShard>,
}

fn no_answer<T>(answer: Option<Result<T, ShardError>>) -> Result<T, ShardError> {
    answer.unwrap_or_else(|| Err(ShardError::Unavailable("no answer".to_owned())))
}

/// Over the link: `ask!(self, step, caller, |shard, arguments| call)`; the arguments are cloned for each run.
macro_rules! ask {
    ($self:ident, $step:expr, $caller:expr, |$shard:ident $(, $name:ident)*| $call:expr) => {{
        let inner = Arc::clone(&$self.shard);
        let place = inner.id().0;
        no_answer($self.link.call($step, $caller, place, move || {
            let $shard = Arc::clone(&inner);
            $(let $name = $name.clone();)*
            Box::pin(async move { $call.await })
        }).await)
    }};
}

impl FaultyShard {
    /// A read of a client: slow, and sometimes without an answer.
    async fn read<T>(
        &self,
        read: impl Future<Output = Result<T, ShardError>> + Send,
    ) -> Result<T, ShardError> {
        let Link { ground, node } = &self.link;
        let fate = ground.sky.draw(&ground.random, Caller::Batch { floats: false });
        node.awake().await;
        pause(fate.before).await;
        if fate.request_lost || fate.answer_lost {
            return Err(ShardError::Unavailable("no answer".to_owned()));
        }
        let answer = read.await;
        pause(fate.after).await;
        node.awake().await;
        answer
    }
}

/// Whether all of them may run at any later time without harm.
fn floats(batch: &Batch) -> bool {
    batch.orders.iter().all(|order| match &order.command {
        Command::Conversation(ConversationCommand { action, .. }) => {
            matches!(action, Action::Send(NewMessage { client_id: Some(_), .. }))
        }
        Command::Inbox(InboxCommand { action, .. }) => matches!(action, InboxAction::Apply(_)),
    })
}

#[async_trait]
impl Transfer for FaultyShard {
    async fn unit_states(&self) -> Result<Vec<UnitState>, ShardError> {
        ask!(self, "unit states", Caller::Question, |shard| shard.unit_states())
    }

    async fn set_unit_state(&self, change: UnitChange) -> Result<UnitState, ShardError> {
        let step = match change.phase {
            UnitPhase::Open => "set open",
            UnitPhase::Capturing => "set capturing",
            UnitPhase::Frozen => "set frozen",
            UnitPhase::Importing => "set importing",
            UnitPhase::Moved => "set moved",
        };
        ask!(self, step, Caller::Step, |shard, change| shard.set_unit_state(change))
    }

    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Result<ScanPage, ShardError> {
        ask!(self, "scan", Caller::Question, |shard| shard.scan_unit(unit, from, limit))
    }

    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Result<Vec<Option<SubjectRows>>, ShardError> {
        let since = since.to_vec();
        ask!(self, "subjects since", Caller::Question, |shard, since| shard
            .subjects_since(unit, &since))
    }

    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<SubjectHead>, ShardError> {
        ask!(self, "heads", Caller::Question, |shard| shard.heads(unit, after, limit))
    }

    async fn digests(
        &self,
        unit: UnitId,
        subjects: &[Subject],
    ) -> Result<Vec<SubjectDigest>, ShardError> {
        let subjects = subjects.to_vec();
        ask!(self, "digests", Caller::Question, |shard, subjects| shard.digests(unit, &subjects))
    }

    async fn notes(&self, at: UnitAt, limit: u32) -> Result<Vec<Note>, ShardError> {
        ask!(self, "notes", Caller::Question, |shard| shard.notes(at, limit))
    }

    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Result<(), ShardError> {
        let notes = notes.to_vec();
        ask!(self, "drop notes", Caller::Step, |shard, notes| shard.drop_notes(at, &notes, pair))
    }

    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Result<(), ShardError> {
        ask!(self, "apply rows", Caller::Step, |shard, rows| shard.apply_rows(at, rows, pair))
    }

    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Result<(), ShardError> {
        ask!(self, "import complete", Caller::Rare, |shard| shard.import_complete(at, pair))
    }

    async fn relabel(&self, relabel: Relabel) -> Result<(), ShardError> {
        let step = if relabel.away { "relabel away" } else { "relabel back" };
        ask!(self, step, Caller::Rare, |shard, relabel| shard.relabel(relabel))
    }

    async fn purge(&self, at: UnitAt, limit: u32) -> Result<Purged, ShardError> {
        ask!(self, "purge", Caller::Step, |shard| shard.purge(at, limit))
    }

    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Option<MembersRows>, ShardError> {
        self.read(self.shard.members_here(conversation, page)).await
    }
}

#[async_trait]
impl Shard for FaultyShard {
    fn id(&self) -> ShardId {
        self.shard.id()
    }

    fn incarnation(&self) -> Incarnation {
        self.shard.incarnation()
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, ShardError> {
        let caller = Caller::Batch { floats: floats(&batch) };
        ask!(self, "commit", caller, |shard, batch| shard.commit(batch))
    }

    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>, ShardError> {
        self.read(self.shard.overviews(reader, wanted)).await
    }

    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>, ShardError> {
        self.read(self.shard.unread(wanted)).await
    }

    async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>, ShardError> {
        self.read(self.shard.messages(at, conversation, reader, page)).await
    }

    async fn changes(&self, at: UnitAt, since: ChangesSince) -> Result<Read<Changes>, ShardError> {
        self.read(self.shard.changes(at, since)).await
    }

    async fn members(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Read<MembersRows>, ShardError> {
        self.read(self.shard.members(at, conversation, page)).await
    }

    async fn inbox(
        &self,
        at: UnitAt,
        user: UserId,
        page: InboxPage,
    ) -> Result<Read<InboxRows>, ShardError> {
        self.read(self.shard.inbox(at, user, page)).await
    }

    async fn inbox_changes(
        &self,
        at: UnitAt,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<Read<InboxChanges>, ShardError> {
        self.read(self.shard.inbox_changes(at, user, since, limit)).await
    }

    async fn inbox_entry(
        &self,
        at: UnitAt,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Read<Option<Arc<InboxEntry>>>, ShardError> {
        self.read(self.shard.inbox_entry(at, user, conversation)).await
    }

    async fn inbox_large(&self, at: UnitAt, user: UserId) -> Result<Read<InboxRows>, ShardError> {
        self.read(self.shard.inbox_large(at, user)).await
    }

    async fn annexes(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: AnnexPage,
    ) -> Result<Read<AnnexRows>, ShardError> {
        self.read(self.shard.annexes(at, conversation, reader, page)).await
    }

    async fn undispatched(
        &self,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Undispatched>, ShardError> {
        self.shard.undispatched(after, limit).await
    }

    async fn dispatched(&self, up_to: Position) -> Result<(), ShardError> {
        self.shard.dispatched(up_to).await
    }

    async fn stats(&self) -> Result<ShardStats, ShardError> {
        self.shard.stats().await
    }
}
