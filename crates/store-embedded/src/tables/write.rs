//! Writing rows into the tables, by the applier's one connection. All statements may be repeated without harm.

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Conversation, ConversationId, ConversationKind, HistoryFor,
    InboxEntry, Member, Message, Reaction, Seq, UserState,
};
use ostracon_store::{
    UnitState,
    record::{encode_extra, encode_mentions, message_kind_byte, role_byte},
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;

use super::{
    Result,
    columns::{phase_byte, stored_client_id},
    meta::Meta,
    read::Key,
};

/// What becomes of a row that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is replaced: what comes is newer.
    Replace,
    /// It stays if its number is higher than that of what comes.
    Compare,
}

/// A statement in both forms; the condition is that of [`Known::Compare`].
macro_rules! upsert {
    ($known:expr, $sql:literal, $condition:literal, $end:literal) => {
        match $known {
            Known::Replace => concat!($sql, $end),
            Known::Compare => concat!($sql, " WHERE ", $condition, $end),
        }
    };
}

/// Keys of conversations that the writer remembers; more are forgotten all at once.
const KEYS_MAX: usize = 50_000;

/// The one writer of a shard's tables.
pub(crate) struct TableWriter {
    pub(super) conn: Connection,
    keys: FxHashMap<ConversationId, Key>,
}

/// What a checkpoint reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Somebody was reading or writing, so that it could not go all the way.
    pub(crate) busy: bool,
    /// Pages in the write-ahead log.
    pub(crate) log: i64,
    /// Pages of it that are in the file now.
    pub(crate) checkpointed: i64,
}

impl Checkpoint {
    /// Whether everything committed before it is in the file, and synced.
    pub(crate) const fn is_complete(&self) -> bool {
        !self.busy && self.log == self.checkpointed
    }
}

impl TableWriter {
    pub(crate) fn new(conn: Connection) -> Self {
        Self { conn, keys: FxHashMap::default() }
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Makes transactions durable when they commit, or, as is normal here, when the log is checkpointed.
    /// A durable one makes everything durable that was committed before it. Not inside a transaction.
    pub(crate) fn synced(&self, yes: bool) -> Result<()> {
        let sql = if yes { "PRAGMA synchronous=FULL" } else { "PRAGMA synchronous=NORMAL" };
        Ok(self.conn.execute_batch(sql)?)
    }

    pub(crate) fn begin(&self) -> Result<()> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    pub(crate) fn commit(&self) -> Result<()> {
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Gives up what was begun. Some errors have done it already.
    pub(crate) fn roll_back(&mut self) {
        self.keys.clear();
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a failed transaction could not be rolled back");
        }
    }

    /// Copies the write-ahead log into the file; `truncate` also empties it, so that what it held is gone.
    pub(crate) fn checkpoint(&self, truncate: bool) -> Result<Checkpoint> {
        let sql = if truncate {
            "PRAGMA wal_checkpoint(TRUNCATE)"
        } else {
            "PRAGMA wal_checkpoint(PASSIVE)"
        };
        Ok(self.conn.query_row(sql, [], |row| {
            Ok(Checkpoint {
                busy: row.get::<_, i64>(0)? != 0,
                log: row.get(1)?,
                checkpointed: row.get(2)?,
            })
        })?)
    }

    /// Gives the page cache back.
    pub(crate) fn release_memory(&self) -> Result<()> {
        Ok(self.conn.execute_batch("PRAGMA shrink_memory")?)
    }

    pub(crate) fn meta(&self, meta: &Meta) -> Result<()> {
        meta.store(&self.conn)
    }

    pub(crate) fn unit_state(&self, state: &UnitState) -> Result<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO unit_state (unit, epoch, phase, incarnation, lease, step) VALUES (?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (unit) DO UPDATE SET epoch = excluded.epoch, phase = excluded.phase, \
                 incarnation = excluded.incarnation, lease = excluded.lease, step = excluded.step",
            )?
            .execute(params![
                state.unit.0,
                state.epoch.0 as i64,
                phase_byte(state.phase),
                state.incarnation as i64,
                state.pair.lease as i64,
                state.pair.step as i64
            ])?;
        Ok(())
    }

