//! The second flight: changed rows as columns, one statement for each kind; then the position, the outbox, the commit.

use std::sync::atomic::{AtomicBool, Ordering};

use ostracon_domain::{
    Annex, Conversation, InboxEntry, Member, Message, Reaction, Row as Changed, UserState,
};
use ostracon_store::{
    Position,
    record::{encode, encode_mentions, message_kind_byte, role_byte},
};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::fold::Changes;
use crate::{
    error::PgError,
    moves::{NOTE, NoteColumns},
    session::{Params, Session},
    sql::{
        annex_columns, conversation_columns, inbox_columns, member_columns, message_columns,
        user_columns,
    },
    value::{self, number},
};

type Result<T> = std::result::Result<T, PgError>;

/// Conversations as rows of an unnest.
macro_rules! conversation_unnest {
    () => {
        "unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::smallint[], $5::text[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], \
         $15::boolean[], $16::bigint[], $17::smallint[], $18::bytea[], $19::bigint[], $20::bytea[])"
    };
}
pub(crate) use conversation_unnest;

/// Members as rows of an unnest.
macro_rules! member_unnest {
    () => {
        "unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[])"
    };
}
pub(crate) use member_unnest;

/// Messages as rows of an unnest.
macro_rules! message_unnest {
    () => {
        "unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bytea[], $7::bytea[], \
         $8::smallint[], $9::text[], $10::bigint[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bigint[], \
         $15::bigint[], $16::boolean[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bytea[])"
    };
}
pub(crate) use message_unnest;

/// Reactions as rows of an unnest.
macro_rules! reaction_unnest {
    () => {
        "unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[])"
    };
}
pub(crate) use reaction_unnest;

/// Annexes as rows of an unnest.
macro_rules! annex_unnest {
    () => {
        "unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[])"
    };
}
pub(crate) use annex_unnest;

/// Users as rows of an unnest.
macro_rules! user_unnest {
    () => {
        "unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bytea[])"
    };
}
pub(crate) use user_unnest;

/// Entries of lists as rows of an unnest; whether they are listed stands last.
macro_rules! inbox_unnest {
    () => {
        "unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::boolean[], $13::boolean[], $14::boolean[], \
         $15::bigint[], $16::bytea[], $17::boolean[])"
    };
}
pub(crate) use inbox_unnest;

const NEW_CONVERSATIONS: &str = concat!(
    "INSERT INTO conversation (",
    conversation_columns!(),
    ") SELECT * FROM ",
    conversation_unnest!()
);
const CONVERSATIONS: &str = concat!(
    "UPDATE conversation AS c SET unit = n.unit, name = n.name, history = n.history, head_seq = n.head_seq, \
     last_message_id = n.last_message_id, last_activity_at = n.last_activity_at, rev = n.rev, \
     info_rev = n.info_rev, mark_rev = n.mark_rev, member_count = n.member_count, large = n.large, \
     retained_from = n.retained_from, history_for = n.history_for, create_hash = n.create_hash, \
     deleted_at = n.deleted_at, extra = n.extra FROM ",
    conversation_unnest!(),
    " AS n (",
    conversation_columns!(),
    ") WHERE c.id = n.id"
);
const MEMBERS: &str = concat!(
    "INSERT INTO member (",
    member_columns!(),
    ") SELECT * FROM ",
    member_unnest!(),
    " ON CONFLICT (conversation, user_id) DO UPDATE SET role = excluded.role, joined_seq = excluded.joined_seq, \
     left_seq = excluded.left_seq, rev = excluded.rev, read_seq = excluded.read_seq, \
     delivered_seq = excluded.delivered_seq, mark_rev = excluded.mark_rev, hidden_to = excluded.hidden_to, \
     muted_until = excluded.muted_until, extra = excluded.extra"
);
const MESSAGES_GONE: &str = "DELETE FROM message USING unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     WHERE conversation = k.of AND seq < k.below";
const REACTIONS_OF_GONE: &str = "DELETE FROM reaction USING unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     WHERE conversation = k.of AND seq < k.below";
const NEW_MESSAGES: &str =
    concat!("INSERT INTO message (", message_columns!(), ") SELECT * FROM ", message_unnest!());
