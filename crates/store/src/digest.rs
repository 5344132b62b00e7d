//! The digest of a subject: a hash of its rows in canonical encoding, in the order of a scan.
//!
//! Nothing is kept incrementally: the hot path pays nothing, and what is compared is what is stored. It finds errors, not
//! forgeries, so the hash is a fast one.

use std::sync::Arc;

use ostracon_domain::{Conversation, Row, Subject, UnitId, UserState};
use xxhash_rust::xxh3::Xxh3;

use crate::{
    record,
    transfer::{SubjectDigest, SubjectVersion},
};

/// A digest that is being made.
pub struct Digest {
    subject: Subject,
    version: SubjectVersion,
    rows: u64,
    hash: Xxh3,
    bytes: Vec<u8>,
}

impl Digest {
    /// Of a subject at a version, without any row yet.
    pub fn new(subject: Subject, version: SubjectVersion) -> Self {
        Self { subject, version, rows: 0, hash: Xxh3::new(), bytes: Vec::new() }
    }

    /// Adds the next row. The unit that a row carries does not count: a carve changes it. Removals do not count: they are
    /// no rows.
    pub fn add(&mut self, row: &Row) {
        let placeless = match row {
            Row::Conversation(row) => {
                let row = Conversation { unit: UnitId(0), ..(**row).clone() };
                Some(Row::Conversation(Arc::new(row)))
            }
            Row::User(row) => {
                Some(Row::User(Arc::new(UserState { unit: UnitId(0), ..(**row).clone() })))
            }
            Row::MessagesGone { .. }
            | Row::ReactionGone(_)
            | Row::AnnexGone(_)
            | Row::AnnexesGone { .. } => return,
            _ => None,
        };
        self.bytes.clear();
        record::encode(placeless.as_ref().unwrap_or(row), &mut self.bytes);
        self.hash.update(&self.bytes);
        self.rows += 1;
    }

    /// The digest of all rows added.
    pub fn finish(self) -> SubjectDigest {
        let Self { subject, version, rows, hash, .. } = self;
        SubjectDigest { subject, version, rows, digest: hash.digest128() }
    }
}
