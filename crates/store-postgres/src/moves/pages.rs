//! Rows that come from another shard: the newer of two states stays, nobody is told.
//!
//! One transaction a page; pages of one unit follow one another, since each locks the unit's row.
//!
//! **Durability.** A page is durable when it is answered. Commits that do not wait for the disk would gain little, since
//! a page is thousands of rows, and cost safety: a server that dies and starts again loses the last of them and keeps its
//! timeline, so that nobody would notice. So whoever knows that a page was answered may go on after it, and the end of an
//! import has nothing left to wait for: its own commit stands behind those of all pages in the server's one log.

use bytes::BytesMut;
use ostracon_domain::{ConversationId, Message, Row, Seq, UnitAt};
use ostracon_store::{
    Pair, UnitPhase,
    record::{encode_mentions, message_kind_byte},
};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::{
    Result, Verdict,
    copy::{Copy, put_row},
    newest::{Newest, Whole},
    unit::{Command, transact},
};
use crate::{
    commit::{
        AnnexColumns, ConversationColumns, InboxColumns, MemberColumns, MessageColumns,
        ReactionColumns, UserColumns, annex_unnest, conversation_unnest, inbox_unnest,
        member_unnest, message_unnest, reaction_unnest, user_unnest,
    },
    pool::Database,
    session::Session,
    sql::{
        annex_columns, conversation_columns, inbox_columns, member_columns, message_columns,
        user_columns,
    },
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
     create_hash = excluded.create_hash, deleted_at = excluded.deleted_at, extra = excluded.extra \
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
     muted_until = excluded.muted_until, extra = excluded.extra WHERE m.rev + m.mark_rev <= excluded.rev + excluded.mark_rev"
);
const MESSAGES_GONE: &str = "DELETE FROM message WHERE ctid = ANY(ARRAY(SELECT m.ctid \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     CROSS JOIN LATERAL (SELECT ctid FROM message WHERE conversation = k.of AND seq < k.below OFFSET 0) AS m))";
const REACTIONS_OF_GONE: &str = "DELETE FROM reaction WHERE ctid = ANY(ARRAY(SELECT r.ctid \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     CROSS JOIN LATERAL (SELECT ctid FROM reaction WHERE conversation = k.of AND seq < k.below OFFSET 0) AS r))";
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
     rev = excluded.rev, content_rev = excluded.content_rev, extra = excluded.extra WHERE m.rev <= excluded.rev"
);
const COPY_MESSAGES: &str =
    concat!("COPY message (", message_columns!(), ") FROM STDIN (FORMAT binary)");
const KNOWN: &str = "SELECT conversation, seq, rev FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS k (of, first, last) \
     CROSS JOIN LATERAL (SELECT conversation, seq, rev FROM message \
     WHERE conversation = k.of AND seq BETWEEN k.first AND k.last OFFSET 0) AS m";
const REACTIONS_BEFORE: &str = "DELETE FROM reaction WHERE ctid = ANY(ARRAY(SELECT r.ctid \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, n) \
     CROSS JOIN LATERAL (SELECT ctid FROM reaction WHERE conversation = k.of AND seq = k.n OFFSET 0) AS r))";
const REACTIONS: &str = concat!(
    "INSERT INTO reaction (conversation, seq, user_id, emoji) SELECT * FROM ",
    reaction_unnest!(),
    " ON CONFLICT DO NOTHING"
);
const ANNEXES_OF_GONE: &str = "DELETE FROM annex WHERE ctid = ANY(ARRAY(SELECT a.ctid \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     CROSS JOIN LATERAL (SELECT ctid FROM annex WHERE conversation = k.of AND seq > 0 AND seq < k.below OFFSET 0) AS a))";
// Those that follow their message; of a tombstone all.
const ANNEXES_BEFORE: &str = "DELETE FROM annex WHERE ctid = ANY(ARRAY(SELECT a.ctid \
     FROM unnest($1::uuid[], $2::bigint[], $3::boolean[]) AS k (of, n, every) \
     CROSS JOIN LATERAL (SELECT ctid, kind FROM annex WHERE conversation = k.of AND seq > 0 AND seq = k.n OFFSET 0) AS a \
     WHERE k.every OR a.kind < 64))";
