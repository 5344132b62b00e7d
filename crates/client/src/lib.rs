//! A client of Ostracon: REST calls ([`Api`]) and the raw WebSocket ([`Socket`]).
//! It is not a user interface, and it stores nothing on disk.
//!
//! To add a call: a method in `api/calls.rs` over the types of `proto`.

pub mod address;
pub mod api;
pub mod owned;
pub mod random;
pub mod socket;
mod stream;

pub use address::{Address, AddressError, Transport};
pub use api::{Api, ApiError, Stored};
pub use random::{OsRandom, Random};
pub use socket::{Credential, Socket, SocketError, SocketReader, SocketWriter};
