//! Removes the rows of a unit that lives elsewhere, a bounded number in one transaction. Only subjects that carry the unit.

use ostracon_domain::{UnitId, UserId};
use ostracon_store::Purged;
use rusqlite::params;

use super::{Result, TableReader, TableWriter, read::Key};

/// What a conversation has besides its own row.
const OF_CONVERSATION: [&str; 4] = [
    "DELETE FROM annex WHERE (conversation, kind, first, second) IN \
     (SELECT conversation, kind, first, second FROM annex WHERE conversation = ? LIMIT ?)",
    "DELETE FROM reaction WHERE (conversation, seq, user, emoji) IN \
     (SELECT conversation, seq, user, emoji FROM reaction WHERE conversation = ? LIMIT ?)",
    "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE conversation = ? ORDER BY seq LIMIT ?)",
    "DELETE FROM member WHERE (conversation, user) IN \
     (SELECT conversation, user FROM member WHERE conversation = ? LIMIT ?)",
];

/// What a user has besides his own row.
const OF_USER: [&str; 1] = ["DELETE FROM inbox WHERE (user, conversation) IN \
     (SELECT user, conversation FROM inbox WHERE user = ? LIMIT ?)"];

impl TableWriter {
    /// Removes at most `limit` rows, at least one if any is left. A subject's own row goes last, so that what is left of it
    /// is found again.
    pub(crate) fn purge(&mut self, unit: UnitId, limit: u32) -> Result<Purged> {
        let limit = u64::from(limit.max(1));
        let mut rows = 0;
        loop {
            let next = TableReader::inside(self).conversation_of_unit(unit, None)?;
            let Some((key, row)) = next else {
                break;
            };
            rows += self.remove_of(&OF_CONVERSATION, key, limit - rows)?;
            if rows == limit {
                return Ok(Purged { rows, done: false });
            }
            self.conn.prepare_cached("DELETE FROM conversation WHERE key = ?")?.execute([key])?;
            self.forget_key(row.id);
            rows += 1;
        }
        loop {
            let next = TableReader::inside(self).user_of_unit(unit, 0)?;
            let Some(user) = next.map(|state| state.user) else {
                return Ok(Purged { rows, done: true });
            };
            rows += self.remove_of(&OF_USER, key_of(user), limit - rows)?;
            if rows == limit {
                return Ok(Purged { rows, done: false });
            }
            let own = "DELETE FROM user_state WHERE user = ?";
            self.conn.prepare_cached(own)?.execute([key_of(user)])?;
            rows += 1;
        }
    }

    /// Removes at most `limit` rows of a subject, kind by kind; how many they were.
    fn remove_of(&self, kinds: &[&str], key: Key, limit: u64) -> Result<u64> {
        let mut rows = 0;
        for sql in kinds {
            let room = (limit - rows) as i64;
            rows += self.conn.prepare_cached(sql)?.execute(params![key, room])? as u64;
        }
        Ok(rows)
    }
}

const fn key_of(user: UserId) -> Key {
    user.get() as i64
}
