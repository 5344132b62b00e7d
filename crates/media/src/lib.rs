//! Uploaded files: what they are, cleaned pictures and their small ones, where the bytes lie, when they go.
//!
//! It is not: HTTP (that is `server`), nor what is known of an upload (the seam `MediaIndex` of `store`).
//!
//! To add a type: what its first bytes are in [`mod@sniff`], whether it may be shown in place in [`Kind::is_inline`], how long
//! it plays in `duration/`.

mod duration;
mod error;
mod incoming;
mod library;
mod objects;
mod picture;
mod pool;
mod prepare;
mod sign;
pub mod sniff;
mod temp;

pub use error::MediaError;
pub use incoming::Incoming;
pub use library::{About, Collected, Library, Settings};
pub use objects::{ByteStream, Objects, Place};
pub use picture::{PictureLimits, thumbnail_mime};
pub use sign::{Signer, What};
pub use sniff::Kind;
