//! Numbers and texts in the blobs of an index. What cannot be read is damage.

use super::Result;
use crate::error::TableError;

const DAMAGED: TableError = TableError::Damaged("search block");

pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number that may be below zero: small ones of both signs are short.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// What is still to be read.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn number(&mut self) -> Result<u64> {
        let mut number = 0u64;
        let mut shift = 0;
        loop {
            let (first, rest) = self.0.split_first().ok_or(DAMAGED)?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if *first < 0x80 {
                return Ok(number);
            }
            shift += 7;
            if shift > 63 {
                return Err(DAMAGED);
            }
        }
    }

    pub(super) fn small(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| DAMAGED)
    }

    pub(super) fn signed(&mut self) -> Result<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Documents of a list, rising, as the distances between them.
pub(super) fn put_docs(out: &mut Vec<u8>, docs: &[u32]) {
    let mut next = 0;
    for doc in docs {
        put_number(out, u64::from(doc - next));
        next = doc + 1;
    }
}

/// Calls with every document of a list.
pub(super) fn each_doc(list: &[u8], mut with: impl FnMut(u32)) -> Result<()> {
    let mut bytes = Bytes(list);
    let mut next = 0u32;
    while !bytes.is_empty() {
        let doc = next.checked_add(bytes.small()?).ok_or(DAMAGED)?;
        with(doc);
        next = doc.checked_add(1).ok_or(DAMAGED)?;
    }
    Ok(())
}

/// One token of a block and its list.
pub(super) struct Entry<'a> {
    pub(super) list: &'a [u8],
}

/// Reads a block entry by entry; the token of the last one is in `token`.
pub(super) struct BlockReader<'a> {
    bytes: Bytes<'a>,
    pub(super) token: Vec<u8>,
}

impl<'a> BlockReader<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { bytes: Bytes(data), token: Vec::new() }
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry<'a>>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let shared = self.bytes.number()? as usize;
        let more = self.bytes.number()? as usize;
        if shared > self.token.len() {
            return Err(DAMAGED);
        }
        self.token.truncate(shared);
        self.token.extend_from_slice(self.bytes.take(more)?);
        let length = self.bytes.number()? as usize;
        Ok(Some(Entry { list: self.bytes.take(length)? }))
    }
}
