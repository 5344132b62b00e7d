//! Questions to the tables alone, inside one read transaction. Newer rows may wait in the overlay.

use std::{ops::RangeInclusive, sync::Arc};

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, ClientId, Conversation, ConversationId, History, InboxEntry,
    MarkRev, Member, Message, Millis, Rev, Seq, Subject, UnitId, UserId, UserRev, UserState,
};
use ostracon_store::{Indexed, SubjectHead, SubjectVersion, UnitState};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{
    Result, TableError, TableWriter,
    columns::{
        self, annex_columns, conversation_columns, inbox_columns, member_columns, message_columns,
        unit_state_columns, user_state_columns,
    },
};

/// Integer key of a conversation in its shard's tables.
pub(crate) type Key = i64;

/// One read transaction; it ends when this is dropped. All answers are as of one moment, that of the first question.
pub(crate) struct TableReader<'a> {
    conn: &'a Connection,
    /// Whether the transaction belongs to somebody else.
    inside: bool,
}

impl Drop for TableReader<'_> {
    fn drop(&mut self) {
        if self.inside {
            return;
        }
        let ended = self.conn.prepare_cached("COMMIT").and_then(|mut end| end.execute([]));
        if let Err(error) = ended {
            tracing::warn!(%error, "a read transaction did not end");
        }
    }
}

macro_rules! select {
    ($columns:ident, $rest:literal) => {
        concat!("SELECT ", $columns!(), " ", $rest)
    };
}

