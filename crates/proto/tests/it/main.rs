//! The wire as others see it: exact bytes out, hostile bytes in.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod bodies;
mod cbor;
mod client_frames;
mod cursors;
mod documents;
mod errors;
mod hostile;
mod positions;
mod queries;
mod server_frames;
mod support;