    /// The key of a conversation, a new one if need be.
    pub(crate) fn key_or_new(&mut self, id: ConversationId) -> Result<Key> {
        if let Some(key) = self.key(id)? {
            return Ok(key);
        }
        let key = self
            .conn
            .prepare_cached(
                "INSERT INTO conversation (id, unit, slot, kind, name, created_at, history, head_seq, \
                 last_activity_at, rev, info_rev, mark_rev, member_count, large, retained_from, history_for) \
                 VALUES (?, -1, -1, -1, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) RETURNING key",
            )?
            .query_row([id.as_u128().to_be_bytes()], |row| row.get(0))?;
        self.remember(id, key);
        Ok(key)
    }

    /// The key of a conversation of which there is any row; `None` without one.
    pub(crate) fn key(&mut self, id: ConversationId) -> Result<Option<Key>> {
        if let Some(key) = self.keys.get(&id) {
            return Ok(Some(*key));
        }
        let key = self
            .conn
            .prepare_cached("SELECT key FROM conversation WHERE id = ?")?
            .query_row([id.as_u128().to_be_bytes()], |row| row.get(0))
            .optional()?;
        if let Some(key) = key {
            self.remember(id, key);
        }
        Ok(key)
    }

    /// Forgets the key of a conversation that is no longer there.
    pub(super) fn forget_key(&mut self, id: ConversationId) {
        self.keys.remove(&id);
    }

    fn remember(&mut self, id: ConversationId, key: Key) {
        if self.keys.len() >= KEYS_MAX {
            self.keys.clear();
        }
        self.keys.insert(id, key);
    }

    /// Writes a conversation's own row.
    pub(crate) fn conversation(&mut self, row: &Conversation, known: Known) -> Result<()> {
        let key: Option<Key> = self
            .conn
            .prepare_cached(upsert!(
                known,
                "INSERT INTO conversation (id, unit, slot, kind, name, created_at, history, head_seq, last_message_id, \
                 last_activity_at, rev, info_rev, mark_rev, member_count, large, retained_from, history_for, \
                 create_hash, deleted_at, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (id) DO UPDATE SET unit = excluded.unit, slot = excluded.slot, kind = excluded.kind, name = excluded.name, \
                 created_at = excluded.created_at, history = excluded.history, head_seq = excluded.head_seq, \
                 last_message_id = excluded.last_message_id, last_activity_at = excluded.last_activity_at, \
                 rev = excluded.rev, info_rev = excluded.info_rev, mark_rev = excluded.mark_rev, \
                 member_count = excluded.member_count, large = excluded.large, \
                 retained_from = excluded.retained_from, history_for = excluded.history_for, \
                 create_hash = excluded.create_hash, deleted_at = excluded.deleted_at, extra = excluded.extra",
                "kind < 0 OR excluded.rev + excluded.mark_rev >= rev + mark_rev",
                " RETURNING key"
            ))?
            .query_row(
                params![
                    row.id.as_u128().to_be_bytes(),
                    row.unit.0,
                    row.slot.get(),
                    match row.kind {
                        ConversationKind::Direct => 0,
                        ConversationKind::Group => 1,
                    },
                    row.name,
                    row.created_at,
                    row.history.0 as i64,
                    row.head_seq as i64,
                    row.last_message_id.map(|id| id.get() as i64),
                    row.last_activity_at,
                    row.rev as i64,
                    row.info_rev as i64,
                    row.mark_rev as i64,
                    row.member_count,
                    row.large,
                    row.retained_from as i64,
                    match row.settings.history_for {
                        HistoryFor::SinceJoining => 0,
                        HistoryFor::All => 1,
                    },
                    row.create_hash.map(u128::to_be_bytes),
                    row.deleted_at,
                    row.extra.as_deref().map(encode_extra)
                ],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(key) = key {
            self.remember(row.id, key);
        }
        Ok(())
    }

    /// Writes a member row.
    pub(crate) fn member(&self, key: Key, row: &Member, known: Known) -> Result<()> {
        self.conn
            .prepare_cached(upsert!(
                known,
                "INSERT INTO member (conversation, user, role, joined_seq, left_seq, rev, read_seq, delivered_seq, \
                 mark_rev, hidden_to, muted_until, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (conversation, user) DO UPDATE SET role = excluded.role, \
                 joined_seq = excluded.joined_seq, left_seq = excluded.left_seq, rev = excluded.rev, \
                 read_seq = excluded.read_seq, delivered_seq = excluded.delivered_seq, \
                 mark_rev = excluded.mark_rev, hidden_to = excluded.hidden_to, muted_until = excluded.muted_until, \
                 extra = excluded.extra",
                "excluded.rev + excluded.mark_rev >= rev + mark_rev",
                ""
            ))?
            .execute(params![
                key,
                row.user.get() as i64,
                role_byte(row.role),
                row.joined_seq as i64,
                row.left_seq.map(|seq| seq as i64),
                row.rev as i64,
                row.read_seq as i64,
                row.delivered_seq as i64,
                row.mark_rev as i64,
                row.hidden_to as i64,
                row.muted_until,
                row.extra.as_deref().map(encode_extra)
            ])?;
        Ok(())
    }

    /// Writes messages; `keys` are those of their conversations, in the same order.
    pub(crate) fn messages<'m>(
        &self,
        rows: impl Iterator<Item = (Key, &'m Message)>,
    ) -> Result<()> {
        let mut statement = self.message_statement(Known::Replace)?;
        for (key, row) in rows {
            put_message(&mut statement, key, row)?;
        }
        Ok(())
    }

    /// Writes a message unless one with a higher rev is there; whether it was written.
    pub(crate) fn message_if_newer(&self, key: Key, row: &Message) -> Result<bool> {
        let mut statement = self.message_statement(Known::Compare)?;
        Ok(put_message(&mut statement, key, row)? > 0)
    }

    fn message_statement(&self, known: Known) -> Result<CachedStatement<'_>> {
        Ok(self.conn.prepare_cached(upsert!(
            known,
            "INSERT INTO message (conversation, seq, message_id, slot, sender, client_id, payload_hash, kind, \
             content, reply_to, mentions, created_at, edited_at, deleted_at, deleted_by, uncounted, created_rev, \
             rev, content_rev, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (conversation, seq) DO UPDATE SET message_id = excluded.message_id, \
             sender = excluded.sender, client_id = excluded.client_id, payload_hash = excluded.payload_hash, \
             kind = excluded.kind, content = excluded.content, reply_to = excluded.reply_to, \
             mentions = excluded.mentions, created_at = excluded.created_at, edited_at = excluded.edited_at, \
             deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by, \
             uncounted = excluded.uncounted, created_rev = excluded.created_rev, rev = excluded.rev, \
             content_rev = excluded.content_rev, extra = excluded.extra",
            "excluded.rev >= rev",
            ""
        ))?)
    }