impl<'a> TableReader<'a> {
    /// Begins the transaction. Its moment is that of the first question.
    pub(crate) fn begin(conn: &'a Connection) -> Result<Self> {
        conn.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self { conn, inside: false })
    }

    /// Reads inside a transaction of the writer, which it sees.
    pub(crate) const fn inside(writer: &'a TableWriter) -> Self {
        Self { conn: writer.connection(), inside: true }
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(read).transpose()
    }

    /// Rows until `take` answers false.
    fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut take: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if !take(row)? {
                break;
            }
        }
        Ok(())
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, params, |row| {
            all.push(read(row)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// A conversation and its key.
    pub(crate) fn conversation(
        &self,
        id: ConversationId,
    ) -> Result<Option<(Key, Arc<Conversation>)>> {
        self.one(
            select!(conversation_columns, "FROM conversation WHERE id = ? AND kind >= 0"),
            [id.as_u128().to_be_bytes()],
            columns::conversation,
        )
    }

    /// The next conversation above a key.
    pub(crate) fn conversation_above(&self, key: Key) -> Result<Option<(Key, Arc<Conversation>)>> {
        self.one(
            select!(
                conversation_columns,
                "FROM conversation WHERE key > ? AND kind >= 0 ORDER BY key LIMIT 1"
            ),
            [key],
            columns::conversation,
        )
    }

    /// The next user above a number.
    pub(crate) fn user_above(&self, above: u64) -> Result<Option<Arc<UserState>>> {
        self.one(
            select!(user_state_columns, "FROM user_state WHERE user > ? ORDER BY user LIMIT 1"),
            [above as i64],
            columns::user_state,
        )
    }

    /// The key of a conversation of which there is any row.
    pub(crate) fn key(&self, id: ConversationId) -> Result<Option<Key>> {
        self.one("SELECT key FROM conversation WHERE id = ?", [id.as_u128().to_be_bytes()], |row| {
            Ok(row.get(0)?)
        })
    }

    /// A member row.
    pub(crate) fn member(
        &self,
        key: Key,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<Arc<Member>>> {
        self.one(
            select!(member_columns, "FROM member WHERE conversation = ? AND user = ?"),
            params![key, user.get() as i64],
            |row| columns::member(row, id),
        )
    }

    /// Members above a user, by user.
    pub(crate) fn members_after(
        &self,
        key: Key,
        id: ConversationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Member>>> {
        self.all(
            select!(
                member_columns,
                "FROM member WHERE conversation = ? AND user > ? ORDER BY user LIMIT ?"
            ),
            params![key, after as i64, limit as i64],
            |row| columns::member(row, id),
        )
    }

    /// Members changed after a rev, in rev order, until `take` answers false.
    pub(crate) fn members_since(
        &self,
        key: Key,
        id: ConversationId,
        rev: Rev,
        mut take: impl FnMut(Arc<Member>) -> bool,
    ) -> Result<()> {
        self.each(
            select!(
                member_columns,
                "FROM member INDEXED BY member_by_rev WHERE conversation = ? AND rev > ? ORDER BY rev"
            ),
            params![key, rev as i64],
            |row| Ok(take(columns::member(row, id)?)),
        )
    }

    /// Members whose marks changed after a mark rev.
    pub(crate) fn marks_since(
        &self,
        key: Key,
        id: ConversationId,
        mark_rev: MarkRev,
    ) -> Result<Vec<Arc<Member>>> {
        self.all(
            select!(
                member_columns,
                "FROM member INDEXED BY member_by_mark_rev WHERE conversation = ? AND mark_rev > ?"
            ),
            params![key, mark_rev as i64],
            |row| columns::member(row, id),
        )
    }

    /// A message.
    pub(crate) fn message(
        &self,
        key: Key,
        id: ConversationId,
        seq: Seq,
    ) -> Result<Option<Arc<Message>>> {
        self.one(
            select!(message_columns, "FROM message WHERE conversation = ? AND seq = ?"),
            params![key, seq as i64],
            |row| columns::message(row, id),
        )
    }

    /// The time and id of a message.
    pub(crate) fn message_place(&self, key: Key, seq: Seq) -> Result<Option<(Millis, u64)>> {
        self.one(
            "SELECT created_at, message_id FROM message WHERE conversation = ? AND seq = ?",
            params![key, seq as i64],
            |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)),
        )
    }

    /// What a sender sent with a client id.
    pub(crate) fn message_by_client_id(
        &self,
        key: Key,
        id: ConversationId,
        sender: UserId,
        client_id: &ClientId,
    ) -> Result<Option<Arc<Message>>> {
        self.one(
            select!(
                message_columns,
                "FROM message WHERE conversation = ? AND sender = ? AND client_id = ?"
            ),
            params![key, sender.get() as i64, columns::stored_client_id(client_id)],
            |row| columns::message(row, id),
        )
    }

    /// Every sender and client id of a conversation.
    pub(crate) fn client_ids(
        &self,
        key: Key,
        mut take: impl FnMut(UserId, ClientId),
    ) -> Result<()> {
        self.each(
            "SELECT sender, client_id FROM message WHERE conversation = ? AND client_id IS NOT NULL",
            [key],
            |row| {
                if let Some(id) = columns::client_id(row.get_ref(1)?)? {
                    take(columns::user(row, 0)?, id);
                }
                Ok(true)
            },
        )
    }

    /// Messages of a range of seqs, both ends included, by seq.
    pub(crate) fn messages(
        &self,
        key: Key,
        id: ConversationId,
        first: Seq,
        last: Seq,
        mut take: impl FnMut(Arc<Message>) -> bool,
    ) -> Result<()> {
        self.each(
            select!(
                message_columns,
                "FROM message WHERE conversation = ? AND seq BETWEEN ? AND ? ORDER BY seq"
            ),
            params![key, first as i64, last as i64],
            |row| Ok(take(columns::message(row, id)?)),
        )
    }

    /// Messages from the newest on backwards, until `take` answers false.
    pub(crate) fn newest_messages(
        &self,
        key: Key,
        id: ConversationId,
        mut take: impl FnMut(Arc<Message>) -> bool,
    ) -> Result<()> {
        self.each(
            select!(message_columns, "FROM message WHERE conversation = ? ORDER BY seq DESC"),
            [key],
            |row| Ok(take(columns::message(row, id)?)),
        )
    }

    /// Messages inserted after a rev and never changed, from a seq on, by seq, until `take` answers false.
    pub(crate) fn unchanged_since(
        &self,
        key: Key,
        id: ConversationId,
        first: Seq,
        rev: Rev,
        mut take: impl FnMut(Arc<Message>) -> bool,
    ) -> Result<()> {
        self.each(
            select!(
                message_columns,
                "FROM message WHERE conversation = ? AND seq >= ? AND created_rev > ? AND rev = created_rev ORDER BY seq"
            ),
            params![key, first as i64, rev as i64],
            |row| Ok(take(columns::message(row, id)?)),
        )
    }

    /// Messages changed after a rev, in rev order, until `take` answers false.
    pub(crate) fn changed_since(
        &self,
        key: Key,
        id: ConversationId,
        rev: Rev,
        mut take: impl FnMut(Arc<Message>) -> bool,
    ) -> Result<()> {
        self.each(
            select!(
                message_columns,
                "FROM message INDEXED BY message_changed WHERE conversation = ? AND rev > ? AND rev > created_rev ORDER BY rev"
            ),
            params![key, rev as i64],
            |row| Ok(take(columns::message(row, id)?)),
        )
    }

    /// The rev at which a message was inserted.
    pub(crate) fn created_rev(&self, key: Key, seq: Seq) -> Result<Option<Rev>> {
        self.one(
            "SELECT created_rev FROM message WHERE conversation = ? AND seq = ?",
            params![key, seq as i64],
            |row| Ok(row.get::<_, i64>(0)? as u64),
        )
    }

    /// How many messages of a range, both ends included, do not count.
    pub(crate) fn uncounted(&self, key: Key, first: Seq, last: Seq) -> Result<u64> {
        Ok(self
            .one(
                "SELECT count(*) FROM message INDEXED BY message_uncounted \
                 WHERE conversation = ? AND uncounted = 1 AND seq BETWEEN ? AND ?",
                params![key, first as i64, last as i64],
                |row| Ok(row.get::<_, i64>(0)? as u64),
            )?
            .unwrap_or(0))
    }

    /// Reactions to a range of messages, both ends included, by seq, user and emoji.
    pub(crate) fn reactions(
        &self,
        key: Key,
        first: Seq,
        last: Seq,
    ) -> Result<Vec<(Seq, UserId, String)>> {
        self.all(
            "SELECT seq, user, emoji FROM reaction WHERE conversation = ? AND seq BETWEEN ? AND ? \
             ORDER BY seq, user, emoji",
            params![key, first as i64, last as i64],
            |row| {
                Ok((row.get::<_, i64>(0)? as u64, columns::user(row, 1)?, columns::text(row, 2)?))
            },
        )
    }

    /// The highest message that has a reaction or an annex.
    pub(crate) fn newest_attached(&self, key: Key) -> Result<Option<Seq>> {
        let newest = |sql| self.one(sql, [key], |row| Ok(row.get::<_, i64>(0)? as u64));
        let reacted =
            newest("SELECT seq FROM reaction WHERE conversation = ? ORDER BY seq DESC LIMIT 1")?;
        let annexed = newest(
            "SELECT seq FROM annex WHERE conversation = ? AND seq > 0 ORDER BY seq DESC LIMIT 1",
        )?;
        Ok(reacted.max(annexed))
    }

    /// Whether nothing is kept of a message any more: it is a tombstone, or was removed.
    pub(crate) fn is_gone(&self, key: Key, seq: Seq) -> Result<bool> {
        let found = self.one(
            "SELECT 1 FROM message WHERE conversation = ?1 AND seq = ?2 AND deleted_at IS NOT NULL \
             UNION ALL SELECT 1 FROM conversation WHERE key = ?1 AND retained_from > ?2 AND ?2 > 0",
            params![key, seq as i64],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// A small row of a conversation.
    pub(crate) fn annex(
        &self,
        key: Key,
        id: ConversationId,
        of: AnnexKey,
    ) -> Result<Option<Arc<Annex>>> {
        self.one(
            select!(
                annex_columns,
                "FROM annex WHERE conversation = ? AND kind = ? AND first = ? AND second = ?"
            ),
            params![key, of.kind as u8, of.first as i64, of.second as i64],
            |row| columns::annex(row, id),
        )
    }

    /// Small rows of a kind with the same first part, by the second, until `take` answers false.
    pub(crate) fn annexes(
        &self,
        key: Key,
        id: ConversationId,
        of: (AnnexKind, u64),
        range: RangeInclusive<u64>,
        descending: bool,
        mut take: impl FnMut(Arc<Annex>) -> bool,
    ) -> Result<()> {
        let sql = if descending {
            select!(
                annex_columns,
                "FROM annex WHERE conversation = ? AND kind = ? AND first = ? AND second BETWEEN ? AND ? \
                 ORDER BY second DESC"
            )
        } else {
            select!(
                annex_columns,
                "FROM annex WHERE conversation = ? AND kind = ? AND first = ? AND second BETWEEN ? AND ? \
                 ORDER BY second"
            )
        };
        let end = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.each(
            sql,
            params![key, of.0 as u8, of.1 as i64, end(*range.start()), end(*range.end())],
            |row| Ok(take(columns::annex(row, id)?)),
        )
    }

    /// Small rows with numbers of their own, by key.
    pub(crate) fn annexes_on_their_own(
        &self,
        key: Key,
        id: ConversationId,
    ) -> Result<Vec<Arc<Annex>>> {
        self.all(
            select!(
                annex_columns,
                "FROM annex WHERE conversation = ? AND kind >= 64 ORDER BY kind, first, second"
            ),
            [key],
            |row| columns::annex(row, id),
        )
    }

    /// Small rows that belong to a range of messages, both ends included, by seq, then key.
    pub(crate) fn annexes_of_messages(
        &self,
        key: Key,
        id: ConversationId,
        first: Seq,
        last: Seq,
    ) -> Result<Vec<Arc<Annex>>> {
        self.all(
            select!(
                annex_columns,
                "FROM annex INDEXED BY annex_by_seq WHERE conversation = ? AND seq > 0 AND seq BETWEEN ? AND ? \
                 AND kind < 64 ORDER BY seq, kind, first, second"
            ),
            params![key, first as i64, last as i64],
            |row| columns::annex(row, id),
        )
    }

    /// A user's line of numbers.
    pub(crate) fn user_state(&self, user: UserId) -> Result<Option<Arc<UserState>>> {
        self.one(
            select!(user_state_columns, "FROM user_state WHERE user = ?"),
            [user.get() as i64],
            columns::user_state,
        )
    }

    /// An entry of a user's list.
    pub(crate) fn inbox_entry(
        &self,
        user: UserId,
        id: ConversationId,
    ) -> Result<Option<Arc<InboxEntry>>> {
        self.one(
            select!(inbox_columns, "FROM inbox WHERE user = ? AND conversation = ?"),
            params![user.get() as i64, id.as_u128().to_be_bytes()],
            |row| columns::inbox(row, user),
        )
    }

    /// Listed entries of a user after a place, in the list's order, until `take` answers false.
    pub(crate) fn inbox_page(
        &self,
        user: UserId,
        after: Option<(Millis, ConversationId)>,
        mut take: impl FnMut(Arc<InboxEntry>) -> bool,
    ) -> Result<()> {
        // The largest place of all stands before every entry.
        let (at, id) = after.map_or((i64::MAX, [0xff; 17].to_vec()), |(at, id)| {
            (at, id.as_u128().to_be_bytes().to_vec())
        });
        self.each(
            select!(
                inbox_columns,
                "FROM inbox INDEXED BY inbox_by_activity WHERE user = ? AND listed = 1 \
                 AND (last_activity_at, conversation) < (?, ?) ORDER BY last_activity_at DESC, conversation DESC"
            ),
            params![user.get() as i64, at, id],
            |row| Ok(take(columns::inbox(row, user)?)),
        )
    }

    /// Entries of a user changed after a user rev, in its order, until `take` answers false.
    pub(crate) fn inbox_since(
        &self,
        user: UserId,
        since: UserRev,
        mut take: impl FnMut(Arc<InboxEntry>) -> bool,
    ) -> Result<()> {
        self.each(
            select!(
                inbox_columns,
                "FROM inbox INDEXED BY inbox_by_user_rev WHERE user = ? AND user_rev > ? ORDER BY user_rev"
            ),
            params![user.get() as i64, since as i64],
            |row| Ok(take(columns::inbox(row, user)?)),
        )
    }

    /// Entries of large conversations that are not removed, by conversation, until `take` answers false.
    pub(crate) fn inbox_large(
        &self,
        user: UserId,
        mut take: impl FnMut(Arc<InboxEntry>) -> bool,
    ) -> Result<()> {
        self.each(
            select!(
                inbox_columns,
                "FROM inbox INDEXED BY inbox_large WHERE user = ? AND large = 1 AND removed = 0 ORDER BY conversation"
            ),
            [user.get() as i64],
            |row| Ok(take(columns::inbox(row, user)?)),
        )
    }

    /// All entries of a user, by conversation.
    pub(crate) fn inbox_of(&self, user: UserId) -> Result<Vec<Arc<InboxEntry>>> {
        self.all(
            select!(inbox_columns, "FROM inbox WHERE user = ? ORDER BY conversation"),
            [user.get() as i64],
            |row| columns::inbox(row, user),
        )
    }

    /// The next conversation of a unit above an id.
    pub(crate) fn conversation_of_unit(
        &self,
        unit: UnitId,
        above: Option<ConversationId>,
    ) -> Result<Option<(Key, Arc<Conversation>)>> {
        let above = above.map_or(Vec::new(), |id| id.as_u128().to_be_bytes().to_vec());
        self.one(
            select!(
                conversation_columns,
                "FROM conversation WHERE unit = ? AND id > ? AND kind >= 0 ORDER BY id LIMIT 1"
            ),
            params![unit.0, above],
            columns::conversation,
        )
    }

    /// The next user of a unit above a number.
    pub(crate) fn user_of_unit(&self, unit: UnitId, above: u64) -> Result<Option<Arc<UserState>>> {
        self.one(
            select!(
                user_state_columns,
                "FROM user_state WHERE unit = ? AND user > ? ORDER BY user LIMIT 1"
            ),
            params![unit.0, above as i64],
            columns::user_state,
        )
    }

    /// Conversations after one, by id, at most `limit`, whatever their units.
    pub(crate) fn conversation_heads(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<(ConversationId, Indexed)>> {
        let after = after.map_or([0; 16], |id| id.as_u128().to_be_bytes());
        self.all(
            "SELECT id, history, rev FROM conversation WHERE id > ? AND kind >= 0 ORDER BY id LIMIT ?",
            params![after, limit],
            |row| {
                let history = History(row.get::<_, i64>(1)?.cast_unsigned());
                let rev = row.get::<_, i64>(2)?.cast_unsigned();
                Ok((columns::conversation_id(row, 0)?, Indexed { history, rev }))
            },
        )
    }

    /// Subjects of a unit after one, by subject, at most `limit`.
    pub(crate) fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<SubjectHead>> {
        let mut heads = Vec::new();
        let mut after_user = 0;
        let after_conversation = match after {
            None => Some(Vec::new()),
            Some(Subject::Conversation(id)) => Some(id.as_u128().to_be_bytes().to_vec()),
            Some(Subject::User(user)) => {
                after_user = user.get();
                None
            }
        };
        if let Some(after) = after_conversation {
            heads = self.all(
                "SELECT id, rev, mark_rev, head_seq FROM conversation \
                 WHERE unit = ? AND id > ? AND kind >= 0 ORDER BY id LIMIT ?",
                params![unit.0, after, limit as i64],
                |row| {
                    let number = |at| Ok::<_, TableError>(row.get::<_, i64>(at)? as u64);
                    Ok(SubjectHead {
                        subject: Subject::Conversation(columns::conversation_id(row, 0)?),
                        version: SubjectVersion { rev: number(1)?, mark_rev: number(2)? },
                        head_seq: number(3)?,
                    })
                },
            )?;
        }
        let room = limit - heads.len();
        heads.extend(self.all(
            "SELECT user, user_rev FROM user_state WHERE unit = ? AND user > ? ORDER BY user LIMIT ?",
            params![unit.0, after_user as i64, room as i64],
            |row| {
                let rev = row.get::<_, i64>(1)? as u64;
                Ok(SubjectHead {
                    subject: Subject::User(columns::user(row, 0)?),
                    version: SubjectVersion { rev, mark_rev: 0 },
                    head_seq: 0,
                })
            },
        )?);
        Ok(heads)
    }

    /// Begins to read, so that all answers are of this moment.
    pub(crate) fn pin(&self) -> Result<()> {
        self.one("SELECT 1 FROM meta", [], |_| Ok(()))?;
        Ok(())
    }

    /// The state of every unit, by unit.
    pub(crate) fn unit_states(&self) -> Result<Vec<UnitState>> {
        self.all(
            select!(unit_state_columns, "FROM unit_state ORDER BY unit"),
            [],
            columns::unit_state,
        )
    }

    /// Conversations, messages, users, conversations outside their slot's unit, and bytes of the file.
    pub(crate) fn counts(&self) -> Result<[u64; 5]> {
        let number = |sql: &str| -> Result<u64> {
            let number: Option<i64> =
                self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
            Ok(number.unwrap_or(0) as u64)
        };
        Ok([
            number("SELECT count(*) FROM conversation WHERE kind >= 0")?,
            number("SELECT count(*) FROM message")?,
            number("SELECT count(*) FROM user_state")?,
            number("SELECT count(*) FROM conversation WHERE unit <> slot AND kind >= 0")?,
            number("PRAGMA page_count")? * number("PRAGMA page_size")?,
        ])
    }
}
