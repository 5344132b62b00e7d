//! The optional parts of rows as bytes: JSON under short names, so that a part of an older version is still read.
//!
//! One part has one encoding: what is empty is not stored, and fields stand in the order of their type.

use ostracon_domain::Extra;
use serde::{Serialize, de::DeserializeOwned};

use super::DecodeError;

/// A part that is stored.
pub trait Part: Extra + Serialize + DeserializeOwned {}

impl<T: Extra + Serialize + DeserializeOwned> Part for T {}

/// The bytes of a part, for a column of its own.
pub fn encode_extra<T: Part>(part: &T) -> Vec<u8> {
    // Types of the domain: texts as keys, nothing that can fail.
    serde_json::to_vec(part).unwrap_or_default()
}

/// Reads what [`encode_extra`] wrote.
///
/// # Errors
/// When the bytes are something else.
pub fn decode_extra<T: Part>(bytes: &[u8]) -> Result<Box<T>, DecodeError> {
    serde_json::from_slice(bytes).map(Box::new).map_err(|_| DecodeError)
}

/// Reads a part that must be encoded exactly as this version would encode it.
pub(super) fn decode_canonical<T: Part>(bytes: &[u8]) -> Result<Box<T>, DecodeError> {
    let part: Box<T> = decode_extra(bytes)?;
    let same = *part != T::default() && encode_extra(&*part) == bytes;
    if same { Ok(part) } else { Err(DecodeError) }
}
