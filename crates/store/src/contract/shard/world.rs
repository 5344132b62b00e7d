//! A shard with a clock and a few people: short words for what the stories do. It has no rule of its own.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Edit, Epoch, InboxAction,
    InboxChange, InboxCommand, InboxEntry, Limits, Member, MessageKind, MessageView, Millis,
    NewGroup, NewMessage, Outcome, RefusalCode, Rev, Row, Seq, UnitAt, UnitId, UserId,
};

use super::ShardFixture;
use crate::{
    memory::CountingIds,
    read::{
        Changes, ChangesSince, InboxChanges, InboxPage, InboxRows, MembersPage, MessagePage,
        Messages, Overview,
    },
    shard::{Answer, Batch, Commit, Ids, Order, Read, Shard, ShardError},
    unit_state::{Pair, UnitChange, UnitPhase, UnitState},
};

pub(super) const START: Millis = 1_700_000_000_000;
pub(super) const ALICE: UserId = user(1);
pub(super) const BOB: UserId = user(2);
pub(super) const CAROL: UserId = user(3);
pub(super) const DAVE: UserId = user(4);
/// A member of nothing.
pub(super) const EVE: UserId = user(5);

pub(super) const fn user(id: u64) -> UserId {
    match UserId::new(id) {
        Ok(user) => user,
        Err(_) => panic!("not a user id"),
    }
}

pub(super) fn direct() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

/// One of a few groups.
pub(super) fn group(number: u8) -> ConversationId {
    ConversationId::new_group(START, [number; 10])
}

/// Every unit that the stories use, unless they say otherwise.
pub(super) fn units() -> Vec<UnitId> {
    let people = (1..=6).map(user);
    let mut units: Vec<UnitId> = people.clone().map(|user| user.slot().unit()).collect();
    units.extend(
        people.flat_map(|a| (1..=6).map(move |b| ConversationId::direct(a, user(b)).slot().unit())),
    );
    units.extend((1..=6).map(|number| group(number).slot().unit()));
    units.sort_unstable();
    units.dedup();
    units
}

pub(super) fn at(unit: UnitId) -> UnitAt {
    UnitAt { unit, epoch: Epoch(1) }
}

pub(super) fn home(conversation: ConversationId) -> UnitAt {
    at(conversation.slot().unit())
}

pub(super) fn home_of(user: UserId) -> UnitAt {
    at(user.slot().unit())
}

pub(super) fn order(conversation: ConversationId, actor: UserId, action: Action) -> Order {
    Order {
        at: home(conversation),
        command: Command::Conversation(ConversationCommand { conversation, actor, action }),
    }
}

pub(super) fn inbox_order(user: UserId, action: InboxAction) -> Order {
    Order { at: home_of(user), command: Command::Inbox(InboxCommand { user, action }) }
}

pub(super) fn say(text: &str) -> NewMessage {
    NewMessage {
        kind: MessageKind::Text,
        content: text.to_owned(),
        client_id: None,
        payload_hash: 0,
        reply_to: None,
        mentions: Vec::new(),
        attachments: Some(Vec::new()),
    }
}

pub(super) fn send(text: &str) -> Action {
    Action::Send(say(text))
}

/// A send with a client id; the payload hash is the same for the same text only.
pub(super) fn send_as(client_id: &str, text: &str) -> Action {
    let fold = |hash: u128, byte: u8| hash.wrapping_mul(257).wrapping_add(u128::from(byte));
    Action::Send(NewMessage {
        client_id: ClientId::new(client_id),
        payload_hash: text.bytes().fold(1, fold),
        ..say(text)
    })
}

pub(super) fn edit(seq: Seq, text: &str) -> Action {
    Action::Edit(Edit { seq, content: text.to_owned(), if_content_rev: None })
}

pub(super) fn react(seq: Seq, emoji: &str, remove: bool) -> Action {
    Action::React { seq, emoji: emoji.to_owned(), remove }
}

pub(super) fn new_group(name: &str, members: &[UserId]) -> Action {
    Action::CreateGroup(NewGroup {
        name: name.to_owned(),
        members: members.to_vec(),
        create_hash: None,
        ..NewGroup::default()
    })
}

pub(super) const fn newest(limit: u32) -> MessagePage {
    MessagePage::Newest { limit }
}

pub(super) fn seqs(messages: &[MessageView]) -> Vec<Seq> {
    messages.iter().map(|view| view.message.seq).collect()
}

