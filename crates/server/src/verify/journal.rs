//! The newest states that the journal holds, to be found again in the tables.
//!
//! Whoever can read a journal fills this from its frames, oldest first; the check compares every row it reads.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use ostracon_domain::{ConversationId, Row, Seq, ShardId, Subject, UserId};

/// Rows remembered, about 100 bytes each; further ones are left out.
const ROWS_MAX: usize = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Conversation(ConversationId),
    Member(ConversationId, UserId),
    Message(ConversationId, Seq),
    User(UserId),
    Inbox(UserId, ConversationId),
}

#[derive(Debug, Default)]
struct Newest {
    number: u64,
    seen: AtomicBool,
}

/// The newest number of every row in a journal.
#[derive(Debug, Default)]
pub struct JournalRows {
    rows: HashMap<(ShardId, Key), Newest>,
    /// Messages below are physically removed.
    gone_below: HashMap<ConversationId, Seq>,
}

impl JournalRows {
    /// Takes the rows of one frame.
    pub fn take(&mut self, shard: ShardId, rows: &[Row]) {
        for row in rows {
            if let Row::MessagesGone { conversation, below } = row {
                let known = self.gone_below.entry(*conversation).or_default();
                *known = (*known).max(*below);
            }
            let Some((key, number)) = numbered(row) else { continue };
            let key = (shard, key);
            if self.rows.len() < ROWS_MAX || self.rows.contains_key(&key) {
                let known = self.rows.entry(key).or_default();
                known.number = number.max(known.number);
            }
        }
    }

    /// Rows that are remembered.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A sentence if the journal knows a newer state of a row than the one read.
    pub(super) fn newer_than(&self, shard: ShardId, row: &Row) -> Option<String> {
        if self.rows.is_empty() {
            return None;
        }
        let (key, number) = numbered(row)?;
        let newest = self.rows.get(&(shard, key))?;
        newest.seen.store(true, Ordering::Relaxed);
        let at = newest.number;
        (at > number)
            .then(|| format!("the journal has number {at} of {key:?}, the tables have {number}"))
    }

    /// Rows that should have been read and were not: shard, subject and a sentence.
    pub(super) fn unseen(&self) -> impl Iterator<Item = (ShardId, Subject, String)> + '_ {
        let missing = |key: &Key| match key {
            Key::Message(id, seq) => self.gone_below.get(id).is_none_or(|below| seq >= below),
            _ => true,
        };
        self.rows
            .iter()
            .filter(move |((_, key), newest)| !newest.seen.load(Ordering::Relaxed) && missing(key))
            .map(|((shard, key), _)| {
                let subject = match key {
                    Key::Conversation(id) | Key::Member(id, _) | Key::Message(id, _) => {
                        Subject::Conversation(*id)
                    }
                    Key::User(user) | Key::Inbox(user, _) => Subject::User(*user),
                };
                (*shard, subject, format!("the journal has {key:?}, the tables do not"))
            })
    }
}

/// The key of a row and a number that rises with every change of it.
fn numbered(row: &Row) -> Option<(Key, u64)> {
    Some(match row {
        Row::Conversation(row) => (Key::Conversation(row.id), row.rev + row.mark_rev),
        Row::Member(row) => (Key::Member(row.conversation, row.user), row.rev + row.mark_rev),
        Row::Message(row) => (Key::Message(row.conversation, row.seq), row.rev),
        Row::User(row) => (Key::User(row.user), row.user_rev),
        Row::Inbox(row) => (Key::Inbox(row.user, row.conversation), row.user_rev),
        // What belongs to a message has its number.
        Row::Reaction(_)
        | Row::ReactionGone(_)
        | Row::MessagesGone { .. }
        | Row::Annex(_)
        | Row::AnnexGone(_)
        | Row::AnnexesGone { .. } => return None,
    })
}
