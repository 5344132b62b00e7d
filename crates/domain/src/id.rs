//! Ids and numbers of the system, each its own type, checked where it is made.

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::pair_hash::pair_hash;

/// Number of a message in its conversation: 1, 2, 3 …, gapless, never reused. 0 means "none yet".
pub type Seq = u64;
/// Number of a change in a conversation that every member may see; gapless.
pub type Rev = u64;
/// Number of a mark or of a change only its owner may see, in a conversation.
pub type MarkRev = u64;
/// Number of a change in one user's own view.
pub type UserRev = u64;
/// Unix time in milliseconds, UTC.
pub type Millis = i64;

/// Places a conversation or user can hash to.
pub const SLOTS: u16 = 16_384;
const USER_ID_MAX: u64 = (1 << 53) - 1;
const HALF_BITS: u32 = 53;
const SPARE_BITS: u32 = 16;
/// 2015-01-01 UTC in Unix milliseconds, where message ids begin.
pub const MESSAGE_EPOCH_MS: i64 = 1_420_070_400_000;

/// Why a text or number is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct IdError(&'static str);

/// A person or bot: 1 … 2^53−1, exact in a JSON number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UserId(u64);

impl UserId {
    /// Checks the range.
    pub const fn new(id: u64) -> Result<Self, IdError> {
        if id == 0 || id > USER_ID_MAX {
            return Err(IdError("user id"));
        }
        Ok(Self(id))
    }

    /// The plain number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The slot of this user's own rows.
    pub const fn slot(self) -> Slot {
        Slot::of_hash(pair_hash(self.0, self.0))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.starts_with('+') {
            return Err(IdError("user id"));
        }
        Self::new(text.parse().map_err(|_| IdError("user id"))?)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// What a conversation id says about its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Two users, `lo` ≤ `hi`; equal for a conversation with oneself.
    Direct {
        /// The smaller user id.
        lo: UserId,
        /// The larger user id.
        hi: UserId,
    },
    /// Any number of users, listed in member rows.
    Group,
}

/// A conversation: UUID version 8 that holds both users, or version 7 or 5 of a group.
///
/// Only canonical ids exist as a value of this type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId(u128);

impl ConversationId {
    /// The direct conversation of two users; the order of the arguments does not matter.
    pub fn direct(a: UserId, b: UserId) -> Self {
        let (lo, hi) = (a.0.min(b.0), a.0.max(b.0));
        let free = (u128::from(lo) << (HALF_BITS + SPARE_BITS)) | (u128::from(hi) << SPARE_BITS);
        let a48 = free >> 74;
        let b12 = (free >> 62) & 0xfff;
        let c62 = free & ((1 << 62) - 1);
        Self((a48 << 80) | (8 << 76) | (b12 << 64) | (0b10 << 62) | c62)
    }

    /// A new group's id from the time and 74 random bits (UUID version 7).
    pub fn new_group(now: Millis, random: [u8; 10]) -> Self {
        let ms = u64::try_from(now).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid().as_u128())
    }

    /// A group's id from a keyed hash of its creator and client id (UUID version 5), so that a retry finds the same group.
    pub fn retried_group(keyed_hash: [u8; 16]) -> Self {
        Self(uuid::Builder::from_sha1_bytes(keyed_hash).into_uuid().as_u128())
    }

    /// Checks the bits: a canonical direct id, or an RFC 9562 UUID of version 5 or 7.
    pub fn from_u128(bits: u128) -> Result<Self, IdError> {
        let id = Self(bits);
        let uuid = Uuid::from_u128(bits);
        let rfc = uuid.get_variant() == uuid::Variant::RFC4122;
        match uuid.get_version_num() {
            5 | 7 if rfc => Ok(id),
            8 if rfc => {
                let (lo, hi) = id.halves();
                let (a, b) = (UserId::new(lo), UserId::new(hi));
                match (a, b) {
                    (Ok(a), Ok(b)) if Self::direct(a, b) == id => Ok(id),
                    _ => Err(IdError("conversation id")),
                }
            }
            _ => Err(IdError("conversation id")),
        }
    }

    /// All 128 bits, big-endian order of the UUID.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The users in the id of a direct conversation, or that it is a group.
    pub const fn party(self) -> Party {
        if (self.0 >> 76) & 0xf == 8 {
            let (lo, hi) = self.halves();
            Party::Direct { lo: UserId(lo), hi: UserId(hi) }
        } else {
            Party::Group
        }
    }

