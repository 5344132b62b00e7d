//! Finds fields in JSON of our own server without parsing it.

use memchr::memmem;

/// The number after the first key; keys end with `":`.
pub(crate) fn number(frame: &[u8], key: &[u8]) -> Option<u64> {
    let at = memmem::find(frame, key)? + key.len();
    let digits = frame[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// The text after the first key, up to the next quotation mark; keys end with `:"`.
pub(crate) fn text<'a>(frame: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::find(frame, key)? + key.len();
    let end = memchr::memchr(b'"', &frame[at..])?;
    Some(&frame[at..at + end])
}

/// The 36 characters of a conversation id.
pub(crate) fn conversation(frame: &[u8]) -> Option<[u8; 36]> {
    text(frame, b"\"conversation_id\":\"")?.try_into().ok()
}
