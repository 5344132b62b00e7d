//! Folding: texts that people take for the same become equal, and every character still knows where it came from.
//!
//! Compatibility forms are composed (NFKC), case is folded, marks of Latin, Greek, Arabic and Hebrew letters and the two
//! dots of `ё` are taken away; `й` and the sound marks of Kana are letters of their own and stay.

use unicode_normalization::{
    UnicodeNormalization as _,
    char::{canonical_combining_class, decompose_canonical},
};

/// A folded character and the UTF-16 units of the text that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) c: char,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A text as search sees it.
pub fn fold(text: &str) -> String {
    units(text).iter().map(|unit| unit.c).collect()
}

pub(crate) fn units(text: &str) -> Vec<Unit> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((from, c)) = chars.next() {
        let start = at;
        at += c.len_utf16() as u32;
        // What may belong to this character; ASCII alone is most of the world's text.
        while let Some((_, next)) = chars.peek()
            && joins(*next)
        {
            at += next.len_utf16() as u32;
            chars.next();
        }
        if c.is_ascii() && at == start + 1 {
            out.push(Unit { c: c.to_ascii_lowercase(), start, end: at });
            continue;
        }
        let to = chars.peek().map_or(text.len(), |(to, _)| *to);
        let cluster = text.get(from..to).unwrap_or_default();
        cluster.nfkc().flat_map(char::to_lowercase).for_each(|c| {
            simple(c, &mut |c| out.push(Unit { c, start, end: at }));
        });
    }
    out
}

/// Whether a character joins the one before it.
fn joins(c: char) -> bool {
    !c.is_ascii()
        && (canonical_combining_class(c) != 0
            || matches!(c, '\u{1160}'..='\u{11FF}' | '\u{FF9E}' | '\u{FF9F}'))
}

/// Takes marks away and writes letters of one alphabet alike.
fn simple(c: char, out: &mut impl FnMut(char)) {
    match c {
        '\0'..='\x7f' => out(c),
        // Invisible: soft hyphen, joiners, variation selectors, byte order mark.
        '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' => {}
        '\u{2010}'..='\u{2015}' | '\u{2212}' => out('-'),
        '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{02BC}' => out('\''),
        '\u{201C}' | '\u{201D}' | '\u{201E}' | '\u{AB}' | '\u{BB}' => out('"'),
        'đ' | 'ð' => out('d'),
        'ł' => out('l'),
        'ø' => out('o'),
        'ħ' => out('h'),
        'ı' => out('i'),
        'ß' => "ss".chars().for_each(out),
        'æ' => "ae".chars().for_each(out),
        'œ' => "oe".chars().for_each(out),
        'þ' => "th".chars().for_each(out),
        'ς' => out('σ'),
        'й' => out('й'),
        '\u{AC00}'..='\u{D7A3}' | '\u{3040}'..='\u{30FF}' => out(c),
        _ => decompose_canonical(c, |part| {
            if !is_dropped(part) {
                out(part);
            }
        }),
    }
}

/// Marks above and below letters; signs that write vowels in other scripts are letters.
const fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036F}'
        | '\u{0483}'..='\u{0487}'
        | '\u{0591}'..='\u{05BD}'
        | '\u{05C1}'..='\u{05C7}'
        | '\u{0610}'..='\u{061A}'
        | '\u{0640}'
        | '\u{064B}'..='\u{065F}'
        | '\u{0670}'
        | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}')
}