    pub(crate) fn messages_gone(&self, key: Key, below: Seq) -> Result<()> {
        for sql in [
            "DELETE FROM message WHERE conversation = ? AND seq < ?",
            "DELETE FROM reaction WHERE conversation = ? AND seq < ?",
            "DELETE FROM annex WHERE conversation = ? AND seq > 0 AND seq < ?",
        ] {
            self.conn.prepare_cached(sql)?.execute(params![key, below as i64])?;
        }
        Ok(())
    }

    /// Removes all reactions to a message, and the annexes that belong to it.
    pub(crate) fn attached_gone(&self, key: Key, seq: Seq) -> Result<()> {
        let sql = "DELETE FROM reaction WHERE conversation = ? AND seq = ?";
        self.conn.prepare_cached(sql)?.execute(params![key, seq as i64])?;
        for kind in AnnexKind::ALL.into_iter().filter(|kind| kind.is_of_message()) {
            let sql =
                "DELETE FROM annex WHERE conversation = ? AND seq = ? AND seq > 0 AND kind = ?";
            self.conn.prepare_cached(sql)?.execute(params![key, seq as i64, kind as u8])?;
        }
        Ok(())
    }

    /// Removes all annexes of a message.
    pub(crate) fn annexes_gone(&self, key: Key, seq: Seq) -> Result<()> {
        let sql = "DELETE FROM annex WHERE conversation = ? AND seq = ? AND seq > 0";
        self.conn.prepare_cached(sql)?.execute(params![key, seq as i64])?;
        Ok(())
    }

