//! Questions to a shard and the rows they answer.

use std::sync::Arc;

use ostracon_domain::{
    Conversation, ConversationId, InboxEntry, MarkRev, Member, MessageId, MessageView, Millis, Rev,
    Seq, UserId, UserRev, UserState,
};

/// A conversation as one user's list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Arc<Conversation>,
    /// The reader's member row; none for a stranger.
    pub member: Option<Arc<Member>>,
    /// The newest message that the reader may see.
    pub last_message: Option<MessageView>,
    /// Messages above the reader's unread floor that do not count.
    pub uncounted: u64,
}

/// A place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagePosition {
    /// A message's number.
    Seq(Seq),
    /// The first message at or after a time.
    Time(Millis),
    /// A message's id, or the first after it.
    Id(MessageId),
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
    /// Half before a place, the rest from it on, that one included.
    Around {
        /// The place.
        position: PagePosition,
        /// At most so many.
        limit: u32,
    },
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
    /// All rows up to this rev are included.
    pub rev: Rev,
    /// All marks up to this mark rev are included.
    pub mark_rev: MarkRev,
    /// Whether there are rows above `rev`.
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
    /// All entries up to this user rev are included.
    pub user_rev: UserRev,
    /// Whether there are entries above it.
    pub more: bool,
}
