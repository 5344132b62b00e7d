//! Tokens: what an index keeps of a text, and what it is asked for.

use crate::{
    TOKEN_CHARS_MAX,
    class::{Class, class},
    fold::{Unit, units},
};

/// A token that a matching text has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// The token, or its beginning.
    pub text: String,
    /// Whether any token with this beginning will do.
    pub prefix: bool,
}

/// A run of characters of one class, as a range of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) class: Class,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The runs that give tokens, in order.
pub(crate) fn pieces(units: &[Unit]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        let class = class(unit.c);
        match class {
            Class::Space | Class::Mark => {}
            Class::Letter | Class::Digit | Class::Wide
                if let Some(last) = pieces.last_mut()
                    && last.class == class
                    && last.end == at =>
            {
                last.end = at + 1;
            }
            _ => pieces.push(Piece { class, start: at, end: at + 1 }),
        }
    }
    pieces
}

pub(crate) fn text_of(units: &[Unit]) -> String {
    units.iter().take(TOKEN_CHARS_MAX).map(|unit| unit.c).collect()
}

/// The tokens of a text, each once, by their bytes. A run of wide characters gives each pair of neighbours and, so that a
/// single character is the beginning of some token, its last character.
pub fn tokens(text: &str) -> Vec<String> {
    let units = units(text);
    let mut tokens = Vec::new();
    for piece in pieces(&units) {
        let run = units.get(piece.start..piece.end).unwrap_or_default();
        if piece.class == Class::Wide {
            tokens.extend(run.windows(2).map(text_of));
            tokens.extend(run.last().map(|last| last.c.to_string()));
        } else {
            tokens.push(text_of(run));
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}
