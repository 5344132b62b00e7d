//! Joins small segments into larger ones, and writes those anew that hold something removed.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior};
use rustc_hash::FxHashSet;

use super::{
    PART_BITS, Result,
    codec::{BlockReader, each_doc},
    cut::Cutter,
    segment::{Chunks, Doc, Heads, Part, Segment, with_part},
};

/// So many segments of about one size are joined.
const SAME_SIZE: usize = 8;
/// Messages of a segment at most: one removal writes at most so many anew.
const DOCS_MAX: u32 = 1 << 18;
/// No document of the joined segment.
const GONE: u32 = u32::MAX;

/// Joins segments of about one size, if there are enough of them.
pub(super) fn join_some(conn: &mut Connection, heads: &Heads) -> Result<bool> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut by_size: BTreeMap<u32, Vec<Segment>> = BTreeMap::new();
    for segment in heads.segments(&tx)? {
        by_size.entry(size(segment.head.docs)).or_default().push(segment);
    }
    for mut segments in by_size.into_values() {
        if segments.len() < SAME_SIZE {
            continue;
        }
        segments.sort_by_key(|segment| segment.head.docs);
        let mut docs = 0;
        segments.retain(|segment| {
            docs += segment.head.docs;
            docs <= DOCS_MAX
        });
        if segments.len() > 1 {
            join(&tx, &segments)?;
            tx.commit()?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes one segment anew that holds something removed; `false` when there is none.
pub(super) fn wipe_one(conn: &mut Connection, heads: &Heads) -> Result<bool> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let dirty: Option<i64> = {
        let mut look =
            tx.prepare_cached("SELECT id FROM segment WHERE dirty = 1 ORDER BY id LIMIT 1")?;
        let mut rows = look.query([])?;
        rows.next()?.map(|row| row.get(0)).transpose()?
    };
    let segments = heads.segments(&tx)?;
    let Some(segment) = segments.into_iter().find(|segment| Some(segment.id) == dirty) else {
        return Ok(false);
    };
    join(&tx, &[segment])?;
    tx.commit()?;
    Ok(true)
}

/// Gives pages that are not used any more back to the system.
pub(super) fn give_back(conn: &Connection) -> Result<()> {
    let free: u64 = conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > 64 {
        let mut vacuum = conn.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Sizes rise eightfold, from 64 messages on.
const fn size(docs: u32) -> u32 {
    let docs = if docs < 64 { 64 } else { docs };
    (docs / 64).ilog2() / 3
}

fn join(conn: &Connection, segments: &[Segment]) -> Result<()> {
    let alive: FxHashSet<u64> = {
        let mut list = conn.prepare_cached("SELECT key FROM conversation")?;
        let rows = list.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    // Which documents stay, and where each of them goes.
    let mut kept: Vec<(Doc, usize, u32)> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let mut chunks = Chunks::new(conn, segment);
        for number in 0..segment.head.docs {
            let doc = chunks.doc(number)?;
            if alive.contains(&doc.key) && !segment.removed.contains(&number) {
                kept.push((doc, at, number));
            }
        }
    }
    kept.sort_unstable_by_key(|(doc, ..)| (doc.key, doc.seq));
    let mut places: Vec<Vec<u32>> =
        segments.iter().map(|segment| vec![GONE; segment.head.docs as usize]).collect();
    for (place, (_, at, number)) in (0u32..).zip(&kept) {
        if let Some(slot) = places.get_mut(*at).and_then(|of| of.get_mut(*number as usize)) {
            *slot = place;
        }
    }
    if !kept.is_empty() {
        let docs: Vec<Doc> = kept.into_iter().map(|(doc, ..)| doc).collect();
        let mut cutter = Cutter::begin(conn, &docs)?;
        let mut walks: Vec<Walk<'_>> = Vec::new();
        for (segment, places) in segments.iter().zip(&places) {
            let mut walk = Walk { conn, segment, places, block: 0, waiting: Vec::new() };
            walk.fill()?;
            walks.push(walk);
        }
        let mut list = Vec::new();
        while let Some(token) = walks.iter().filter_map(Walk::token).min().map(<[u8]>::to_vec) {
            list.clear();
            for walk in &mut walks {
                walk.take(&token, &mut list)?;
            }
            if !list.is_empty() {
                list.sort_unstable();
                cutter.token(&token, &list)?;
            }
        }
        cutter.finish()?;
    }
    for segment in segments {
        let first = segment.id << PART_BITS;
        let end = (segment.id + 1) << PART_BITS;
        conn.prepare_cached("DELETE FROM block WHERE id >= ? AND id < ?")?.execute([first, end])?;
        conn.prepare_cached("DELETE FROM chunk WHERE id >= ? AND id < ?")?.execute([first, end])?;
        conn.prepare_cached("DELETE FROM removed WHERE segment = ?")?.execute([segment.id])?;
        conn.prepare_cached("DELETE FROM segment WHERE id = ?")?.execute([segment.id])?;
    }
    Ok(())
}

/// The tokens of one segment, block by block.
struct Walk<'a> {
    conn: &'a Connection,
    segment: &'a Segment,
    places: &'a [u32],
    block: u32,
    /// Entries of the block, last first.
    waiting: Vec<(Vec<u8>, Vec<u32>)>,
}

impl Walk<'_> {
    fn token(&self) -> Option<&[u8]> {
        self.waiting.last().map(|(token, _)| token.as_slice())
    }

    /// Adds the documents of a token, if it is the next one.
    fn take(&mut self, token: &[u8], list: &mut Vec<u32>) -> Result<()> {
        if self.token() == Some(token) {
            list.extend(self.waiting.pop().into_iter().flat_map(|(_, docs)| docs));
            self.fill()?;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        while self.waiting.is_empty() && (self.block as usize) < self.segment.head.blocks() {
            let (places, waiting) = (self.places, &mut self.waiting);
            with_part(self.conn, Part::Block, self.segment.part(self.block), |data| {
                let mut reader = BlockReader::new(data);
                while let Some(entry) = reader.next_entry()? {
                    let mut docs = Vec::new();
                    each_doc(entry.list, |doc| {
                        docs.extend(places.get(doc as usize).filter(|place| **place != GONE));
                    })?;
                    waiting.push((reader.token.clone(), docs));
                }
                Ok(())
            })?;
            self.waiting.reverse();
            self.block += 1;
        }
        Ok(())
    }
}
