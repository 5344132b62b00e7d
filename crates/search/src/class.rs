//! What a character is for search. Applies to folded text only.

use unicode_normalization::char::is_combining_mark;

/// Characters of one class stand together; a token never spans two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Part of a word that has borders: Latin, Cyrillic, Greek, Arabic …
    Letter,
    /// Part of a number.
    Digit,
    /// Of a script that is written without spaces, or whose words are compounds: found anywhere.
    Wide,
    /// A character that is a token by itself: emoji, arrows, currency signs.
    Sign,
    /// White space and control characters.
    Space,
    /// Punctuation: never a token, but part of what a word of a query must find.
    Mark,
}

pub(crate) fn class(c: char) -> Class {
    if c.is_ascii() {
        return match c {
            'a'..='z' | 'A'..='Z' => Class::Letter,
            '0'..='9' => Class::Digit,
            '!'..='~' => Class::Mark,
            _ => Class::Space,
        };
    }
    if is_wide(c) {
        Class::Wide
    } else if c.is_numeric() {
        Class::Digit
    } else if c.is_alphanumeric() || is_combining_mark(c) {
        Class::Letter
    } else if c.is_whitespace() || c.is_control() {
        Class::Space
    } else if is_punctuation(c) {
        Class::Mark
    } else {
        Class::Sign
    }
}

/// Han, Kana, Bopomofo, Hangul, and the scripts of South-East Asia without spaces.
const fn is_wide(c: char) -> bool {
    matches!(c,
        '\u{0E01}'..='\u{0EFF}'
        | '\u{1000}'..='\u{109F}'
        | '\u{1100}'..='\u{11FF}'
        | '\u{1780}'..='\u{17FF}'
        | '\u{2E80}'..='\u{2FDF}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3021}'..='\u{3029}'
        | '\u{3031}'..='\u{3035}'
        | '\u{3041}'..='\u{3096}'
        | '\u{309D}'..='\u{309F}'
        | '\u{30A1}'..='\u{30FA}'
        | '\u{30FC}'..='\u{318F}'
        | '\u{31A0}'..='\u{31BF}'
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{A960}'..='\u{A97F}'
        | '\u{AC00}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

const fn is_punctuation(c: char) -> bool {
    matches!(c,
        '\u{A1}' | '\u{A7}' | '\u{AB}' | '\u{AD}' | '\u{B6}' | '\u{B7}' | '\u{BB}' | '\u{BF}'
        | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205E}'
        | '\u{2E00}'..='\u{2E7F}'
        | '\u{3001}'..='\u{3004}'
        | '\u{3008}'..='\u{3020}'
        | '\u{3030}'
        | '\u{30A0}'
        | '\u{30FB}'
        | '\u{FE10}'..='\u{FE6F}')
}