const MESSAGES: &str = concat!(
    "UPDATE message AS m SET sender = n.sender, client_id = n.client_id, payload_hash = n.payload_hash, kind = n.kind, \
     content = n.content, reply_to = n.reply_to, mentions = n.mentions, edited_at = n.edited_at, \
     deleted_at = n.deleted_at, deleted_by = n.deleted_by, uncounted = n.uncounted, rev = n.rev, \
     content_rev = n.content_rev, extra = n.extra FROM ",
    message_unnest!(),
    " AS n (",
    message_columns!(),
    ") WHERE m.conversation = n.conversation AND m.seq = n.seq"
);
const REACTIONS_GONE: &str = concat!(
    "DELETE FROM reaction USING ",
    reaction_unnest!(),
    " AS k (of, n, who, what) WHERE conversation = k.of AND seq = k.n AND user_id = k.who AND emoji = k.what"
);
const REACTIONS: &str = concat!(
    "INSERT INTO reaction (conversation, seq, user_id, emoji) SELECT * FROM ",
    reaction_unnest!(),
    " ON CONFLICT DO NOTHING"
);
const ANNEXES_OF_GONE: &str = "DELETE FROM annex USING unnest($1::uuid[], $2::bigint[]) AS k (of, below) \
     WHERE conversation = k.of AND seq > 0 AND seq < k.below";
const ANNEXES_OF: &str = "DELETE FROM annex USING unnest($1::uuid[], $2::bigint[]) AS k (of, n) \
     WHERE conversation = k.of AND seq = k.n AND seq > 0";
const ANNEXES_GONE: &str = concat!(
    "DELETE FROM annex AS a USING ",
    annex_unnest!(),
    " AS k (",
    annex_columns!(),
    ") WHERE a.conversation = k.conversation AND a.kind = k.kind AND a.first = k.first AND a.second = k.second"
);
const ANNEXES: &str = concat!(
    "INSERT INTO annex (",
    annex_columns!(),
    ") SELECT * FROM ",
    annex_unnest!(),
    " ON CONFLICT (conversation, kind, first, second) DO UPDATE SET number = excluded.number, value = excluded.value"
);
const NEW_USERS: &str =
    concat!("INSERT INTO user_state (", user_columns!(), ") SELECT * FROM ", user_unnest!());
const USERS: &str = concat!(
    "UPDATE user_state AS u SET unit = n.unit, history = n.history, user_rev = n.user_rev, \
     extra = n.extra FROM ",
    user_unnest!(),
    " AS n (",
    user_columns!(),
    ") WHERE u.user_id = n.user_id"
);
const INBOX: &str = concat!(
    "INSERT INTO inbox (",
    inbox_columns!(),
    ", listed) SELECT * FROM ",
    inbox_unnest!(),
    " ON CONFLICT (user_id, conversation) DO UPDATE SET applied_history = excluded.applied_history, \
     applied_rev = excluded.applied_rev, applied_mark_rev = excluded.applied_mark_rev, \
     last_seq = excluded.last_seq, last_activity_at = excluded.last_activity_at, \
     hidden_to = excluded.hidden_to, muted_until = excluded.muted_until, archived_seq = excluded.archived_seq, \
     marked_unread = excluded.marked_unread, pinned = excluded.pinned, large = excluded.large, \
     removed = excluded.removed, user_rev = excluded.user_rev, extra = excluded.extra, listed = excluded.listed"
);
const OUTBOX: &str = "WITH head AS (UPDATE log_head SET position = position + 1 RETURNING position) \
     INSERT INTO outbox (position, rows) SELECT position, $1 FROM head RETURNING position";
const HEAD: &str = "SELECT position FROM log_head";

