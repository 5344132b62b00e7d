//! Names of people and conversations: a query finds a name if each of its words begins a word of the name.

use crate::{
    fold::units,
    token::{pieces, text_of},
};

/// The words of a name, folded, in order.
pub fn name_tokens(name: &str) -> Vec<String> {
    let units = units(name);
    let pieces = pieces(&units);
    pieces
        .iter()
        .map(|piece| text_of(units.get(piece.start..piece.end).unwrap_or_default()))
        .collect()
}

/// Whether every word of a query begins some word of the name; marks, case and order do not matter. Wide scripts are found
/// anywhere. An empty query finds nothing.
pub fn name_matches(query: &str, name: &str) -> bool {
    let wanted = name_tokens(query);
    let words = name_tokens(name);
    let is_wide = |word: &str| {
        word.chars().next().is_some_and(|c| crate::class::class(c) == crate::class::Class::Wide)
    };
    !wanted.is_empty()
        && wanted.iter().all(|part| {
            words.iter().any(|word| {
                word.starts_with(part.as_str()) || (is_wide(part) && word.contains(part.as_str()))
            })
        })
}
