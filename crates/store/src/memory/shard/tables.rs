//! The rows of a shard in ordered maps, and how one is written. It knows no fence and no rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ostracon_domain::{
    Annex, AnnexKey, ClientId, Conversation, ConversationId, InboxEntry, Member, Message,
    MessageView, Quote, Reaction, ReactionGroup, Row, Seq, UnitId, UserId, UserState,
};

use crate::working_set::{Missing, WorkingSet};

const FIRST_USER: UserId = match UserId::new(1) {
    Ok(user) => user,
    Err(_) => panic!("1 is a user id"),
};

type ProbeKey = (ConversationId, UserId, ClientId);

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) conversations: BTreeMap<ConversationId, Arc<Conversation>>,
    pub(super) members: BTreeMap<(ConversationId, UserId), Arc<Member>>,
    pub(super) messages: BTreeMap<(ConversationId, Seq), Arc<Message>>,
    pub(super) reactions: BTreeSet<Reaction>,
    pub(super) users: BTreeMap<UserId, Arc<UserState>>,
    pub(super) inbox: BTreeMap<(UserId, ConversationId), Arc<InboxEntry>>,
    pub(super) annexes: BTreeMap<(ConversationId, AnnexKey), Arc<Annex>>,
    probes: BTreeMap<ProbeKey, Seq>,
}

impl Tables {
    /// Writes the new state of a row.
    pub(super) fn write(&mut self, row: &Row) {
        match row {
            Row::Conversation(row) => {
                self.conversations.insert(row.id, Arc::clone(row));
            }
            Row::Member(row) => {
                let key = (row.conversation, row.user);
                self.members.insert(key, Arc::clone(row));
            }
            Row::Message(row) => {
                if let Some(client_id) = &row.client_id {
                    let key = (row.conversation, row.sender, client_id.clone());
                    self.probes.insert(key, row.seq);
                }
                let key = (row.conversation, row.seq);
                self.messages.insert(key, Arc::clone(row));
            }
            Row::Reaction(row) => {
                self.reactions.insert(Reaction::clone(row));
            }
            Row::ReactionGone(row) => {
                self.reactions.remove(&**row);
            }
            Row::MessagesGone { conversation, below } => {
                self.remove_messages(*conversation, *below)
            }
            Row::Annex(row) => {
                self.annexes.insert((row.conversation, row.key), Arc::clone(row));
            }
            Row::AnnexGone(row) => {
                self.annexes.remove(&(row.conversation, row.key));
            }
            Row::AnnexesGone { conversation, seq } => {
                self.annexes.retain(|(of, key), _| of != conversation || key.seq() != *seq);
            }
            Row::User(row) => {
                self.users.insert(row.user, Arc::clone(row));
            }
            Row::Inbox(row) => {
                let key = (row.user, row.conversation);
                self.inbox.insert(key, Arc::clone(row));
            }
        }
    }

    pub(super) fn remove_messages(&mut self, id: ConversationId, below: Seq) {
        self.messages.retain(|(of, seq), _| *of != id || *seq >= below);
        self.probes.retain(|(of, ..), seq| *of != id || *seq >= below);
        self.reactions.retain(|row| row.conversation != id || row.seq >= below);
        let stays = |key: &AnnexKey| key.seq() == 0 || key.seq() >= below;
        self.annexes.retain(|(of, key), _| *of != id || stays(key));
    }

    /// Writes imported rows. Rows with a higher number stay; reactions follow their message.
    pub(super) fn import(&mut self, rows: &[Row]) {
        let mut message_written = false;
        for row in rows {
            let newer = match row {
                Row::Conversation(row) => self
                    .conversations
                    .get(&row.id)
                    .is_none_or(|old| old.rev + old.mark_rev <= row.rev + row.mark_rev),
                Row::Member(row) => self
                    .members
                    .get(&(row.conversation, row.user))
                    .is_none_or(|old| old.rev + old.mark_rev <= row.rev + row.mark_rev),
                Row::Message(row) => {
                    let old = self.messages.get(&(row.conversation, row.seq));
                    message_written = old.is_none_or(|old| old.rev <= row.rev);
                    if message_written {
                        self.reactions
                            .retain(|r| (r.conversation, r.seq) != (row.conversation, row.seq));
                        // A tombstone has none at all.
                        let goes =
                            |key: &AnnexKey| row.deleted.is_some() || key.kind.is_of_message();
                        self.annexes.retain(|(of, key), _| {
                            *of != row.conversation || key.seq() != row.seq || !goes(key)
                        });
                    }
                    message_written
                }
                Row::Reaction(_) | Row::ReactionGone(_) => message_written,
                Row::Annex(row) if row.key.kind.is_of_message() => message_written,
                Row::Annex(row) => {
                    let (id, seq) = (row.conversation, row.key.seq());
                    let deleted =
                        self.messages.get(&(id, seq)).is_some_and(|row| row.deleted.is_some());
                    let removed = self
                        .conversations
                        .get(&id)
                        .is_some_and(|row| seq > 0 && seq < row.retained_from);
                    let old = self.annexes.get(&(id, row.key));
                    !deleted && !removed && old.is_none_or(|old| old.number <= row.number)
                }
                Row::AnnexGone(_) | Row::AnnexesGone { .. } => false,
                Row::MessagesGone { .. } => true,
                Row::User(row) => {
                    self.users.get(&row.user).is_none_or(|old| old.user_rev <= row.user_rev)
                }
                Row::Inbox(row) => self
                    .inbox
                    .get(&(row.user, row.conversation))
                    .is_none_or(|old| old.user_rev <= row.user_rev),
            };
            if newer {
                self.write(row);
            }
        }
    }

