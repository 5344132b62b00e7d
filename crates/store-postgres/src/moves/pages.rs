//! Rows that come from another shard: the newer of two states stays, nobody is told.
//!
//! One transaction a page; pages of one unit follow one another, since each locks the unit's row.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Conversation, ConversationId, InboxEntry, Member, Message, Reaction, Row, Seq, UnitAt, UserId,
    UserState,
};
use ostracon_store::{Pair, UnitPhase};
use uuid::Uuid;

use super::{
    Result, Verdict,
    unit::{Command, transact},
};
use crate::{
    commit::{
        ConversationColumns, InboxColumns, MemberColumns, MessageColumns, ReactionColumns,
        UserColumns, conversation_unnest, inbox_unnest, member_unnest, message_unnest,
        reaction_unnest, user_unnest,
    },
    pool::Database,
    session::Session,
    sql::{conversation_columns, inbox_columns, member_columns, message_columns, user_columns},
    value,
};

const CONVERSATIONS: &str = concat!(
    "INSERT INTO conversation AS c (",
    conversation_columns!(),
    ") SELECT * FROM ",
    conversation_unnest!(),
    " ON CONFLICT (id) DO UPDATE SET unit = excluded.unit, slot = excluded.slot, kind = excluded.kind, \
     name = excluded.name, created_at = excluded.created_at, history = excluded.history, head_seq = excluded.head_seq, \
     last_message_id = excluded.last_message_id, last_activity_at = excluded.last_activity_at, rev = excluded.rev, \
     info_rev = excluded.info_rev, mark_rev = excluded.mark_rev, member_count = excluded.member_count, \
     large = excluded.large, retained_from = excluded.retained_from, history_for = excluded.history_for, \
     create_hash = excluded.create_hash, deleted_at = excluded.deleted_at \
     WHERE c.rev + c.mark_rev <= excluded.rev + excluded.mark_rev"
);
const MEMBERS: &str = concat!(
    "INSERT INTO member AS m (",
    member_columns!(),
    ") SELECT * FROM ",
    member_unnest!(),
    " ON CONFLICT (conversation, user_id) DO UPDATE SET role = excluded.role, joined_seq = excluded.joined_seq, \
     left_seq = excluded.left_seq, rev = excluded.rev, read_seq = excluded.read_seq, \
     delivered_seq = excluded.delivered_seq, mark_rev = excluded.mark_rev, hidden_to = excluded.hidden_to, \
     muted_until = excluded.muted_until WHERE m.rev + m.mark_rev <= excluded.rev + excluded.mark_rev"
);
const MESSAGES_GONE: &str = "DELETE FROM message USING unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     WHERE conversation = k.of AND seq < k.below";
const REACTIONS_OF_GONE: &str = "DELETE FROM reaction USING unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     WHERE conversation = k.of AND seq < k.below";
const MESSAGES: &str = concat!(
    "INSERT INTO message AS m (",
    message_columns!(),
    ") SELECT * FROM ",
    message_unnest!(),
    " ON CONFLICT (conversation, seq) DO UPDATE SET message_id = excluded.message_id, slot = excluded.slot, \
     sender = excluded.sender, client_id = excluded.client_id, payload_hash = excluded.payload_hash, \
     kind = excluded.kind, content = excluded.content, reply_to = excluded.reply_to, mentions = excluded.mentions, \
     created_at = excluded.created_at, edited_at = excluded.edited_at, deleted_at = excluded.deleted_at, \
     deleted_by = excluded.deleted_by, uncounted = excluded.uncounted, created_rev = excluded.created_rev, \
     rev = excluded.rev, content_rev = excluded.content_rev WHERE m.rev <= excluded.rev \
     RETURNING conversation, seq"
);
const REACTIONS_BEFORE: &str = "DELETE FROM reaction USING unnest($1::uuid[], $2::bigint[]) AS k (of, n) \
     WHERE conversation = k.of AND seq = k.n";
const REACTIONS: &str = concat!(
    "INSERT INTO reaction (conversation, seq, user_id, emoji) SELECT * FROM ",
    reaction_unnest!(),
    " ON CONFLICT DO NOTHING"
);
const USERS: &str = concat!(
    "INSERT INTO user_state AS u (",
    user_columns!(),
    ") SELECT * FROM ",
    user_unnest!(),
    " ON CONFLICT (user_id) DO UPDATE SET unit = excluded.unit, slot = excluded.slot, history = excluded.history, \
     user_rev = excluded.user_rev WHERE u.user_rev <= excluded.user_rev"
);
const INBOX: &str = concat!(
    "INSERT INTO inbox AS i (",
    inbox_columns!(),
    ", listed) SELECT * FROM ",
    inbox_unnest!(),
    " ON CONFLICT (user_id, conversation) DO UPDATE SET applied_history = excluded.applied_history, \
     applied_rev = excluded.applied_rev, applied_mark_rev = excluded.applied_mark_rev, \
     last_seq = excluded.last_seq, last_activity_at = excluded.last_activity_at, \
     hidden_to = excluded.hidden_to, muted_until = excluded.muted_until, archived_seq = excluded.archived_seq, \
     marked_unread = excluded.marked_unread, pinned = excluded.pinned, large = excluded.large, \
     removed = excluded.removed, user_rev = excluded.user_rev, listed = excluded.listed \
     WHERE i.user_rev <= excluded.user_rev"
);

