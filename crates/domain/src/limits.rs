//! Every limit of the rules, in one place, each with its unit and what happens beyond it.

use crate::id::Millis;

/// Text of a message, UTF-16 units; more is `invalid`.
pub const TEXT_UNITS_MAX: usize = 10_000;
/// Client's own id of a send, bytes; more is `invalid`.
pub const CLIENT_ID_BYTES_MAX: usize = 64;
/// Name of a group, characters; more is `invalid`.
pub const GROUP_NAME_CHARS_MAX: usize = 200;
/// Mentions in one message; more is `invalid`.
pub const MENTIONS_MAX: usize = 50;
/// One reaction, bytes (a family emoji with skin tones has 41); more is `invalid`.
pub const EMOJI_BYTES_MAX: usize = 64;
/// Different emoji on one message; one more is `conflict`.
pub const EMOJI_PER_MESSAGE_MAX: usize = 50;
/// Pinned messages of a conversation; one more is `conflict`.
pub const PINS_MAX: usize = 100;
/// Former contents that are kept of one message; of later ones none is.
pub const EDITIONS_MAX: u32 = 100;
/// Timer of disappearing messages, seconds; what is not within it is `invalid`.
pub const TIMER_S: std::ops::RangeInclusive<u32> = 5..=31_536_000;
/// How long a conversation keeps its messages, seconds; what is not within it is `invalid`.
pub const RETENTION_S: std::ops::RangeInclusive<u32> = 86_400..=315_360_000;
/// A removed message's client id is known for at least so long after the sending, milliseconds: until then a message that
/// has disappeared stays as a tombstone.
pub const RETRY_LIFE: Millis = 86_400_000;
/// Answers to one message that are counted; beyond it the count stays.
pub const REPLIES_COUNTED_MAX: u32 = 1_000;
/// Invite links of a group that can be used at the same time; one more is `conflict`.
pub const INVITES_MAX: usize = 100;
/// People who may join by one link; more is `invalid`.
pub const INVITE_USES_MAX: u32 = 100_000;
/// Slow mode of a group, seconds between two messages of one member; more is `invalid`.
pub const SLOW_MODE_S_MAX: u32 = 21_600;
/// Users that one user has blocked; one more is `conflict`.
pub const BLOCKS_MAX: usize = 1_000;
/// Users named in one request; more is `too_large`.
pub const USERS_PER_REQUEST_MAX: usize = 1_000;
/// A group above this many members is `large`: stored once, delivered by subscription.
pub const LARGE_ABOVE: u32 = 100;
/// A large group below this many members is not large any more.
pub const LARGE_UNTIL_BELOW: u32 = 80;
/// Large groups that one user's list is brought up to date with; of more, the latest joined are left to themselves.
pub const LARGE_PER_USER_MAX: u32 = 500;
/// Quoted text of a reply, UTF-16 units; more is cut at a character.
pub const EXCERPT_UNITS: usize = 140;
/// Users of a message's reaction shown by name; the rest are counted.
pub const REACTION_USERS_SHOWN: usize = 10;

/// Limits that an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Members of one group; one more is `conflict`.
    pub group_members_max: u32,
    /// Whether the server says in new groups who joined, left and so on; each group may change it.
    pub system_messages: bool,
    /// How long after its sending a message may be edited by its sender, milliseconds; none: always. Admins of groups always may.
    pub edit_window: Option<Millis>,
    /// How long after its sending a message may be deleted for everyone by its sender, milliseconds; none: always. Admins of
    /// groups always may.
    pub delete_window: Option<Millis>,
    /// Whether former contents of edited messages are kept.
    pub edit_history: bool,
    /// Whether operators may still read what was deleted for everyone. Messages that disappear are never kept.
    pub keep_deleted: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            group_members_max: 500,
            system_messages: false,
            edit_window: None,
            delete_window: None,
            edit_history: false,
            keep_deleted: false,
        }
    }
}
