//! Invite links of groups, joining by them, and who is kept out. A link's secret is shown once, when it is made.

use crate::{UserRef, body, schema};
use ostracon_domain::{ConversationId, Millis, UserId};
use serde::{Deserialize, Serialize};

/// `POST /api/v1/conversations/{id}/invites`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreateGroupInvite {
    /// Until when it can be used; left out: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub expires_at: Option<Millis>,
    /// How many people may join by it, 1 to 100,000; left out: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
}

/// An invite link, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupInvite {
    /// Its name, to revoke it by.
    pub invite_id: String,
    /// When it was made.
    #[schema(value_type = schema::Millis)]
    pub created_at: Millis,
    /// By whom.
    #[schema(value_type = schema::UserId)]
    pub created_by: UserId,
    /// Until when it can be used; left out: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub expires_at: Option<Millis>,
    /// How many people may join by it; left out: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    /// How many have joined by it.
    pub uses: u32,
}

/// A link that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupInviteMade {
    /// What is in the link: whoever has it may join. It is shown only here.
    pub token: String,
    /// The link.
    pub invite: GroupInvite,
}

/// `GET /api/v1/conversations/{id}/invites`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupInvites {
    /// Those that can still be used.
    pub invites: Vec<GroupInvite>,
}

/// `GET /api/v1/join/{token}`: what a link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JoinPreview {
    /// The group.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Its name.
    pub name: String,
    /// Its members.
    pub member_count: u32,
    /// Until when the link can be used; left out: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub expires_at: Option<Millis>,
}

/// `POST /api/v1/conversations/{id}/bans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BanUser {
    /// Whom; he need not be a member.
    #[schema(value_type = schema::UserRef)]
    pub user_id: UserRef,
    /// Until when; left out: until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub until: Option<Millis>,
}

/// Somebody who is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupBan {
    /// Who.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// Since when.
    #[schema(value_type = schema::Millis)]
    pub banned_at: Millis,
    /// By whom.
    #[schema(value_type = schema::UserId)]
    pub banned_by: UserId,
    /// Until when; left out: until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub until: Option<Millis>,
}

/// `GET /api/v1/conversations/{id}/bans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupBans {
    /// Those whose ban holds, by rising user id.
    pub bans: Vec<GroupBan>,
    /// For the next page; null at the end.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

body::plain_body!(
    CreateGroupInvite,
    BanUser,
    GroupInviteMade,
    GroupInvites,
    GroupBans,
    JoinPreview,
);
