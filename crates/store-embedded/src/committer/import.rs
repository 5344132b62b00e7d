//! Rows that come from another shard: the newer of two states stays, nobody is told.
//!
//! A small page, as the last one of a move is, goes through the journal: it is durable at once and waits for no table.
//! A large one goes straight into the tables, behind every record of its unit, and does not keep commits waiting.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{
    Conversation, ConversationId, Message, Reaction, Row, Seq, UnitAt, UnitId, UserId,
};
use ostracon_store::{Pair, UnitPhase};
use rustc_hash::FxHashMap;

use super::{Committer, FRAME_BYTES, Record, Result};
use crate::{
    applier::Page,
    core::{Core, PageUnderWay},
    error::TableError,
    overlay::Found,
    payload,
    read::whole,
    snapshot::Snapshot,
};

/// A page of at most so many rows goes through the journal.
const JOURNALLED_ROWS_MAX: usize = 300;
/// About how many bytes one row takes in a frame, besides its text.
const ROW_BYTES: usize = 256;

impl Committer {
    /// Takes a page. It is durable, or the applier has it.
    pub(crate) async fn apply_rows(
        &mut self,
        at: UnitAt,
        rows: Vec<Row>,
        pair: Pair,
    ) -> Result<Option<PageUnderWay>> {
        self.admit(at, &[UnitPhase::Importing], pair, true).await?;
        let is_full = self.core.overlay.bytes_of_all() >= self.overlay_bytes_max;
        if rows.len() > JOURNALLED_ROWS_MAX || is_full {
            let behind = self.imports.get(&at.unit).copied().unwrap_or(0);
            return Ok(Some(self.core.write_page(at.unit, Page::Import(rows), behind)));
        }
        // One of the same unit may be on its way still: whoever sent it gave up waiting.
        self.core.pages_written(at.unit).await?;
        self.import(at.unit, rows).await?;
        Ok(None)
    }

    /// Waits until all that was taken of a unit is durable.
    ///
    /// A journalled page is durable when it is answered, and so is one that went straight into the tables, whose
    /// transaction syncs their log. What is left is one that nobody waits for any more.
    pub(crate) async fn import_complete(&mut self, at: UnitAt, pair: Pair) -> Result<()> {
        self.admit(at, &[UnitPhase::Importing], pair, true).await?;
        self.core.pages_written(at.unit).await
    }

    async fn import(&mut self, unit: UnitId, rows: Vec<Row>) -> Result<()> {
        let core = Arc::clone(&self.core);
        let newer = self.loader.run(move |conn| newer_rows(&core, conn, &rows)).await?;
        let mut frame = Vec::new();
        let mut bytes = 0;
        for row in newer {
            bytes += match &row {
                Row::Message(message) => ROW_BYTES + message.content.len(),
                _ => ROW_BYTES,
            };
            frame.push(row);
            if bytes >= FRAME_BYTES {
                self.append_import(unit, std::mem::take(&mut frame)).await?;
                bytes = 0;
            }
        }
        if !frame.is_empty() {
            self.append_import(unit, frame).await?;
        }
        Ok(())
    }

    async fn append_import(&mut self, unit: UnitId, rows: Vec<Row>) -> Result<()> {
        let payload = payload::imported(&rows);
        self.append(payload, Record::Imported(unit, rows), None);
        self.finish().await?;
        Ok(())
    }
}

/// The rows that are not older than what is here. Reactions follow their message and replace those it had.
fn newer_rows(
    core: &Core,
    conn: &rusqlite::Connection,
    rows: &[Row],
) -> std::result::Result<Vec<Row>, TableError> {
    whole(&core.overlay, conn, |snapshot| {
        let mut judge =
            Judge { snapshot, keys: FxHashMap::default(), before: FxHashMap::default() };
        let mut newer = Vec::with_capacity(rows.len());
        for row in rows {
            if judge.wins(row)? {
                newer.push(row.clone());
                newer.extend(judge.gone(row)?);
            }
        }
        for ((conversation, seq), gone) in judge.before {
            newer.extend(gone.into_iter().map(|(user, emoji)| {
                Row::ReactionGone(Arc::new(Reaction { conversation, seq, user, emoji }))
            }));
        }
        Ok(newer)
    })
}

