//! The part of a commit that every backend shares: fences, slices, decisions, one after another.
//!
//! A backend asks what is [missing](WorkingSet::missing) for a batch, loads it in one go, then lets the batch
//! [run](WorkingSet::run). What the set holds is the newest state, also of rows that are not durable yet:
//! after a failed write it must be thrown away.

use std::sync::Arc;

use ostracon_domain::{
    Action, Annex, AnnexKey, ClientId, Command, Context, Conversation, ConversationCommand,
    ConversationId, ConversationSlice, History, IdSource, InboxAction, InboxCommand, InboxEntry,
    InboxSlice, Member, MessageId, MessageView, Millis, Outcome, Quote, Refusal, Row, Seq, UnitId,
    UserId, UserState, decide, decide_inbox,
};
use rustc_hash::FxHashMap;

use crate::{
    shard::{Answer, Batch, Ids, Order},
    unit_state::UnitState,
};

/// A row that a batch needs and the set does not know yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missing {
    /// A conversation's own row.
    Conversation(ConversationId),
    /// A member row.
    Member(ConversationId, UserId),
    /// A message with its reactions and quote.
    Message(ConversationId, Seq),
    /// The message that this sender sent with this client id.
    Probe(ConversationId, UserId, ClientId),
    /// A small row of a conversation.
    Annex(ConversationId, AnnexKey),
    /// A user's own line of numbers.
    User(UserId),
    /// An entry of a user's list.
    Inbox(UserId, ConversationId),
}

/// Rows known to be the newest. `None` means: known not to exist.
#[derive(Debug, Default)]
pub struct WorkingSet {
    conversations: FxHashMap<ConversationId, Known>,
    users: FxHashMap<UserId, KnownUser>,
    /// Conversations that may hold messages or probes; one may stand here twice.
    with_messages: Vec<ConversationId>,
    /// Counts batches: what was used last is kept longest.
    batches: u64,
}

#[derive(Debug, Default)]
struct Known {
    used: u64,
    conversation: Option<Option<Arc<Conversation>>>,
    members: FxHashMap<UserId, Option<Arc<Member>>>,
    messages: FxHashMap<Seq, Option<MessageView>>,
    probes: FxHashMap<(UserId, ClientId), Option<MessageView>>,
    annexes: FxHashMap<AnnexKey, Option<Arc<Annex>>>,
}

#[derive(Debug, Default)]
struct KnownUser {
    used: u64,
    state: Option<Option<Arc<UserState>>>,
    entries: FxHashMap<ConversationId, Option<Arc<InboxEntry>>>,
}

impl WorkingSet {
    /// The rows to load before this batch can run, each once, in no particular order.
    pub fn missing(&self, orders: &[Order]) -> Vec<Missing> {
        self.missing_unless(orders, |_, _, _| false)
    }

