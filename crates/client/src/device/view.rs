//! What a user interface is shown: immutable pictures of a device.

use super::{
    Device,
    members::Marks,
    outbox::Outgoing,
    window::{Row, Window},
};
use ostracon_domain::{ConversationId, Millis, Rev, Seq, UserId};
use ostracon_proto::{
    Conversation, ErrorObject, Inbox, Member, Membership, frame::OutgoingMessage,
};

/// A conversation at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which one.
    pub conversation_id: ConversationId,
    /// The conversation itself, once the list named it.
    pub info: Option<Conversation<'static>>,
    /// Whether messages are loaded.
    pub loaded: bool,
    /// Whether everything heard of is held. Not level, what is shown is right but not the newest.
    pub level: bool,
    /// The rev that the messages are at least the state of.
    pub rev: Rev,
    /// Messages without a gap, by rising seq.
    pub messages: Vec<Row>,
    /// Whether older ones can be loaded.
    pub has_more_before: bool,
    /// Whether newer ones can be loaded.
    pub has_more_after: bool,
    /// Members that have not left, by rising user id; empty before they are loaded.
    pub members: Vec<Member>,
    /// How far each user has come, by rising user id.
    pub marks: Vec<(UserId, Marks)>,
    /// One's own membership, once the list named it.
    pub membership: Option<Membership>,
    /// Unread messages.
    pub unread: u64,
    /// What was said here and is not yet durable, in order.
    pub pending: Vec<Pending>,
}

/// A message that is not yet durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The id given when it was sent.
    pub client_id: String,
    /// The message.
    pub message: OutgoingMessage<'static>,
    /// What it waits for.
    pub state: PendingState,
}

/// What an unsent message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingState {
    /// To be sent.
    Waiting,
    /// For the answer.
    UnderWay,
    /// For the user: it was refused for good.
    Failed(ErrorObject),
}

/// One line of the chat list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatLine {
    /// The conversation.
    pub info: Conversation<'static>,
    /// One's own membership.
    pub membership: Membership,
    /// One's own settings.
    pub inbox: Inbox,
    /// The newest message known.
    pub last_message: Option<Row>,
    /// Unread messages.
    pub unread: u64,
}

impl Device {
    /// What is shown of a conversation; `None` for one that was never heard of.
    #[must_use]
    pub fn snapshot(&self, id: ConversationId) -> Option<Snapshot> {
        let pending = self.pending(id);
        let Some(held) = self.conversations.get(&id) else {
            return (!pending.is_empty()).then(|| Snapshot::empty(id, pending));
        };
        let line = held.line.as_ref();
        let mut shown = Snapshot {
            level: held.is_level(),
            info: held.info.clone(),
            members: held.members.present().cloned().collect(),
            marks: held.members.marks().collect(),
            membership: line.map(|line| line.membership.clone()),
            unread: line.map_or(0, |line| line.unread),
            ..Snapshot::empty(id, pending)
        };
        if let Some(window) = &held.window {
            shown.window(window);
        }
        Some(shown)
    }

    /// The chat list, latest activity first; equal times by conversation id.
    #[must_use]
    pub fn chat_list(&self) -> Vec<ChatLine> {
        let mut lines: Vec<ChatLine> = self
            .conversations
            .values()
            .filter_map(|held| {
                let (line, info) = (held.line.as_ref()?, held.info.as_ref()?);
                Some(ChatLine {
                    info: info.clone(),
                    membership: line.membership.clone(),
                    inbox: line.inbox.clone(),
                    last_message: line.last_message.clone(),
                    unread: line.unread,
                })
            })
            .collect();
        lines.sort_by_key(|line| (std::cmp::Reverse(line.active_at()), line.info.conversation_id));
        lines
    }

    fn pending(&self, id: ConversationId) -> Vec<Pending> {
        let items = self.outbox.items(id);
        items
            .filter_map(|item| {
                let Outgoing::Send(send) = &item.command else {
                    return None;
                };
                let state = match &item.error {
                    Some(error) => PendingState::Failed(error.clone()),
                    None if item.is_under_way() => PendingState::UnderWay,
                    None => PendingState::Waiting,
                };
                Some(Pending {
                    client_id: send.message.client_id.as_deref()?.to_owned(),
                    message: send.message.clone(),
                    state,
                })
            })
            .collect()
    }
}

impl Snapshot {
    fn empty(conversation_id: ConversationId, pending: Vec<Pending>) -> Self {
        Self {
            conversation_id,
            info: None,
            loaded: false,
            level: false,
            rev: 0,
            messages: Vec::new(),
            has_more_before: false,
            has_more_after: false,
            members: Vec::new(),
            marks: Vec::new(),
            membership: None,
            unread: 0,
            pending,
        }
    }

    fn window(&mut self, window: &Window) {
        self.loaded = window.shown_from.is_none();
        self.rev = window.rev;
        self.messages = window.shown().cloned().collect();
        self.has_more_before = window.lo > window.first_seq;
        self.has_more_after = !window.tail;
    }

    /// Seq of the newest message shown; 0 when there is none.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.messages.last().map_or(0, |message| message.seq)
    }
}

impl ChatLine {
    /// When something was last said; the creation, when nothing was.
    #[must_use]
    pub fn active_at(&self) -> Millis {
        let last = self.last_message.as_ref();
        last.map_or(self.info.created_at, |message| message.timestamp)
    }
}
