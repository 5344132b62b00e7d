//! A page of rows by kind, the newest state of each once. What is stored is not looked at here.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Conversation, ConversationId, InboxEntry, Member, Message, Reaction, Row, Seq, UserId,
    UserState,
};

pub(super) type WithReactions = (Arc<Message>, Vec<Arc<Reaction>>);

/// The newest state of each row of a page, in the order of its key, so that writers never wait in a circle.
#[derive(Default)]
pub(super) struct Newest {
    pub(super) conversations: BTreeMap<ConversationId, Arc<Conversation>>,
    pub(super) members: BTreeMap<(ConversationId, UserId), Arc<Member>>,
    pub(super) gone: BTreeMap<ConversationId, Seq>,
    pub(super) messages: BTreeMap<(ConversationId, Seq), WithReactions>,
    pub(super) users: BTreeMap<UserId, Arc<UserState>>,
    pub(super) inbox: BTreeMap<(UserId, ConversationId), Arc<InboxEntry>>,
}

impl Newest {
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut newest = Self::default();
        // Reactions follow their message; those of an older state than one before on this page go with it.
        let mut message_taken = false;
        for row in rows {
            match row {
                Row::Conversation(row) => {
                    let version = |row: &Conversation| row.rev.saturating_add(row.mark_rev);
                    put(&mut newest.conversations, row.id, row, version);
                }
                Row::Member(row) => {
                    let version = |row: &Member| row.rev.saturating_add(row.mark_rev);
                    put(&mut newest.members, (row.conversation, row.user), row, version);
                }
                Row::Message(row) => {
                    let key = (row.conversation, row.seq);
                    let known = newest.messages.get(&key);
                    message_taken = known.is_none_or(|(known, _)| known.rev <= row.rev);
                    if message_taken {
                        newest.messages.insert(key, (Arc::clone(row), Vec::new()));
                    }
                }
                Row::Reaction(row) => {
                    if message_taken
                        && let Some((_, reactions)) =
                            newest.messages.get_mut(&(row.conversation, row.seq))
                    {
                        reactions.push(Arc::clone(row));
                    }
                }
                Row::ReactionGone(_) => {}
                Row::MessagesGone { conversation, below } => {
                    newest.messages.retain(|(id, seq), _| id != conversation || seq >= below);
                    let gone = newest.gone.entry(*conversation).or_default();
                    *gone = (*gone).max(*below);
                }
                Row::User(row) => put(&mut newest.users, row.user, row, |row| row.user_rev),
                Row::Inbox(row) => {
                    put(&mut newest.inbox, (row.user, row.conversation), row, |row| row.user_rev);
                }
            }
        }
        newest
    }
}

fn put<K: Ord, T>(
    rows: &mut BTreeMap<K, Arc<T>>,
    key: K,
    row: &Arc<T>,
    version: impl Fn(&T) -> u64,
) {
    if rows.get(&key).is_none_or(|known| version(known) <= version(row)) {
        rows.insert(key, Arc::clone(row));
    }
}
