//! The rows that a decision changes: plain states, in the order they were changed.

use std::sync::Arc;

use crate::{
    annex::Annex,
    conversation::Conversation,
    id::{ConversationId, Seq, UserId},
    inbox::{InboxEntry, UserState},
    member::Member,
    message::Message,
};

/// One user's reaction to one message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reaction {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub seq: Seq,
    /// Who reacted.
    pub user: UserId,
    /// With what.
    pub emoji: String,
}

/// The new state of one row, or its removal. Applying a row twice is harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A conversation.
    Conversation(Arc<Conversation>),
    /// A user in a conversation.
    Member(Arc<Member>),
    /// A message or its tombstone.
    Message(Arc<Message>),
    /// A reaction that is there.
    Reaction(Arc<Reaction>),
    /// A reaction that is gone.
    ReactionGone(Arc<Reaction>),
    /// Messages below this seq, with their reactions and annexes, are physically removed.
    MessagesGone {
        /// The conversation.
        conversation: ConversationId,
        /// First seq that stays.
        below: Seq,
    },
    /// A small row of a conversation.
    Annex(Arc<Annex>),
    /// A small row that is gone; only its key counts.
    AnnexGone(Arc<Annex>),
    /// All small rows that belong to a message are gone.
    AnnexesGone {
        /// The conversation.
        conversation: ConversationId,
        /// The message; never 0.
        seq: Seq,
    },
    /// A user's line of numbers.
    User(Arc<UserState>),
    /// A conversation in a user's list.
    Inbox(Arc<InboxEntry>),
}
