//! What the small server holds at each moment of its two lines, as the wire shows it.

use super::configs::Config;
use ostracon_domain::{
    ConversationId, ConversationKind, History, MessageId, MessageKind, Rev, Seq, UserId,
};
use ostracon_proto::{
    Conversation, Message, Position,
    rest::{Anchor, Changes, MessagePage},
};

/// A row image: the rev that wrote it, and 100 more on a line that goes on from a restored prefix.
pub(super) type Image = u64;

pub(super) const ME: u64 = 1;
pub(super) const OTHER: u64 = 2;
pub(super) const RESTORED: Image = 100;

/// What the server holds at each (history, rev).
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) config: &'static Config,
    pub(super) lines: [Line; 2],
}

#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) len: usize,
    /// Images by seq, at each rev.
    pub(super) rows: Vec<Vec<Image>>,
    /// Seq and image that each rev wrote; seq 0: the conversation row.
    pub(super) events: Vec<(Seq, Image, u8)>,
    pub(super) large: Vec<bool>,
    /// The rev of the conversation row, at each rev.
    pub(super) info: Vec<Rev>,
}

pub(super) fn conversation() -> ConversationId {
    ConversationId::new_group(1, [7; 10])
}

pub(super) fn history_of(index: usize) -> History {
    History(1 + index as u64)
}

pub(super) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

impl Tables {
    pub(super) fn new(config: &'static Config) -> Self {
        let restored = [&config.line[..config.keep], config.line1].concat();
        let lines = [config.line.to_vec(), restored];
        Self { config, lines: [0, 1].map(|index| Line::new(&lines[index], index, config.keep)) }
    }

    pub(super) fn message(&self, seq: Seq, image: Image) -> Message<'static> {
        let rev = image % RESTORED;
        // Deletions come second on a row: what a rev above its birth left behind.
        let op = self.lines[usize::from(image > RESTORED)].events[rev as usize].2;
        let deleted = self.config.deletes && op.is_ascii_digit();
        Message {
            message_id: MessageId::new(seq).unwrap(),
            conversation_id: conversation(),
            seq,
            rev,
            content_rev: image,
            sender_id: user(OTHER),
            kind: MessageKind::Text,
            content: (!deleted).then_some("text".into()),
            timestamp: 1,
            client_id: None,
            edited_at: None,
            deleted_at: deleted.then_some(1),
            deleted_by: deleted.then(|| user(OTHER)),
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

    pub(super) fn rows(&self, history: usize, rev: usize) -> &[Image] {
        &self.lines[history].rows[rev]
    }

    pub(super) fn conversation(&self, history: usize, rev: usize) -> Conversation<'static> {
        Conversation {
            conversation_id: conversation(),
            kind: ConversationKind::Group,
            name: None,
            member_count: 2,
            head_seq: self.rows(history, rev).len() as Seq,
            rev: rev as Rev,
            mark_rev: 0,
            history: history_of(history),
            large: self.lines[history].large[rev],
            created_at: 0,
            settings: ostracon_proto::Settings::default(),
            retained_from: None,
            timer_s: None,
            retention_s: None,
        }
    }

    pub(super) fn changes(
        &self,
        history: usize,
        since: Rev,
        limit: u32,
        now: usize,
        noted: usize,
    ) -> Changes<'static> {
        let line = &self.lines[history];
        let images = line.rows[now].iter().zip(1..);
        let mut rows: Vec<(Rev, Seq, Image)> =
            images.map(|(image, seq)| (image % RESTORED, seq, *image)).collect();
        rows.push((line.info[now], 0, 0));
        rows.retain(|(rev, ..)| *rev > since);
        rows.sort_unstable();
        let limit = limit as usize;
        let more = rows.len() > limit;
        let rev = if more { (rows[limit].0 - 1).min(noted as Rev) } else { noted as Rev };
        rows.truncate(limit);
        let info = rows.iter().any(|(_, seq, _)| *seq == 0);
        let messages = rows.into_iter().filter(|(_, seq, _)| *seq > 0);
        Changes {
            conversation: info.then(|| self.conversation(history, now)),
            messages: messages.map(|(_, seq, image)| self.message(seq, image)).collect(),
            members: Vec::new(),
            receipts: Vec::new(),
            hidden: Vec::new(),
            rev,
            mark_rev: 0,
            history: history_of(history),
            more,
            reset: false,
        }
    }

    pub(super) fn page(
        &self,
        history: usize,
        anchor: Anchor,
        size: u32,
        now: usize,
        noted: usize,
    ) -> MessagePage<'static> {
        let head = self.rows(history, noted).len() as Seq;
        let size = Seq::from(size);
        let (first, last) = match anchor {
            Anchor::Newest => ((head + 1).saturating_sub(size).max(1), head),
            Anchor::Around(_) => (1, head.min(1)),
            Anchor::Before(Position::Seq(seq)) => (seq.saturating_sub(size).max(1), seq - 1),
            Anchor::After(Position::Seq(seq)) => (seq + 1, head.min(seq + size)),
            Anchor::Before(_) | Anchor::After(_) => unreachable!("the device asks by seq"),
        };
        let images = self.rows(history, now);
        MessagePage {
            messages: (first..=last)
                .filter_map(|seq| Some(self.message(seq, *images.get(seq as usize - 1)?)))
                .collect(),
            has_more_before: first > 1,
            has_more_after: last < head,
            first_seq: 1,
            head_seq: head,
            rev: noted as Rev,
            history: history_of(history),
            stale: false,
        }
    }
}

impl Line {
    fn new(ops: &[u8], index: usize, keep: usize) -> Self {
        let mut line = Self { len: ops.len(), ..Self::default() };
        let (mut rows, mut info) = (Vec::new(), 0);
        let mut large = ops.first() == Some(&b'G');
        line.rows.push(Vec::new());
        line.events.push((0, 0, b' '));
        line.large.push(false);
        line.info.push(0);
        for (at, op) in ops.iter().enumerate() {
            let rev = at as Rev + 1;
            let image = rev + if index == 1 && at >= keep { RESTORED } else { 0 };
            let seq = match op {
                b's' => {
                    rows.push(image);
                    rows.len()
                }
                b'1'..=b'9' => {
                    rows[usize::from(op - b'1')] = image;
                    usize::from(op - b'0')
                }
                _ => {
                    large = matches!(op, b'L' | b'G');
                    info = rev;
                    0
                }
            };
            line.rows.push(rows.clone());
            line.events.push((seq as Seq, image, *op));
            line.large.push(large);
            line.info.push(info);
        }
        line
    }
}
