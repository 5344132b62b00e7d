//! Rows that come from another shard: the newer of two states stays, nobody is told.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{ConversationId, Reaction, Row, Seq, UnitAt, UserId};
use ostracon_store::{ShardError, UnitPhase};
use rusqlite::Connection;
use rustc_hash::{FxHashMap, FxHashSet};

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
        let newer = self
            .loader
            .run(move |conn| newer_rows(conn, rows))
            .await??;
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
        let payload = payload::rows(&rows, true);
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
fn newer_rows(
    conn: &Connection,
    rows: Vec<Row>,
) -> std::result::Result<Result<Vec<Row>>, TableError> {
    let tables = TableReader::begin(conn)?;
    let mut stored: FxHashMap<ConversationId, Option<(i64, (u64, u64))>> = FxHashMap::default();
    let mut arriving: FxHashSet<ConversationId> = FxHashSet::default();
    let mut newer = Vec::with_capacity(rows.len());
    // Messages that were taken, with the reactions they had.
    let mut before: FxHashMap<(ConversationId, Seq), BTreeSet<(UserId, String)>> = FxHashMap::default();
    for row in rows {
        let id = match &row {
            Row::Conversation(row) => Some(row.id),
            Row::Member(row) => Some(row.conversation),
            Row::Message(row) => Some(row.conversation),
            Row::Reaction(row) | Row::ReactionGone(row) => Some(row.conversation),
            Row::MessagesGone { conversation, .. } => Some(*conversation),
            Row::User(_) | Row::Inbox(_) => None,
        };
        let mut key = None;
        if let Some(id) = id {
            let known = match stored.get(&id) {
                Some(known) => *known,
                None => {
                    let known = tables
                        .conversation(id)?
                        .map(|(key, row)| (key, (row.rev, row.mark_rev)));
                    stored.insert(id, known);
                    known
                }
            };
            key = known.map(|(key, _)| key);
            let is_own = matches!(row, Row::Conversation(_));
            if !is_own && known.is_none() && !arriving.contains(&id) {
                return Ok(Err(ShardError::Corrupt(format!(
                    "rows of conversation {id} came before its own"
                ))));
            }
        }
        let wins = match &row {
            Row::Conversation(row) => {
                arriving.insert(row.id);
                let known = stored.get(&row.id).copied().flatten();
                known.is_none_or(|(_, (rev, mark_rev))| row.rev + row.mark_rev >= rev + mark_rev)
            }
            Row::Member(row) => match key {
                Some(key) => tables
                    .member(key, row.conversation, row.user)?
                    .is_none_or(|known| row.rev + row.mark_rev >= known.rev + known.mark_rev),
                None => true,
            },
            Row::Message(row) => {
                let place = (row.conversation, row.seq);
                let wins = match key {
                    Some(key) => tables
                        .message(key, row.conversation, row.seq)?
                        .is_none_or(|known| row.rev >= known.rev),
                    None => true,
                };
                if wins {
                    let had = match key {
                        Some(key) => tables.reactions(key, row.seq, row.seq)?,
                        None => Vec::new(),
                    };
                    let had = had.into_iter().map(|(_, user, emoji)| (user, emoji));
                    before.insert(place, had.collect());
                }
                wins
            }
            Row::Reaction(row) => match before.get_mut(&(row.conversation, row.seq)) {
                Some(had) => {
                    had.remove(&(row.user, row.emoji.clone()));
                    true
                }
                None => false,
            },
            Row::ReactionGone(_) => false,
            Row::MessagesGone { .. } => true,
            Row::User(row) => tables
                .user_state(row.user)?
                .is_none_or(|known| row.user_rev >= known.user_rev),
            Row::Inbox(row) => tables
                .inbox_entry(row.user, row.conversation)?
                .is_none_or(|known| row.user_rev >= known.user_rev),
        };
        if wins {
            newer.push(row);
        }
    }
    for ((conversation, seq), gone) in before {
        newer.extend(gone.into_iter().map(|(user, emoji)| {
            Row::ReactionGone(Arc::new(Reaction {
                conversation,
                seq,
                user,
                emoji,
            }))
        }));
    }
    Ok(Ok(newer))
}
