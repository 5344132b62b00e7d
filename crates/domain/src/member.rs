//! The row of a user in a conversation: role, span of membership, marks.

use serde::{Deserialize, Serialize};

use crate::{
    extra::MemberExtra,
    id::{ConversationId, MarkRev, Millis, Rev, Seq, UserId},
};

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Also adds, removes, renames and deletes messages of others.
    Admin,
    /// Also sets roles, hands the group over and deletes it. Exactly one in a group.
    Owner,
}

/// One user in one conversation; kept after leaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// What the member may do.
    pub role: Role,
    /// First seq after joining: head + 1 at that moment.
    pub joined_seq: Seq,
    /// Last seq before leaving; none while a member.
    pub left_seq: Option<Seq>,
    /// Rev of the last change of role or membership.
    pub rev: Rev,
    /// Everything up to here is read.
    pub read_seq: Seq,
    /// Everything up to here has reached a device; never below `read_seq`.
    pub delivered_seq: Seq,
    /// Last change of the marks and of the private fields below.
    pub mark_rev: MarkRev,
    /// Everything up to here is hidden for this user.
    pub hidden_to: Seq,
    /// Silent until then.
    pub muted_until: Option<Millis>,
    /// What few members have.
    pub extra: Option<Box<MemberExtra>>,
}

impl Member {
    /// Whether the user is in the conversation now.
    pub const fn is_present(&self) -> bool {
        self.left_seq.is_none()
    }
}
