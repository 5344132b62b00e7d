//! Conformance over the wire: what a client may rely on, each promise as a story over real HTTP and
//! WebSocket on the embedded store. What happens inside is not looked at; that is tested elsewhere.
//!
//! To add a story: a function with `World::start`, the users it needs, and what they see. Wait for
//! frames and answers, never for time.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stop at a surprise")]

mod catching_up;
mod child;
mod device;
mod history;
mod http;
mod order;
mod relations;
mod replica;
mod sending;
mod sessions;
mod unread;
mod world;
