//! What several tests need: ids, a message, and a seeded source of chance.

use ostracon_domain::{ConversationId, History, MessageId, MessageKind, UserId};
use ostracon_proto::{Message, Reaction, Reply};

pub(crate) const HISTORY: History = History(u64::MAX);

pub(crate) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn direct() -> ConversationId {
    ConversationId::direct(user(1), user(2))
}

pub(crate) fn group() -> ConversationId {
    "0197a7f4-2b3c-7d4e-8f50-112233445566".parse().unwrap()
}

pub(crate) fn message_id() -> MessageId {
    MessageId::new(42).unwrap()
}

pub(crate) fn message(content: &str) -> Message<'_> {
    Message {
        message_id: message_id(),
        conversation_id: direct(),
        seq: 1,
        rev: 2,
        content_rev: 2,
        sender_id: user(1),
        kind: MessageKind::Text,
        content: Some(content.into()),
        timestamp: 1_795_257_516_007,
        client_id: None,
        edited_at: None,
        deleted_at: None,
        deleted_by: None,
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        pinned_at: None,
        expires_at: None,
        hidden: false,
        withheld: false,
        history: None,
        mark_rev: None,
        attachments: Vec::new(),
    }
}

/// A message with every field set.
pub(crate) fn full_message() -> Message<'static> {
    Message {
        client_id: Some("a\"b".into()),
        edited_at: Some(5),
        deleted_at: Some(6),
        deleted_by: Some(user(2)),
        reply_to: Some(Reply { seq: 1, sender_id: user(2), excerpt: "…".into() }),
        mentions: vec![ostracon_domain::Mention { user_id: user(2), start: 0, end: 2 }],
        reactions: vec![Reaction { emoji: "👍".into(), count: 12, user_ids: vec![user(1)] }],
        pinned_at: None,
        hidden: false,
        withheld: true,
        history: Some(HISTORY),
        mark_rev: Some(7),
        ..message("line\nbreak \u{1F468}\u{200D}\u{1F469}")
    }
}

const SPECIAL: &[u8] = b"{}[]\",:\\u0-9e\xff\x00";

/// xorshift64*: the same numbers on every run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    /// Changes, drops, doubles or inserts a few bytes.
    pub(crate) fn mutate(&mut self, data: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if data.is_empty() {
                data.push(b'{');
            }
            let at = self.below(data.len());
            match self.below(5) {
                0 => data[at] = self.below(256) as u8,
                1 => data[at] ^= 1 << self.below(8),
                2 => drop(data.remove(at)),
                3 => data.insert(at, SPECIAL[self.below(SPECIAL.len())]),
                _ => data.truncate(at),
            }
        }
    }
}
