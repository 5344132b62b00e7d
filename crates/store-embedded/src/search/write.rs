//! Takes in what became of conversations: one transaction, at most one new segment.

use ostracon_domain::ConversationId;
use ostracon_store::{Document, Indexed, Update};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Result,
    cut::Cutter,
    id_bytes, indexed_of,
    segment::{Chunks, Doc, Heads, Segment},
};

/// A conversation as the index knows it.
struct Known {
    key: u64,
    indexed: Option<Indexed>,
    /// No message below is here.
    first_seq: u64,
    /// No message above is here.
    head_seq: u64,
    messages: u64,
}

/// Does the updates; whether something now waits to be wiped off the disk.
pub(super) fn update(conn: &mut Connection, heads: &Heads, updates: Vec<Update>) -> Result<bool> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut work = Work { conn: &tx, heads, segments: None, dirty: false };
    let mut new = Vec::new();
    let mut named = FxHashSet::default();
    for update in updates {
        // What an earlier one of the same conversation brought must be where this one looks for it.
        if !named.insert(update.conversation) {
            write_segment(&tx, std::mem::take(&mut new))?;
            work.segments = None;
        }
        work.one(update, &mut new)?;
    }
    let dirty = work.dirty;
    write_segment(&tx, new)?;
    tx.commit()?;
    Ok(dirty)
}

struct Work<'a> {
    conn: &'a Connection,
    heads: &'a Heads,
    /// Those there were at the start, once somebody asked.
    segments: Option<Vec<Segment>>,
    dirty: bool,
}

