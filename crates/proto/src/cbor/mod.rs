//! CBOR (RFC 8949) as another spelling of our JSON: every frame is turned from one into the other,
//! so that both sub-protocols have the same content by construction.
//!
//! What is written is short: names that we use are small integers, ids are bytes or numbers and not text. What is read may
//! be that, or plain CBOR with names as text; each map and each value for itself. Not a general CBOR library: bignums and
//! other keys are refused, tags ignored.

mod id;
pub mod names;
mod read;
mod write;

pub use read::to_json;
pub use write::from_json;

/// Deepest nesting of arrays and maps; deeper is refused. Frames need six.
pub const DEPTH_MAX: usize = 32;

/// CBOR that we do not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Ends in the middle, has something behind its end, or breaks the format.
    #[error("not well-formed CBOR")]
    Malformed,
    /// Well-formed, but no JSON: other byte strings than ids, keys that are no names, NaN and infinities.
    #[error("CBOR that has no JSON form")]
    NotJson,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested too deeply")]
    TooDeep,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const BREAK: u8 = 0xff;
