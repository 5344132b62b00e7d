//! Tests at the border of the client: bytes over real sockets, against a server that says exactly
//! what a test tells it to.

mod api;
mod client;
mod peer;
mod socket;
