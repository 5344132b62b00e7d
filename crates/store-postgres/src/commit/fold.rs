//! The rows of a batch as they are in its end, by what has to be done with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ostracon_domain::{
    Annex, AnnexKey, Conversation, ConversationId, InboxEntry, Member, Message, Reaction, Row, Seq,
    Subject, UserId, UserState,
};
use ostracon_store::{Note, SubjectVersion};

use super::load::Stored;
use crate::{fence::Units, moves::NoteColumns};

/// Each row once, in the order of its key.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) new_conversations: Vec<Arc<Conversation>>,
    pub(super) conversations: Vec<Arc<Conversation>>,
    pub(super) members: Vec<Arc<Member>>,
    /// Removed before anything else is written: what was sent after a removal stays.
    pub(super) gone: Vec<(ConversationId, Seq)>,
    pub(super) new_messages: Vec<Arc<Message>>,
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) reactions: Vec<Arc<Reaction>>,
    pub(super) reactions_gone: Vec<Arc<Reaction>>,
    /// Messages that lose all their small rows, before others are written.
    pub(super) annexes_of: Vec<(ConversationId, Seq)>,
    pub(super) annexes: Vec<Arc<Annex>>,
    pub(super) annexes_gone: Vec<Arc<Annex>>,
    pub(super) new_users: Vec<Arc<UserState>>,
    pub(super) users: Vec<Arc<UserState>>,
    pub(super) inbox: Vec<Arc<InboxEntry>>,
}

impl Changes {
    /// What has to be noted of it. Every durable change of a subject changes its own row, so these rows tell all.
    pub(super) fn notes(&self, units: &Units) -> NoteColumns {
        let mut notes = Vec::new();
        if units.any_captured() {
            for row in self.new_conversations.iter().chain(&self.conversations) {
                if units.captures(row.unit) {
                    let subject = Subject::Conversation(row.id);
                    notes.push((row.unit, Note { subject, version: SubjectVersion::from(&**row) }));
                }
            }
            for row in self.new_users.iter().chain(&self.users) {
                if units.captures(row.unit) {
                    let subject = Subject::User(row.user);
                    notes.push((row.unit, Note { subject, version: SubjectVersion::from(&**row) }));
                }
            }
        }
        NoteColumns::of(notes)
    }
}

#[derive(Default)]
struct Last {
    conversations: BTreeMap<ConversationId, Arc<Conversation>>,
    members: BTreeMap<(ConversationId, UserId), Arc<Member>>,
    gone: BTreeMap<ConversationId, Seq>,
    messages: BTreeMap<(ConversationId, Seq), Arc<Message>>,
    /// With whether it is there.
    reactions: BTreeMap<Arc<Reaction>, bool>,
    annexes_of: BTreeSet<(ConversationId, Seq)>,
    /// With whether it is there.
    annexes: BTreeMap<(ConversationId, AnnexKey), (Arc<Annex>, bool)>,
    users: BTreeMap<UserId, Arc<UserState>>,
    inbox: BTreeMap<(UserId, ConversationId), Arc<InboxEntry>>,
}

impl Last {
    fn take(&mut self, row: &Row) {
        match row {
            Row::Conversation(row) => {
                self.conversations.insert(row.id, Arc::clone(row));
            }
            Row::Member(row) => {
                self.members.insert((row.conversation, row.user), Arc::clone(row));
            }
            Row::Message(row) => {
                self.messages.insert((row.conversation, row.seq), Arc::clone(row));
            }
            Row::Reaction(row) => {
                self.reactions.insert(Arc::clone(row), true);
            }
            Row::ReactionGone(row) => {
                self.reactions.insert(Arc::clone(row), false);
            }
            Row::MessagesGone { conversation, below } => {
                let all = (*conversation, 0)..(*conversation, *below);
                let dropped: Vec<_> = self.messages.range(all).map(|(key, _)| *key).collect();
                for key in dropped {
                    self.messages.remove(&key);
                }
                self.reactions
                    .retain(|row, _| row.conversation != *conversation || row.seq >= *below);
                self.annexes.retain(|(of, key), _| {
                    of != conversation || key.seq() == 0 || key.seq() >= *below
                });
                let gone = self.gone.entry(*conversation).or_default();
                *gone = (*gone).max(*below);
            }
            Row::Annex(row) => {
                self.annexes.insert((row.conversation, row.key), (Arc::clone(row), true));
            }
            Row::AnnexGone(row) => {
                self.annexes.insert((row.conversation, row.key), (Arc::clone(row), false));
            }
            Row::AnnexesGone { conversation, seq } => {
                self.annexes.retain(|(of, key), _| of != conversation || key.seq() != *seq);
                self.annexes_of.insert((*conversation, *seq));
            }
            Row::User(row) => {
                self.users.insert(row.user, Arc::clone(row));
            }
            Row::Inbox(row) => {
                self.inbox.insert((row.user, row.conversation), Arc::clone(row));
            }
        }
    }
}

/// Keeps the last state of each row, and tells new ones from those that were stored.
pub(super) fn fold<'r>(rows: impl Iterator<Item = &'r Row>, stored: &Stored) -> Changes {
    let mut last = Last::default();
    rows.for_each(|row| last.take(row));
    let mut changes = Changes::default();
    (changes.conversations, changes.new_conversations) =
        last.conversations.into_values().partition(|row| stored.heads.contains_key(&row.id));
    (changes.messages, changes.new_messages) = last
        .messages
        .into_values()
        .partition(|row| stored.heads.get(&row.conversation).is_some_and(|head| row.seq <= *head));
    (changes.users, changes.new_users) =
        last.users.into_values().partition(|row| stored.users.contains(&row.user));
    for (row, there) in last.reactions {
        if there { &mut changes.reactions } else { &mut changes.reactions_gone }.push(row);
    }
    for (row, there) in last.annexes.into_values() {
        if there { &mut changes.annexes } else { &mut changes.annexes_gone }.push(row);
    }
    changes.annexes_of = last.annexes_of.into_iter().collect();
    changes.members = last.members.into_values().collect();
    changes.gone = last.gone.into_iter().collect();
    changes.inbox = last.inbox.into_values().collect();
    changes
}
