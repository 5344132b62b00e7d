//! Endings of Russian words, so that a query finds a word in its other cases. Light on purpose: what it leaves is only a
//! beginning that the word of a text must have, and little may follow it.

/// Letters that may follow a stem in a text: the longest ending, `ующимися` left out.
pub(crate) const ENDING_CHARS_MAX: usize = 5;
/// A stem has at least so many letters.
const STEM_CHARS_MIN: usize = 3;

/// By length, longest first.
const ENDINGS: &[&str] = &[
    "иями", "ыми", "ими", "ями", "ами", "иях", "ого", "его", "ому", "ему", "ете", "ите", "ешь",
    "ишь", "ала", "али", "ало", "ила", "или", "ило", "ела", "ели", "ело", "ать", "ять", "ить",
    "еть", "уть", "ый", "ий", "ой", "ая", "яя", "ое", "ее", "ые", "ие", "ую", "юю", "ым", "им",
    "ом", "ем", "ам", "ям", "ах", "ях", "ов", "ев", "ей", "их", "ых", "ию", "ия", "ии", "ет", "ут",
    "ют", "ит", "ат", "ят", "ал", "ил", "ел", "ью", "а", "я", "о", "е", "у", "ю", "ы", "и", "ь",
    "й",
];

/// The beginning of a folded word that its other cases share; the word itself when it is not Russian or too short.
pub(crate) fn stem(word: &str) -> &str {
    let is_russian = |c: char| matches!(c, 'а'..='я');
    if !word.chars().all(is_russian) {
        return word;
    }
    for ending in ENDINGS {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.chars().count() >= STEM_CHARS_MIN
        {
            return rest;
        }
    }
    word
}
