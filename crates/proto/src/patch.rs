//! A field of a PATCH body that tells "not mentioned" from "null".

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a PATCH says about one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not mentioned: stays as it is.
    #[default]
    Keep,
    /// `null`: removed.
    Clear,
    /// A new value.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether the field was left out.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// `None` = leave it, `Some(None)` = remove it, `Some(Some(v))` = set it.
    pub fn into_change(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => out.serialize_none(),
            Self::Set(value) => value.serialize(out),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(json)? {
            None => Self::Clear,
            Some(value) => Self::Set(value),
        })
    }
}
