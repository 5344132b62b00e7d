//! Where a shard or the directory is kept, as a text that is never shown whole: a password may stand in it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::backends::redacted;

/// `embedded`, the address of a database, or nothing.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ShardUrl(String);

impl ShardUrl {
    /// The place in the data directory.
    pub const EMBEDDED: &str = "embedded";

    /// No address.
    pub const fn none() -> Self {
        Self(String::new())
    }

    /// Whether there is no address.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole text, with its password.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is in the data directory.
    pub fn is_embedded(&self) -> bool {
        self.0 == Self::EMBEDDED
    }

    /// The text for people and logs.
    pub fn shown(&self) -> String {
        if self.is_embedded() || self.is_none() { self.0.clone() } else { redacted(&self.0) }
    }
}

impl Default for ShardUrl {
    fn default() -> Self {
        Self(Self::EMBEDDED.to_owned())
    }
}

impl From<&str> for ShardUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

/// Without the password, as whoever prints a configuration wants it.
impl Serialize for ShardUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(to)
    }
}

impl fmt::Debug for ShardUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}
