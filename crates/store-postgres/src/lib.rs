//! The driver for PostgreSQL: one shard is one schema of one database.
//!
//! It is: [`PostgresShard`], which keeps the contract of [`ostracon_store::Shard`]; several handles, also of several
//! processes, may write to one shard. It is not: a directory, and it knows of no other shard.
//!
//! A batch is one transaction in two flights of pipelined statements: begin, fence, lock and load; then write,
//! take the position, commit. The module `commit` tells why.

mod address;
mod commit;
mod complaints;
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
mod session;
mod shard;
mod sql;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod units;
mod value;

pub use address::{check_url, is_url};
pub use error::OpenError;
pub use options::{PostgresOptions, SchemaName, UrlError};
pub use replica::PostgresReplica;
pub use shard::PostgresShard;
