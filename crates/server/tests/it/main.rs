//! Stories over real sockets: each starts a server on a port of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a story that cannot go on has failed"
)]

mod accounts;
mod attached;
mod auth;
mod client;
mod conversations;
mod dialogs;
mod directory;
mod hostile;
mod limits;
mod media;
mod messages;
mod metrics;
mod offline;
mod operators;
mod push;
mod shards;
mod sockets;
mod stop;
mod sync;
