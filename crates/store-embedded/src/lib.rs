//! The embedded store: a journal in front of SQLite tables, one process, one data directory.
//!
//! `journal` makes changes durable: one log for all shards of the node, one fsync for everything
//! that waits. It knows nothing of messages. The tables behind it are filled from its frames.

pub mod journal;
mod migration;
