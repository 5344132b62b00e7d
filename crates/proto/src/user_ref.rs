//! How requests name a user: by number, or by the id of the operator's own system.
//! Answers always have the number.

use ostracon_domain::UserId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// Longest external id, in characters.
const EXTERNAL_ID_CHARS_MAX: usize = 255;
const PREFIX: &str = "ext:";

/// A user in a request: `42`, or `"ext:<external_id>"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UserRef {
    /// By number.
    Id(UserId),
    /// By external id, without the prefix; 1 to 255 characters.
    External(String),
}

/// Text that names no user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a user id or \"ext:\" and an external id of 1 to 255 characters")]
pub struct NotAUserRef;

impl UserRef {
    fn external(text: &str) -> Option<Self> {
        let id = text.strip_prefix(PREFIX)?;
        let chars = id.chars().take(EXTERNAL_ID_CHARS_MAX + 1).count();
        (1..=EXTERNAL_ID_CHARS_MAX).contains(&chars).then(|| Self::External(id.to_owned()))
    }
}

impl From<UserId> for UserRef {
    fn from(id: UserId) -> Self {
        Self::Id(id)
    }
}

/// As in a path: digits, or `ext:…` (already percent-decoded).
impl FromStr for UserRef {
    type Err = NotAUserRef;
    fn from_str(text: &str) -> Result<Self, NotAUserRef> {
        match text.parse::<UserId>() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Self::external(text).ok_or(NotAUserRef),
        }
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::External(id) => write!(f, "{PREFIX}{id}"),
        }
    }
}

impl Serialize for UserRef {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(out),
            Self::External(_) => out.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for UserRef {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = UserRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user id or \"ext:<external id>\"")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<UserRef, E> {
                UserId::new(number)
                    .map(UserRef::Id)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<UserRef, E> {
                UserRef::external(text).ok_or_else(|| E::custom(NotAUserRef))
            }
        }
        json.deserialize_any(Visitor)
    }
}
