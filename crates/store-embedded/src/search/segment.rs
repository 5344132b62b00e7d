//! What is known of segments without reading their lists: which conversations they have, and where tokens stand.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use rusqlite::Connection;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    PART_BITS, Result,
    codec::{Bytes, put_number},
};
use crate::error::TableError;

/// Messages in a chunk.
pub(super) const CHUNK_DOCS: u32 = 128;
/// Heads that stay in memory, in bytes; beyond it all are forgotten and read again.
const HEADS_BYTES_MAX: usize = 64 << 20;

/// The front page of a segment; never changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Conversation keys, rising, and the first document of each; documents lie in this order.
    pub(super) conversations: Vec<(u64, u32)>,
    pub(super) docs: u32,
    /// First token of each block, one after another, and where each ends.
    pub(super) firsts: Vec<u8>,
    pub(super) ends: Vec<u32>,
}

impl Head {
    pub(super) fn push_block(&mut self, first: &[u8]) {
        self.firsts.extend_from_slice(first);
        self.ends.push(self.firsts.len() as u32);
    }

    pub(super) const fn blocks(&self) -> usize {
        self.ends.len()
    }

    fn first(&self, block: usize) -> &[u8] {
        let start =
            block.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(block).copied().unwrap_or(start);
        self.firsts.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The block in which a token is, if it is anywhere; 0 for one before all.
    pub(super) fn block_of(&self, token: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.first(middle) <= token {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
    }

    /// Whether some token of a block may begin so, where the one before did not end the search.
    pub(super) fn may_begin(&self, block: usize, prefix: &[u8]) -> bool {
        let first = self.first(block);
        first <= prefix || first.starts_with(prefix)
    }

    /// The documents of a conversation.
    pub(super) fn range(&self, key: u64) -> Option<Range<u32>> {
        let at = self.conversations.binary_search_by_key(&key, |(known, _)| *known).ok()?;
        let start = self.conversations.get(at)?.1;
        let end = self.conversations.get(at + 1).map_or(self.docs, |(_, next)| *next);
        Some(start..end)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, u64::from(self.docs));
        put_number(&mut out, self.conversations.len() as u64);
        let (mut key, mut first) = (0, 0);
        for (next_key, next_first) in &self.conversations {
            put_number(&mut out, next_key - key);
            put_number(&mut out, u64::from(next_first - first));
            (key, first) = (*next_key, *next_first);
        }
        put_number(&mut out, self.ends.len() as u64);
        let mut before: &[u8] = &[];
        for block in 0..self.blocks() {
            let token = self.first(block);
            let shared = shared(before, token);
            put_number(&mut out, shared as u64);
            put_number(&mut out, (token.len() - shared) as u64);
            out.extend_from_slice(token.get(shared..).unwrap_or_default());
            before = token;
        }
        out
    }

    pub(super) fn decode(data: &[u8]) -> Result<Self> {
        let mut bytes = Bytes(data);
        let mut head = Self { docs: bytes.small()?, ..Self::default() };
        let (mut key, mut first) = (0u64, 0u32);
        for _ in 0..bytes.small()? {
            key = key.wrapping_add(bytes.number()?);
            first = first.wrapping_add(bytes.small()?);
            head.conversations.push((key, first));
        }
        let mut token = Vec::new();
        for _ in 0..bytes.small()? {
            let shared = bytes.number()? as usize;
            let more = bytes.number()? as usize;
            token.truncate(shared);
            token.extend_from_slice(bytes.take(more)?);
            head.push_block(&token);
        }
        if bytes.is_empty() { Ok(head) } else { Err(TableError::Damaged("search segment")) }
    }

    fn weight(&self) -> usize {
        self.conversations.len() * 16 + self.firsts.len() + self.ends.len() * 4
    }
}

/// Bytes that two tokens begin with alike.
pub(super) fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// One segment as of a moment.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) id: i64,
    pub(super) newest: u64,
    pub(super) oldest: u64,
    pub(super) head: Arc<Head>,
    /// Documents that are not found any more.
    pub(super) removed: Arc<FxHashSet<u32>>,
}

impl Segment {
    /// The id of a block or chunk.
    pub(super) const fn part(&self, number: u32) -> i64 {
        (self.id << PART_BITS) | number as i64
    }
}

/// Heads and removals that were read already.
#[derive(Default)]
pub(super) struct Heads {
    known: Mutex<FxHashMap<i64, Known>>,
    /// How often the file was made again while this is open.
    made: AtomicU64,
}

struct Known {
    head: Arc<Head>,
    removed: Arc<FxHashSet<u32>>,
}

