//! Questions to a shard and the rows they answer. Also which seqs a page covers: that is arithmetic, the same everywhere.
//!
//! Who may read is `domain`'s [`access`](fn@ostracon_domain::access): a shard gives no message outside of it, but what is
//! inside is given as it is stored (content withheld from former members is cut later).

#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use ostracon_domain::{
    Access, Annex, AnnexKind, Conversation, ConversationId, InboxEntry, MarkRev, Member, MessageId,
    MessageView, Millis, Rev, Seq, UserId, UserRev, UserState,
};

/// A conversation as one user's list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Arc<Conversation>,
    /// The reader's member row; none for a stranger.
    pub member: Option<Arc<Member>>,
    /// The newest message inside the reader's access, tombstones included; none for strangers and deleted groups.
    pub last_message: Option<MessageView>,
    /// Whether the reader has deleted the newest message for himself.
    pub last_hidden: bool,
    /// Messages above the reader's unread floor that do not count, those that he has hidden included; only meaningful for
    /// a present member.
    pub uncounted: u64,
    /// Messages above the reader's unread floor that mention him and that he has not hidden.
    pub mentions: u64,
}

/// What is unread of a conversation, for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The user's member row; none for a stranger.
    pub member: Option<Arc<Member>>,
    /// Messages that count and that the user has not read; 0 for a stranger and for who has left.
    pub count: u64,
}

/// A place in a conversation: a message, or a point between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagePosition {
    /// A message's number. One that does not exist yet stands at the end.
    Seq(Seq),
    /// A time stands just before the first message at or after it, so that `Before` and `After` it give everything.
    Time(Millis),
    /// A message's id; an id of no message here stands between its neighbours.
    Id(MessageId),
}

/// A place in a conversation as seqs, looked up by a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First readable message that is not before the place; one past the last if there is none.
    pub at: Seq,
    /// First readable message after the place: `at + 1` if a message stands there, otherwise `at`.
    pub after: Seq,
}

impl Place {
    /// The place of a message.
    pub const fn message(seq: Seq) -> Self {
        Self { at: seq, after: seq.saturating_add(1) }
    }

    /// The place just before a message.
    pub const fn before(seq: Seq) -> Self {
        Self { at: seq, after: seq }
    }
}

/// Which messages of a conversation are wanted; always answered in ascending seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessagePage {
    /// The newest.
    Newest {
        /// At most so many.
        limit: u32,
    },
    /// Those before a place, that one excluded.
    Before {
        /// The place.
        position: PagePosition,
        /// At most so many.
        limit: u32,
    },
    /// Those after a place, that one excluded.
    After {
        /// The place.
        position: PagePosition,
        /// At most so many.
        limit: u32,
    },
    /// At most half before a place, the rest from it on, that one included.
    Around {
        /// The place.
        position: PagePosition,
        /// At most so many.
        limit: u32,
    },
}

impl MessagePage {
    /// The position to look up, if the page has one.
    pub const fn position(&self) -> Option<PagePosition> {
        match self {
            Self::Newest { .. } => None,
            Self::Before { position, .. }
            | Self::After { position, .. }
            | Self::Around { position, .. } => Some(*position),
        }
    }

    /// The seqs on the page, first to one past the last, maybe none. `place` is that of [`position`](Self::position);
    /// for a page without one it does not matter. All of them exist, since seqs have no gaps.
    pub fn span(&self, place: Place, access: Access) -> Range<Seq> {
        let (first, end) = (access.from, access.to.saturating_add(1));
        let from_end = |end: Seq, limit: u32| end.saturating_sub(u64::from(limit)).max(first)..end;
        let from_start = |start: Seq, limit: u32| {
            let start = start.clamp(first, end.max(first));
            start..start.saturating_add(u64::from(limit)).min(end)
        };
        let span = match *self {
            Self::Newest { limit } => from_end(end, limit),
            Self::Before { limit, .. } => from_end(place.at.min(end), limit),
            Self::After { limit, .. } => from_start(place.after, limit),
            Self::Around { limit, .. } => {
                let half = from_end(place.at.min(end), limit / 2);
                from_start(half.start, limit)
            }
        };
        if span.is_empty() { first..first } else { span }
    }
}

