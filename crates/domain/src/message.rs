//! The row of a message, and a message as a reader sees it.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    extra::{Attachment, MessageExtra},
    id::{ConversationId, MessageId, Millis, Rev, Seq, Slot, UserId},
    limits::{CLIENT_ID_BYTES_MAX, EXCERPT_UNITS},
};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Plain text.
    Text,
    /// Pictures, with an optional text.
    Image,
    /// Files, with an optional text.
    File,
    /// Made by the server only.
    System,
}

/// A client's own id of a send: what makes a retry harmless. At most 64 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Checks length and characters; `None` when it is not one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= CLIENT_ID_BYTES_MAX;
        (fits && !text.chars().any(char::is_control)).then(|| Self(text.into()))
    }

    /// The text as the client gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A user named in a text; offsets count UTF-16 units, `end` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Who.
    pub user_id: UserId,
    /// First unit.
    pub start: u32,
    /// Unit after the last.
    pub end: u32,
}

/// One message. A deleted one stays as a tombstone: no content, no hash, no mentions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its place in the conversation.
    pub seq: Seq,
    /// Its id, unique in the cluster, rising with seq.
    pub message_id: MessageId,
    /// Slot of its conversation.
    pub slot: Slot,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of it.
    pub client_id: Option<ClientId>,
    /// Keyed hash of the payload as first sent; what tells "the same again" from `conflict`.
    pub payload_hash: Option<u128>,
    /// What it is.
    pub kind: MessageKind,
    /// The text.
    pub content: String,
    /// Seq of the message it answers.
    pub reply_to: Option<Seq>,
    /// Users named in the text, by rising offset.
    pub mentions: Vec<Mention>,
    /// The server's receive time; never goes back inside a conversation.
    pub created_at: Millis,
    /// Time of the last edit.
    pub edited_at: Option<Millis>,
    /// Time and author of the deletion.
    pub deleted: Option<(Millis, UserId)>,
    /// Whether unread counts leave it out.
    pub uncounted: bool,
    /// Rev of its insert; rises with seq.
    pub created_rev: Rev,
    /// Rev of its last change, reactions included.
    pub rev: Rev,
    /// Rev of the last change of its content.
    pub content_rev: Rev,
    /// What few messages have.
    pub extra: Option<Box<MessageExtra>>,
}

impl Message {
    /// Files that it carries.
    pub fn attachments(&self) -> &[Attachment] {
        self.extra.as_ref().map_or(&[], |extra| &extra.attachments)
    }
}

/// The users who reacted with one emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionGroup {
    /// The emoji.
    pub emoji: String,
    /// All of them, by rising id.
    pub users: Vec<UserId>,
}

/// What a reply shows of the message it answers, as that one is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Seq of the answered message.
    pub seq: Seq,
    /// Its sender.
    pub sender: UserId,
    /// The beginning of its text; empty when deleted.
    pub excerpt: String,
}

impl Quote {
    /// The quote of a message.
    pub fn of(message: &Message) -> Self {
        Self { seq: message.seq, sender: message.sender, excerpt: excerpt(&message.content) }
    }
}

/// A message with what belongs to its image: reactions and the quote of what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// The row.
    pub message: Arc<Message>,
    /// Reactions by emoji, in order of the emoji's bytes.
    pub reactions: Vec<ReactionGroup>,
    /// The quoted message, if it is a reply.
    pub quote: Option<Quote>,
}

impl MessageView {
    /// A message without reactions that answers nothing.
    pub const fn plain(message: Arc<Message>) -> Self {
        Self { message, reactions: Vec::new(), quote: None }
    }
}

/// The first [`EXCERPT_UNITS`] UTF-16 units of a text, cut at a character.
pub fn excerpt(text: &str) -> String {
    let mut units = 0;
    text.chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= EXCERPT_UNITS
        })
        .collect()
}
