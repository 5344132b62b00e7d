//! The row of a conversation: the head of its log and what every member sees of it.

use serde::{Deserialize, Serialize};

use crate::{
    extra::ConversationExtra,
    id::{ConversationId, History, MarkRev, MessageId, Millis, Rev, Seq, Slot, UnitId},
};

/// Two people (or one with oneself), or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Two users, or one with oneself.
    Direct,
    /// Any number of users with roles.
    Group,
}

/// What a new member sees of what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryFor {
    /// Only what is said after joining.
    #[default]
    SinceJoining,
    /// Everything that is still stored.
    All,
}

/// What an admin may set for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupSettings {
    /// What new members see of the past.
    #[serde(default)]
    pub history_for: HistoryFor,
}

/// One conversation. `rev` and `mark_rev` count every durable change of any of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id; for a direct conversation it holds both users.
    pub id: ConversationId,
    /// The unit it belongs to; rewritten by a carve.
    pub unit: UnitId,
    /// The slot it hashes to; never changes.
    pub slot: Slot,
    /// Direct or group.
    pub kind: ConversationKind,
    /// Name of a group; empty for a direct conversation.
    pub name: String,
    /// When it was created.
    pub created_at: Millis,
    /// The line of numbers that seq and rev belong to.
    pub history: History,
    /// Seq of the newest message; 0 before the first.
    pub head_seq: Seq,
    /// Id of the newest message, so that the next one is later.
    pub last_message_id: Option<MessageId>,
    /// Time of the newest message or of the creation; message times never go back behind it.
    pub last_activity_at: Millis,
    /// Newest change that every member may see.
    pub rev: Rev,
    /// Newest change of this row's visible part (name, settings, member count, large, retained_from, deleted).
    pub info_rev: Rev,
    /// Newest mark or private change.
    pub mark_rev: MarkRev,
    /// Members that have not left.
    pub member_count: u32,
    /// Whether it is dispatched by subscription instead of to each member.
    pub large: bool,
    /// First seq that is still stored; at least 1.
    pub retained_from: Seq,
    /// What an admin has set.
    pub settings: GroupSettings,
    /// Keyed hash of the request that created a group with a client id.
    pub create_hash: Option<u128>,
    /// Set when the group was deleted; nothing of it is readable any more.
    pub deleted_at: Option<Millis>,
    /// What few conversations have.
    pub extra: Option<Box<ConversationExtra>>,
}
