//! Answers a question: in every segment the lists of its tokens, inside the asker's conversations.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

use ostracon_domain::{ConversationId, MessageId};
use ostracon_store::{Hit, SearchFor, Wanted};
use rusqlite::{Connection, OptionalExtension as _};
use rustc_hash::FxHashMap;

use super::{
    Result,
    codec::{BlockReader, each_doc},
    id_bytes,
    segment::{Chunks, Heads, Part, Segment, with_part},
};
use crate::error::TableError;

/// A conversation that is asked for.
struct Asked {
    conversation: ConversationId,
    from: u64,
    to: u64,
}

pub(super) fn search(conn: &Connection, heads: &Heads, wanted: &SearchFor) -> Result<Vec<Hit>> {
    let limit = wanted.limit as usize;
    let asked = asked(conn, wanted)?;
    let mut keys: Vec<u64> = asked.keys().copied().collect();
    keys.sort_unstable();
    // Single tokens have shorter lists than beginnings; longer ones are rarer.
    let mut tokens: Vec<&Wanted> = wanted.tokens.iter().collect();
    tokens.sort_by_key(|token| (token.prefix, Reverse(token.token.len())));
    let mut best: BinaryHeap<Reverse<(u64, u64, u64)>> = BinaryHeap::new();
    if keys.is_empty() || tokens.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    // Newest first: where the page is full, older segments need not be read.
    for segment in heads.segments(conn)? {
        let worst = best.peek().filter(|_| best.len() >= limit).map_or(0, |Reverse((id, ..))| *id);
        if segment.newest < wanted.from.max(worst) || segment.oldest >= wanted.below {
            continue;
        }
        let ranges = ranges(&segment, &keys);
        let Some(docs) = common(conn, &segment, &ranges, &tokens)? else { continue };
        let mut chunks = Chunks::new(conn, &segment);
        for doc in docs {
            if segment.removed.contains(&doc) {
                continue;
            }
            let doc = chunks.doc(doc)?;
            let fits = (wanted.from..wanted.below).contains(&doc.message_id)
                && wanted.sender.is_none_or(|sender| sender.get() == doc.sender)
                && (doc.has_attachment || !wanted.has_attachment)
                && asked
                    .get(&doc.key)
                    .is_some_and(|asked| asked.from <= doc.seq && doc.seq <= asked.to);
            if !fits {
                continue;
            }
            best.push(Reverse((doc.message_id, doc.key, doc.seq)));
            if best.len() > limit {
                best.pop();
            }
        }
    }
    let hits = best.into_sorted_vec().into_iter().map(|Reverse((id, key, seq))| {
        let conversation = asked.get(&key).ok_or(TableError::Damaged("search key"))?.conversation;
        let message_id = MessageId::new(id).map_err(|_| TableError::Damaged("message id"))?;
        Ok(Hit { message_id, conversation, seq })
    });
    hits.collect()
}

/// The conversations of the question that are here, by key.
fn asked(conn: &Connection, wanted: &SearchFor) -> Result<FxHashMap<u64, Asked>> {
    let mut look = conn.prepare_cached("SELECT key FROM conversation WHERE id = ?")?;
    let mut asked = FxHashMap::default();
    for span in wanted.spans.iter().filter(|span| span.from <= span.to) {
        let key = look.query_row([id_bytes(span.conversation)], |row| row.get(0)).optional()?;
        if let Some(key) = key {
            asked.insert(
                key,
                Asked { conversation: span.conversation, from: span.from, to: span.to },
            );
        }
    }
    Ok(asked)
}

/// The documents of some conversations, rising.
fn ranges(segment: &Segment, keys: &[u64]) -> Vec<Range<u32>> {
    let known = &segment.head.conversations;
    let range = |key: &u64| segment.head.range(*key);
    // Few of many are looked up; many are walked along with those of the segment.
    if keys.len() * 8 < known.len() {
        return keys.iter().filter_map(range).collect();
    }
    let mut keys = keys.iter().peekable();
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for (at, (key, start)) in known.iter().enumerate() {
        while keys.next_if(|wanted| *wanted < key).is_some() {}
        if keys.next_if(|wanted| *wanted == key).is_none() {
            continue;
        }
        let end = known.get(at + 1).map_or(segment.head.docs, |(_, next)| *next);
        match ranges.last_mut() {
            Some(last) if last.end == *start => last.end = end,
            _ => ranges.push(*start..end),
        }
    }
    ranges
}

/// Documents inside the ranges that have every token, rising; `None` for none.
fn common(
    conn: &Connection,
    segment: &Segment,
    ranges: &[Range<u32>],
    tokens: &[&Wanted],
) -> Result<Option<Vec<u32>>> {
    if ranges.is_empty() {
        return Ok(None);
    }
    let mut common: Option<Vec<u32>> = None;
    for token in tokens {
        let mut set = Set::new(segment.head.docs);
        lists(conn, segment, token, |list| match &common {
            None => set.add_inside(list, ranges),
            Some(_) => set.add(list),
        })?;
        let next = match common {
            None => set.into_docs(),
            Some(before) => before.into_iter().filter(|doc| set.has(*doc)).collect(),
        };
        if next.is_empty() {
            return Ok(None);
        }
        common = Some(next);
    }
    Ok(common)
}

/// Calls with every list of a token, or of all that begin so.
fn lists(
    conn: &Connection,
    segment: &Segment,
    wanted: &Wanted,
    mut with: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let token = wanted.token.as_bytes();
    let head = &segment.head;
    let mut block = head.block_of(token);
    let mut more = true;
    while more && block < head.blocks() && head.may_begin(block, token) {
        more = with_part(conn, Part::Block, segment.part(block as u32), |data| {
            let mut reader = BlockReader::new(data);
            while let Some(entry) = reader.next_entry()? {
                let found = reader.token.as_slice();
                if found == token || (wanted.prefix && found.starts_with(token)) {
                    with(entry.list)?;
                } else if found > token {
                    return Ok(false);
                }
            }
            Ok(wanted.prefix)
        })?;
        block += 1;
    }
    Ok(())
}

/// A set of documents of one segment.
struct Set(Vec<u64>);

impl Set {
    fn new(docs: u32) -> Self {
        Self(vec![0; (docs as usize).div_ceil(64)])
    }

    fn add_one(&mut self, doc: u32) {
        if let Some(word) = self.0.get_mut(doc as usize / 64) {
            *word |= 1 << (doc % 64);
        }
    }

    fn add(&mut self, list: &[u8]) -> Result<()> {
        each_doc(list, |doc| self.add_one(doc))
    }

    fn add_inside(&mut self, list: &[u8], ranges: &[Range<u32>]) -> Result<()> {
        let mut ranges = ranges.iter();
        let mut range = ranges.next().cloned().unwrap_or(0..0);
        each_doc(list, |doc| {
            while doc >= range.end
                && let Some(next) = ranges.next()
            {
                range = next.clone();
            }
            if range.contains(&doc) {
                self.add_one(doc);
            }
        })
    }

    fn has(&self, doc: u32) -> bool {
        self.0.get(doc as usize / 64).is_some_and(|word| word >> (doc % 64) & 1 == 1)
    }

    fn into_docs(self) -> Vec<u32> {
        let mut docs = Vec::new();
        for (at, mut word) in (0u32..).zip(self.0) {
            while word != 0 {
                docs.push(at * 64 + word.trailing_zeros());
                word &= word - 1;
            }
        }
        docs
    }
}
