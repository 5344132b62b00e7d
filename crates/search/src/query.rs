//! A query: words that all must stand in a text, and where they stand.
//!
//! A word without white space is found as it is typed, from the border of a word on: `foo` finds `foo.png` and `food`,
//! `C++20` only `C++20`. A single letter or digit must be a whole word. Wide scripts are found anywhere. Russian words are
//! found in their other cases. What stands in quotation marks is found word by word, in that order, to its last border.

use std::ops::Range;

use crate::{
    QUERY_UNITS_MAX, QUERY_WORDS_MAX, TOKEN_CHARS_MAX,
    class::{Class, class},
    fold::{Unit, units},
    stem::{ENDING_CHARS_MAX, stem},
    token::{Term, pieces, text_of},
};

/// Why a query is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryError {
    /// Nothing in it can be searched for.
    Empty,
    /// More than [`QUERY_UNITS_MAX`] units or [`QUERY_WORDS_MAX`] words.
    TooLong,
}

/// What a text has of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where the words stand: UTF-16 units, first and one past the last, by rising start, without overlap.
    pub highlights: Vec<(u32, u32)>,
    /// How well it fits; more is better. Whole words count more than beginnings, short texts more than long ones.
    pub score: u32,
}

/// A query that was read.
#[derive(Debug, Clone)]
pub struct Query {
    words: Vec<Word>,
}

#[derive(Debug, Clone)]
struct Word {
    chars: Vec<char>,
    /// Stood in quotation marks: ends at a border.
    exact: bool,
    /// The beginning that other cases of the word share, in characters; 0 for none.
    stem: usize,
}

/// Highlights of one word in one text at most.
const PLACES_MAX: usize = 100;

impl Query {
    /// Reads what a person typed.
    ///
    /// # Errors
    /// Empty or too long.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.encode_utf16().count() > QUERY_UNITS_MAX {
            return Err(QueryError::TooLong);
        }
        let units = units(text);
        let mut words = Vec::new();
        let mut rest = units.as_slice();
        while let Some(first) = rest.first() {
            if class(first.c) == Class::Space {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let quoted = rest.get(1..).filter(|_| first.c == '"');
            let closed = quoted
                .and_then(|inside| Some((inside, inside.iter().position(|unit| unit.c == '"')?)));
            if let Some((inside, end)) = closed {
                words.extend(Word::of(inside.get(..end).unwrap_or_default(), true));
                rest = inside.get(end + 1..).unwrap_or_default();
                continue;
            }
            let end =
                rest.iter().position(|unit| class(unit.c) == Class::Space).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            words.extend(Word::of(word, false));
            rest = after;
        }
        if words.len() > QUERY_WORDS_MAX {
            return Err(QueryError::TooLong);
        }
        if words.iter().all(|word| word.terms().is_empty()) {
            return Err(QueryError::Empty);
        }
        Ok(Self { words })
    }

    /// The tokens that every matching text has; at least one, each once.
    pub fn terms(&self) -> Vec<Term> {
        let mut terms: Vec<Term> = self.words.iter().flat_map(Word::terms).collect();
        terms.sort_unstable();
        terms.dedup();
        terms
    }

    /// Where the words stand in a text; `None` when one of them does not.
    pub fn find(&self, text: &str) -> Option<Found> {
        let text = units(text);
        let mut places = Vec::new();
        let mut score = 0;
        for word in &self.words {
            let found = word.places(&text);
            let whole = found.iter().any(|place| ends_word(&text, place.end));
            let often = u32::try_from(found.len().min(4)).unwrap_or(4);
            score += if found.is_empty() { return None } else { often + if whole { 8 } else { 0 } };
            places.extend(found);
        }
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let score = score * 1_000 / (20 + length.min(1_000).isqrt());
        let mut ranges: Vec<(u32, u32)> = places
            .into_iter()
            .filter_map(|place| {
                Some((text.get(place.start)?.start, text.get(place.end.checked_sub(1)?)?.end))
            })
            .collect();
        ranges.sort_unstable();
        let mut highlights: Vec<(u32, u32)> = Vec::new();
        for (start, end) in ranges {
            match highlights.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => highlights.push((start, end)),
            }
        }
        Some(Found { highlights, score })
    }
}