/// Defines columns of a kind of rows: fields in the order of the statement's parameters.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $name { $($field: Vec<$type>),+ }

        impl $name {
            pub(crate) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
                vec![$(&self.$field as &(dyn ToSql + Sync)),+]
            }
        }
    };
}

columns!(
    /// Conversations, column by column.
    ConversationColumns {
        id: Uuid, unit: i64, slot: i16, kind: i16, name: String, created_at: i64, history: i64, head_seq: i64,
        last_message_id: Option<i64>, last_activity_at: i64, rev: i64, info_rev: i64, mark_rev: i64,
        member_count: i64, large: bool, retained_from: i64, history_for: i16, create_hash: Option<Vec<u8>>,
        deleted_at: Option<i64>, extra: Option<Vec<u8>>,
    }
);

impl ConversationColumns {
    pub(crate) fn push(&mut self, row: &Conversation) {
        self.id.push(value::uuid_of(row.id));
        self.unit.push(i64::from(row.unit.0));
        self.slot.push(row.slot.get() as i16);
        self.kind.push(value::kind_number(row.kind));
        self.name.push(row.name.clone());
        self.created_at.push(row.created_at);
        self.history.push(row.history.0 as i64);
        self.head_seq.push(row.head_seq as i64);
        self.last_message_id.push(row.last_message_id.map(|id| id.get() as i64));
        self.last_activity_at.push(row.last_activity_at);
        self.rev.push(row.rev as i64);
        self.info_rev.push(row.info_rev as i64);
        self.mark_rev.push(row.mark_rev as i64);
        self.member_count.push(i64::from(row.member_count));
        self.large.push(row.large);
        self.retained_from.push(row.retained_from as i64);
        self.history_for.push(value::history_for_number(row.settings.history_for));
        self.create_hash.push(row.create_hash.map(|hash| hash.to_be_bytes().to_vec()));
        self.deleted_at.push(row.deleted_at);
        self.extra.push(value::stored_extra(row.extra.as_deref()));
    }
}

columns!(
    /// Members, column by column.
    MemberColumns {
        conversation: Uuid, user: i64, role: i16, joined_seq: i64, left_seq: Option<i64>, rev: i64, read_seq: i64,
        delivered_seq: i64, mark_rev: i64, hidden_to: i64, muted_until: Option<i64>,
        extra: Option<Vec<u8>>,
    }
);

impl MemberColumns {
    pub(crate) fn push(&mut self, row: &Member) {
        self.conversation.push(value::uuid_of(row.conversation));
        self.user.push(row.user.get() as i64);
        self.role.push(i16::from(role_byte(row.role)));
        self.joined_seq.push(row.joined_seq as i64);
        self.left_seq.push(row.left_seq.map(|seq| seq as i64));
        self.rev.push(row.rev as i64);
        self.read_seq.push(row.read_seq as i64);
        self.delivered_seq.push(row.delivered_seq as i64);
        self.mark_rev.push(row.mark_rev as i64);
        self.hidden_to.push(row.hidden_to as i64);
        self.muted_until.push(row.muted_until);
        self.extra.push(value::stored_extra(row.extra.as_deref()));
    }
}

columns!(
    /// Messages, column by column.
    MessageColumns {
        conversation: Uuid, seq: i64, message_id: i64, slot: i16, sender: i64, client_id: Option<Vec<u8>>,
        payload_hash: Option<Vec<u8>>, kind: i16, content: String, reply_to: Option<i64>,
        mentions: Option<Vec<u8>>, created_at: i64, edited_at: Option<i64>, deleted_at: Option<i64>,
        deleted_by: Option<i64>, uncounted: bool, created_rev: i64, rev: i64, content_rev: i64,
        extra: Option<Vec<u8>>,
    }
);