impl Work<'_> {
    fn one(&mut self, update: Update, new: &mut Vec<(Doc, Vec<String>)>) -> Result<()> {
        let id = update.conversation;
        let mut known = self.known(id)?;
        if let Some(before) = &known {
            if update.fresh {
                self.forget(before)?;
                known = None;
            } else if is_old(before.indexed, update.indexed) {
                return Ok(());
            }
        }
        if update.fresh && update.indexed.is_none() && update.documents.is_empty() {
            return Ok(());
        }
        let mut known = match known {
            Some(known) => known,
            None => self.begin(id)?,
        };
        let mut gone = Vec::new();
        if update.gone_below > known.first_seq {
            gone.extend(self.range(&known, 0, update.gone_below)?);
            known.first_seq = update.gone_below;
        }
        for seq in update.removed {
            if (known.first_seq..=known.head_seq).contains(&seq) {
                gone.extend(self.range(&known, seq, seq + 1)?);
            }
        }
        for document in update.documents {
            let Document { seq, message_id, sender, has_attachment, tokens } = document;
            if (known.first_seq..=known.head_seq).contains(&seq) {
                gone.extend(self.range(&known, seq, seq + 1)?);
            }
            known.first_seq = known.first_seq.min(seq);
            let doc = Doc {
                key: known.key,
                seq,
                message_id: message_id.get(),
                sender: sender.get(),
                has_attachment,
            };
            known.messages += 1;
            new.push((doc, tokens));
        }
        // Raised behind the loop: the documents themselves are not in any segment yet.
        known.head_seq = new
            .iter()
            .rev()
            .take_while(|(doc, _)| doc.key == known.key)
            .map(|(doc, _)| doc.seq)
            .fold(known.head_seq, u64::max);
        known.messages = known.messages.saturating_sub(self.remove(&gone)?);
        known.indexed = update.indexed.or(known.indexed);
        self.store(&known)
    }

    fn known(&self, id: ConversationId) -> Result<Option<Known>> {
        let mut look = self.conn.prepare_cached(
            "SELECT key, history, rev, first_seq, head_seq, messages FROM conversation WHERE id = ?",
        )?;
        let row = look.query_row([id_bytes(id)], |row| {
            Ok(Known {
                key: row.get(0)?,
                indexed: indexed_of(row.get(1)?, row.get(2)?),
                first_seq: row.get(3)?,
                head_seq: row.get(4)?,
                messages: row.get(5)?,
            })
        });
        Ok(row.optional()?)
    }

    fn begin(&self, id: ConversationId) -> Result<Known> {
        self.conn
            .prepare_cached(
                "INSERT INTO conversation (id, first_seq, head_seq, messages) VALUES (?, 0, 0, 0)",
            )?
            .execute([id_bytes(id)])?;
        let key = self.conn.last_insert_rowid().cast_unsigned();
        Ok(Known { key, indexed: None, first_seq: 0, head_seq: 0, messages: 0 })
    }

    fn store(&self, known: &Known) -> Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE conversation SET history = ?, rev = ?, first_seq = ?, head_seq = ?, messages = ? WHERE key = ?",
            )?
            .execute(params![
                known.indexed.map(|indexed| indexed.history.0.cast_signed()),
                known.indexed.map(|indexed| indexed.rev),
                known.first_seq,
                known.head_seq,
                known.messages,
                known.key,
            ])?;
        Ok(())
    }

    /// Nobody asks for its key any more; its messages go when their segments are written anew.
    fn forget(&mut self, known: &Known) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM conversation WHERE key = ?")?.execute([known.key])?;
        if known.head_seq == 0 {
            return Ok(());
        }
        let key = known.key;
        let ids: Vec<i64> = self
            .segments()?
            .iter()
            .filter(|segment| segment.head.range(key).is_some())
            .map(|segment| segment.id)
            .collect();
        let mut mark = self.conn.prepare_cached("UPDATE segment SET dirty = 1 WHERE id = ?")?;
        for id in ids {
            mark.execute([id])?;
            self.dirty = true;
        }
        Ok(())
    }

    fn segments(&mut self) -> Result<&[Segment]> {
        if self.segments.is_none() {
            self.segments = Some(self.heads.segments(self.conn)?);
        }
        Ok(self.segments.as_deref().unwrap_or_default())
    }

    /// Documents of a conversation from one seq to before another.
    fn range(&mut self, known: &Known, from: u64, below: u64) -> Result<Vec<(i64, u32)>> {
        let conn = self.conn;
        let mut found = Vec::new();
        for segment in self.segments()? {
            let Some(range) = segment.head.range(known.key) else { continue };
            let mut chunks = Chunks::new(conn, segment);
            let start = chunks.first_from(range.clone(), from)?;
            let end = chunks.first_from(start..range.end, below)?;
            found.extend(
                (start..end)
                    .filter(|doc| !segment.removed.contains(doc))
                    .map(|doc| (segment.id, doc)),
            );
        }
        Ok(found)
    }

    /// Notes documents as removed; how many were not noted before.
    fn remove(&mut self, gone: &[(i64, u32)]) -> Result<u64> {
        let mut note = self
            .conn
            .prepare_cached("INSERT OR IGNORE INTO removed (segment, doc) VALUES (?, ?)")?;
        let mut counts: FxHashMap<i64, u64> = FxHashMap::default();
        for (segment, doc) in gone {
            *counts.entry(*segment).or_default() += note.execute(params![segment, doc])? as u64;
        }
        let mut mark = self
            .conn
            .prepare_cached("UPDATE segment SET removed = removed + ?, dirty = 1 WHERE id = ?")?;
        for (segment, count) in &counts {
            mark.execute(params![count, segment])?;
            self.dirty = true;
        }
        Ok(counts.values().sum())
    }
}

fn is_old(known: Option<Indexed>, update: Option<Indexed>) -> bool {
    match (known, update) {
        (Some(known), Some(update)) => known.history == update.history && update.rev < known.rev,
        _ => false,
    }
}

/// Writes documents as one segment; the last one of each seq counts.
fn write_segment(conn: &Connection, mut new: Vec<(Doc, Vec<String>)>) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    new.sort_by_key(|(doc, _)| (doc.key, doc.seq));
    let docs: Vec<Doc> = new.iter().map(|(doc, _)| *doc).collect();
    let mut lists: FxHashMap<&str, Vec<u32>> = FxHashMap::default();
    for (number, (_, tokens)) in (0u32..).zip(&new) {
        for token in tokens {
            lists.entry(token).or_default().push(number);
        }
    }
    let mut lists: Vec<(&str, Vec<u32>)> = lists.into_iter().collect();
    lists.sort_unstable_by_key(|(token, _)| *token);
    let mut cutter = Cutter::begin(conn, &docs)?;
    for (token, mut list) in lists {
        list.dedup();
        cutter.token(token.as_bytes(), &list)?;
    }
    cutter.finish()
}
