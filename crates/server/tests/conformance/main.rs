//! Conformance over the wire: what a client may rely on, each promise as a story over real HTTP and
//! WebSocket, on the embedded store and again on PostgreSQL. What happens inside is not looked at; that is tested elsewhere.
//!
//! To add a story: a function with `World::start`, the users it needs, and what they see. Wait for
//! frames and answers, never for time.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stop at a surprise")]

mod backend;
mod calls;
mod catching_up;
mod child;
mod data_dir;
mod device;
mod edits;
mod groups;
mod half_open;
mod history;
mod hostile;
mod http;
mod invites;
mod isolation;
mod jwt;
mod lifetimes;
mod live;
mod order;
mod own_view;
mod pins;
mod proxy;
mod push;
mod rate_limits;
mod relations;
mod replica;
mod restoring;
mod search;
mod sending;
mod sessions;
mod shard_lost;
mod threads;
mod unread;
mod world;
