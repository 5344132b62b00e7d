//! The chat for pipes: one line for each thing that happens, as text or as JSON. Nothing is ever redrawn.

use std::{collections::BTreeMap, fmt};

use ostracon_client::device::{PendingState, Snapshot};
use ostracon_domain::{ConversationId, MessageId, MessageKind, Rev, Seq, UserId};
use ostracon_proto::{Message, SystemMessage};
use serde::Serialize;

use super::{names::Names, text::one_line};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Said {
    /// Events flow.
    Connected { user: String, user_id: UserId },
    /// They do not; it comes back by itself.
    Disconnected,
    /// A line of the chat list; `place` opens it.
    Chat {
        place: usize,
        chat: String,
        conversation_id: ConversationId,
        unread: u64,
        last: Option<String>,
    },
    /// A conversation is open now.
    Opened { chat: String, conversation_id: ConversationId },
    /// A message is there: durable, in order.
    Message { chat: String, seq: Seq, sender: String, text: String, own: bool },
    /// A message has another text now.
    Edited { chat: String, seq: Seq, text: String },
    /// A message is deleted.
    Deleted { chat: String, seq: Seq },
    /// Reactions to a message are these now.
    Reactions { chat: String, seq: Seq, reactions: String },
    /// One's own message is on its way.
    Sending { chat: String, text: String },
    /// One's own message was refused for good.
    Failed { chat: String, text: String, reason: String },
    /// Somebody has read up to a message.
    Read { chat: String, user: String, seq: Seq },
    /// Unread messages of a conversation that is not open.
    Unread { chat: String, unread: u64 },
    /// A remark.
    Note { text: String },
    /// What was asked for cannot be done.
    Error { text: String },
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { user, .. } => write!(f, "* connected as {user}"),
            Self::Disconnected => write!(f, "* disconnected; coming back by itself"),
            Self::Chat { place, chat, unread, last, .. } => {
                write!(f, "{place}. {chat}")?;
                if *unread > 0 {
                    write!(f, " ({unread} unread)")?;
                }
                last.as_ref().map_or(Ok(()), |last| write!(f, ": {last}"))
            }
            Self::Opened { chat, .. } => write!(f, "* open: {chat}"),
            Self::Message { chat, seq, sender, text, .. } => {
                write!(f, "[{chat}] #{seq} {sender}: {text}")
            }
            Self::Edited { chat, seq, text } => write!(f, "[{chat}] #{seq} edited: {text}"),
            Self::Deleted { chat, seq } => write!(f, "[{chat}] #{seq} deleted"),
            Self::Reactions { chat, seq, reactions } => {
                write!(f, "[{chat}] #{seq} reactions: {reactions}")
            }
            Self::Sending { chat, text } => write!(f, "[{chat}] sending: {text}"),
            Self::Failed { chat, text, reason } => {
                write!(f, "[{chat}] failed: {text} ({reason})")
            }
            Self::Read { chat, user, seq } => write!(f, "[{chat}] {user} has read up to #{seq}"),
            Self::Unread { chat, unread } => write!(f, "[{chat}] {unread} unread"),
            Self::Note { text } => write!(f, "* {text}"),
            Self::Error { text } => write!(f, "! {text}"),
        }
    }
}

/// What was said of one conversation already.
#[derive(Debug, Default)]
struct Told {
    messages: BTreeMap<Seq, ToldMessage>,
    /// Client ids of messages on their way or failed, and whether it was said that they failed.
    pending: BTreeMap<String, bool>,
    read: BTreeMap<UserId, Seq>,
    unread: u64,
}

#[derive(Debug, Clone)]
struct ToldMessage {
    id: MessageId,
    rev: Rev,
    content_rev: Rev,
    deleted: bool,
    reactions: String,
}

/// Finds out what is new since it was asked last.
#[derive(Debug, Default)]
pub(crate) struct Plain(BTreeMap<ConversationId, Told>);

