//! The rows a command sees and changes: loaded by a store, decided on here, written back by the store.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    annex::{Annex, AnnexKey},
    conversation::Conversation,
    id::{ConversationId, History, Seq, Slot, UnitId, UserId},
    inbox::{InboxEntry, UserState},
    member::Member,
    message::{Message, MessageView, Quote, ReactionGroup},
    row::{Reaction, Row},
};

/// Rows of one conversation, as far as one command needs them.
#[derive(Debug, Clone, Default)]
pub struct ConversationSlice {
    /// The conversation, if it exists.
    pub conversation: Option<Arc<Conversation>>,
    /// The member rows asked for that exist.
    pub members: Vec<Arc<Member>>,
    /// The messages asked for that exist, with their reactions and quotes.
    pub messages: Vec<MessageView>,
    /// The message that this sender sent with this client id before.
    pub duplicate: Option<MessageView>,
    /// The small rows asked for that exist.
    pub annexes: Vec<Arc<Annex>>,
    changes: Vec<Row>,
}

impl ConversationSlice {
    /// A slice of a conversation, or of nothing yet; the other rows are filled in.
    pub fn new(conversation: Option<Arc<Conversation>>) -> Self {
        Self { conversation, ..Self::default() }
    }

    /// The changed rows in the order of their change; one row may stand there more than once.
    pub fn into_changes(self) -> Vec<Row> {
        self.changes
    }

    pub(crate) fn member(&self, user: UserId) -> Option<&Arc<Member>> {
        self.members.iter().find(|member| member.user == user)
    }

    pub(crate) fn message(&self, seq: Seq) -> Option<&MessageView> {
        self.messages.iter().find(|view| view.message.seq == seq)
    }

    pub(crate) fn put_conversation(&mut self, conversation: Conversation) -> Arc<Conversation> {
        let row = Arc::new(conversation);
        self.changes.push(Row::Conversation(Arc::clone(&row)));
        self.conversation = Some(Arc::clone(&row));
        row
    }

    pub(crate) fn put_member(&mut self, member: Member) -> Arc<Member> {
        let row = Arc::new(member);
        self.changes.push(Row::Member(Arc::clone(&row)));
        match self.members.iter_mut().find(|known| known.user == row.user) {
            Some(known) => *known = Arc::clone(&row),
            None => self.members.push(Arc::clone(&row)),
        }
        row
    }

    pub(crate) fn put_message(
        &mut self,
        message: Message,
        reactions: Vec<ReactionGroup>,
        quote: Option<Quote>,
    ) -> MessageView {
        let row = Arc::new(message);
        self.changes.push(Row::Message(Arc::clone(&row)));
        MessageView { message: row, reactions, quote }
    }

    pub(crate) fn put_reaction(&mut self, reaction: Reaction) {
        self.changes.push(Row::Reaction(Arc::new(reaction)));
    }

    pub(crate) fn remove_reaction(&mut self, reaction: Reaction) {
        self.changes.push(Row::ReactionGone(Arc::new(reaction)));
    }

    pub(crate) fn annex(&self, key: AnnexKey) -> Option<&Arc<Annex>> {
        self.annexes.iter().find(|row| row.key == key)
    }

    pub(crate) fn put_annex(&mut self, annex: Annex) -> Arc<Annex> {
        let row = Arc::new(annex);
        self.changes.push(Row::Annex(Arc::clone(&row)));
        row
    }

    pub(crate) fn remove_annex(&mut self, conversation: ConversationId, key: AnnexKey) {
        let gone = Annex { conversation, key, number: 0, value: Vec::new() };
        self.changes.push(Row::AnnexGone(Arc::new(gone)));
    }

    pub(crate) fn remove_annexes(&mut self, conversation: ConversationId, seq: Seq) {
        self.changes.push(Row::AnnexesGone { conversation, seq });
    }

    pub(crate) fn remove_messages(&mut self, conversation: ConversationId, below: Seq) {
        self.changes.push(Row::MessagesGone { conversation, below });
    }
}

/// Rows of one user's own view, as far as one command needs them.
#[derive(Debug, Clone, Default)]
pub struct InboxSlice {
    /// The user's line of numbers, if it exists.
    pub state: Option<Arc<UserState>>,
    /// The entries named by the command that exist.
    pub entries: BTreeMap<ConversationId, Arc<InboxEntry>>,
    changes: Vec<Row>,
}

impl InboxSlice {
    /// The changed rows in the order of their change.
    pub fn into_changes(self) -> Vec<Row> {
        self.changes
    }

    /// The user's state, or a fresh one in the unit and history given.
    pub(crate) fn state_or_new(&self, user: UserId, unit: UnitId, history: History) -> UserState {
        self.state.as_deref().cloned().unwrap_or_else(|| UserState {
            user,
            unit,
            slot: Slot::of_hash(crate::pair_hash(user.get(), user.get())),
            history,
            user_rev: 0,
            extra: None,
        })
    }

    pub(crate) fn put_entry(&mut self, entry: InboxEntry) -> Arc<InboxEntry> {
        let row = Arc::new(entry);
        self.changes.push(Row::Inbox(Arc::clone(&row)));
        self.entries.insert(row.conversation, Arc::clone(&row));
        row
    }

    pub(crate) fn put_state(&mut self, state: UserState) {
        let row = Arc::new(state);
        self.changes.push(Row::User(Arc::clone(&row)));
        self.state = Some(row);
    }
}
