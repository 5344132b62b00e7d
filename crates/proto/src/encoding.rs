//! The two sub-protocols of the WebSocket: the same content as JSON text or as CBOR.

use crate::{cbor, frame::FrameError};
use std::borrow::Cow;

/// How frames of a connection are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// Text frames: `ostracon.v1.json`, also without any sub-protocol.
    #[default]
    Json,
    /// Binary frames: `ostracon.v1.cbor`.
    Cbor,
}

impl Encoding {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Json, Self::Cbor];

    /// The name in `Sec-WebSocket-Protocol`.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "ostracon.v1.json",
            Self::Cbor => "ostracon.v1.cbor",
        }
    }

    /// The encoding of a sub-protocol; `None` when it is not one of ours.
    #[must_use]
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.subprotocol() == name)
    }

    /// The JSON text of a frame as it came: JSON is borrowed, CBOR turned into it.
    ///
    /// # Errors
    /// [`FrameError::Unparsable`] when it is neither text nor well-formed CBOR.
    pub fn text(self, frame: &[u8]) -> Result<Cow<'_, str>, FrameError> {
        match self {
            Self::Json => std::str::from_utf8(frame).map(Cow::Borrowed).ok(),
            Self::Cbor => cbor::to_json(frame).map(Cow::Owned).ok(),
        }
        .ok_or(FrameError::Unparsable)
    }
}