impl Heads {
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }

    pub(super) fn forget_all(&self) {
        self.made.fetch_add(1, Ordering::AcqRel);
        self.known.lock().clear();
    }

    /// The segments that a transaction sees.
    pub(super) fn segments(&self, conn: &Connection) -> Result<Vec<Segment>> {
        let mut list = conn.prepare_cached(
            "SELECT id, removed, oldest, newest FROM segment ORDER BY newest DESC",
        )?;
        let rows = list.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, u32>(1)?,
                row.get::<_, u64>(2)?,
                row.get::<_, u64>(3)?,
            ))
        })?;
        let made = self.made();
        let mut segments = Vec::new();
        for row in rows {
            let (id, removed, oldest, newest) = row?;
            let known = self
                .known
                .lock()
                .get(&id)
                .map(|known| (Arc::clone(&known.head), Arc::clone(&known.removed)));
            let (head, marks) = match known {
                Some(known) => known,
                None => (Arc::new(load_head(conn, id)?), Arc::default()),
            };
            // Removals only grow while a segment lives.
            let marks = if marks.len() == removed as usize {
                marks
            } else {
                Arc::new(load_removed(conn, id)?)
            };
            segments.push(Segment { id, newest, oldest, head, removed: marks });
        }
        let mut known = self.known.lock();
        if self.made() == made {
            known.retain(|id, _| segments.iter().any(|segment| segment.id == *id));
            if segments.iter().map(|segment| segment.head.weight()).sum::<usize>()
                <= HEADS_BYTES_MAX
            {
                known.extend(segments.iter().map(|segment| {
                    let (head, removed) = (Arc::clone(&segment.head), Arc::clone(&segment.removed));
                    (segment.id, Known { head, removed })
                }));
            }
        }
        Ok(segments)
    }
}

fn load_head(conn: &Connection, id: i64) -> Result<Head> {
    let mut look = conn.prepare_cached("SELECT head FROM segment WHERE id = ?")?;
    let mut rows = look.query([id])?;
    let row = rows.next()?.ok_or(TableError::Damaged("search segment"))?;
    Head::decode(row.get_ref(0)?.as_blob().map_err(|_| TableError::Damaged("search segment"))?)
}

fn load_removed(conn: &Connection, id: i64) -> Result<FxHashSet<u32>> {
    let mut list = conn.prepare_cached("SELECT doc FROM removed WHERE segment = ?")?;
    let rows = list.query_map([id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A message of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doc {
    pub(super) key: u64,
    pub(super) seq: u64,
    pub(super) message_id: u64,
    pub(super) sender: u64,
    pub(super) has_attachment: bool,
}

pub(super) fn encode_chunk(docs: &[Doc]) -> Vec<u8> {
    use super::codec::put_signed;
    let mut out = Vec::new();
    let (mut key, mut seq, mut id) = (0, 0, 0u64);
    for doc in docs {
        put_number(&mut out, doc.key - key);
        put_number(&mut out, if doc.key == key { doc.seq - seq } else { doc.seq });
        put_signed(&mut out, doc.message_id.cast_signed() - id.cast_signed());
        put_number(&mut out, (doc.sender << 1) | u64::from(doc.has_attachment));
        (key, seq, id) = (doc.key, doc.seq, doc.message_id);
    }
    out
}

pub(super) fn decode_chunk(data: &[u8]) -> Result<Vec<Doc>> {
    let mut bytes = Bytes(data);
    let mut docs = Vec::with_capacity(CHUNK_DOCS as usize);
    let (mut key, mut seq, mut id) = (0u64, 0u64, 0i64);
    while !bytes.is_empty() {
        let step = bytes.number()?;
        key = key.wrapping_add(step);
        seq = if step == 0 { seq.wrapping_add(bytes.number()?) } else { bytes.number()? };
        id = id.wrapping_add(bytes.signed()?);
        let last = bytes.number()?;
        docs.push(Doc {
            key,
            seq,
            message_id: id.cast_unsigned(),
            sender: last >> 1,
            has_attachment: last & 1 == 1,
        });
    }
    Ok(docs)
}

/// Reads chunks of one segment, the last one only once.
pub(super) struct Chunks<'a> {
    conn: &'a Connection,
    segment: &'a Segment,
    last: Option<(u32, Vec<Doc>)>,
}

impl<'a> Chunks<'a> {
    pub(super) const fn new(conn: &'a Connection, segment: &'a Segment) -> Self {
        Self { conn, segment, last: None }
    }

    pub(super) fn doc(&mut self, doc: u32) -> Result<Doc> {
        let number = doc / CHUNK_DOCS;
        if self.last.as_ref().is_none_or(|(known, _)| *known != number) {
            let docs = with_part(self.conn, Part::Chunk, self.segment.part(number), decode_chunk)?;
            self.last = Some((number, docs));
        }
        let known = self.last.as_ref().and_then(|(_, docs)| docs.get((doc % CHUNK_DOCS) as usize));
        known.copied().ok_or(TableError::Damaged("search chunk"))
    }

    /// The first document of a range, sorted by seq, that is not below a seq; the range's end for none.
    pub(super) fn first_from(&mut self, range: Range<u32>, seq: u64) -> Result<u32> {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = u32::midpoint(low, high);
            if self.doc(middle)?.seq < seq {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

#[derive(Clone, Copy)]
pub(super) enum Part {
    Block,
    Chunk,
}

/// Does something with the bytes of a block or chunk.
pub(super) fn with_part<T>(
    conn: &Connection,
    part: Part,
    id: i64,
    work: impl FnOnce(&[u8]) -> Result<T>,
) -> Result<T> {
    let mut look = conn.prepare_cached(match part {
        Part::Block => "SELECT data FROM block WHERE id = ?",
        Part::Chunk => "SELECT data FROM chunk WHERE id = ?",
    })?;
    let mut rows = look.query([id])?;
    let row = rows.next()?.ok_or(TableError::Damaged("search part"))?;
    work(row.get_ref(0)?.as_blob().map_err(|_| TableError::Damaged("search part"))?)
}