impl MessageColumns {
    pub(crate) fn push(&mut self, row: &Message) {
        self.conversation.push(value::uuid_of(row.conversation));
        self.seq.push(row.seq as i64);
        self.message_id.push(row.message_id.get() as i64);
        self.slot.push(row.slot.get() as i16);
        self.sender.push(row.sender.get() as i64);
        self.client_id.push(row.client_id.as_ref().map(value::stored_client_id));
        self.payload_hash.push(row.payload_hash.map(|hash| hash.to_be_bytes().to_vec()));
        self.kind.push(i16::from(message_kind_byte(row.kind)));
        self.content.push(row.content.clone());
        self.reply_to.push(row.reply_to.map(|seq| seq as i64));
        self.mentions.push((!row.mentions.is_empty()).then(|| encode_mentions(&row.mentions)));
        self.created_at.push(row.created_at);
        self.edited_at.push(row.edited_at);
        self.deleted_at.push(row.deleted.map(|(at, _)| at));
        self.deleted_by.push(row.deleted.map(|(_, by)| by.get() as i64));
        self.uncounted.push(row.uncounted);
        self.created_rev.push(row.created_rev as i64);
        self.rev.push(row.rev as i64);
        self.content_rev.push(row.content_rev as i64);
        self.extra.push(value::stored_extra(row.extra.as_deref()));
    }
}

columns!(
    /// Reactions, column by column.
    ReactionColumns { conversation: Uuid, seq: i64, user: i64, emoji: String }
);

impl ReactionColumns {
    pub(crate) fn push(&mut self, row: &Reaction) {
        self.conversation.push(value::uuid_of(row.conversation));
        self.seq.push(row.seq as i64);
        self.user.push(row.user.get() as i64);
        self.emoji.push(row.emoji.clone());
    }
}

columns!(
    /// Small rows of conversations, column by column.
    AnnexColumns {
        conversation: Uuid, kind: i16, first: i64, second: i64, seq: i64, number: i64, value: Vec<u8>,
    }
);

impl AnnexColumns {
    pub(crate) fn push(&mut self, row: &Annex) {
        self.conversation.push(value::uuid_of(row.conversation));
        self.kind.push(i16::from(row.key.kind as u8));
        self.first.push(row.key.first as i64);
        self.second.push(row.key.second as i64);
        self.seq.push(row.key.seq() as i64);
        self.number.push(row.number as i64);
        self.value.push(row.value.clone());
    }
}

columns!(
    /// Users, column by column.
    UserColumns { user: i64, unit: i64, slot: i16, history: i64, user_rev: i64, extra: Option<Vec<u8>> }
);

impl UserColumns {
    pub(crate) fn push(&mut self, row: &UserState) {
        self.user.push(row.user.get() as i64);
        self.unit.push(i64::from(row.unit.0));
        self.slot.push(row.slot.get() as i16);
        self.history.push(row.history.0 as i64);
        self.user_rev.push(row.user_rev as i64);
        self.extra.push(value::stored_extra(row.extra.as_deref()));
    }
}

columns!(
    /// Entries of lists, column by column.
    InboxColumns {
        user: i64, conversation: Uuid, applied_history: i64, applied_rev: i64, applied_mark_rev: i64,
        last_seq: i64, last_activity_at: i64, hidden_to: i64, muted_until: Option<i64>, archived_seq: Option<i64>,
        marked_unread: bool, pinned: bool, large: bool, removed: bool, user_rev: i64, extra: Option<Vec<u8>>,
        listed: bool,
    }
);

impl InboxColumns {
    pub(crate) fn push(&mut self, row: &InboxEntry) {
        self.user.push(row.user.get() as i64);
        self.conversation.push(value::uuid_of(row.conversation));
        self.applied_history.push(row.applied.history.0 as i64);
        self.applied_rev.push(row.applied.rev as i64);
        self.applied_mark_rev.push(row.applied.mark_rev as i64);
        self.last_seq.push(row.last_seq as i64);
        self.last_activity_at.push(row.last_activity_at);
        self.hidden_to.push(row.hidden_to as i64);
        self.muted_until.push(row.muted_until);
        self.archived_seq.push(row.archived_seq.map(|seq| seq as i64));
        self.marked_unread.push(row.marked_unread);
        self.pinned.push(row.pinned);
        self.large.push(row.large);
        self.removed.push(row.removed);
        self.user_rev.push(row.user_rev as i64);
        self.extra.push(value::stored_extra(row.extra.as_deref()));
        self.listed.push(!row.is_hidden());
    }
}

