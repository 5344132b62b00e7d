//! Ids as text, and as what is short: 16 bytes, two users, a number. Only the one text that we write is shortened, so that
//! nothing comes back in another form.

use ostracon_domain::{ConversationId, Party, UserId};

const TEXT_BYTES: usize = 36;
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The 128 bits of a UUID in lower case with hyphens.
pub(super) fn uuid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != TEXT_BYTES {
        return None;
    }
    let mut bits = 0;
    for (place, byte) in bytes.iter().enumerate() {
        let digit = match byte {
            b'-' if HYPHENS.contains(&place) => continue,
            _ if HYPHENS.contains(&place) => return None,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        bits = bits << 4 | u128::from(digit);
    }
    Some(bits)
}

/// The text of 16 bytes.
pub(super) fn uuid_text(bytes: &[u8]) -> Option<String> {
    let bits = u128::from_be_bytes(bytes.try_into().ok()?);
    let mut text = format!("{bits:032x}");
    for place in HYPHENS {
        text.insert(place, '-');
    }
    Some(text)
}

/// Both users of a direct conversation, the lower first.
pub(super) fn users(text: &str) -> Option<[u64; 2]> {
    match ConversationId::from_u128(uuid(text)?).ok()?.party() {
        Party::Direct { lo, hi } => Some([lo.get(), hi.get()]),
        Party::Group => None,
    }
}

/// The text of the direct conversation of two users.
pub(super) fn direct_text(users: [u64; 2]) -> Option<String> {
    let [a, b] = users;
    Some(ConversationId::direct(UserId::new(a).ok()?, UserId::new(b).ok()?).to_string())
}

/// A number in the one form that we write.
pub(super) fn digits(text: &str) -> Option<u64> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}
