//! Reading JSON objects: a fast first reading, and a second one that names the wrong field.
//! Deep nesting, lone surrogates and huge numbers are refused, never followed. Limits and rules
//! are not checked here: `domain` does that.

use crate::{ErrorCode, ErrorObject};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use std::{fmt, marker::PhantomData};

/// A value that cannot be: which field, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Path of the field, for example `mentions[1].start`; empty for the whole body.
    pub field: String,
    /// A sentence for people.
    pub message: String,
}

impl Invalid {
    /// The refusal of one field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A body or frame data as the code uses it, made from what stands on the wire.
///
/// `Wire` has the fields exactly as sent; `check` turns combinations that must not be into
/// [`Invalid`]. Where nothing can be wrong in combination, `Wire` is the type itself.
pub trait Body<'a>: Sized {
    /// What is read from the JSON.
    type Wire: Deserialize<'a>;

    /// Refuses what the fields alone cannot refuse.
    ///
    /// # Errors
    /// [`Invalid`], naming the field.
    fn check(wire: Self::Wire) -> Result<Self, Invalid>;

    /// Reads a REST body: `bad_request` when it is no JSON object, `invalid` when a field is wrong.
    ///
    /// # Errors
    /// The refusal to answer with.
    fn read(bytes: &'a [u8]) -> Result<Self, ErrorObject> {
        let unreadable = || ErrorObject::new(ErrorCode::BadRequest, "The body is not JSON.");
        let text = std::str::from_utf8(bytes).map_err(|_| unreadable())?;
        if !is_object(text) {
            return Err(match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => ErrorObject::new(ErrorCode::BadRequest, "The body is not a JSON object."),
                Err(_) => unreadable(),
            });
        }
        match serde_json::from_str(text) {
            Ok(wire) => Ok(Self::check(wire)?),
            Err(_) if serde_json::from_str::<&RawValue>(text).is_err() => Err(unreadable()),
            Err(error) => Err(explain::<Self::Wire>(text, &error).into()),
        }
    }

    /// Reads text that is known to be one well-formed JSON value, as frame data is.
    ///
    /// # Errors
    /// [`Invalid`], naming the field.
    fn read_value(text: &'a str) -> Result<Self, Invalid> {
        if !is_object(text) {
            return Err(Invalid::new("data", "must be an object"));
        }
        match serde_json::from_str(text) {
            Ok(wire) => Self::check(wire),
            Err(error) => Err(explain::<Self::Wire>(text, &error)),
        }
    }
}

/// Declares types whose fields can be wrong only one by one.
macro_rules! plain_body {
    ($($name:ident $(<$life:lifetime>)?),+ $(,)?) => {$(
        impl<'a> $crate::Body<'a> for $name $(<$life>)? {
            type Wire = Self;
            fn check(wire: Self) -> Result<Self, $crate::Invalid> {
                Ok(wire)
            }
        }
    )+};
}
pub(crate) use plain_body;

/// Derived readers also take an array for a struct; we do not.
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
}

/// A part of a body that is an object, never an array of its fields.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }
        json.deserialize_map(Visitor(PhantomData))
    }
}

/// Reads an object.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    json: D,
) -> Result<T, D::Error> {
    Ok(Object::<T>::deserialize(json)?.0)
}

/// Reads `object | null`.
pub(crate) fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    json: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(json)?.map(|object| object.0))
}

/// Reads a list of objects; null is an empty one.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    json: D,
) -> Result<Vec<T>, D::Error> {
    let list = Option::<Vec<Object<T>>>::deserialize(json)?.unwrap_or_default();
    Ok(list.into_iter().map(|object| object.0).collect())
}

/// Reads again, slowly, to learn which field was wrong.
fn explain<'a, T: Deserialize<'a>>(text: &'a str, first: &serde_json::Error) -> Invalid {
    let mut json = serde_json::Deserializer::from_str(text);
    let (path, message) = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => (String::new(), first.to_string()),
        Err(error) => (error.path().to_string(), error.inner().to_string()),
    };
    let path = if path == "." || path == "?" { String::new() } else { path };
    // " at line 1 column 17" helps nobody: the field is named.
    let message = match message.rfind(" at line ") {
        Some(at) => message[..at].to_owned(),
        None => message,
    };
    // A missing or doubled field is an error of the object around it; name the field itself.
    let inner = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix)?.split('`').next());
    let field = match inner {
        Some(name) if path.is_empty() => name.to_owned(),
        Some(name) if path.rsplit('.').next() == Some(name) => path,
        Some(name) => format!("{path}.{name}"),
        None => path,
    };
    Invalid { field, message }
}