/// The revs that the rows of one commit took, in order: those above `before`.
pub(super) fn revs(rows: &[Row], conversation: ConversationId, before: Rev) -> Vec<Rev> {
    let mut revs: Vec<Rev> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Conversation(row) if row.id == conversation => Some(row.info_rev),
            Row::Member(row) if row.conversation == conversation => Some(row.rev),
            Row::Message(row) if row.conversation == conversation => Some(row.rev),
            _ => None,
        })
        .filter(|rev| *rev > before)
        .collect();
    revs.sort_unstable();
    revs.dedup();
    revs
}

/// A shard under test. The clock goes 10 ms forward with every commit unless it is stopped.
pub(super) struct World {
    pub(super) shard: Arc<dyn Shard>,
    ids: Arc<dyn Ids>,
    now: AtomicI64,
    tick: AtomicI64,
    leases: AtomicU64,
}

impl World {
    pub(super) async fn new(fixture: &dyn ShardFixture) -> Self {
        Self::with_units(fixture, &units()).await
    }

    pub(super) async fn with_units(fixture: &dyn ShardFixture, units: &[UnitId]) -> Self {
        let ids: Arc<dyn Ids> = Arc::new(CountingIds::new(1, 1));
        Self::of(fixture.fresh(units, Arc::clone(&ids)).await, ids)
    }

    pub(super) fn of(shard: Arc<dyn Shard>, ids: Arc<dyn Ids>) -> Self {
        Self {
            shard,
            ids,
            now: AtomicI64::new(START),
            tick: AtomicI64::new(10),
            leases: AtomicU64::new(0),
        }
    }

    /// The world after a restart; none for a backend that keeps nothing.
    pub(super) async fn reopened(self, fixture: &dyn ShardFixture) -> Option<Self> {
        let shard = fixture.reopened(self.shard, Arc::clone(&self.ids)).await?;
        Some(Self { shard, ..self })
    }

    pub(super) fn now(&self) -> Millis {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn set_clock(&self, now: Millis, tick: Millis) {
        self.now.store(now, Ordering::Relaxed);
        self.tick.store(tick, Ordering::Relaxed);
    }

    pub(super) fn commit(
        &self,
        orders: Vec<Order>,
    ) -> impl Future<Output = Result<Commit, ShardError>> + Send + '_ {
        let tick = self.tick.load(Ordering::Relaxed);
        let now = self.now.fetch_add(tick, Ordering::Relaxed) + tick;
        self.shard.commit(Batch { now, limits: Limits::default(), orders: Arc::new(orders) })
    }

    pub(super) async fn batch(&self, orders: Vec<Order>) -> Vec<Answer> {
        let wanted = orders.len();
        let commit = self.commit(orders).await.unwrap();
        assert_eq!(commit.answers.len(), wanted, "one answer for each order");
        commit.answers
    }

    pub(super) async fn one(&self, order: Order) -> Answer {
        self.batch(vec![order]).await.remove(0)
    }

    pub(super) async fn done(
        &self,
        conversation: ConversationId,
        actor: UserId,
        action: Action,
    ) -> (Outcome, Vec<Row>) {
        done(self.one(order(conversation, actor, action)).await)
    }

    pub(super) async fn refused(
        &self,
        conversation: ConversationId,
        actor: UserId,
        action: Action,
    ) -> RefusalCode {
        refused(self.one(order(conversation, actor, action)).await)
    }

    pub(super) async fn say(
        &self,
        conversation: ConversationId,
        actor: UserId,
        text: &str,
    ) -> MessageView {
        sent(self.one(order(conversation, actor, send(text))).await).0
    }

    /// A direct conversation of Alice and Bob with messages 1 … n, sent in turn.
    pub(super) async fn talk(&self, messages: u64) {
        let orders = (1..=messages).map(|n| {
            let actor = if n % 2 == 1 { ALICE } else { BOB };
            order(direct(), actor, send(&format!("message {n}")))
        });
        for answer in self.batch(orders.collect()).await {
            done(answer);
        }
    }

    pub(super) async fn follow(
        &self,
        user: UserId,
        changes: Vec<InboxChange>,
    ) -> Vec<Arc<InboxEntry>> {
        let (outcome, _) = done(self.one(inbox_order(user, InboxAction::Apply(changes))).await);
        match outcome {
            Outcome::Inbox { entries } => entries,
            other => panic!("not an inbox: {other:?}"),
        }
    }

    pub(super) async fn overview(&self, conversation: ConversationId, reader: UserId) -> Overview {
        let wanted = [(home(conversation), conversation)];
        let mut answers = self.shard.overviews(reader, &wanted).await.unwrap();
        assert_eq!(answers.len(), 1);
        rows(answers.remove(0))
    }

