//! Opaque positions of lists: base64url of a version, a kind and fixed fields. A client hands them
//! back unchanged; what else it sends is `invalid`. They grant nothing, so they are not signed.

use crate::Invalid;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ostracon_domain::{ConversationId, History, Millis, UserId, UserRev};

const VERSION: u8 = 1;
/// Longest text that is looked at; ours have at most 56.
const TEXT_MAX: usize = 128;

/// A list position that can be written as text and read back.
pub trait Cursor: Sized {
    /// Tells the cursors of different lists apart.
    #[doc(hidden)]
    const KIND: u8;

    #[doc(hidden)]
    fn write(&self, out: &mut Vec<u8>);

    #[doc(hidden)]
    fn read(fields: &mut Fields<'_>) -> Option<Self>;

    /// The text that a client gets.
    fn encode(&self) -> String {
        let mut bytes = vec![VERSION, Self::KIND];
        self.write(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Cursor::encode`] wrote, and only that.
    ///
    /// # Errors
    /// [`Invalid`] for the field `cursor`.
    fn decode(text: &str) -> Result<Self, Invalid> {
        let read = || {
            let bytes = (text.len() <= TEXT_MAX).then(|| URL_SAFE_NO_PAD.decode(text).ok())??;
            let rest = bytes.strip_prefix(&[VERSION, Self::KIND])?;
            let mut fields = Fields(rest);
            let cursor = Self::read(&mut fields)?;
            fields.0.is_empty().then_some(cursor)
        };
        read().ok_or_else(|| Invalid::new("cursor", "is not one that this server gave out"))
    }
}

/// The bytes of a cursor that are still to be read.
#[derive(Debug)]
pub struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn conversation(&mut self) -> Option<ConversationId> {
        ConversationId::from_u128(u128::from_be_bytes(self.take()?)).ok()
    }
}

/// How far a device has followed its user's line of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncCursor {
    /// The user's line of numbers.
    pub history: History,
    /// Everything up to here has been sent.
    pub user_rev: UserRev,
    /// Inside a listing: go on after this conversation. None between listings.
    pub after: Option<ConversationId>,
}

impl Cursor for SyncCursor {
    const KIND: u8 = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.history.0.to_be_bytes());
        out.extend_from_slice(&self.user_rev.to_be_bytes());
        if let Some(after) = self.after {
            out.extend_from_slice(&after.as_u128().to_be_bytes());
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (history, user_rev) = (History(fields.u64()?), fields.u64()?);
        let after = if fields.0.is_empty() { None } else { Some(fields.conversation()?) };
        Some(Self { history, user_rev, after })
    }
}

/// Where a page of the chat list ended. Latest activity first; equal times by conversation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatListCursor {
    /// Time of the last activity of the last entry.
    pub last_activity_at: Millis,
    /// The last entry.
    pub conversation: ConversationId,
}

impl Cursor for ChatListCursor {
    const KIND: u8 = 2;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.last_activity_at.to_be_bytes());
        out.extend_from_slice(&self.conversation.as_u128().to_be_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            last_activity_at: fields.take().map(i64::from_be_bytes)?,
            conversation: fields.conversation()?,
        })
    }
}

/// Where a page of members ended; they are listed by rising user id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersCursor {
    /// The last member.
    pub after: UserId,
}

impl Cursor for MembersCursor {
    const KIND: u8 = 3;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.after.get().to_be_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { after: UserId::new(fields.u64()?).ok()? })
    }
}

/// Where a page of found messages ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchCursor {
    /// Only message ids below this.
    pub below: u64,
    /// So many of the best ones were shown; 0 where the newest come first.
    pub shown: u32,
}

impl Cursor for SearchCursor {
    const KIND: u8 = 4;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.below.to_be_bytes());
        out.extend_from_slice(&u64::from(self.shown).to_be_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let below = fields.u64().filter(|below| i64::try_from(*below).is_ok())?;
        Some(Self { below, shown: u32::try_from(fields.u64()?).ok()? })
    }
}