/// A page of messages, in ascending seq, without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages {
    /// The conversation as it was noted before the rows were read: the page declares its rev and head.
    /// Rows may be newer, never older.
    pub conversation: Arc<Conversation>,
    /// The reader's member row; none for a stranger, whose page is empty.
    pub member: Option<Arc<Member>>,
    /// The messages inside the reader's part of the conversation.
    pub messages: Vec<MessageView>,
    /// Those of them that the reader has deleted for himself, rising.
    pub hidden: Vec<Seq>,
}

/// From where changes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesSince {
    /// The conversation.
    pub conversation: ConversationId,
    /// Who reads.
    pub reader: UserId,
    /// Every row changed after this rev.
    pub rev: Rev,
    /// Every mark changed after this mark rev.
    pub mark_rev: MarkRev,
    /// At most so many rows that have a rev.
    pub limit: u32,
}

/// Newest state of every row changed after a rev, complete up to `rev`.
///
/// The conversation counts as a row with rev `info_rev`, members and messages with their `rev`. Present members get
/// all of them inside their access. A former member, and everybody in a deleted group, gets the messages inside his access
/// and of members and receipts his own row only; a stranger gets nothing, complete up to the conversation's rev.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The conversation as noted before the rows were read.
    pub conversation: Arc<Conversation>,
    /// Whether the conversation's visible part is among the changes.
    pub info_changed: bool,
    /// The reader's member row.
    pub member: Option<Arc<Member>>,
    /// Changed messages inside the reader's part, in rev order.
    pub messages: Vec<MessageView>,
    /// Members whose role or membership changed, in rev order.
    pub members: Vec<Arc<Member>>,
    /// Members whose marks changed, in mark rev order; in large groups only the reader's own.
    pub receipts: Vec<Arc<Member>>,
    /// Messages that the reader has deleted for himself since the mark rev, by seq.
    pub hidden: Vec<Arc<Annex>>,
    /// All rows up to this rev are included: the conversation's rev, or, when cut, that of the first left-out row less 1.
    pub rev: Rev,
    /// All marks up to this mark rev are included.
    pub mark_rev: MarkRev,
    /// Whether there are rows above `rev`.
    pub more: bool,
}

/// Small rows of a conversation: those of a kind with the same first part of their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnexPage {
    /// Their kind.
    pub kind: AnnexKind,
    /// First part of their key.
    pub first: u64,
    /// Second part: from.
    pub from: u64,
    /// Second part: to, this one included.
    pub to: u64,
    /// Largest second part first.
    pub descending: bool,
    /// At most so many.
    pub limit: u32,
    /// Also the messages that they belong to.
    pub with_messages: bool,
}

/// Small rows, only of messages inside the reader's part of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnexRows {
    /// The conversation as noted before the rows were read.
    pub conversation: Arc<Conversation>,
    /// The reader's member row; none for a stranger, whose page is empty.
    pub member: Option<Arc<Member>>,
    /// The rows in the order asked for.
    pub annexes: Vec<Arc<Annex>>,
    /// Their messages in the same order, if asked for.
    pub messages: Vec<MessageView>,
    /// Whether there are more.
    pub more: bool,
}

/// A page of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersPage {
    /// Only users above this one.
    pub after: Option<UserId>,
    /// At most so many.
    pub limit: u32,
}

/// Member rows by rising user id, former members included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersRows {
    /// The conversation as noted before the rows were read.
    pub conversation: Arc<Conversation>,
    /// The rows.
    pub members: Vec<Arc<Member>>,
    /// Whether there are users above the last one.
    pub more: bool,
}

/// A page of a user's list: latest activity first, then larger conversation id first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxPage {
    /// Only entries after this place in that order.
    pub after: Option<(Millis, ConversationId)>,
    /// At most so many.
    pub limit: u32,
}

/// Entries of a user's list that are not hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRows {
    /// The user's line of numbers; none for a user without any row.
    pub state: Option<Arc<UserState>>,
    /// The entries in the list's order.
    pub entries: Vec<Arc<InboxEntry>>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// Entries of a user that changed, in user rev order, complete up to `user_rev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxChanges {
    /// The user's line of numbers; none for a user without any row.
    pub state: Option<Arc<UserState>>,
    /// The entries, removed and hidden ones included.
    pub entries: Vec<Arc<InboxEntry>>,
    /// All entries up to this user rev are included: the user's newest, or, when cut, that of the first left-out entry less 1.
    pub user_rev: UserRev,
    /// Whether there are entries above it.
    pub more: bool,
}
