//! A client of Ostracon: REST calls ([`Api`]), the raw WebSocket ([`Socket`]), and a device that
//! stays right whatever is lost ([`Device`], no I/O).
//! It is not a user interface, and it stores nothing on disk.
//!
//! To add a call: a method in `api/calls.rs` over the types of `proto`. To teach the device a new
//! event: a case in `device/frames.rs`, its effect in `device/conversation.rs`.

pub mod address;
pub mod api;
pub mod device;
pub mod owned;
pub mod random;
pub mod socket;
mod stream;

pub use address::{Address, AddressError, Transport};
pub use api::{Api, ApiError, Stored};
pub use device::Device;
pub use random::{OsRandom, Random};
pub use socket::{Credential, Socket, SocketError, SocketReader, SocketWriter};