macro_rules! collected {
    ($kind:ident, $rows:expr) => {{
        let mut columns = $kind::default();
        $rows.iter().for_each(|row| columns.push(row));
        columns
    }};
}

/// Statements of one flight that end in a commit: after one that could not be sent, nothing more is sent.
/// One that the server refuses needs no such care: it makes the commit a roll-back.
struct Flight<'a> {
    session: &'a Session,
    broken: AtomicBool,
}

impl Flight<'_> {
    async fn send(
        &self,
        rows: usize,
        sql: &tokio_postgres::Statement,
        params: &Params<'_>,
    ) -> Result<()> {
        if rows > 0 {
            self.ask(sql, params).await?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        sql: &tokio_postgres::Statement,
        params: &Params<'_>,
    ) -> Result<Vec<tokio_postgres::Row>> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(PgError::GivenUp);
        }
        let answer = self.session.query(sql, params).await;
        if answer.is_err() {
            self.broken.store(true, Ordering::SeqCst);
        }
        answer
    }

    async fn commit(&self) -> Result<()> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(PgError::GivenUp);
        }
        self.session.plain("COMMIT").await
    }
}

/// Writes what changed and commits; where that stands in the shard's log.
pub(super) async fn write<'r>(
    session: &Session,
    rows: impl Iterator<Item = &'r Changed>,
    changes: Changes,
    notes: &NoteColumns,
) -> Result<Position> {
    let mut payload = Vec::new();
    rows.for_each(|row| encode(row, &mut payload));
    let flight = Flight { session, broken: AtomicBool::new(false) };
    if payload.is_empty() {
        // Nothing was written, so what was seen was committed before: no earlier than this position.
        let head = session.prepare(HEAD).await?;
        let (position, end) = tokio::join!(biased; flight.ask(&head, &[]), flight.commit());
        let position = position_of(&position?)?;
        end?;
        return Ok(position);
    }
    let new_conversations = collected!(ConversationColumns, changes.new_conversations);
    let conversations = collected!(ConversationColumns, changes.conversations);
    let members = collected!(MemberColumns, changes.members);
    let (gone, below): (Vec<Uuid>, Vec<i64>) =
        changes.gone.iter().map(|(id, below)| (value::uuid_of(*id), *below as i64)).unzip();
    let new_messages = collected!(MessageColumns, changes.new_messages);
    let messages = collected!(MessageColumns, changes.messages);
    let reactions_gone = collected!(ReactionColumns, changes.reactions_gone);
    let reactions = collected!(ReactionColumns, changes.reactions);
    let new_users = collected!(UserColumns, changes.new_users);
    let users = collected!(UserColumns, changes.users);
    let inbox = collected!(InboxColumns, changes.inbox);

    let mut statements = Vec::with_capacity(13);
    for sql in [
        NEW_CONVERSATIONS,
        CONVERSATIONS,
        MEMBERS,
        MESSAGES_GONE,
        REACTIONS_OF_GONE,
        NEW_MESSAGES,
        MESSAGES,
        REACTIONS_GONE,
        REACTIONS,
        NEW_USERS,
        USERS,
        INBOX,
        OUTBOX,
    ] {
        statements.push(session.prepare(sql).await?);
    }
    // Planned only on connections that ever need them.
    let annexes = Annexes::of(session, &changes, gone.len()).await?;
    let note = if notes.is_empty() { None } else { Some(session.prepare(NOTE).await?) };
    let at = |n: usize| &statements[n];
    let (flight, gone_params): (_, [&(dyn ToSql + Sync); 2]) = (&flight, [&gone, &below]);
    let gone_params = &gone_params;
    let done = tokio::join!(
        biased;
        async {
            flight.send(changes.new_conversations.len(), at(0), &new_conversations.params()).await
        },
        async { flight.send(changes.conversations.len(), at(1), &conversations.params()).await },
        async { flight.send(changes.members.len(), at(2), &members.params()).await },
        async { flight.send(gone.len(), at(3), gone_params).await },
        async { flight.send(gone.len(), at(4), gone_params).await },
        async { flight.send(changes.new_messages.len(), at(5), &new_messages.params()).await },
        async { flight.send(changes.messages.len(), at(6), &messages.params()).await },
        async { flight.send(changes.reactions_gone.len(), at(7), &reactions_gone.params()).await },
        async { flight.send(changes.reactions.len(), at(8), &reactions.params()).await },
        annexes.send(flight, gone_params),
        async { flight.send(changes.new_users.len(), at(9), &new_users.params()).await },
        async { flight.send(changes.users.len(), at(10), &users.params()).await },
        async { flight.send(changes.inbox.len(), at(11), &inbox.params()).await },
        async {
            match &note {
                Some(note) => flight.send(1, note, &notes.params()).await,
                None => Ok(()),
            }
        },
        async { flight.ask(at(12), &[&payload]).await },
        flight.commit(),
    );
    // The first failure in order is the reason of all later ones.
    let written = [
        done.0, done.1, done.2, done.3, done.4, done.5, done.6, done.7, done.8, done.9, done.10,
        done.11, done.12, done.13,
    ];
    for one in written {
        one?;
    }
    let position = position_of(&done.14?)?;
    done.15?;
    Ok(position)
}