    /// A message with its reactions and its quote.
    pub(super) fn view(&self, id: ConversationId, seq: Seq) -> Option<MessageView> {
        let message = Arc::clone(self.messages.get(&(id, seq))?);
        let quote = message
            .reply_to
            .and_then(|seq| self.messages.get(&(id, seq)))
            .map(|quoted| Quote::of(quoted));
        let mut groups: BTreeMap<&str, Vec<UserId>> = BTreeMap::new();
        for reaction in self.reactions_of(id, seq) {
            groups.entry(&reaction.emoji).or_default().push(reaction.user);
        }
        let reactions = groups
            .into_iter()
            .map(|(emoji, users)| ReactionGroup { emoji: emoji.to_owned(), users })
            .collect();
        Some(MessageView { message, reactions, quote })
    }

    /// The reactions to a message, by user and emoji.
    pub(super) fn reactions_of(
        &self,
        id: ConversationId,
        seq: Seq,
    ) -> impl Iterator<Item = &Reaction> {
        let first = Reaction { conversation: id, seq, user: FIRST_USER, emoji: String::new() };
        self.reactions
            .range(first..)
            .take_while(move |row| row.conversation == id && row.seq == seq)
    }

    /// The small rows that belong to a message and travel with it, by key.
    pub(super) fn annexes_of_message(
        &self,
        id: ConversationId,
        seq: Seq,
    ) -> impl Iterator<Item = &Arc<Annex>> {
        let of_message = move |row: &&Arc<Annex>| row.key.kind.is_of_message();
        self.annexes_of(id).filter(of_message).filter(move |row| row.key.seq() == seq)
    }

    /// The small rows of a conversation with a line of numbers of their own, by key.
    pub(super) fn annexes_on_their_own(
        &self,
        id: ConversationId,
    ) -> impl Iterator<Item = &Arc<Annex>> {
        self.annexes_of(id).filter(|row| !row.key.kind.is_of_message())
    }

    /// All small rows of a conversation, by key.
    pub(super) fn annexes_of(&self, id: ConversationId) -> impl Iterator<Item = &Arc<Annex>> {
        let all = self.annexes.iter().filter(move |((of, _), _)| *of == id);
        all.map(|(_, row)| row)
    }

    /// The member rows of a conversation, by user.
    pub(super) fn members_of(&self, id: ConversationId) -> impl Iterator<Item = &Arc<Member>> {
        self.members
            .range((id, FIRST_USER)..)
            .take_while(move |((of, _), _)| *of == id)
            .map(|(_, member)| member)
    }

    /// Tells a working set what it asks for.
    pub(super) fn load(&self, missing: Vec<Missing>, set: &mut WorkingSet) {
        for missing in missing {
            match missing {
                Missing::Conversation(id) => {
                    set.know_conversation(id, self.conversations.get(&id).cloned());
                }
                Missing::Member(id, user) => {
                    set.know_member(id, user, self.members.get(&(id, user)).cloned());
                }
                Missing::Message(id, seq) => set.know_message(id, seq, self.view(id, seq)),
                Missing::Probe(id, sender, client_id) => {
                    let seq = self.probes.get(&(id, sender, client_id.clone()));
                    let view = seq.and_then(|seq| self.view(id, *seq));
                    set.know_probe(id, sender, client_id, view);
                }
                Missing::Annex(id, key) => {
                    set.know_annex(id, key, self.annexes.get(&(id, key)).cloned());
                }
                Missing::User(user) => set.know_user(user, self.users.get(&user).cloned()),
                Missing::Inbox(user, id) => {
                    set.know_inbox(user, id, self.inbox.get(&(user, id)).cloned());
                }
            }
        }
    }

    /// The conversations of a unit, by id.
    pub(super) fn conversations_of(&self, unit: UnitId) -> impl Iterator<Item = &Conversation> {
        let all = self.conversations.values();
        all.map(|row| &**row).filter(move |row| row.unit == unit)
    }

    /// The users of a unit, by id.
    pub(super) fn users_of(&self, unit: UnitId) -> impl Iterator<Item = &UserState> {
        let all = self.users.values();
        all.map(|row| &**row).filter(move |row| row.unit == unit)
    }
}
