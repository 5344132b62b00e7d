//! A position in a conversation, told by its magnitude: a seq, a time or a message id.
//! Finding the seq that belongs to it is the reader's work.

use crate::Invalid;
use ostracon_domain::{MessageId, Millis, Seq};

/// Where a page begins, ends or lies around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Below 10⁹.
    Seq(Seq),
    /// From 10⁹, below 10¹¹: seconds; below 10¹⁵: milliseconds. Here always milliseconds.
    Time(Millis),
    /// From 10¹⁵.
    MessageId(MessageId),
}

const SECONDS_FROM: u64 = 1_000_000_000;
const MILLIS_FROM: u64 = 100_000_000_000;
const MESSAGE_ID_FROM: u64 = 1_000_000_000_000_000;

impl Position {
    /// The position that a number means; `None` above the largest message id.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0..SECONDS_FROM => Self::Seq(number),
            SECONDS_FROM..MILLIS_FROM => Self::Time((number * 1_000).cast_signed()),
            MILLIS_FROM..MESSAGE_ID_FROM => Self::Time(number.cast_signed()),
            MESSAGE_ID_FROM.. => Self::MessageId(MessageId::new(number).ok()?),
        })
    }

    /// Reads decimal digits, nothing else; `field` is named in the refusal.
    ///
    /// # Errors
    /// [`Invalid`] for everything that is not a number of this kind.
    pub fn parse(field: &str, text: &str) -> Result<Self, Invalid> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| text.parse().ok().and_then(Self::from_number))
            .flatten()
            .ok_or_else(|| Invalid::new(field, "must be a seq, a time or a message id"))
    }
}
