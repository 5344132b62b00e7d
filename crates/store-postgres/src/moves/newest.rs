//! A page of rows by kind, the newest state of each once. What is stored is not looked at here.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Annex, AnnexKey, Conversation, ConversationId, InboxEntry, Member, Message, Reaction, Row, Seq,
    UserId, UserState,
};

/// A message with what follows it.
pub(super) struct Whole {
    pub(super) message: Arc<Message>,
    pub(super) reactions: Vec<Arc<Reaction>>,
    pub(super) annexes: Vec<Arc<Annex>>,
}

/// The newest state of each row of a page, in the order of its key, so that writers never wait in a circle.
#[derive(Default)]
pub(super) struct Newest {
    pub(super) conversations: BTreeMap<ConversationId, Arc<Conversation>>,
    pub(super) members: BTreeMap<(ConversationId, UserId), Arc<Member>>,
    pub(super) gone: BTreeMap<ConversationId, Seq>,
    pub(super) messages: BTreeMap<(ConversationId, Seq), Whole>,
    /// Small rows with numbers of their own.
    pub(super) annexes: BTreeMap<(ConversationId, AnnexKey), Arc<Annex>>,
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
                    message_taken = known.is_none_or(|known| known.message.rev <= row.rev);
                    if message_taken {
                        let whole = Whole {
                            message: Arc::clone(row),
                            reactions: Vec::new(),
                            annexes: Vec::new(),
                        };
                        newest.messages.insert(key, whole);
                    }
                }
                Row::Reaction(row) => {
                    if message_taken
                        && let Some(whole) = newest.messages.get_mut(&(row.conversation, row.seq))
                    {
                        whole.reactions.push(Arc::clone(row));
                    }
                }
                Row::Annex(row) if row.key.kind.is_of_message() => {
                    let key = (row.conversation, row.key.seq());
                    if message_taken && let Some(whole) = newest.messages.get_mut(&key) {
                        whole.annexes.push(Arc::clone(row));
                    }
                }
                Row::Annex(row) => {
                    put(&mut newest.annexes, (row.conversation, row.key), row, |row| row.number);
                }
                Row::ReactionGone(_) | Row::AnnexGone(_) | Row::AnnexesGone { .. } => {}
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
