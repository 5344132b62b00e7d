//! Tests at the border of the client: bytes over real sockets, against a server that says exactly
//! what a test tells it to.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod api;
mod client;
mod peer;
mod socket;
