//! Writes a new segment: tokens must come in order, each with its documents.

use rusqlite::{Connection, params};

use super::{
    PART_BITS, Result,
    codec::{put_docs, put_number},
    segment::{CHUNK_DOCS, Doc, Head, encode_chunk, shared},
};

/// Bytes of a block; a single long list may be longer.
const BLOCK_BYTES: usize = 2_000;

/// A segment that is being written, inside a transaction.
pub(super) struct Cutter<'a> {
    conn: &'a Connection,
    id: i64,
    head: Head,
    block: Vec<u8>,
    first: Vec<u8>,
    last: Vec<u8>,
    list: Vec<u8>,
}

impl<'a> Cutter<'a> {
    /// Begins a segment of these documents, which are sorted by conversation key and seq; at least one.
    pub(super) fn begin(conn: &'a Connection, docs: &[Doc]) -> Result<Self> {
        let mut head = Head { docs: docs.len() as u32, ..Head::default() };
        for (at, doc) in (0u32..).zip(docs) {
            if head.conversations.last().is_none_or(|(key, _)| *key != doc.key) {
                head.conversations.push((doc.key, at));
            }
        }
        let ids = || docs.iter().map(|doc| doc.message_id);
        conn.prepare_cached(
            "INSERT INTO segment (docs, removed, dirty, oldest, newest, head) VALUES (?, 0, 0, ?, ?, x'')",
        )?
        .execute(params![head.docs, ids().min().unwrap_or(0), ids().max().unwrap_or(0)])?;
        let id = conn.last_insert_rowid();
        let mut write = conn.prepare_cached("INSERT INTO chunk (id, data) VALUES (?, ?)")?;
        for (number, chunk) in (0i64..).zip(docs.chunks(CHUNK_DOCS as usize)) {
            write.execute(params![(id << PART_BITS) | number, encode_chunk(chunk)])?;
        }
        Ok(Self {
            conn,
            id,
            head,
            block: Vec::new(),
            first: Vec::new(),
            last: Vec::new(),
            list: Vec::new(),
        })
    }

    /// The next token with its documents, rising; at least one.
    pub(super) fn token(&mut self, token: &[u8], docs: &[u32]) -> Result<()> {
        self.list.clear();
        put_docs(&mut self.list, docs);
        if !self.block.is_empty() && self.block.len() + token.len() + self.list.len() > BLOCK_BYTES
        {
            self.close_block()?;
        }
        if self.block.is_empty() {
            self.first = token.to_vec();
            self.last.clear();
        }
        let shared = shared(&self.last, token);
        put_number(&mut self.block, shared as u64);
        put_number(&mut self.block, (token.len() - shared) as u64);
        self.block.extend_from_slice(token.get(shared..).unwrap_or_default());
        put_number(&mut self.block, self.list.len() as u64);
        self.block.extend_from_slice(&self.list);
        self.last.clear();
        self.last.extend_from_slice(token);
        Ok(())
    }

    fn close_block(&mut self) -> Result<()> {
        let number = self.head.blocks() as i64;
        self.conn
            .prepare_cached("INSERT INTO block (id, data) VALUES (?, ?)")?
            .execute(params![(self.id << PART_BITS) | number, self.block])?;
        self.head.push_block(&self.first);
        self.block.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if !self.block.is_empty() {
            self.close_block()?;
        }
        self.conn
            .prepare_cached("UPDATE segment SET head = ? WHERE id = ?")?
            .execute(params![self.head.encode(), self.id])?;
        Ok(())
    }
}
