//! The wire: every frame, REST body, error and close code, and the documents made from them.
//! It turns values into bytes and back. It is not: rules (they are in `domain`), sockets, HTTP.
//!
//! To add a command: its data and a variant of [`frame::Command`] in `frame/client.rs`, its words in
//! `protocol_doc`; its REST twin in `rest/` with a row in [`rest::OPERATIONS`]; then regenerate the
//! documents.

pub mod body;
pub mod cbor;
pub mod close_code;
pub mod conversation;
pub mod cursor;
pub mod encoding;
pub mod error;
pub mod error_code;
pub mod frame;
pub mod fuzz;
pub mod inbox;
pub mod message;
pub mod openapi;
pub mod patch;
pub mod position;
pub mod protocol_doc;
pub mod query;
pub mod rest;
mod schema;
pub mod settings;
pub mod system_message;
mod text;
pub mod timestamp;
pub mod user_ref;

pub use body::{Body, Invalid};
pub use close_code::CloseCode;
pub use conversation::{Conversation, Entry, Member, Membership, Receipt};
pub use encoding::Encoding;
pub use error::{ErrorBody, ErrorObject};
pub use error_code::ErrorCode;
pub use inbox::Inbox;
pub use message::{Message, Reaction, Reply};
pub use patch::Patch;
pub use position::Position;
pub use settings::{EditSettings, Settings};
pub use system_message::SystemMessage;
pub use user_ref::UserRef;