/// Small rows are written by few batches: their statements stand apart.
struct Annexes {
    statements: Option<[tokio_postgres::Statement; 4]>,
    /// Messages of which all go.
    of: (Vec<Uuid>, Vec<i64>),
    gone: AnnexColumns,
    there: AnnexColumns,
    below: usize,
    counts: [usize; 2],
}

impl Annexes {
    async fn of(session: &Session, changes: &Changes, below: usize) -> Result<Self> {
        let of: (Vec<Uuid>, Vec<i64>) =
            changes.annexes_of.iter().map(|(id, seq)| (value::uuid_of(*id), *seq as i64)).unzip();
        let counts = [changes.annexes_gone.len(), changes.annexes.len()];
        let any = below > 0 || !of.0.is_empty() || counts != [0, 0];
        let statements = if any {
            Some([
                session.prepare(ANNEXES_OF_GONE).await?,
                session.prepare(ANNEXES_OF).await?,
                session.prepare(ANNEXES_GONE).await?,
                session.prepare(ANNEXES).await?,
            ])
        } else {
            None
        };
        let gone = collected!(AnnexColumns, changes.annexes_gone);
        let there = collected!(AnnexColumns, changes.annexes);
        Ok(Self { statements, of, gone, there, below, counts })
    }

    /// All are sent in one poll, so that they stand in the flight where this does.
    async fn send(&self, flight: &Flight<'_>, below: &Params<'_>) -> Result<()> {
        let Some([of_gone, of, gone, there]) = &self.statements else {
            return Ok(());
        };
        let done = tokio::join!(
            biased;
            async { flight.send(self.below, of_gone, below).await },
            async { flight.send(self.of.0.len(), of, &[&self.of.0, &self.of.1]).await },
            async { flight.send(self.counts[0], gone, &self.gone.params()).await },
            async { flight.send(self.counts[1], there, &self.there.params()).await },
        );
        done.0?;
        done.1?;
        done.2?;
        done.3
    }
}

fn position_of(rows: &[tokio_postgres::Row]) -> Result<Position> {
    number(rows.first().ok_or(PgError::Damaged("log head"))?, 0)
}
