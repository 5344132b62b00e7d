//! A user's own rows: the state of his line of numbers and one entry for each conversation.

use crate::{
    extra::{InboxExtra, UserExtra},
    id::{ConversationId, History, MarkRev, Millis, Rev, Seq, Slot, UnitId, UserId, UserRev},
};

/// The head of a user's own line of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    /// The user.
    pub user: UserId,
    /// The unit of the user's own rows.
    pub unit: UnitId,
    /// The slot of the user's own rows.
    pub slot: Slot,
    /// The line that `user_rev` belongs to.
    pub history: History,
    /// Newest change of the user's own view.
    pub user_rev: UserRev,
    /// What few users have.
    pub extra: Option<Box<UserExtra>>,
}

/// How far an inbox entry has followed its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The conversation's line of numbers; another one always applies.
    pub history: History,
    /// Newest rev that has arrived here.
    pub rev: Rev,
    /// Newest mark rev that has arrived here.
    pub mark_rev: MarkRev,
}

/// One conversation in a user's own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// Whose list.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// How far this entry has followed it.
    pub applied: Applied,
    /// Seq and time of the last activity: what the list is ordered by.
    pub last_seq: Seq,
    /// Time of the last activity.
    pub last_activity_at: Millis,
    /// Mirror of the member row's `hidden_to`.
    pub hidden_to: Seq,
    /// Mirror of the member row's `muted_until`.
    pub muted_until: Option<Millis>,
    /// Archived when the conversation stood at this seq.
    pub archived_seq: Option<Seq>,
    /// Marked as unread by hand.
    pub marked_unread: bool,
    /// Kept at the top.
    pub pinned: bool,
    /// Whether the conversation is large: then a send writes nothing here, and readers bring it up to date.
    pub large: bool,
    /// The conversation is gone for this user; only the number of that change remains.
    pub removed: bool,
    /// Last change of this entry.
    pub user_rev: UserRev,
    /// What few entries have.
    pub extra: Option<Box<InboxExtra>>,
}

impl InboxEntry {
    /// Whether the list leaves it out: removed, or hidden with nothing newer.
    pub const fn is_hidden(&self) -> bool {
        self.removed || (self.hidden_to > 0 && self.hidden_to >= self.last_seq)
    }
}