    /// As [`missing`](Self::missing), without the probes of which the caller is certain that nothing was sent with them.
    pub fn missing_unless(
        &self,
        orders: &[Order],
        mut certainly_new: impl FnMut(ConversationId, UserId, &ClientId) -> bool,
    ) -> Vec<Missing> {
        let mut missing = Vec::new();
        for order in orders {
            match &order.command {
                Command::Conversation(command) => {
                    self.missing_of(command, &mut certainly_new, &mut missing);
                }
                Command::Inbox(command) => self.missing_of_user(command, &mut missing),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    fn missing_of(
        &self,
        command: &ConversationCommand,
        certainly_new: &mut impl FnMut(ConversationId, UserId, &ClientId) -> bool,
        missing: &mut Vec<Missing>,
    ) {
        let id = command.conversation;
        let known = self.conversations.get(&id);
        if known.is_none_or(|known| known.conversation.is_none()) {
            missing.push(Missing::Conversation(id));
        }
        let needs = command.needs();
        for user in needs.members {
            if known.is_none_or(|known| !known.members.contains_key(&user)) {
                missing.push(Missing::Member(id, user));
            }
        }
        for seq in needs.messages {
            if known.is_none_or(|known| !known.messages.contains_key(&seq)) {
                missing.push(Missing::Message(id, seq));
            }
        }
        for key in needs.annexes {
            if known.is_none_or(|known| !known.annexes.contains_key(&key)) {
                missing.push(Missing::Annex(id, key));
            }
        }
        if let Some((sender, client_id)) = command.probe()
            && !certainly_new(id, sender, client_id)
        {
            let key = (sender, client_id.clone());
            if known.is_none_or(|known| !known.probes.contains_key(&key)) {
                missing.push(Missing::Probe(id, sender, key.1));
            }
        }
    }

    fn missing_of_user(&self, command: &InboxCommand, missing: &mut Vec<Missing>) {
        let known = self.users.get(&command.user);
        if known.is_none_or(|known| known.state.is_none()) {
            missing.push(Missing::User(command.user));
        }
        let mut need = |conversation| {
            if known.is_none_or(|known| !known.entries.contains_key(&conversation)) {
                missing.push(Missing::Inbox(command.user, conversation));
            }
        };
        match &command.action {
            InboxAction::Apply(changes) => changes.iter().for_each(|c| need(c.conversation)),
            InboxAction::Set { conversation, .. } => need(*conversation),
        }
    }

    /// Learns a conversation's row, or that there is none.
    pub fn know_conversation(&mut self, id: ConversationId, row: Option<Arc<Conversation>>) {
        self.conversations.entry(id).or_default().conversation = Some(row);
    }

    /// Learns a member row, or that there is none.
    pub fn know_member(&mut self, id: ConversationId, user: UserId, row: Option<Arc<Member>>) {
        self.conversations.entry(id).or_default().members.insert(user, row);
    }

    /// Learns a message with its reactions and quote, or that there is none.
    pub fn know_message(&mut self, id: ConversationId, seq: Seq, view: Option<MessageView>) {
        self.with_messages.push(id);
        self.conversations.entry(id).or_default().messages.insert(seq, view);
    }

    /// Learns what a sender sent with a client id, or that it was nothing.
    pub fn know_probe(
        &mut self,
        id: ConversationId,
        sender: UserId,
        client_id: ClientId,
        view: Option<MessageView>,
    ) {
        self.with_messages.push(id);
        self.conversations.entry(id).or_default().probes.insert((sender, client_id), view);
    }

    /// Learns a small row of a conversation, or that there is none.
    pub fn know_annex(&mut self, id: ConversationId, key: AnnexKey, row: Option<Arc<Annex>>) {
        self.with_messages.push(id);
        self.conversations.entry(id).or_default().annexes.insert(key, row);
    }

    /// Learns a user's line of numbers, or that there is none.
    pub fn know_user(&mut self, user: UserId, row: Option<Arc<UserState>>) {
        self.users.entry(user).or_default().state = Some(row);
    }

    /// Learns an entry of a user's list, or that there is none.
    pub fn know_inbox(&mut self, user: UserId, id: ConversationId, row: Option<Arc<InboxEntry>>) {
        self.users.entry(user).or_default().entries.insert(id, row);
    }

    /// Runs a batch for which nothing is missing: answer n belongs to order n. Later orders see what earlier ones did.
    pub fn run(
        &mut self,
        batch: &Batch,
        fence: &dyn Fn(UnitId) -> Option<UnitState>,
        ids: &dyn Ids,
    ) -> Vec<Answer> {
        self.batches += 1;
        let mut source = Source(ids);
        let mut answers = Vec::with_capacity(batch.orders.len());
        for order in &*batch.orders {
            let state = fence(order.at.unit);
            let served = state.is_some_and(|state| state.serves(order.at));
            if !served || !self.row_agrees(order) {
                answers.push(Answer::Fenced(state));
                continue;
            }
            let mut context = Context {
                now: batch.now,
                unit: order.at.unit,
                limits: &batch.limits,
                ids: &mut source,
            };
            let decided = match &order.command {
                Command::Conversation(command) => self.decide(command, &mut context),
                Command::Inbox(command) => self.decide_inbox(command, &mut context),
            };
            answers.push(match decided {
                Ok((outcome, rows)) => Answer::Done { outcome, rows },
                Err(refusal) => Answer::Refused(refusal),
            });
        }
        answers
    }

    /// Forgets messages and probes, which are needed for one batch only.
    pub fn forget_messages(&mut self) {
        for id in std::mem::take(&mut self.with_messages) {
            if let Some(known) = self.conversations.get_mut(&id) {
                known.messages.clear();
                known.probes.clear();
                known.annexes.clear();
            }
        }
    }

    /// Keeps about `subjects` subjects, those that were used last, when there are more than twice as many.
    pub fn shrink(&mut self, subjects: usize) {
        if self.len() <= subjects.saturating_mul(2) {
            return;
        }
        let mut used: Vec<u64> = self
            .conversations
            .values()
            .map(|known| known.used)
            .chain(self.users.values().map(|known| known.used))
            .collect();
        let place = used.len() - subjects.max(1);
        let (_, oldest, _) = used.select_nth_unstable(place);
        // Those of the last batch always stay, those of the border go: many may share one number.
        let (oldest, newest) = (*oldest, self.batches);
        self.conversations.retain(|_, known| known.used > oldest || known.used == newest);
        self.users.retain(|_, known| known.used > oldest || known.used == newest);
    }

    /// Whether it knows this conversation's row, or that there is none.
    pub fn knows_conversation(&self, id: ConversationId) -> bool {
        self.conversations.get(&id).is_some_and(|known| known.conversation.is_some())
    }

    /// Subjects that the set knows something of.
    pub fn len(&self) -> usize {
        self.conversations.len() + self.users.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets a conversation, so that it is loaded again.
    pub fn forget_conversation(&mut self, id: ConversationId) {
        self.conversations.remove(&id);
    }

    /// Forgets a user's own rows, so that they are loaded again.
    pub fn forget_user(&mut self, user: UserId) {
        self.users.remove(&user);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.conversations.clear();
        self.users.clear();
        self.with_messages.clear();
    }

    /// The row's-unit check: a carve moves a conversation to another unit under the eyes of stale routers.
    fn row_agrees(&self, order: &Order) -> bool {
        let unit = match &order.command {
            Command::Conversation(command) => self
                .conversations
                .get(&command.conversation)
                .and_then(|known| known.conversation.as_ref()?.as_ref().map(|row| row.unit)),
            Command::Inbox(command) => self
                .users
                .get(&command.user)
                .and_then(|known| known.state.as_ref()?.as_ref().map(|row| row.unit)),
        };
        unit.is_none_or(|unit| unit == order.at.unit)
    }

    fn decide(
        &mut self,
        command: &ConversationCommand,
        context: &mut Context<'_>,
    ) -> Result<(Outcome, Vec<Row>), Refusal> {
        let known = self.conversations.entry(command.conversation).or_default();
        known.used = self.batches;
        let needs = command.needs();
        let mut slice = ConversationSlice::new(known.conversation.clone().flatten());
        slice.members.extend(
            needs.members.iter().filter_map(|user| known.members.get(user).cloned().flatten()),
        );
        slice.messages.extend(
            needs.messages.iter().filter_map(|seq| known.messages.get(seq).cloned().flatten()),
        );
        slice.annexes.extend(
            needs.annexes.iter().filter_map(|key| known.annexes.get(key).cloned().flatten()),
        );
        slice.duplicate = command.probe().and_then(|(sender, client_id)| {
            known.probes.get(&(sender, client_id.clone())).cloned().flatten()
        });
        let outcome = decide(&mut slice, command, context)?;
        let rows = slice.into_changes();
        if known.messages.is_empty() && known.probes.is_empty() && known.annexes.is_empty() {
            self.with_messages.push(command.conversation);
        }
        known.take_in(&rows, &outcome, &command.action);
        Ok((outcome, rows))
    }

    fn decide_inbox(
        &mut self,
        command: &InboxCommand,
        context: &mut Context<'_>,
    ) -> Result<(Outcome, Vec<Row>), Refusal> {
        let known = self.users.entry(command.user).or_default();
        known.used = self.batches;
        let wanted: Vec<ConversationId> = match &command.action {
            InboxAction::Apply(changes) => changes.iter().map(|c| c.conversation).collect(),
            InboxAction::Set { conversation, .. } => vec![*conversation],
        };
        let mut slice = InboxSlice::default();
        slice.state = known.state.clone().flatten();
        slice.entries = wanted
            .iter()
            .filter_map(|id| Some((*id, known.entries.get(id).cloned().flatten()?)))
            .collect();
        let outcome = decide_inbox(&mut slice, command, context)?;
        let rows = slice.into_changes();
        for row in &rows {
            match row {
                Row::User(state) => known.state = Some(Some(Arc::clone(state))),
                Row::Inbox(entry) => {
                    known.entries.insert(entry.conversation, Some(Arc::clone(entry)));
                }
                _ => {}
            }
        }
        Ok((outcome, rows))
    }
}

impl Known {
    /// Takes in what a decision changed, so that the next one sees it.
    fn take_in(&mut self, rows: &[Row], outcome: &Outcome, action: &Action) {
        for row in rows {
            match row {
                Row::Conversation(row) => self.conversation = Some(Some(Arc::clone(row))),
                Row::Member(row) => {
                    self.members.insert(row.user, Some(Arc::clone(row)));
                }
                Row::Message(row) => {
                    let view = match outcome {
                        Outcome::Sent { message, .. } | Outcome::Changed { message, .. } => {
                            message.clone()
                        }
                        _ => MessageView::plain(Arc::clone(row)),
                    };
                    if !matches!(action, Action::Send(_)) {
                        self.refresh(&view);
                    } else if let Some(client_id) = &row.client_id {
                        self.probes.insert((row.sender, client_id.clone()), Some(view.clone()));
                    }
                    self.messages.insert(row.seq, Some(view));
                }
                Row::MessagesGone { below, .. } => self.forget_below(*below),
                Row::Annex(row) => {
                    self.annexes.insert(row.key, Some(Arc::clone(row)));
                }
                Row::AnnexGone(row) => {
                    self.annexes.insert(row.key, None);
                }
                Row::AnnexesGone { seq, .. } => {
                    self.forget_annexes(|of| of == *seq);
                }
                // Reactions stand in the view of their message.
                _ => {}
            }
        }
    }

    /// Knows that messages below this seq are gone: a retry must not find its first result here and nowhere else.
    fn forget_below(&mut self, below: Seq) {
        let views = self.messages.values_mut().chain(self.probes.values_mut());
        for view in views {
            view.take_if(|view| view.message.seq < below);
        }
        self.forget_annexes(|of| of > 0 && of < below);
    }

    /// Knows that the small rows of some messages are gone.
    fn forget_annexes(&mut self, is_gone: impl Fn(Seq) -> bool) {
        for (key, row) in &mut self.annexes {
            if is_gone(key.seq()) {
                *row = None;
            }
        }
    }

    /// Brings the copies of a message, and the quotes of it, up to date.
    fn refresh(&mut self, view: &MessageView) {
        let seq = view.message.seq;
        let others = self.messages.values_mut().chain(self.probes.values_mut());
        for other in others.flatten() {
            if other.message.seq == seq {
                *other = view.clone();
            } else if other.quote.as_ref().is_some_and(|quote| quote.seq == seq) {
                other.quote = Some(Quote::of(&view.message));
            }
        }
    }
}

struct Source<'a>(&'a dyn Ids);

impl IdSource for Source<'_> {
    fn message_id(&mut self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId> {
        self.0.message_id(now, later_than)
    }

    fn history(&mut self) -> History {
        self.0.history()
    }
}