    pub(super) async fn page(
        &self,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Messages {
        let at = home(conversation);
        rows(self.shard.messages(at, conversation, reader, page).await.unwrap())
    }

    pub(super) async fn seqs(
        &self,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Vec<Seq> {
        seqs(&self.page(conversation, reader, page).await.messages)
    }

    /// A message as this reader sees it.
    pub(super) async fn message(
        &self,
        conversation: ConversationId,
        reader: UserId,
        seq: Seq,
    ) -> Option<MessageView> {
        let page = MessagePage::Around { position: crate::read::PagePosition::Seq(seq), limit: 1 };
        let mut messages = self.page(conversation, reader, page).await.messages;
        messages.retain(|view| view.message.seq == seq);
        messages.pop()
    }

    pub(super) async fn changes(
        &self,
        conversation: ConversationId,
        reader: UserId,
        (rev, mark_rev): (Rev, Rev),
        limit: u32,
    ) -> Changes {
        let since = ChangesSince { conversation, reader, rev, mark_rev, limit };
        rows(self.shard.changes(home(conversation), since).await.unwrap())
    }

    pub(super) async fn members(&self, conversation: ConversationId) -> Vec<Arc<Member>> {
        let page = MembersPage { after: None, limit: 1_000 };
        let at = home(conversation);
        let answer = rows(self.shard.members(at, conversation, page).await.unwrap());
        assert!(!answer.more);
        answer.members
    }

    pub(super) async fn inbox(&self, user: UserId, page: InboxPage) -> InboxRows {
        rows(self.shard.inbox(home_of(user), user, page).await.unwrap())
    }

    pub(super) async fn inbox_changes(&self, user: UserId, since: u64, limit: u32) -> InboxChanges {
        let answer = self.shard.inbox_changes(home_of(user), user, since, limit);
        rows(answer.await.unwrap())
    }

    /// Every row of a unit, by pages of about `limit`.
    pub(super) async fn scan(&self, unit: UnitId, limit: u32) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut from = None;
        loop {
            let page = self.shard.scan_unit(unit, from, limit).await.unwrap();
            assert!(page.next.is_none() || !page.rows.is_empty(), "no progress");
            assert!(page.next.is_none() || page.next != from, "no progress");
            rows.extend(page.rows);
            match page.next {
                Some(next) => from = Some(next),
                None => return rows,
            }
        }
    }

    pub(super) async fn unit_state(&self, unit: UnitId) -> Option<UnitState> {
        let states = self.shard.unit_states().await.unwrap();
        assert!(states.is_sorted_by_key(|state| state.unit));
        states.into_iter().find(|state| state.unit == unit)
    }

    /// A pair larger than all before, with room for some [`step`](Self::step)s before the next.
    pub(super) fn pair(&self) -> Pair {
        Pair { lease: self.leases.fetch_add(1_000, Ordering::Relaxed) + 1_000, step: 1 }
    }

    /// Steps a unit through these states, each from the one it is in, under rising pairs.
    pub(super) async fn step(&self, unit: UnitId, phases: &[(UnitPhase, u64)]) {
        for (phase, epoch) in phases {
            let current = self.unit_state(unit).await;
            let lease = current.map_or(1, |state| state.pair.lease + 1);
            let change = UnitChange {
                unit,
                expect: current.map(|state| (state.phase, state.epoch)),
                phase: *phase,
                epoch: Epoch(*epoch),
                pair: Pair { lease, step: 1 },
            };
            let state = self.shard.set_unit_state(change).await.unwrap();
            assert_eq!((state.phase, state.epoch.0), (*phase, *epoch));
        }
    }
}

pub(super) fn rows<T: std::fmt::Debug>(read: Read<T>) -> T {
    match read {
        Read::Rows(rows) => rows,
        other => panic!("no rows: {other:?}"),
    }
}

pub(super) fn done(answer: Answer) -> (Outcome, Vec<Row>) {
    match answer {
        Answer::Done { outcome, rows } => (outcome, rows),
        other => panic!("not done: {other:?}"),
    }
}

pub(super) fn refused(answer: Answer) -> RefusalCode {
    match answer {
        Answer::Refused(refusal) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

/// The message of a send, and whether an earlier send made it.
pub(super) fn sent(answer: Answer) -> (MessageView, bool) {
    match done(answer) {
        (Outcome::Sent { message, duplicate, .. }, rows) => {
            assert_eq!(rows.is_empty(), duplicate, "a duplicate changes nothing");
            (message, duplicate)
        }
        (other, _) => panic!("not sent: {other:?}"),
    }
}