type WithReactions = (Arc<Message>, Vec<Arc<Reaction>>);

/// The newest state of each row of a page, in the order of its key, so that writers never wait in a circle.
#[derive(Default)]
struct Newest {
    conversations: BTreeMap<ConversationId, Arc<Conversation>>,
    members: BTreeMap<(ConversationId, UserId), Arc<Member>>,
    gone: BTreeMap<ConversationId, Seq>,
    messages: BTreeMap<(ConversationId, Seq), WithReactions>,
    users: BTreeMap<UserId, Arc<UserState>>,
    inbox: BTreeMap<(UserId, ConversationId), Arc<InboxEntry>>,
}

impl Newest {
    fn of(rows: &[Row]) -> Self {
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

/// Writes those rows that are newer than what is here, if the unit is importing at that epoch.
pub(super) async fn apply_rows(
    database: &Database,
    at: UnitAt,
    rows: &[Row],
    pair: Pair,
) -> Verdict<()> {
    let newest = Newest::of(rows);
    transact!(database, |session| within(session, database, at, Some(&newest), pair))
}

/// Everything that was imported is durable: each page was, when it was answered, so it is left to check and to note.
pub(super) async fn import_complete(database: &Database, at: UnitAt, pair: Pair) -> Verdict<()> {
    transact!(database, |session| within(session, database, at, None, pair))
}

async fn within(
    session: &Session,
    database: &Database,
    at: UnitAt,
    newest: Option<&Newest>,
    pair: Pair,
) -> Result<Verdict<()>> {
    let incarnation = Some(database.server().incarnation());
    let command = Command { at, phases: &[UnitPhase::Importing], pair, incarnation };
    if let Err(error) = command.begin(session).await? {
        return Ok(Err(error));
    }
    if let Some(newest) = newest {
        write(session, newest).await?;
    }
    session.plain("COMMIT").await?;
    Ok(Ok(()))
}

async fn write(session: &Session, newest: &Newest) -> Result<()> {
    if !newest.conversations.is_empty() {
        let mut columns = ConversationColumns::default();
        newest.conversations.values().for_each(|row| columns.push(row));
        session.run(CONVERSATIONS, &columns.params()).await?;
    }
    if !newest.members.is_empty() {
        let mut columns = MemberColumns::default();
        newest.members.values().for_each(|row| columns.push(row));
        session.run(MEMBERS, &columns.params()).await?;
    }
    if !newest.gone.is_empty() {
        let (ids, below): (Vec<Uuid>, Vec<i64>) =
            newest.gone.iter().map(|(id, below)| (value::uuid_of(*id), *below as i64)).unzip();
        session.run(MESSAGES_GONE, &[&ids, &below]).await?;
        session.run(REACTIONS_OF_GONE, &[&ids, &below]).await?;
    }
    if !newest.messages.is_empty() {
        let mut columns = MessageColumns::default();
        newest.messages.values().for_each(|(row, _)| columns.push(row));
        let written = session.run(MESSAGES, &columns.params()).await?;
        let (mut ids, mut seqs) = (Vec::<Uuid>::new(), Vec::<i64>::new());
        let mut reactions = ReactionColumns::default();
        let mut some = false;
        for row in &written {
            ids.push(value::get(row, 0)?);
            seqs.push(value::get(row, 1)?);
            let key = (value::conversation_id(row, 0)?, value::number(row, 1)?);
            for row in newest.messages.get(&key).into_iter().flat_map(|(_, reactions)| reactions) {
                reactions.push(row);
                some = true;
            }
        }
        if !ids.is_empty() {
            session.run(REACTIONS_BEFORE, &[&ids, &seqs]).await?;
        }
        if some {
            session.run(REACTIONS, &reactions.params()).await?;
        }
    }
    if !newest.users.is_empty() {
        let mut columns = UserColumns::default();
        newest.users.values().for_each(|row| columns.push(row));
        session.run(USERS, &columns.params()).await?;
    }
    if !newest.inbox.is_empty() {
        let mut columns = InboxColumns::default();
        newest.inbox.values().for_each(|row| columns.push(row));
        session.run(INBOX, &columns.params()).await?;
    }
    Ok(())
}
