//! Optional parts of rows: what most rows have nothing of. One box each, none when empty, so that a plain row costs nothing.
//!
//! They are stored under the short names given here; a name never changes its meaning, and a field that is left out has its
//! default. A new feature adds a field and needs no new column.

use serde::{Deserialize, Serialize};

use crate::{
    id::{Millis, Seq, UserId},
    permission::GroupRules,
};

/// A part that is not stored when it is empty.
pub trait Extra: Default + PartialEq {
    /// Changes a part, making it if need be, and lets it go when nothing is left in it.
    fn change(part: &mut Option<Box<Self>>, change: impl FnOnce(&mut Self)) {
        let mut now = part.take().unwrap_or_default();
        change(&mut now);
        *part = (*now != Self::default()).then_some(now);
    }
}

/// Leaves a default out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A file that a message carries. The bytes are elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Name of the object: hash of its content.
    #[serde(rename = "i")]
    pub media_id: String,
    /// Its sniffed type.
    #[serde(rename = "m")]
    pub mime: String,
    /// Bytes.
    #[serde(rename = "s")]
    pub size: u64,
    /// Pixels.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Milliseconds of audio or video.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// A tiny preview as text.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub thumbhash: Option<String>,
    /// Name of the file as it was uploaded.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Since when and by whom a message is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Unix milliseconds.
    #[serde(rename = "a")]
    pub at: Millis,
    /// Who pinned it.
    #[serde(rename = "b")]
    pub by: UserId,
}

/// What few messages have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageExtra {
    /// Files.
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Set while it is pinned.
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// How many former contents are kept; at most [`crate::limits::EDITIONS_MAX`].
    #[serde(rename = "e", skip_serializing_if = "is_default")]
    pub editions: u32,
    /// When it is to disappear, of a message that was sent while its conversation had a timer.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// What a deleted message said, where the operator keeps that. Shown to operators only.
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// What few conversations have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConversationExtra {
    /// Seqs of pinned messages, rising; at most [`crate::limits::PINS_MAX`].
    #[serde(rename = "p", skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Seq>,
    /// Some message has mentioned somebody: only then there are mentions to count.
    #[serde(rename = "m", skip_serializing_if = "is_default")]
    pub mentioned: bool,
    /// New messages disappear so many seconds after they were sent.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub timer_s: Option<u32>,
    /// Messages are removed so many seconds after they were sent.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u32>,
    /// The first message that was sent while there was a timer: only from there on some may disappear.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub timed_from: Option<Seq>,
    /// What a group has set besides its history.
    #[serde(rename = "g", skip_serializing_if = "is_default")]
    pub rules: GroupRules,
}

/// What few members have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberExtra {
    /// Has deleted some message for himself: only then there are hidden rows to look for.
    #[serde(rename = "h", skip_serializing_if = "is_default")]
    pub hides: bool,
    /// When he last sent in a group with slow mode.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub last_sent: Option<Millis>,
}

/// What few entries of lists have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InboxExtra {
    /// A text that was begun and not sent.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}

/// What few users have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserExtra {
    /// Users that he has blocked, rising; at most [`crate::limits::BLOCKS_MAX`].
    #[serde(rename = "b", skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<UserId>,
}

impl Extra for MessageExtra {}
impl Extra for ConversationExtra {}
impl Extra for MemberExtra {}
impl Extra for InboxExtra {}
impl Extra for UserExtra {}