/// Nothing of these rows changes while it looks: they are of a unit that only imports.
struct Judge<'a> {
    snapshot: &'a Snapshot<'a>,
    keys: FxHashMap<ConversationId, Option<i64>>,
    /// Messages that were taken, with those of their former reactions that have not come again.
    before: FxHashMap<(ConversationId, Seq), BTreeSet<(UserId, String)>>,
}

type Known<T> = std::result::Result<Option<T>, TableError>;

impl Judge<'_> {
    fn key(&mut self, id: ConversationId) -> Known<i64> {
        if let Some(known) = self.keys.get(&id) {
            return Ok(*known);
        }
        let key = self.snapshot.tables().key(id)?;
        self.keys.insert(id, key);
        Ok(key)
    }

    fn message(&mut self, id: ConversationId, seq: Seq) -> Known<Arc<Message>> {
        match (self.snapshot.overlay().message(id, seq), self.key(id)?) {
            (Found::Row(row), _) => Ok(Some(row)),
            (Found::Nothing, Some(key)) => self.snapshot.tables().message(key, id, seq),
            (Found::Gone, _) | (Found::Nothing, None) => Ok(None),
        }
    }

    fn reactions(
        &mut self,
        id: ConversationId,
        seq: Seq,
    ) -> std::result::Result<BTreeSet<(UserId, String)>, TableError> {
        let mut reactions = BTreeSet::new();
        if let Some(key) = self.key(id)? {
            let stored = self.snapshot.tables().reactions(key, seq, seq)?;
            reactions.extend(stored.into_iter().map(|(_, user, emoji)| (user, emoji)));
        }
        for now in self.snapshot.overlay().range(id, seq, seq).reactions {
            let reaction = (now.user, now.emoji);
            if now.there {
                reactions.insert(reaction);
            } else {
                reactions.remove(&reaction);
            }
        }
        Ok(reactions)
    }

    fn conversation(&self, id: ConversationId) -> Known<Arc<Conversation>> {
        match self.snapshot.overlay().conversation(id) {
            Some(known) => Ok(Some(known)),
            None => Ok(self.snapshot.tables().conversation(id)?.map(|(_, known)| known)),
        }
    }

    /// Messages that a conversation no longer has, if they may be here.
    fn gone(&self, row: &Row) -> Known<Row> {
        let Row::Conversation(row) = row else {
            return Ok(None);
        };
        let below = row.retained_from;
        let known = self.conversation(row.id)?.filter(|known| known.retained_from < below);
        Ok(known.map(|known| Row::MessagesGone { conversation: known.id, below }))
    }

    fn wins(&mut self, row: &Row) -> std::result::Result<bool, TableError> {
        let (overlay, tables) = (self.snapshot.overlay(), self.snapshot.tables());
        Ok(match row {
            Row::Conversation(row) => {
                let known = self.conversation(row.id)?;
                known.is_none_or(|known| row.rev + row.mark_rev >= known.rev + known.mark_rev)
            }
            Row::Member(row) => {
                let known =
                    match (overlay.member(row.conversation, row.user), self.key(row.conversation)?)
                    {
                        (Some(known), _) => Some(known),
                        (None, Some(key)) => tables.member(key, row.conversation, row.user)?,
                        (None, None) => None,
                    };
                known.is_none_or(|known| row.rev + row.mark_rev >= known.rev + known.mark_rev)
            }
            Row::Message(row) => {
                let known = self.message(row.conversation, row.seq)?;
                if known.is_some_and(|known| row.rev < known.rev) {
                    return Ok(false);
                }
                let had = self.reactions(row.conversation, row.seq)?;
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
                let known = self.snapshot.user(row.user)?;
                known.is_none_or(|known| row.user_rev >= known.user_rev)
            }
            Row::Inbox(row) => {
                let known = self.snapshot.inbox_entry(row.user, row.conversation)?;
                known.is_none_or(|known| row.user_rev >= known.user_rev)
            }
        })
    }
}
