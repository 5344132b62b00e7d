//! The chat list, conversations, their members, and one's own view of them.

use crate::{
    Body, Conversation, EditSettings, Entry, Inbox, Invalid, Member, Patch, UserRef, body,
    cursor::{ChatListCursor, Cursor, MembersCursor},
    query::{Limit, Query},
    schema, text,
};
use ostracon_domain::{ConversationId, ConversationKind, History, Millis, Rev, Role, Seq};
use serde::{Deserialize, Serialize, Serializer};
use std::{borrow::Cow, collections::BTreeMap};

/// `GET /api/v1/conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conversations<'a> {
    /// Latest activity first.
    #[serde(borrow)]
    pub conversations: Vec<Entry<'a>>,
    /// For the next page; null at the end.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// `GET /api/v1/conversations/unread`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Unread {
    /// Unread messages, leaving out muted, archived and hidden conversations.
    pub total: u64,
    /// Unread messages of every conversation that has some.
    #[schema(value_type = std::collections::HashMap<String, u64>)]
    pub conversations: BTreeMap<ConversationId, u64>,
}

/// `POST /api/v1/conversations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateConversation<'a> {
    /// With one user; the one that exists, if it does.
    Direct {
        /// The other one, or oneself.
        user: UserRef,
    },
    /// A group, with oneself as its owner.
    Group {
        /// Its name.
        name: Cow<'a, str>,
        /// The others.
        members: Vec<UserRef>,
        /// Makes a retry find the same group.
        client_id: Option<Cow<'a, str>>,
        /// What is set from the beginning.
        settings: EditSettings,
    },
}

/// `POST /api/v1/conversations`: `{type: "direct", user_id}` or
/// `{type: "group", name, member_ids, client_id?, settings?}`.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = CreateConversation)]
#[doc(hidden)]
pub struct CreateConversationWire<'a> {
    /// What to create.
    #[serde(rename = "type")]
    #[schema(value_type = schema::ConversationKind)]
    kind: ConversationKind,
    /// `direct`: the other user, or oneself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UserRef>)]
    user_id: Option<UserRef>,
    /// `group`: its name, 1 to 200 characters.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    /// `group`: the other members, at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::UserRef>>)]
    member_ids: Option<Vec<UserRef>>,
    /// `group`: your own id of this creation; makes a retry find the same group.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Cow<'a, str>>,
    /// `group`: what is set from the beginning; what is left out has its default.
    #[serde(default, deserialize_with = "body::optional_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<EditSettings>,
}

impl<'a> Body<'a> for CreateConversation<'a> {
    type Wire = CreateConversationWire<'a>;

    fn check(wire: CreateConversationWire<'a>) -> Result<Self, Invalid> {
        let needed = |field: &str| Invalid::new(field, "is needed for this type");
        Ok(match wire.kind {
            ConversationKind::Direct => {
                Self::Direct { user: wire.user_id.ok_or_else(|| needed("user_id"))? }
            }
            ConversationKind::Group => Self::Group {
                name: wire.name.ok_or_else(|| needed("name"))?,
                members: wire.member_ids.ok_or_else(|| needed("member_ids"))?,
                client_id: wire.client_id,
                settings: wire.settings.unwrap_or_default(),
            },
        })
    }
}

impl Serialize for CreateConversation<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            Self::Direct { user } => CreateConversationWire {
                kind: ConversationKind::Direct,
                user_id: Some(user),
                name: None,
                member_ids: None,
                client_id: None,
                settings: None,
            },
            Self::Group { name, members, client_id, settings } => CreateConversationWire {
                kind: ConversationKind::Group,
                user_id: None,
                name: Some(name),
                member_ids: Some(members),
                client_id,
                settings: (settings != EditSettings::default()).then_some(settings),
            },
        }
        .serialize(out)
    }
}

/// `PATCH /api/v1/conversations/{id}`: in groups by whom their settings allow it; of a direct conversation only how long messages
/// live.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditConversation<'a> {
    /// A new name, 1 to 200 characters.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// New settings; what is left out stays.
    #[serde(default, deserialize_with = "body::optional_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<EditSettings>,
    /// New messages disappear so many seconds after they were sent, 5 to 31,536,000; null: they stay.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<u32>)]
    pub timer_s: Patch<u32>,
    /// Messages are removed so many seconds after they were sent, 86,400 to 315,360,000; null: they stay.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<u32>)]
    pub retention_s: Patch<u32>,
}

/// `GET /api/v1/conversations/{id}/members`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Members {
    /// Those that have not left, by rising user id.
    pub members: Vec<Member>,
    /// For the next page; null at the end.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// `POST /api/v1/conversations/{id}/members`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AddMembers {
    /// Whom to add, at most 1,000; who is a member already stays as is.
    #[schema(value_type = Vec<schema::UserRef>)]
    pub user_ids: Vec<UserRef>,
}

/// The members that were added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MembersAdded {
    /// Each as it is now.
    pub members: Vec<Member>,
    /// Number of the last of these changes.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that `rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// `PATCH /api/v1/conversations/{id}/members/{user_id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditMember {
    /// The new role; giving `owner` away makes oneself an admin.
    #[schema(value_type = schema::Role)]
    pub role: Role,
}

/// A change is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Changed {
    /// Number of the change.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that `rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// `PATCH /api/v1/conversations/{id}/inbox`: one's own view; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditInbox {
    /// Keep it at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// Silent until then; null ends it.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<schema::Millis>)]
    pub muted_until: Patch<Millis>,
    /// Out of the way until the next message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// Hide everything up to this seq for oneself; forward only, clamped to the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub hidden_to: Option<Seq>,
    /// Mark as unread by hand, or take that back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_unread: Option<bool>,
    /// A text that was begun, at most 10,000 UTF-16 units; null or empty takes it away.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>)]
    pub draft: Patch<String>,
}

impl Body<'_> for EditInbox {
    type Wire = Self;

    fn check(wire: Self) -> Result<Self, Invalid> {
        match wire.muted_until {
            Patch::Set(at) if at < 0 => Err(Invalid::new("muted_until", "must not be negative")),
            _ => Ok(wire),
        }
    }
}

body::plain_body!(
    Conversations<'a>,
    Conversation<'a>,
    Entry<'a>,
    Inbox,
    Unread,
    EditConversation<'a>,
    Members,
    AddMembers,
    MembersAdded,
    EditMember,
    Changed,
);

/// The query of `GET /api/v1/conversations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationsQuery {
    /// How many.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<ChatListCursor>,
}

impl ConversationsQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 50, max: 200 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let cursor = raw.get("cursor").map(|text| ChatListCursor::decode(&text)).transpose()?;
        Ok(Self { limit: raw.limit(Self::LIMIT)?, cursor })
    }
}

/// The query of `GET /api/v1/conversations/{id}/members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersQuery {
    /// Only those whose name begins so, or several of whose words do.
    pub query: Option<String>,
    /// How many.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<MembersCursor>,
}

impl MembersQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 200, max: 200 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let cursor = raw.get("cursor").map(|text| MembersCursor::decode(&text)).transpose()?;
        let query = raw.get("query").map(std::borrow::Cow::into_owned);
        Ok(Self { query, limit: raw.limit(Self::LIMIT)?, cursor })
    }
}
