//! The rows of many batches, each in its last state, sorted by table and key: what one transaction writes.

use std::sync::Arc;

use ostracon_domain::{
    Annex, Conversation, ConversationId, InboxEntry, Member, Message, Reaction, Row, Seq, UserState,
};
use ostracon_store::UnitState;
use rustc_hash::FxHashMap;

use super::{Result, queue::Taken};
use crate::tables::{Known, TableWriter};

/// The rows by kind.
#[derive(Default)]
pub(super) struct Sorted<'a> {
    conversations: Vec<&'a Arc<Conversation>>,
    members: Vec<&'a Arc<Member>>,
    messages: Vec<&'a Arc<Message>>,
    reactions: Vec<(&'a Arc<Reaction>, bool)>,
    gone: FxHashMap<ConversationId, Seq>,
    annexes: Vec<(&'a Arc<Annex>, bool)>,
    annexes_gone: Vec<(ConversationId, Seq)>,
    users: Vec<&'a Arc<UserState>>,
    inbox: Vec<&'a Arc<InboxEntry>>,
    units: Vec<&'a UnitState>,
}

/// Sorts by key and keeps the last of each.
fn settle<T, K: Ord>(rows: &mut Vec<T>, key: impl Fn(&T) -> K) {
    rows.sort_by_key(&key);
    rows.reverse();
    rows.dedup_by(|later, first| key(later) == key(first));
    rows.reverse();
}

impl<'a> Sorted<'a> {
    pub(super) fn of(batches: &'a [Taken]) -> Self {
        let mut sorted = Self::default();
        for batch in batches {
            sorted.units.extend(&batch.units);
            for row in &batch.rows {
                sorted.take(row);
            }
        }
        settle(&mut sorted.conversations, |row| row.id);
        settle(&mut sorted.members, |row| (row.conversation, row.user));
        settle(&mut sorted.messages, |row| (row.conversation, row.seq));
        settle(&mut sorted.reactions, |(row, _)| *row);
        settle(&mut sorted.annexes, |(row, _)| (row.conversation, row.key));
        settle(&mut sorted.users, |row| row.user);
        settle(&mut sorted.inbox, |row| (row.user, row.conversation));
        settle(&mut sorted.units, |state| state.unit);
        sorted
    }

    fn take(&mut self, row: &'a Row) {
        match row {
            Row::Conversation(row) => self.conversations.push(row),
            Row::Member(row) => self.members.push(row),
            Row::Message(row) => self.messages.push(row),
            Row::Reaction(row) => self.reactions.push((row, true)),
            Row::ReactionGone(row) => self.reactions.push((row, false)),
            Row::MessagesGone { conversation, below } => {
                // What came before it must not come back behind it.
                self.messages.retain(|row| row.conversation != *conversation || row.seq >= *below);
                self.reactions
                    .retain(|(row, _)| row.conversation != *conversation || row.seq >= *below);
                self.annexes.retain(|(row, _)| {
                    row.conversation != *conversation
                        || row.key.seq() == 0
                        || row.key.seq() >= *below
                });
                let known = self.gone.entry(*conversation).or_insert(0);
                *known = (*known).max(*below);
            }
            Row::Annex(row) => self.annexes.push((row, true)),
            Row::AnnexGone(row) => self.annexes.push((row, false)),
            Row::AnnexesGone { conversation, seq } => {
                self.annexes
                    .retain(|(row, _)| row.conversation != *conversation || row.key.seq() != *seq);
                self.annexes_gone.push((*conversation, *seq));
            }
            Row::User(row) => self.users.push(row),
            Row::Inbox(row) => self.inbox.push(row),
        }
    }

    /// Writes everything inside the transaction that was begun.
    pub(super) fn write(&self, writer: &mut TableWriter) -> Result<()> {
        for row in &self.conversations {
            writer.conversation(row, Known::Replace)?;
        }
        for (id, below) in &self.gone {
            if let Some(key) = writer.key(*id)? {
                writer.messages_gone(key, *below)?;
            }
        }
        for row in &self.members {
            let key = writer.key_or_new(row.conversation)?;
            writer.member(key, row, Known::Replace)?;
        }
        let mut keys = Vec::with_capacity(self.messages.len());
        let mut last = None;
        for row in &self.messages {
            let key = match last {
                Some((id, key)) if id == row.conversation => key,
                _ => writer.key_or_new(row.conversation)?,
            };
            last = Some((row.conversation, key));
            keys.push(key);
        }
        writer.messages(keys.into_iter().zip(self.messages.iter().map(|row| &***row)))?;
        for (row, there) in &self.reactions {
            let key = writer.key_or_new(row.conversation)?;
            writer.reaction(key, row, *there)?;
        }
        for (id, seq) in &self.annexes_gone {
            if let Some(key) = writer.key(*id)? {
                writer.annexes_gone(key, *seq)?;
            }
        }
        for (row, there) in &self.annexes {
            let key = writer.key_or_new(row.conversation)?;
            writer.annex(key, row, *there)?;
        }
        for row in &self.users {
            writer.user_state(row, Known::Replace)?;
        }
        for row in &self.inbox {
            writer.inbox(row, Known::Replace)?;
        }
        for state in &self.units {
            writer.unit_state(state)?;
        }
        Ok(())
    }
}