const ANNEXES: &str = concat!(
    "INSERT INTO annex (",
    annex_columns!(),
    ") SELECT * FROM ",
    annex_unnest!(),
    " ON CONFLICT (conversation, kind, first, second) DO UPDATE SET number = excluded.number, value = excluded.value"
);
// Nothing is kept of a message that is gone.
const OWN_ANNEXES: &str = concat!(
    "INSERT INTO annex AS a (",
    annex_columns!(),
    ") SELECT * FROM ",
    annex_unnest!(),
    " AS n (",
    annex_columns!(),
    ") WHERE NOT EXISTS (SELECT FROM message AS m WHERE m.conversation = n.conversation AND m.seq = n.seq \
     AND m.deleted_at IS NOT NULL OFFSET 0) \
     AND (n.seq = 0 OR NOT EXISTS (SELECT FROM conversation AS c WHERE c.id = n.conversation \
     AND c.retained_from > n.seq OFFSET 0)) \
     ON CONFLICT (conversation, kind, first, second) DO UPDATE SET number = excluded.number, value = excluded.value \
     WHERE a.number <= excluded.number"
);
const USERS: &str = concat!(
    "INSERT INTO user_state AS u (",
    user_columns!(),
    ") SELECT * FROM ",
    user_unnest!(),
    " ON CONFLICT (user_id) DO UPDATE SET unit = excluded.unit, slot = excluded.slot, history = excluded.history, \
     user_rev = excluded.user_rev, extra = excluded.extra WHERE u.user_rev <= excluded.user_rev"
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
     removed = excluded.removed, user_rev = excluded.user_rev, extra = excluded.extra, listed = excluded.listed \
     WHERE i.user_rev <= excluded.user_rev"
);

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
        session.run(ANNEXES_OF_GONE, &[&ids, &below]).await?;
    }
    write_messages(session, newest).await?;
    if !newest.annexes.is_empty() {
        let mut columns = AnnexColumns::default();
        newest.annexes.values().for_each(|row| columns.push(row));
        session.run(OWN_ANNEXES, &columns.params()).await?;
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

/// Messages that are not there are copied in, which is twice as fast as an insert that minds conflicts; those that are
/// there and not newer are written over, with their reactions. Nobody else writes them meanwhile: this transaction has
/// the row of the unit that they belong to.
async fn write_messages(session: &Session, newest: &Newest) -> Result<()> {
    if newest.messages.is_empty() {
        return Ok(());
    }
    let known = known(session, newest).await?;
    let mut copy = None;
    let mut changed = MessageColumns::default();
    let (mut of, mut seqs) = (Vec::<Uuid>::new(), Vec::<i64>::new());
    let mut every = Vec::<bool>::new();
    let mut reactions = ReactionColumns::default();
    let mut annexes = AnnexColumns::default();
    let (mut replaced, mut reacted, mut annexed) = (0, 0, 0);
    for (key, Whole { message: row, reactions: its, annexes: of_it }) in &newest.messages {
        match known.get(key) {
            None => {
                let copy = match &mut copy {
                    Some(copy) => copy,
                    None => copy.insert(Copy::begin(session, COPY_MESSAGES).await?),
                };
                copy.push(|to| put_message(row, to)).await?;
                // It may be a tombstone, of which a small row came before.
                if row.deleted.is_some() {
                    of.push(value::uuid_of(row.conversation));
                    seqs.push(row.seq as i64);
                    every.push(true);
                }
            }
            Some(rev) if *rev <= row.rev => {
                changed.push(row);
                of.push(value::uuid_of(row.conversation));
                seqs.push(row.seq as i64);
                every.push(row.deleted.is_some());
                replaced += 1;
            }
            Some(_) => continue,
        }
        its.iter().for_each(|row| reactions.push(row));
        reacted += its.len();
        of_it.iter().for_each(|row| annexes.push(row));
        annexed += of_it.len();
    }
    if let Some(copy) = copy {
        copy.end().await?;
    }
    if replaced > 0 {
        session.run(MESSAGES, &changed.params()).await?;
    }
    if !of.is_empty() {
        session.run(REACTIONS_BEFORE, &[&of, &seqs]).await?;
        session.run(ANNEXES_BEFORE, &[&of, &seqs, &every]).await?;
    }
    if reacted > 0 {
        session.run(REACTIONS, &reactions.params()).await?;
    }
    if annexed > 0 {
        session.run(ANNEXES, &annexes.params()).await?;
    }
    Ok(())
}

/// The revs of those messages that are there, asked for by runs of neighbouring seqs: a page mostly is a few of these.
async fn known(
    session: &Session,
    newest: &Newest,
) -> Result<FxHashMap<(ConversationId, Seq), u64>> {
    let (mut of, mut first, mut last) = (Vec::<Uuid>::new(), Vec::<i64>::new(), Vec::<i64>::new());
    let mut before: Option<(ConversationId, Seq)> = None;
    for (id, seq) in newest.messages.keys() {
        let follows =
            before.is_some_and(|(of, last)| of == *id && last.checked_add(1) == Some(*seq));
        before = Some((*id, *seq));
        match last.last_mut() {
            Some(last) if follows => *last = *seq as i64,
            _ => {
                of.push(value::uuid_of(*id));
                first.push(*seq as i64);
                last.push(*seq as i64);
            }
        }
    }
    let rows = session.run(KNOWN, &[&of, &first, &last]).await?;
    rows.iter()
        .map(|row| {
            let key = (value::conversation_id(row, 0)?, value::number(row, 1)?);
            Ok((key, value::number(row, 2)?))
        })
        .collect()
}

/// A message in the order of its columns.
fn put_message(row: &Message, to: &mut BytesMut) {
    put_row(
        &[
            &value::uuid_of(row.conversation),
            &row.seq,
            &row.message_id.get(),
            &(row.slot.get() as i16),
            &row.sender.get(),
            &row.client_id.as_ref().map(value::stored_client_id),
            &row.payload_hash.map(|hash| hash.to_be_bytes().to_vec()),
            &i16::from(message_kind_byte(row.kind)),
            &row.content,
            &row.reply_to,
            &(!row.mentions.is_empty()).then(|| encode_mentions(&row.mentions)),
            &row.created_at,
            &row.edited_at,
            &row.deleted.map(|(at, _)| at),
            &row.deleted.map(|(_, by)| by.get()),
            &row.uncounted,
            &row.created_rev,
            &row.rev,
            &row.content_rev,
            &value::stored_extra(row.extra.as_deref()),
        ],
        to,
    );
}
