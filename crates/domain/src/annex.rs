//! Small rows beside the messages of a conversation: what one member hid, former contents, who is mentioned, threads.
//!
//! They live in the conversation's unit and are found by their key. Not for what belongs to one row only: that is in the
//! row's own optional part.

use crate::id::{ConversationId, Rev, Seq, UserId};

/// What a row says. The number is stored and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AnnexKind {
    /// A former content of a message: its seq, the content's rev. `number` is the rev of the change that replaced it.
    Edition = 1,
    /// A message that mentions a user: the user (0 for everybody), its seq. `number` is the rev that brought it.
    Mention = 2,
    /// A message that answers another: seq of the answered one, its own seq. `number` is the rev of its insert.
    Reply = 3,
    /// A pinned message: 0, its seq. `number` is the rev of its pinning.
    Pin = 4,
    /// A message that a member deleted for himself: the user, its seq. `number` is a mark rev. The value is empty for a
    /// message that counts, otherwise one byte.
    Hidden = 64,
    /// Who is kept out of a group: 0, the user. `number` is a mark rev. The value is a [`crate::Ban`], empty once lifted.
    Ban = 65,
    /// An invite link of a group: 0, its place. `number` is a mark rev. The value is a [`crate::Invite`].
    Invite = 66,
}

/// Kinds below this one belong to their message: they change with its rev, travel with it and are replaced with it.
/// The others have a line of numbers of their own.
const FIRST_ON_ITS_OWN: u8 = 64;

impl AnnexKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Edition,
        Self::Mention,
        Self::Reply,
        Self::Pin,
        Self::Hidden,
        Self::Ban,
        Self::Invite,
    ];

    /// The kind of a stored number.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether not every member knows of rows of this kind: their number is a mark rev.
    pub const fn is_private(self) -> bool {
        matches!(self, Self::Hidden | Self::Ban | Self::Invite)
    }

    /// Whether rows of this kind are of the conversation as a whole: they belong to no message and to no member, and
    /// are written over, never removed.
    pub const fn is_of_conversation(self) -> bool {
        matches!(self, Self::Ban | Self::Invite)
    }

    /// Whether rows of this kind change, travel and are replaced together with their message.
    pub const fn is_of_message(self) -> bool {
        (self as u8) < FIRST_ON_ITS_OWN
    }
}

/// The key of an annex in its conversation. Both numbers are below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnnexKey {
    /// What it says.
    pub kind: AnnexKind,
    /// First part: see the kind.
    pub first: u64,
    /// Second part: see the kind.
    pub second: u64,
}

impl AnnexKey {
    /// A message that a user hid.
    pub const fn hidden(user: UserId, seq: Seq) -> Self {
        Self { kind: AnnexKind::Hidden, first: user.get(), second: seq }
    }

    /// A former content of a message.
    pub const fn edition(seq: Seq, content_rev: Rev) -> Self {
        Self { kind: AnnexKind::Edition, first: seq, second: content_rev }
    }

    /// A message that mentions a user.
    pub const fn mention(user: UserId, seq: Seq) -> Self {
        Self { kind: AnnexKind::Mention, first: user.get(), second: seq }
    }

    /// A message that answers another.
    pub const fn reply(root: Seq, seq: Seq) -> Self {
        Self { kind: AnnexKind::Reply, first: root, second: seq }
    }

    /// A pinned message.
    pub const fn pin(seq: Seq) -> Self {
        Self { kind: AnnexKind::Pin, first: 0, second: seq }
    }

    /// The message that it belongs to and is removed with; 0 for none.
    pub const fn seq(&self) -> Seq {
        match self.kind {
            AnnexKind::Edition => self.first,
            AnnexKind::Mention | AnnexKind::Reply | AnnexKind::Pin | AnnexKind::Hidden => {
                self.second
            }
            AnnexKind::Ban | AnnexKind::Invite => 0,
        }
    }
}

/// One small row of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annex {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its key there.
    pub key: AnnexKey,
    /// Rev or mark rev of its last change: see the kind.
    pub number: u64,
    /// What it holds besides its key, as its kind encodes it.
    pub value: Vec<u8>,
}