    /// Writes an annex, or removes it.
    pub(crate) fn annex(&self, key: Key, row: &Annex, there: bool) -> Result<()> {
        let AnnexKey { kind, first, second } = row.key;
        if !there {
            let sql = "DELETE FROM annex WHERE conversation = ? AND kind = ? AND first = ? AND second = ?";
            let params = params![key, kind as u8, first as i64, second as i64];
            self.conn.prepare_cached(sql)?.execute(params)?;
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO annex (conversation, kind, first, second, seq, number, value) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                key,
                kind as u8,
                first as i64,
                second as i64,
                row.key.seq() as i64,
                row.number as i64,
                row.value
            ])?;
        Ok(())
    }

    pub(crate) fn reaction(&self, key: Key, row: &Reaction, there: bool) -> Result<()> {
        let sql = if there {
            "INSERT OR IGNORE INTO reaction (conversation, seq, user, emoji) VALUES (?, ?, ?, ?)"
        } else {
            "DELETE FROM reaction WHERE conversation = ? AND seq = ? AND user = ? AND emoji = ?"
        };
        self.conn.prepare_cached(sql)?.execute(params![
            key,
            row.seq as i64,
            row.user.get() as i64,
            row.emoji
        ])?;
        Ok(())
    }

    /// Writes a user's line of numbers.
    pub(crate) fn user_state(&self, row: &UserState, known: Known) -> Result<()> {
        self.conn
            .prepare_cached(upsert!(
                known,
                "INSERT INTO user_state (user, unit, slot, history, user_rev, extra) VALUES (?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (user) DO UPDATE SET unit = excluded.unit, history = excluded.history, \
                 user_rev = excluded.user_rev, extra = excluded.extra",
                "excluded.user_rev >= user_rev",
                ""
            ))?
            .execute(params![
                row.user.get() as i64,
                row.unit.0,
                row.slot.get(),
                row.history.0 as i64,
                row.user_rev as i64,
                row.extra.as_deref().map(encode_extra)
            ])?;
        Ok(())
    }

    /// Writes an entry of a list.
    pub(crate) fn inbox(&self, row: &InboxEntry, known: Known) -> Result<()> {
        self.conn
            .prepare_cached(upsert!(
                known,
                "INSERT INTO inbox (user, conversation, applied_history, applied_rev, applied_mark_rev, last_seq, \
                 last_activity_at, hidden_to, muted_until, archived_seq, marked_unread, pinned, large, removed, \
                 listed, user_rev, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (user, conversation) DO UPDATE SET applied_history = excluded.applied_history, \
                 applied_rev = excluded.applied_rev, applied_mark_rev = excluded.applied_mark_rev, \
                 last_seq = excluded.last_seq, last_activity_at = excluded.last_activity_at, \
                 hidden_to = excluded.hidden_to, muted_until = excluded.muted_until, \
                 archived_seq = excluded.archived_seq, marked_unread = excluded.marked_unread, \
                 pinned = excluded.pinned, large = excluded.large, removed = excluded.removed, \
                 listed = excluded.listed, user_rev = excluded.user_rev, extra = excluded.extra",
                "excluded.user_rev >= user_rev",
                ""
            ))?
            .execute(params![
                row.user.get() as i64,
                row.conversation.as_u128().to_be_bytes(),
                row.applied.history.0 as i64,
                row.applied.rev as i64,
                row.applied.mark_rev as i64,
                row.last_seq as i64,
                row.last_activity_at,
                row.hidden_to as i64,
                row.muted_until,
                row.archived_seq.map(|seq| seq as i64),
                row.marked_unread,
                row.pinned,
                row.large,
                row.removed,
                !row.is_hidden(),
                row.user_rev as i64,
                row.extra.as_deref().map(encode_extra)
            ])?;
        Ok(())
    }
}

fn put_message(statement: &mut CachedStatement<'_>, key: Key, row: &Message) -> Result<usize> {
    let mentions = (!row.mentions.is_empty()).then(|| encode_mentions(&row.mentions));
    Ok(statement.execute(params![
        key,
        row.seq as i64,
        row.message_id.get() as i64,
        row.slot.get(),
        row.sender.get() as i64,
        row.client_id.as_ref().map(stored_client_id),
        row.payload_hash.map(u128::to_be_bytes),
        message_kind_byte(row.kind),
        row.content,
        row.reply_to.map(|seq| seq as i64),
        mentions,
        row.created_at,
        row.edited_at,
        row.deleted.map(|(at, _)| at),
        row.deleted.map(|(_, by)| by.get() as i64),
        row.uncounted,
        row.created_rev as i64,
        row.rev as i64,
        row.content_rev as i64,
        row.extra.as_deref().map(encode_extra)
    ])?)
}
