//! The built binary, driven from outside: processes, pipes, kill -9. One test binary for all of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop at a surprise")]

mod backup;
mod chat;
mod config;
mod crash;
mod full_disk;
mod guide;
mod lost_database;
mod moving;
mod push;
mod refusal;
mod serve;
mod shards;
mod support;
mod upgrade;
mod user;
mod verify;
