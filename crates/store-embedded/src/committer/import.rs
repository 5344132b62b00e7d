//! Rows that come from another shard: the newer of two states stays, nobody is told.
//!
//! A small page, as the last one of a move is, goes through the journal: it is durable at once and waits for no table.
//! A large one goes straight into the tables, behind every record of its unit. Neither keeps commits waiting for long.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{
    Annex, AnnexKey, Conversation, ConversationId, Message, Reaction, Row, Seq, UnitAt, UnitId,
    UserId,
};
use ostracon_store::{Pair, UnitPhase};
use rusqlite::Connection;
use rustc_hash::FxHashMap;

use super::{Committer, FRAME_BYTES, Record, Result};
use crate::{
    applier::Page,
    core::PageUnderWay,
    error::TableError,
    overlay::{Found, Overlay},
    payload,
    read::whole,
    snapshot::Snapshot,
};

/// A page of at most so many rows goes through the journal.
const JOURNALLED_ROWS_MAX: usize = 1_000;
/// About how many bytes one row takes in a frame, besides its text.
const ROW_BYTES: usize = 256;

/// What becomes of a page that was admitted.
pub(crate) enum Import {
    /// The applier has it.
    Large(PageUnderWay),
    /// To be compared with what is here, without keeping the committer, and then to be
    /// [journalled](Committer::journal_page).
    Small(Vec<Row>),
}

impl Committer {
    /// Admits a page of an import.
    pub(crate) async fn admit_page(
        &mut self,
        at: UnitAt,
        rows: Vec<Row>,
        pair: Pair,
    ) -> Result<Import> {
        self.admit(at, &[UnitPhase::Importing], pair, true).await?;
        let is_full = self.core.overlay.bytes_of_all() >= self.overlay_bytes_max;
        if rows.len() <= JOURNALLED_ROWS_MAX && !is_full {
            return Ok(Import::Small(rows));
        }
        let behind = self.before_pages(at.unit);
        Ok(Import::Large(self.core.write_page(at.unit, Page::Import(rows), behind)))
    }

    /// Writes what is newer of a small page, unless its command has become stale meanwhile.
    pub(crate) async fn journal_page(
        &mut self,
        at: UnitAt,
        newer: Vec<Row>,
        pair: Pair,
    ) -> Result<()> {
        self.admit(at, &[UnitPhase::Importing], pair, true).await?;
        let mut frame = Vec::new();
        let mut bytes = 0;
        for row in newer {
            bytes += match &row {
                Row::Message(message) => ROW_BYTES + message.content.len(),
                _ => ROW_BYTES,
            };
            frame.push(row);
            if bytes >= FRAME_BYTES {
                self.append_import(at.unit, std::mem::take(&mut frame)).await?;
                bytes = 0;
            }
        }
        if !frame.is_empty() {
            self.append_import(at.unit, frame).await?;
        }
        Ok(())
    }

    async fn append_import(&mut self, unit: UnitId, rows: Vec<Row>) -> Result<()> {
        let payload = payload::imported(&rows);
        self.append(payload, Record::Imported(unit, rows), None);
        self.finish().await?;
        Ok(())
    }

    /// Waits until all that was taken of a unit is durable.
    ///
    /// A journalled page is durable when it is answered, and so is one that went straight into the tables, whose
    /// transaction syncs their log. What is left is one that nobody waits for any more.
    pub(crate) async fn import_complete(&mut self, at: UnitAt, pair: Pair) -> Result<()> {
        self.admit(at, &[UnitPhase::Importing], pair, true).await?;
        self.core.pages_written(at.unit).await
    }
}

/// The rows that are not older than what is here. Reactions follow their message and replace those it had.
pub(crate) fn newer_rows(
    overlay: &Overlay,
    conn: &Connection,
    rows: &[Row],
) -> std::result::Result<Vec<Row>, TableError> {
    whole(overlay, conn, |snapshot| {
        let mut judge = Judge {
            snapshot,
            keys: FxHashMap::default(),
            before: FxHashMap::default(),
            annexed: FxHashMap::default(),
        };
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
        for ((conversation, _), gone) in judge.annexed {
            newer.extend(gone.into_iter().map(|key| {
                Row::AnnexGone(Arc::new(Annex { conversation, key, number: 0, value: Vec::new() }))
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
    /// The same of their annexes.
    annexed: FxHashMap<(ConversationId, Seq), BTreeSet<AnnexKey>>,
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

    /// Annexes that belong to a message and follow it.
    fn annexes(
        &mut self,
        id: ConversationId,
        seq: Seq,
    ) -> std::result::Result<BTreeSet<AnnexKey>, TableError> {
        let waiting = self.snapshot.overlay().annexes_of_message(id, seq);
        let mut keys: BTreeSet<AnnexKey> = BTreeSet::new();
        if let Some(key) = self.key(id)? {
            let stored = self.snapshot.tables().annexes_of_messages(key, id, seq, seq)?;
            keys.extend(stored.into_iter().map(|row| row.key).filter(|key| waiting.leaves(key)));
        }
        keys.extend(waiting.rows.into_iter().filter_map(|(key, row)| row.map(|_| key)));
        Ok(keys)
    }

    /// An annex with a number of its own, unless nothing is kept of its message.
    fn annex_wins(&mut self, row: &Annex) -> std::result::Result<bool, TableError> {
        let (id, seq) = (row.conversation, row.key.seq());
        let removed = |row: Arc<Conversation>| seq > 0 && seq < row.retained_from;
        let deleted = self.message(id, seq)?.is_some_and(|row| row.deleted.is_some());
        if deleted || self.conversation(id)?.is_some_and(removed) {
            return Ok(false);
        }
        let known = match (self.snapshot.overlay().annex(id, row.key), self.key(id)?) {
            (Some(known), _) => known,
            (None, Some(key)) => self.snapshot.tables().annex(key, id, row.key)?,
            (None, None) => None,
        };
        Ok(known.is_none_or(|known| known.number <= row.number))
    }

    fn conversation(&self, id: ConversationId) -> Known<Arc<Conversation>> {
        match self.snapshot.overlay().conversation(id) {
            Some(known) => Ok(Some(known)),
            None => Ok(self.snapshot.tables().conversation(id)?.map(|(_, known)| known)),
        }
    }

    /// What goes with this row: messages that a conversation no longer has, if they may be here.
    fn gone(&self, row: &Row) -> Known<Row> {
        let row = match row {
            Row::Conversation(row) => row,
            // The small rows of a tombstone go with what was there.
            Row::Message(row) if row.deleted.is_some() => {
                let (conversation, seq) = (row.conversation, row.seq);
                return Ok(Some(Row::AnnexesGone { conversation, seq }));
            }
            _ => return Ok(None),
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
                let had = if row.deleted.is_some() {
                    BTreeSet::new()
                } else {
                    self.annexes(row.conversation, row.seq)?
                };
                self.annexed.insert((row.conversation, row.seq), had);
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
            Row::Annex(row) if row.key.kind.is_of_message() => {
                match self.annexed.get_mut(&(row.conversation, row.key.seq())) {
                    Some(had) => {
                        had.remove(&row.key);
                        true
                    }
                    None => false,
                }
            }
            Row::Annex(row) => self.annex_wins(row)?,
            Row::ReactionGone(_) | Row::AnnexGone(_) | Row::AnnexesGone { .. } => false,
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