impl Plain {
    /// What happened in a conversation. Of one that is not open only the unread count is told.
    pub(crate) fn changed(
        &mut self,
        shown: &Snapshot,
        is_open: bool,
        chat: &str,
        me: UserId,
        names: &mut Names,
    ) -> Vec<Said> {
        let told = self.0.entry(shown.conversation_id).or_default();
        let chat = || chat.to_owned();
        let mut said = Vec::new();
        if !is_open {
            if told.unread != shown.unread {
                said.push(Said::Unread { chat: chat(), unread: shown.unread });
            }
            told.unread = shown.unread;
            return said;
        }
        told.unread = shown.unread;
        if !shown.loaded {
            return said;
        }
        for message in &shown.messages {
            let new = ToldMessage::of(message);
            let known = told.messages.insert(message.seq, new.clone());
            let seq = message.seq;
            match known.filter(|known| known.id == new.id) {
                None if new.deleted => said.push(Said::Deleted { chat: chat(), seq }),
                None => {
                    said.push(Said::Message {
                        chat: chat(),
                        seq,
                        sender: names.user(message.sender_id),
                        text: text_of(message),
                        own: message.sender_id == me,
                    });
                    if !new.reactions.is_empty() {
                        said.push(Said::Reactions { chat: chat(), seq, reactions: new.reactions });
                    }
                }
                Some(known) if known.rev < new.rev => {
                    if new.deleted && !known.deleted {
                        said.push(Said::Deleted { chat: chat(), seq });
                        continue;
                    }
                    if new.content_rev > known.content_rev {
                        said.push(Said::Edited { chat: chat(), seq, text: text_of(message) });
                    }
                    if new.reactions != known.reactions {
                        said.push(Said::Reactions { chat: chat(), seq, reactions: new.reactions });
                    }
                }
                Some(_) => {}
            }
        }
        for pending in &shown.pending {
            let known = told.pending.get(&pending.client_id).copied();
            let text = one_line(&pending.message.content);
            if let PendingState::Failed(error) = &pending.state {
                if known != Some(true) {
                    let reason = error.message.to_string();
                    said.push(Said::Failed { chat: chat(), text, reason });
                }
                told.pending.insert(pending.client_id.clone(), true);
            } else {
                if known.is_none() {
                    said.push(Said::Sending { chat: chat(), text });
                }
                told.pending.insert(pending.client_id.clone(), false);
            }
        }
        told.pending.retain(|id, _| shown.pending.iter().any(|pending| pending.client_id == *id));
        for (user, marks) in shown.marks.iter().filter(|(user, _)| *user != me) {
            let known = told.read.entry(*user).or_default();
            if marks.read_seq > *known {
                *known = marks.read_seq;
                let seq = marks.read_seq;
                said.push(Said::Read { chat: chat(), user: names.user(*user), seq });
            }
        }
        said
    }

    /// The conversation is gone from the list.
    pub(crate) fn forget(&mut self, id: ConversationId) {
        self.0.remove(&id);
    }
}

impl ToldMessage {
    fn of(message: &Message<'_>) -> Self {
        Self {
            id: message.message_id,
            rev: message.rev,
            content_rev: message.content_rev,
            deleted: message.deleted_at.is_some(),
            reactions: reactions_of(message),
        }
    }
}

/// The text of a message as one line.
pub(crate) fn text_of(message: &Message<'_>) -> String {
    match &message.content {
        Some(text) if message.kind == MessageKind::System => said(text),
        Some(text) => one_line(text),
        None if message.withheld => "(edited after you left)".to_owned(),
        None => "(deleted)".to_owned(),
    }
}

/// What the server says, with users by number.
fn said(content: &str) -> String {
    let users = |what: &str, users: &[UserId]| {
        let users: Vec<String> = users.iter().map(ToString::to_string).collect();
        format!("({what} {})", users.join(", "))
    };
    match SystemMessage::read(content) {
        Some(SystemMessage::Created { name }) => format!("(created {})", one_line(&name)),
        Some(SystemMessage::Joined { user_ids }) => users("joined:", &user_ids),
        Some(SystemMessage::Left { .. }) => "(left)".to_owned(),
        Some(SystemMessage::Removed { user_ids }) => users("removed", &user_ids),
        Some(SystemMessage::RoleChanged { user_ids, .. }) => users("gave a role to", &user_ids),
        Some(SystemMessage::Renamed { name }) => format!("(named it {})", one_line(&name)),
        Some(SystemMessage::SettingsChanged {}) => "(changed settings)".to_owned(),
        None => one_line(content),
    }
}

/// `👍 2 ❤ 1`.
pub(crate) fn reactions_of(message: &Message<'_>) -> String {
    let groups: Vec<_> = message
        .reactions
        .iter()
        .map(|group| format!("{} {}", one_line(&group.emoji), group.count))
        .collect();
    groups.join(" ")
}