impl Word {
    /// A word of a query; punctuation around it is left out, unless it is all there is. None for nothing.
    fn of(units: &[Unit], exact: bool) -> Option<Self> {
        let leads = |unit: &Unit| {
            matches!(unit.c, '(' | '[' | '{' | '<' | '"' | '\'' | '-' | ',' | ';' | '*')
        };
        let trails = |unit: &Unit| {
            matches!(
                unit.c,
                ')' | ']'
                    | '}'
                    | '>'
                    | '"'
                    | '\''
                    | ','
                    | ';'
                    | ':'
                    | '.'
                    | '!'
                    | '?'
                    | '*'
                    | '-'
                    | '…'
                    | '。'
                    | '、'
                    | '，'
                    | '！'
                    | '？'
            )
        };
        let is_space = |unit: &Unit| class(unit.c) == Class::Space;
        let start = units.iter().position(|unit| !leads(unit) && !is_space(unit))?;
        let end = units.iter().rposition(|unit| !trails(unit) && !is_space(unit))? + 1;
        let mut chars: Vec<char> = Vec::new();
        for unit in units.get(start..end)? {
            if !is_space(unit) {
                chars.push(unit.c);
            } else if chars.last() != Some(&' ') {
                chars.push(' ');
            }
        }
        let mut word = Self { chars, exact, stem: 0 };
        word.stem = word.stem_chars();
        Some(word)
    }

    fn stem_chars(&self) -> usize {
        let text: String = self.chars.iter().collect();
        let stem = stem(&text).chars().count();
        if self.exact || stem == self.chars.len() { 0 } else { stem }
    }

    fn units(&self) -> Vec<Unit> {
        self.chars.iter().map(|c| Unit { c: *c, start: 0, end: 0 }).collect()
    }

    /// Whether it may stop inside a word of the text.
    fn may_go_on(&self) -> bool {
        let units = self.units();
        let last = pieces(&units).pop();
        let last = last.filter(|piece| piece.end == units.len());
        !self.exact
            && last.is_some_and(|piece| {
                matches!(piece.class, Class::Letter | Class::Digit) && piece.end - piece.start > 1
            })
    }

    fn terms(&self) -> Vec<Term> {
        if self.stem > 0 {
            let text: String = self.chars.iter().take(self.stem.min(TOKEN_CHARS_MAX)).collect();
            return vec![Term { text, prefix: true }];
        }
        let units = self.units();
        let may_go_on = self.may_go_on();
        let mut terms = Vec::new();
        for piece in pieces(&units) {
            let run = units.get(piece.start..piece.end).unwrap_or_default();
            if piece.class != Class::Wide {
                let prefix = may_go_on && piece.end == units.len() && run.len() < TOKEN_CHARS_MAX;
                terms.push(Term { text: text_of(run), prefix });
            } else if let [only] = run {
                terms.push(Term { text: only.c.to_string(), prefix: true });
            } else {
                terms
                    .extend(run.windows(2).map(|pair| Term { text: text_of(pair), prefix: false }));
            }
        }
        terms
    }

    /// Where it stands, as ranges of units.
    fn places(&self, text: &[Unit]) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        let may_go_on = self.may_go_on();
        for at in 0..text.len() {
            if places.len() == PLACES_MAX {
                break;
            }
            if !starts_word(text, at) {
                continue;
            }
            let whole =
                end_of(&self.chars, text, at).filter(|end| may_go_on || ends_word(text, *end));
            let found = whole.or_else(|| {
                // Another case of the word: it shares the stem, and an ending follows.
                let stem = self.chars.get(..self.stem).filter(|stem| !stem.is_empty())?;
                let end = end_of(stem, text, at)?;
                let rest = text
                    .get(end..)?
                    .iter()
                    .take_while(|unit| class(unit.c) == Class::Letter)
                    .count();
                (rest <= ENDING_CHARS_MAX).then_some(end + rest)
            });
            places.extend(found.map(|end| at..end));
        }
        places
    }
}

/// Where a word that begins here ends.
fn end_of(chars: &[char], text: &[Unit], at: usize) -> Option<usize> {
    let mut at = at;
    for c in chars {
        if *c == ' ' {
            let spaces =
                text.get(at..)?.iter().take_while(|unit| class(unit.c) == Class::Space).count();
            if spaces == 0 {
                return None;
            }
            at += spaces;
        } else if text.get(at)?.c == *c {
            at += 1;
        } else {
            return None;
        }
    }
    Some(at)
}

/// Whether a word may begin here: not between two letters, nor between two digits.
fn starts_word(text: &[Unit], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    !before.is_some_and(|before| text.get(at).is_some_and(|unit| one_run(before, unit)))
}

/// Whether a word may end before this place.
fn ends_word(text: &[Unit], at: usize) -> bool {
    starts_word(text, at)
}

fn one_run(before: &Unit, unit: &Unit) -> bool {
    let class_of = class(unit.c);
    matches!(class_of, Class::Letter | Class::Digit) && class(before.c) == class_of
}
