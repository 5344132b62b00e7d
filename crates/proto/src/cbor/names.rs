//! Names that are numbers in short CBOR. Both lists only ever grow at their end: a number keeps its meaning.

/// How the value of a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// As it is.
    Plain,
    /// A word of [`WORDS`] as its number.
    Word,
    /// A text of digits as a number.
    Digits,
    /// A direct conversation as an array of its two users, the lower first; a group as 16 bytes.
    Conversation,
    /// A time as milliseconds after that of the `message_id` before it in the same map, if there is one.
    SinceMessage,
    /// A rev as the difference to the `rev` before it in the same map, if there is one.
    SinceRev,
}

use Rule::{Conversation, Digits, Plain, SinceMessage, SinceRev, Word};

/// Names of fields; the place is the number. The first 24 take one byte.
pub const NAMES: &[(&str, Rule)] = &[
    ("type", Word),
    ("data", Plain),
    ("id", Plain),
    ("conversation_id", Conversation),
    ("message_id", Digits),
    ("seq", Plain),
    ("rev", Plain),
    ("content_rev", SinceRev),
    ("sender_id", Plain),
    ("content", Plain),
    ("timestamp", SinceMessage),
    ("history", Digits),
    ("mark_rev", Plain),
    ("client_id", Plain),
    ("user_id", Plain),
    ("user_rev", Plain),
    ("unread", Plain),
    ("read_seq", Plain),
    ("delivered_seq", Plain),
    ("message", Plain),
    ("reply_to", Plain),
    ("mentions", Plain),
    ("attachments", Plain),
    ("reactions", Plain),
    ("edited_at", Plain),
    ("deleted_at", Plain),
    ("deleted_by", Plain),
    ("pinned_at", Plain),
    ("excerpt", Plain),
    ("start", Plain),
    ("end", Plain),
    ("emoji", Plain),
    ("count", Plain),
    ("user_ids", Plain),
    ("to", Plain),
    ("for", Plain),
    ("remove", Plain),
    ("inbox", Plain),
    ("is_typing", Plain),
    ("status", Plain),
    ("last_seen", Plain),
    ("server_time", Plain),
    ("code", Plain),
    ("details", Plain),
    ("retry_after_ms", Plain),
    ("conversation", Plain),
    ("member", Plain),
    ("role", Plain),
    ("joined_seq", Plain),
    ("left_seq", Plain),
    ("name", Plain),
    ("member_count", Plain),
    ("head_seq", Plain),
    ("large", Plain),
    ("created_at", Plain),
    ("settings", Plain),
];

/// Words under `type`; the place is the number. The first 24 take one byte.
pub const WORDS: &[&str] = &[
    "new_message",
    "message_sent",
    "send_message",
    "text",
    "receipt",
    "inbox_updated",
    "ok",
    "error",
    "mark_read",
    "mark_delivered",
    "message_updated",
    "message_deleted",
    "heartbeat",
    "typing",
    "presence_update",
    "image",
    "file",
    "system",
    "direct",
    "group",
    "edit_message",
    "delete_message",
    "react",
    "conversation_updated",
    "member_updated",
    "hello",
    "sync_required",
    "presence_subscribe",
    "presence_unsubscribe",
];

/// The number of a name.
pub(super) fn number_of(name: &str) -> Option<usize> {
    NAMES.iter().position(|(known, _)| *known == name)
}

/// What numbers in a map are counted from, as far as it has been read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bases {
    message_ms: Option<i64>,
    rev: Option<i64>,
}

impl Bases {
    /// Takes in a value that others may be counted from.
    pub(super) fn note(&mut self, rule: Rule, name: &str, value: u64) {
        match (rule, name) {
            (Digits, "message_id") => {
                self.message_ms =
                    ostracon_domain::MessageId::new(value).ok().map(|id| id.unix_ms());
            }
            (_, "rev") => self.rev = i64::try_from(value).ok(),
            _ => {}
        }
    }

    /// What the value of a name is counted from; none: it is as it is.
    pub(super) const fn of(&self, rule: Rule) -> Option<i64> {
        match rule {
            SinceMessage => self.message_ms,
            SinceRev => self.rev,
            _ => None,
        }
    }
}
