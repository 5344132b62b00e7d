//! What there is to tell of a message, and how a device reads it.

use std::time::Duration;

use ostracon_domain::{ConversationId, MessageId, MessageKind, Millis, Seq, UserId};
use serde::Serialize;

/// Characters of a text that a device is told.
const BODY_CHARS_MAX: usize = 240;
/// Characters of a name that a device is told.
const NAME_CHARS_MAX: usize = 80;

/// Messages that somebody may have to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Whom.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// The newest.
    pub seq: Seq,
    /// The newest that mentions the user; 0 for none.
    pub mention_seq: Seq,
    /// How many.
    pub count: u32,
    /// Whether only those that mention the user count.
    pub mentions_only: bool,
}

/// Whether there is something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// There is.
    Tell(Box<News>),
    /// There is not, and why: a word for metrics.
    Silent(&'static str),
    /// A device of the user may yet take it: to be asked again then.
    Later(Duration),
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The user.
    pub id: UserId,
    /// Name to show.
    pub name: String,
    /// Id in the operator's own system.
    pub external_id: Option<String>,
}

/// A message to tell of, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its name, if it is a group.
    pub group: Option<String>,
    /// The message's number there.
    pub seq: Seq,
    /// The message's id.
    pub message_id: MessageId,
    /// Who wrote it.
    pub sender: Sender,
    /// What it is.
    pub kind: MessageKind,
    /// Its text.
    pub text: String,
    /// When it was written.
    pub created_at: Millis,
    /// Whether it mentions whom it is told.
    pub mentioned: bool,
    /// What is unread in the conversation, for whom it is told.
    pub unread: u64,
}

/// What a service worker reads.
#[derive(Serialize)]
struct Shown {
    conversation_id: ConversationId,
    seq: Seq,
    #[serde(rename = "type")]
    kind: MessageKind,
    sender: ShownSender,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    mentioned: bool,
    unread: u64,
}

#[derive(Serialize)]
struct ShownSender {
    user_id: UserId,
    display_name: String,
}

impl News {
    /// The message to a device, as JSON: at most 3 KB.
    pub(crate) fn for_device(&self, preview: bool) -> Vec<u8> {
        let name = cut(&self.sender.name, NAME_CHARS_MAX);
        let title =
            self.group.as_deref().map_or_else(|| name.clone(), |group| cut(group, NAME_CHARS_MAX));
        let shown = Shown {
            conversation_id: self.conversation,
            seq: self.seq,
            kind: self.kind,
            sender: ShownSender { user_id: self.sender.id, display_name: name },
            title,
            body: (preview && !self.text.is_empty()).then(|| cut(&self.text, BODY_CHARS_MAX)),
            mentioned: self.mentioned,
            unread: self.unread,
        };
        // Texts and numbers can always be written.
        serde_json::to_vec(&shown).unwrap_or_default()
    }
}

/// The beginning of a text on one line, with an ellipsis where something is missing.
fn cut(text: &str, chars_max: usize) -> String {
    let mut cut: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect();
    if text.chars().nth(chars_max).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests;
