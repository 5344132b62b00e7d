//! The client's own reference of a frame, kept so that it comes back exactly as it was sent.

use std::fmt;

/// Longest reference: characters of a string, or characters of a number as written.
pub(crate) const REFERENCE_CHARS_MAX: usize = 64;

/// A number or a string of at most 64 characters, as JSON text. Small numbers need no memory of
/// their own.
#[derive(Clone, PartialEq, Eq)]
pub struct FrameRef(Token);

#[derive(Clone, PartialEq, Eq)]
enum Token {
    Number(i64),
    Raw(Box<str>),
}

impl FrameRef {
    /// Keeps a JSON token; `None` when it is neither a number nor a string, or too long.
    #[must_use]
    pub fn from_json(token: &str) -> Option<Self> {
        let token = token.trim_ascii();
        match token.as_bytes().first()? {
            b'"' => {
                let text: std::borrow::Cow<'_, str> = serde_json::from_str(token).ok()?;
                if text.chars().nth(REFERENCE_CHARS_MAX).is_some() {
                    return None;
                }
            }
            b'-' | b'0'..=b'9' if token.len() <= REFERENCE_CHARS_MAX => {
                // Finite numbers only: others have no CBOR twin that a JSON reader would take.
                if let Some(number) = plain_number(token) {
                    return Some(Self(Token::Number(number)));
                }
                serde_json::from_str::<f64>(token).ok()?;
            }
            _ => return None,
        }
        Some(Self(Token::Raw(token.into())))
    }

    /// A reference by number, as our own client uses it.
    #[must_use]
    pub const fn number(number: i64) -> Self {
        Self(Token::Number(number))
    }

    /// The number, when it is a plain whole one.
    #[must_use]
    pub const fn as_number(&self) -> Option<i64> {
        match self.0 {
            Token::Number(number) => Some(number),
            Token::Raw(_) => None,
        }
    }

    /// Appends the JSON text.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Token::Number(number) => super::encode::write_number(out, *number),
            Token::Raw(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// Whole numbers that are printed exactly as they were written.
fn plain_number(token: &str) -> Option<i64> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    let plain = digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && token != "-0";
    plain.then(|| token.parse().ok())?
}

impl fmt::Debug for FrameRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Token::Number(number) => number.fmt(f),
            Token::Raw(text) => f.write_str(text),
        }
    }
}
