//! The journal: one append-only log of opaque payloads, shared by all shards of a data directory.
//!
//! It promises that an answered append survives a crash or power cut, in order and once, and that
//! nothing after a gap ever comes back. It does not know what a payload means and never reads a
//! clock. Reading order: `file` (the seam to the disk), `frame` and `header` (the format),
//! `recovery` (what a directory holds), `journal` (the handle), `writer` (the thread), `spare`
//! (files prepared ahead), `reader` (frames back out), `repair` (cutting a damaged log).
//!
//! Assumed of the disk: a sector of 512 bytes is written whole or not at all, and a write inside a
//! file leaves its other sectors alone. Nothing is assumed of the order of unsynced writes.

mod file;
mod frame;
mod header;
#[expect(clippy::module_inception, reason = "the handle is the noun of this folder")]
mod journal;
mod options;
mod reader;
mod recovery;
mod repair;
mod segment;
mod spare;
mod window;
mod writer;

#[cfg(any(test, feature = "testing"))]
pub mod fault;
#[cfg(any(test, feature = "testing"))]
mod fuzz;
#[cfg(test)]
mod tests;

pub use file::{DirFs, JournalFile, JournalFs};
pub use frame::{PAYLOAD_BYTES_MAX, Position};
#[cfg(any(test, feature = "testing"))]
pub use fuzz::fuzz_recovery;
pub use header::StoreId;
pub use journal::{
    Append, AppendError, ControlError, Journal, QUEUE_BYTES_MAX, Recovered, SegmentRange, Status,
};
pub use options::Options;
pub use reader::{Frame, Frames, ReadError};
pub use recovery::{Damage, DamageKind, Inspected, OpenError, inspect, owner};
pub use repair::{RepairReport, plan_repair, repair};
