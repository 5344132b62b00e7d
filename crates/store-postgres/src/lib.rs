//! The driver for PostgreSQL: one shard is one schema of one database, and so is a directory.
//!
//! It is: [`PostgresShard`], which keeps the contract of [`ostracon_store::Shard`], and [`PostgresDirectory`], which
//! keeps that of [`ostracon_store::Directory`]; several handles, also of several processes, may write to one. A shard
//! knows of no other one and of no directory.
//!
//! A batch is one transaction in two flights of pipelined statements: begin, fence, lock and load; then write,
//! take the position, commit. The module `commit` tells why.

mod address;
mod commit;
mod complaints;
mod content;
mod directory;
mod error;
mod fence;
mod gauges;
mod keeper;
mod migration;
mod moves;
mod options;
mod outbox;
mod pool;
mod read;
mod replica;
mod search;
mod session;
mod shard;
mod sql;
mod stats;
mod steps;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod units;
mod value;

pub use address::{check_url, is_url};
pub use directory::{DirectoryOptions, PostgresDirectory};
pub use error::OpenError;
pub use options::{Access, PostgresOptions, SchemaName, UrlError};
pub use replica::PostgresReplica;
pub use shard::PostgresShard;
