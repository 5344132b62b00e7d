//! What counts as one emoji, and its one spelling. The tables are those of Unicode 16; nothing is drawn here.

mod table;

#[cfg(test)]
mod tests;

use self::table::{PICTOGRAPHS, PLAIN_BY_ITSELF};

const JOINER: char = '\u{200D}';
const AS_TEXT: char = '\u{FE0E}';
const AS_EMOJI: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';

/// The one spelling of an emoji; none when the text is not exactly one.
///
/// What looks the same is the same: a character that is drawn as text by itself gets U+FE0F behind it, every other variation
/// selector goes. Skin tones, flags, keycaps and joined emoji stay what they are.
pub fn emoji(text: &str) -> Option<String> {
    let mut rest =
        Rest { chars: text.chars().peekable(), out: String::with_capacity(text.len() + 3) };
    let whole = match rest.next()? {
        c if is_indicator(c) => rest.flag(c),
        c if is_keycap_base(c) => rest.keycap(c),
        c => rest.joined(c),
    };
    (whole && rest.chars.peek().is_none()).then_some(rest.out)
}

struct Rest<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
}

impl Rest<'_> {
    fn next(&mut self) -> Option<char> {
        self.chars.next()
    }

    fn selector(&mut self) {
        while self.chars.next_if(|c| matches!(*c, AS_TEXT | AS_EMOJI)).is_some() {}
    }

    fn flag(&mut self, first: char) -> bool {
        let Some(second) = self.chars.next_if(|c| is_indicator(*c)) else { return false };
        self.out.extend([first, second]);
        true
    }

    fn keycap(&mut self, base: char) -> bool {
        self.selector();
        self.out.extend([base, AS_EMOJI, KEYCAP]);
        self.next() == Some(KEYCAP)
    }

    /// Elements with joiners between them.
    fn joined(&mut self, first: char) -> bool {
        let mut element = first;
        loop {
            if !self.element(element) {
                return false;
            }
            if self.chars.next_if_eq(&JOINER).is_none() {
                return true;
            }
            self.out.push(JOINER);
            let Some(next) = self.next() else { return false };
            element = next;
        }
    }

    fn element(&mut self, base: char) -> bool {
        if !is_in(PICTOGRAPHS, base) {
            return false;
        }
        self.out.push(base);
        self.selector();
        if let Some(tone) = self.chars.next_if(|c| is_tone(*c)) {
            self.out.push(tone);
            self.selector();
        } else if is_in(PLAIN_BY_ITSELF, base) {
            self.out.push(AS_EMOJI);
        }
        let mut tags = None;
        while let Some(tag) = self.chars.next_if(|c| is_tag(*c)) {
            self.out.push(tag);
            tags = Some(tag);
        }
        tags.is_none_or(|last| last == '\u{E007F}')
    }
}

const fn is_indicator(c: char) -> bool {
    matches!(c, '\u{1F1E6}'..='\u{1F1FF}')
}

const fn is_tone(c: char) -> bool {
    matches!(c, '\u{1F3FB}'..='\u{1F3FF}')
}

const fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007F}')
}

const fn is_keycap_base(c: char) -> bool {
    matches!(c, '0'..='9' | '#' | '*')
}

fn is_in(ranges: &[(u32, u32)], c: char) -> bool {
    let c = c as u32;
    let after = ranges.partition_point(|(first, _)| *first <= c);
    after > 0 && c <= ranges[after - 1].1
}
