//! Writes a page of rows that come from another shard: of two states of a row the one with the higher number stays.

use ostracon_domain::{Annex, ConversationId, Row, Seq};
use rustc_hash::FxHashMap;

use super::{Result, TableReader, TableWriter, read::Key, write::Known};

/// A page that is being written, inside a transaction of the writer.
pub(crate) struct Importing<'a> {
    writer: &'a mut TableWriter,
    /// The highest message of each conversation that has a reaction or an annex.
    attached: FxHashMap<Key, Seq>,
    /// Whether the message before was written; its reactions follow it.
    message_written: bool,
}

impl<'a> Importing<'a> {
    /// A page without any row yet.
    pub(crate) fn new(writer: &'a mut TableWriter) -> Self {
        Self { writer, attached: FxHashMap::default(), message_written: false }
    }

    /// Writes the next row unless a newer one is there.
    pub(crate) fn write(&mut self, row: &Row) -> Result<()> {
        match row {
            Row::Conversation(row) => {
                self.writer.conversation(row, Known::Compare)?;
                if row.retained_from > 1 {
                    self.gone(row.id, row.retained_from)?;
                }
            }
            Row::Member(row) => {
                let key = self.writer.key_or_new(row.conversation)?;
                self.writer.member(key, row, Known::Compare)?;
            }
            Row::Message(row) => {
                let key = self.writer.key_or_new(row.conversation)?;
                self.message_written = self.writer.message_if_newer(key, row)?;
                if self.message_written && row.seq <= *self.attached(key)? {
                    self.writer.attached_gone(key, row.seq)?;
                    if row.deleted.is_some() {
                        self.writer.annexes_gone(key, row.seq)?;
                    }
                }
            }
            Row::Reaction(row) if self.message_written => {
                let key = self.writer.key_or_new(row.conversation)?;
                let attached = self.attached(key)?;
                *attached = row.seq.max(*attached);
                self.writer.reaction(key, row, true)?;
            }
            Row::Annex(row) if self.takes(row)? => {
                let key = self.writer.key_or_new(row.conversation)?;
                let attached = self.attached(key)?;
                *attached = row.key.seq().max(*attached);
                self.writer.annex(key, row, true)?;
            }
            Row::Reaction(_)
            | Row::ReactionGone(_)
            | Row::Annex(_)
            | Row::AnnexGone(_)
            | Row::AnnexesGone { .. } => {}
            Row::MessagesGone { conversation, below } => self.gone(*conversation, *below)?,
            Row::User(row) => self.writer.user_state(row, Known::Compare)?,
            Row::Inbox(row) => self.writer.inbox(row, Known::Compare)?,
        }
        Ok(())
    }

    fn gone(&mut self, id: ConversationId, below: Seq) -> Result<()> {
        match self.writer.key(id)? {
            Some(key) => self.writer.messages_gone(key, below),
            None => Ok(()),
        }
    }

    /// Whether an annex is newer than what is here: that of a message follows it, the others have numbers of their own, and
    /// nothing is kept of a message that is gone.
    fn takes(&mut self, row: &Annex) -> Result<bool> {
        if row.key.kind.is_of_message() {
            return Ok(self.message_written);
        }
        let Some(key) = self.writer.key(row.conversation)? else {
            return Ok(true);
        };
        let tables = TableReader::inside(self.writer);
        if tables.is_gone(key, row.key.seq())? {
            return Ok(false);
        }
        let known = tables.annex(key, row.conversation, row.key)?;
        Ok(known.is_none_or(|known| known.number <= row.number))
    }

    /// Most messages have nothing attached, and most conversations none behind the page: that saves a look-up for each.
    fn attached(&mut self, key: Key) -> Result<&mut Seq> {
        use std::collections::hash_map::Entry;
        Ok(match self.attached.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let newest = TableReader::inside(self.writer).newest_attached(key)?;
                place.insert(newest.unwrap_or(0))
            }
        })
    }
}
