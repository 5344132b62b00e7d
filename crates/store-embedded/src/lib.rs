//! The embedded store: a journal in front of SQLite tables, one process, one data directory.
//!
//! `journal` makes changes durable: one log for all shards of the node, one fsync for everything
//! that waits. It knows nothing of messages. The tables behind it are filled from its frames.
//!
//! A command goes `shard` → `committer` → `journal` → `overlay` and, later, `applier` → `tables`.
//! A question goes `shard` → `readers` → `read` → `snapshot`, which is the overlay over the tables.

mod applier;
mod backup;
mod committer;
mod core;
mod data_dir;
mod directory;
mod duplicate_filter;
mod error;
mod filters;
pub mod journal;
mod journal_rows;
mod migration;
mod notes;
mod overlay;
mod payload;
mod preflight;
mod read;
mod readers;
mod rehistory;
mod search;
mod shard;
mod snapshot;
mod store;
mod tables;
mod transfer;

pub use backup::BackupError;
pub use data_dir::{DataDir, DataDirError, search_path, shard_path};
pub use directory::SqliteDirectory;
pub use preflight::{Preflight, preflight, preflight_of};
pub use rehistory::{applied_position, rehistory};
pub use search::EmbeddedSearch;
pub use shard::EmbeddedShard;
pub use store::{EmbeddedOptions, EmbeddedStore, OVERLAY_BYTES_MAX, OpenError};
pub use tables::{make_shard, open_read_only};
