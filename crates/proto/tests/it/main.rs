//! The wire as others see it: exact bytes out, hostile bytes in.

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