    /// The other user of a direct conversation (oneself for a conversation with oneself); none for a group or a stranger.
    pub fn peer_of(self, user: UserId) -> Option<UserId> {
        match self.party() {
            Party::Direct { lo, hi } if lo == user => Some(hi),
            Party::Direct { lo, hi } if hi == user => Some(lo),
            _ => None,
        }
    }

    /// The slot this conversation hashes to; it never changes.
    pub const fn slot(self) -> Slot {
        let (a, b) = match self.party() {
            Party::Direct { lo, hi } => (lo.0, hi.0),
            Party::Group => ((self.0 >> 64) as u64, self.0 as u64),
        };
        match self.party() {
            Party::Direct { .. } => Slot::of_hash(pair_hash(a, b)),
            Party::Group => Slot::of_hash(crate::pair_hash::mix(a, b)),
        }
    }

    const fn halves(self) -> (u64, u64) {
        let a48 = self.0 >> 80;
        let b12 = (self.0 >> 64) & 0xfff;
        let c62 = self.0 & ((1 << 62) - 1);
        let free = (a48 << 74) | (b12 << 62) | c62;
        let mask = (1u128 << HALF_BITS) - 1;
        (((free >> (HALF_BITS + SPARE_BITS)) & mask) as u64, ((free >> SPARE_BITS) & mask) as u64)
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ConversationId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != 36 {
            return Err(IdError("conversation id"));
        }
        let uuid = Uuid::try_parse(text).map_err(|_| IdError("conversation id"))?;
        Self::from_u128(uuid.as_u128())
    }
}

impl Serialize for ConversationId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        s.serialize_str(Uuid::from_u128(self.0).as_hyphenated().encode_lower(&mut text))
    }
}

impl<'de> Deserialize<'de> for ConversationId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_text(d, "a conversation id")
    }
}

/// A message: 41 bits of milliseconds since 2015, 10 of node, 12 of counter; rises with seq in its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

impl MessageId {
    /// Puts the parts together; `None` when one does not fit its bits.
    pub const fn from_parts(unix_ms: Millis, node: u16, counter: u16) -> Option<Self> {
        let ms = unix_ms - MESSAGE_EPOCH_MS;
        if ms < 0 || ms >= 1 << 41 || node > 1023 || counter > 4095 {
            return None;
        }
        Some(Self(((ms as u64) << 22) | ((node as u64) << 12) | counter as u64))
    }

    /// Checks that it has at most 63 bits.
    pub const fn new(id: u64) -> Result<Self, IdError> {
        if id >> 63 != 0 {
            return Err(IdError("message id"));
        }
        Ok(Self(id))
    }

    /// The plain number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The time in it, Unix milliseconds.
    pub const fn unix_ms(self) -> Millis {
        (self.0 >> 22) as i64 + MESSAGE_EPOCH_MS
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:019}", self.0)
    }
}

impl FromStr for MessageId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != 19 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(IdError("message id"));
        }
        Self::new(text.parse().map_err(|_| IdError("message id"))?)
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut digits = [b'0'; 19];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        s.serialize_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_text(d, "a message id of 19 digits")
    }
}

/// Random id of a line of numbers; another one tells clients to drop what they hold. Text in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct History(pub u64);

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for History {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.starts_with('+') {
            return Err(IdError("history"));
        }
        text.parse().map(Self).map_err(|_| IdError("history"))
    }
}

impl Serialize for History {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_text(d, "a history")
    }
}

/// One of [`SLOTS`] places that conversations and users hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u16);

impl Slot {
    /// The slot of a pair hash.
    pub const fn of_hash(hash: u64) -> Self {
        Self((hash % SLOTS as u64) as u16)
    }

    /// Checks the range.
    pub const fn new(slot: u16) -> Result<Self, IdError> {
        if slot >= SLOTS {
            return Err(IdError("slot"));
        }
        Ok(Self(slot))
    }

    /// The plain number, below [`SLOTS`].
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The unit of everything in this slot that no override names.
    pub const fn unit(self) -> UnitId {
        UnitId(self.0 as u32)
    }
}

/// The smallest thing with one home: numbers below [`SLOTS`] are slots, those above are carved units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitId(pub u32);

impl UnitId {
    /// The slot whose unit this is; none for a carved one.
    pub const fn slot(self) -> Option<Slot> {
        if self.0 < SLOTS as u32 { Some(Slot(self.0 as u16)) } else { None }
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Rises with every change of home, carve and merge of a unit; never shown to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// One store that owns units. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn parse_text<'de, D, T>(d: D, what: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = IdError>,
{
    struct Text<T>(&'static str, std::marker::PhantomData<T>);
    impl<T: FromStr<Err = IdError>> de::Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    d.deserialize_str(Text(what, std::marker::PhantomData))
}
