//! Uploaded files: what is known of each, which messages use it, and which objects hold its bytes.
//!
//! The bytes are elsewhere, by the hash of their content; several uploads may share an object. An upload is forgotten when
//! no message uses it and its time is over, an object when no upload has it. The order is what makes this safe: an upload
//! is known here *before* its object gets its name, and an object is marked as dying here *before* its bytes go.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Millis, Seq, UserId};

use super::Result;

/// When an upload that messages use is looked at again by [`forget_media`](MediaIndex::forget_media), milliseconds: so a step
/// does not read all of them. One whose last use went has a time of its own.
pub const USED_AGAIN_MS: Millis = 24 * 3_600_000;

/// An upload: random, 32 hexadecimal digits in lower case as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaId(pub u128);

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is no media id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid media id")]
pub struct NoMediaId;

impl FromStr for MediaId {
    type Err = NoMediaId;

    fn from_str(text: &str) -> std::result::Result<Self, NoMediaId> {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(digits) {
            return Err(NoMediaId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| NoMediaId)
    }
}

/// BLAKE3 of an object's bytes: its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An object: its name and its size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaObject {
    /// Its name.
    pub hash: ContentHash,
    /// Bytes.
    pub size: u64,
}

/// An upload. Nothing of it ever changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRow {
    /// Its id.
    pub id: MediaId,
    /// Who uploaded it.
    pub owner: UserId,
    /// What it holds.
    pub object: MediaObject,
    /// Its sniffed type.
    pub mime: String,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Milliseconds of audio or video.
    pub duration_ms: Option<u64>,
    /// A tiny preview, base64.
    pub thumbhash: Option<String>,
    /// Its small picture, a JPEG or PNG.
    pub thumbnail: Option<MediaObject>,
    /// Name of the file as the client gave it, without folders.
    pub name: Option<String>,
    /// When it was uploaded.
    pub created_at: Millis,
}

/// A message that uses an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaUse {
    /// What is used.
    pub media: MediaId,
    /// Where the message is.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: Seq,
}

/// Messages of a conversation that are gone: those with `from` ≤ seq ≤ `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessagesGone {
    /// Where they were.
    pub conversation: ConversationId,
    /// The first.
    pub from: Seq,
    /// The last.
    pub to: Seq,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MediaTotals {
    /// Uploads.
    pub uploads: u64,
    /// Objects, those that are being removed included.
    pub objects: u64,
    /// Bytes of these objects.
    pub bytes: u64,
}

/// Uploaded files.
#[async_trait]
pub trait MediaIndex: Send + Sync {
    /// Makes an upload known, to be kept at least until a time even if nothing uses it.
    ///
    /// # Errors
    /// `Taken("media id")`; `Taken("content")` while an object of it is being removed: nothing was written, try again soon.
    async fn add_media(&self, row: &MediaRow, keep_until: Millis) -> Result<()>;
    /// Uploads by id; unknown ones are left out, order is by id.
    async fn media(&self, ids: &[MediaId]) -> Result<Vec<MediaRow>>;
    /// The same, and keeps them at least until a time: who is about to use them in a message has until then.
    async fn keep_media(&self, ids: &[MediaId], until: Millis) -> Result<Vec<MediaRow>>;
    /// Bytes of what a user has uploaded and that is still known, small pictures not counted.
    async fn media_bytes(&self, owner: UserId) -> Result<u64>;
    /// Notes that messages use uploads. Those that are known already, and unknown uploads, are left out.
    async fn use_media(&self, uses: &[MediaUse]) -> Result<()>;
    /// Notes that messages are gone. Uploads that nothing uses any more are kept until `keep_until` only.
    async fn unuse_media(&self, gone: &[MessagesGone], keep_until: Millis) -> Result<()>;
    /// Messages that use an upload, by conversation and seq, at most `limit`.
    async fn media_uses(&self, media: MediaId, limit: u32) -> Result<Vec<MediaUse>>;
    /// Forgets at most `limit` uploads that nothing uses and whose time was over before `now`, those whose time ended first
    /// before others; how many. Objects that no upload has any more are dying from then on.
    async fn forget_media(&self, now: Millis, limit: u32) -> Result<u32>;
    /// Forgets one upload, whoever uses it; whether there was one.
    async fn remove_media(&self, id: MediaId) -> Result<bool>;
    /// Objects that are dying, at most `limit`.
    async fn dying_objects(&self, limit: u32) -> Result<Vec<MediaObject>>;
    /// Forgets dying objects whose bytes are gone; others are left alone.
    async fn objects_removed(&self, hashes: &[ContentHash]) -> Result<()>;
    /// Objects by hash, those after one, at most `limit`; dying ones are left out.
    async fn media_objects(
        &self,
        after: Option<ContentHash>,
        limit: u32,
    ) -> Result<Vec<MediaObject>>;
    /// How much there is.
    async fn media_totals(&self) -> Result<MediaTotals>;
}
