//! A client of Ostracon: REST calls ([`Api`]), the raw WebSocket ([`Socket`]), a device that stays
//! right whatever is lost ([`Device`], no I/O), and the task that runs one ([`Client`]).
//! It is not a user interface, and it stores nothing on disk.
//!
//! To add a call: a method in `api/calls.rs` over the types of `proto`. To teach the device a new
//! event: a case in `device/frames.rs`, its effect in `device/conversation.rs`.

pub mod address;
pub mod api;
pub mod client;
pub mod device;
pub mod owned;
pub mod random;
pub mod socket;
mod stream;

pub use address::{Address, AddressError, Transport};
pub use api::{Api, ApiError, Stored};
pub use client::{Client, Config, Events, Stopped, Target};
pub use device::{Device, Event};
pub use random::{OsRandom, Random};
pub use socket::{Credential, Socket, SocketError, SocketReader, SocketWriter};
