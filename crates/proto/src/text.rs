//! Borrowed text in optional fields: serde's derive borrows `Cow<str>` only where it is not inside
//! an `Option`.

use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads `string | null`, without a copy where the JSON has no escapes.
pub(crate) fn optional<'de: 'a, 'a, D: Deserializer<'de>>(
    json: D,
) -> Result<Option<Cow<'a, str>>, D::Error> {
    Ok(Option::<Borrowed<'a>>::deserialize(json)?.map(|text| text.0))
}
