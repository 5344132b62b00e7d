//! Rows that come from another shard: the newer of two states stays, nobody is told.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{ConversationId, Reaction, Row, Seq, UnitAt, UserId};
use ostracon_store::{ShardError, UnitPhase};
use rusqlite::Connection;
use rustc_hash::FxHashMap;

use super::{Committer, FRAME_BYTES, Record, Result};
use crate::{error::TableError, payload, tables::TableReader};

/// About how many bytes one row takes in a frame, besides its text.
const ROW_BYTES: usize = 256;

impl Committer {
    /// Writes those rows that are newer than what is here.
    pub(crate) async fn apply_rows(&mut self, at: UnitAt, rows: Vec<Row>) -> Result<()> {
        self.ready().await?;
        let state = self.core.overlay.unit(at.unit);
        if !state.is_some_and(|s| s.phase == UnitPhase::Importing && s.epoch == at.epoch) {
            return Err(ShardError::Unexpected(state));
        }
        // The tables then know everything, and nothing comes meanwhile: this is the committer.
        self.core.flushed().await?;
        let newer = self.loader.run(move |conn| newer_rows(conn, rows)).await?;
        let mut frame = Vec::new();
        let mut bytes = 0;
        for row in newer {
            bytes += match &row {
                Row::Message(message) => ROW_BYTES + message.content.len(),
                _ => ROW_BYTES,
            };
            self.forget(&row);
            frame.push(row);
            if bytes >= FRAME_BYTES {
                self.import(std::mem::take(&mut frame)).await?;
                bytes = 0;
            }
        }
        if !frame.is_empty() {
            self.import(frame).await?;
        }
        Ok(())
    }

    async fn import(&mut self, rows: Vec<Row>) -> Result<()> {
        let payload = payload::imported(&rows);
        self.append(payload, Record::Imported(rows), None);
        self.finish().await?;
        Ok(())
    }

    fn forget(&mut self, row: &Row) {
        let id = match row {
            Row::Conversation(row) => row.id,
            Row::Member(row) => row.conversation,
            Row::Message(row) => row.conversation,
            Row::Reaction(row) | Row::ReactionGone(row) => row.conversation,
            Row::MessagesGone { conversation, .. } => *conversation,
            Row::User(row) => return self.set.forget_user(row.user),
            Row::Inbox(row) => return self.set.forget_user(row.user),
        };
        self.set.forget_conversation(id);
        self.filters.forget(id);
    }
}

/// The rows that are not older than what the tables have. Reactions follow their message and replace those it had.
fn newer_rows(conn: &Connection, rows: Vec<Row>) -> std::result::Result<Vec<Row>, TableError> {
    let mut judge = Judge {
        tables: TableReader::begin(conn)?,
        keys: FxHashMap::default(),
        before: FxHashMap::default(),
    };
    let mut newer = Vec::with_capacity(rows.len());
    for row in rows {
        if judge.wins(&row)? {
            newer.push(row);
        }
    }
    for ((conversation, seq), gone) in judge.before {
        newer.extend(gone.into_iter().map(|(user, emoji)| {
            Row::ReactionGone(Arc::new(Reaction { conversation, seq, user, emoji }))
        }));
    }
    Ok(newer)
}

struct Judge<'a> {
    tables: TableReader<'a>,
    keys: FxHashMap<ConversationId, Option<i64>>,
    /// Messages that were taken, with those of their former reactions that have not come again.
    before: FxHashMap<(ConversationId, Seq), BTreeSet<(UserId, String)>>,
}

impl Judge<'_> {
    fn key(&mut self, id: ConversationId) -> std::result::Result<Option<i64>, TableError> {
        if let Some(known) = self.keys.get(&id) {
            return Ok(*known);
        }
        let key = self.tables.key(id)?;
        self.keys.insert(id, key);
        Ok(key)
    }

    fn wins(&mut self, row: &Row) -> std::result::Result<bool, TableError> {
        Ok(match row {
            Row::Conversation(row) => self
                .tables
                .conversation(row.id)?
                .is_none_or(|(_, known)| row.rev + row.mark_rev >= known.rev + known.mark_rev),
            Row::Member(row) => match self.key(row.conversation)? {
                Some(key) => self
                    .tables
                    .member(key, row.conversation, row.user)?
                    .is_none_or(|known| row.rev + row.mark_rev >= known.rev + known.mark_rev),
                None => true,
            },
            Row::Message(row) => {
                let mut had = BTreeSet::new();
                if let Some(key) = self.key(row.conversation)? {
                    let known = self.tables.message(key, row.conversation, row.seq)?;
                    if known.is_some_and(|known| row.rev < known.rev) {
                        return Ok(false);
                    }
                    let reactions = self.tables.reactions(key, row.seq, row.seq)?;
                    had.extend(reactions.into_iter().map(|(_, user, emoji)| (user, emoji)));
                }
                self.before.insert((row.conversation, row.seq), had);
                true
            }
            Row::Reaction(row) => match self.before.get_mut(&(row.conversation, row.seq)) {
                Some(had) => {
                    had.remove(&(row.user, row.emoji.clone()));
                    true
                }
                // Its message is older than the one here.
                None => false,
            },
            Row::ReactionGone(_) => false,
            Row::MessagesGone { .. } => true,
            Row::User(row) => {
                self.tables.user_state(row.user)?.is_none_or(|known| row.user_rev >= known.user_rev)
            }
            Row::Inbox(row) => self
                .tables
                .inbox_entry(row.user, row.conversation)?
                .is_none_or(|known| row.user_rev >= known.user_rev),
        })
    }
}
