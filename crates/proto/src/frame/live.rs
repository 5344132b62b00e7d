//! Frames of what is live and never stored: who is online, who is typing. Who may see it is decided in `engine`.

use crate::{Body, Invalid, UserRef, body, schema};
use ostracon_domain::{ConversationId, Millis, UserId};
use serde::{Deserialize, Serialize};

/// Users that one connection may watch, and that one request may ask about; more is `invalid`.
pub const PRESENCE_USERS_MAX: usize = 500;

/// `typing` of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Typing {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// False takes it back.
    pub is_typing: bool,
}

/// `presence_subscribe` and `presence_unsubscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PresenceOf {
    /// The users, at most 500.
    #[schema(value_type = Vec<schema::UserRef>)]
    pub user_ids: Vec<UserRef>,
}

impl<'a> Body<'a> for PresenceOf {
    type Wire = Self;

    fn check(wire: Self) -> Result<Self, Invalid> {
        if wire.user_ids.len() > PRESENCE_USERS_MAX {
            return Err(Invalid::new("user_ids", "names at most 500 users"));
        }
        Ok(wire)
    }
}

/// Whether a user is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceStatus {
    /// A session of the user is connected.
    Online,
    /// None is, or it is not for you to see.
    Offline,
}

/// A user's presence; the data of `presence_update`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Presence {
    /// The user.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// Whether the user is online.
    pub status: PresenceStatus,
    /// When the user was last online: now, of who is. Null before the first time, and where it is not for you to see.
    #[schema(value_type = Option<schema::Millis>, required = true)]
    pub last_seen: Option<Millis>,
}

/// `typing` of the server: another member types, or has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = TypingFrame)]
pub struct TypingNotice {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Who.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// False: has stopped, or has not gone on.
    pub is_typing: bool,
}

body::plain_body!(Typing);
