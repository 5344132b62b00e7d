//! Checks of texts that people write.

use crate::{
    limits::{EMOJI_BYTES_MAX, GROUP_NAME_CHARS_MAX, MENTIONS_MAX, TEXT_UNITS_MAX},
    message::Mention,
    refusal::Refusal,
};

/// A message's text: not empty, at most [`TEXT_UNITS_MAX`] UTF-16 units, no U+0000.
pub(super) fn check_content(content: &str) -> Result<(), Refusal> {
    if content.is_empty() {
        return Err(Refusal::invalid("content", "A message must not be empty."));
    }
    // A UTF-8 text has at least as many bytes as UTF-16 units: most texts need no counting.
    if content.len() > TEXT_UNITS_MAX && content.encode_utf16().count() > TEXT_UNITS_MAX {
        return Err(Refusal::invalid("content", "A message has at most 10,000 UTF-16 units."));
    }
    if content.contains('\0') {
        return Err(Refusal::invalid("content", "A text must not contain U+0000."));
    }
    Ok(())
}

/// Mentions: inside the text, not empty, rising, not overlapping, at most [`MENTIONS_MAX`].
pub(super) fn check_mentions(mentions: &[Mention], content: &str) -> Result<(), Refusal> {
    if mentions.is_empty() {
        return Ok(());
    }
    if mentions.len() > MENTIONS_MAX {
        return Err(Refusal::invalid("mentions", "A message has at most 50 mentions."));
    }
    let units = content.encode_utf16().count() as u64;
    let mut free_from = 0;
    for mention in mentions {
        let (start, end) = (u64::from(mention.start), u64::from(mention.end));
        if start < free_from || start >= end || end > units {
            return Err(Refusal::invalid(
                "mentions",
                "Mentions must lie inside the text, in order, without overlap.",
            ));
        }
        free_from = end;
    }
    Ok(())
}

/// A group's name: something visible, at most [`GROUP_NAME_CHARS_MAX`] characters, no control characters.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.chars().count() > GROUP_NAME_CHARS_MAX {
        return Err(Refusal::invalid("name", "A name has 1 to 200 characters."));
    }
    if name.chars().any(char::is_control) {
        return Err(Refusal::invalid("name", "A name must not contain control characters."));
    }
    Ok(())
}

/// A draft: at most as long as a message, no U+0000.
pub(super) fn check_draft(draft: &str) -> Result<(), Refusal> {
    if draft.len() > TEXT_UNITS_MAX && draft.encode_utf16().count() > TEXT_UNITS_MAX {
        return Err(Refusal::invalid("draft", "A draft has at most 10,000 UTF-16 units."));
    }
    if draft.contains('\0') {
        return Err(Refusal::invalid("draft", "A text must not contain U+0000."));
    }
    Ok(())
}

/// The one spelling of an emoji, at most [`EMOJI_BYTES_MAX`] long.
pub(super) fn check_emoji(text: &str) -> Result<String, Refusal> {
    crate::emoji::emoji(text)
        .filter(|emoji| emoji.len() <= EMOJI_BYTES_MAX)
        .ok_or(Refusal::invalid("emoji", "A reaction is one emoji."))
}
