//! A conversation on the wire, with the rows of its members and an entry of the chat list.

use crate::{Inbox, Message, Settings, schema, text};
use ostracon_domain::{
    ConversationId, ConversationKind, History, MarkRev, Millis, Rev, Role, Seq, UserId,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What every member sees of a conversation itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conversation<'a> {
    /// Its id. The id of a direct conversation follows from the two users.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Two people, or a group.
    #[serde(rename = "type")]
    #[schema(value_type = schema::ConversationKind)]
    pub kind: ConversationKind,
    /// Name of a group; left out for a direct conversation.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// Members that have not left.
    pub member_count: u32,
    /// Seq of the newest message; 0 before the first.
    #[schema(value_type = u64)]
    pub head_seq: Seq,
    /// Number of the newest change that every member may see.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// Number of the newest mark or private change.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
    /// The line of numbers that seq, rev and mark_rev belong to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// Above 100 members, until below 80: receipts of others are not sent.
    pub large: bool,
    /// When it was created.
    #[schema(value_type = schema::Millis)]
    pub created_at: Millis,
    /// What an admin has set.
    pub settings: Settings,
    /// First seq that is still stored; left out when none was removed. Drop messages below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub retained_from: Option<Seq>,
    /// New messages disappear so many seconds after they were sent; left out when they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer_s: Option<u32>,
    /// Messages are removed so many seconds after they were sent; left out when this conversation has no such rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u32>,
}

/// One's own row in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Membership {
    /// What one may do.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// First seq after joining.
    #[schema(value_type = u64)]
    pub joined_seq: Seq,
    /// Last seq before leaving; left out while a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub left_seq: Option<Seq>,
    /// Everything up to here is read.
    #[schema(value_type = u64)]
    pub read_seq: Seq,
    /// Everything up to here has reached a device of one's own.
    #[schema(value_type = u64)]
    pub delivered_seq: Seq,
    /// Unread messages are those above this seq.
    #[schema(value_type = u64)]
    pub unread_floor: Seq,
}

/// A member of a conversation as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Member {
    /// Who.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// What the member may do.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// First seq after joining.
    #[schema(value_type = u64)]
    pub joined_seq: Seq,
    /// Last seq before leaving; left out while a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub left_seq: Option<Seq>,
    /// Number of the last change of role or membership. The higher one wins.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// Read mark; in large groups only one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub read_seq: Option<Seq>,
    /// Delivered mark; in large groups only one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub delivered_seq: Option<Seq>,
    /// Number of the last change of the marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub mark_rev: Option<MarkRev>,
}

/// Marks of one member; merged by maximum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Receipt {
    /// Whose marks.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// Everything up to here is read.
    #[schema(value_type = u64)]
    pub read_seq: Seq,
    /// Everything up to here has reached a device.
    #[schema(value_type = u64)]
    pub delivered_seq: Seq,
    /// Number of the last change of these marks.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
}

/// One line of the chat list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry<'a> {
    /// The conversation.
    #[serde(borrow)]
    pub conversation: Conversation<'a>,
    /// One's own row in it.
    pub membership: Membership,
    /// The newest message one may read; null before the first.
    #[serde(borrow)]
    #[schema(required = true)]
    pub last_message: Option<Message<'a>>,
    /// Unread messages; 0 for who has left.
    pub unread: u64,
    /// Unread messages that mention one; left out when there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub unread_mentions: u64,
    /// One's own view of it.
    pub inbox: Inbox,
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Entry<'_> {
    /// The same entry with text of its own, to be kept.
    #[must_use]
    pub fn into_owned(self) -> Entry<'static> {
        Entry {
            conversation: self.conversation.into_owned(),
            membership: self.membership,
            last_message: self.last_message.map(Message::into_owned),
            unread: self.unread,
            unread_mentions: self.unread_mentions,
            inbox: self.inbox,
        }
    }
}

impl Conversation<'_> {
    /// The same conversation with text of its own, to be kept.
    #[must_use]
    pub fn into_owned(self) -> Conversation<'static> {
        Conversation { name: self.name.map(|name| Cow::Owned(name.into_owned())), ..self }
    }
}
