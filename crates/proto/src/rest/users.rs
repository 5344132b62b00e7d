//! Profiles of users: one's own and those of others.

use crate::{
    Invalid, Patch, body,
    query::{Limit, Query},
    schema,
};
use ostracon_domain::{PresenceFor, Privacy, UserId};
use serde::{Deserialize, Serialize};

/// What everyone may know of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Profile {
    /// The user.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// The name to sign in with; null for users of your own system that have none here.
    #[schema(required = true)]
    pub username: Option<String>,
    /// The name that others see.
    pub display_name: String,
    /// The id in your own system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// `GET /api/v1/me`: one's own profile, with what only its owner knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OwnProfile {
    /// The user.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// The name to sign in with; null for users of your own system that have none here.
    #[schema(required = true)]
    pub username: Option<String>,
    /// The name that others see.
    pub display_name: String,
    /// The id in your own system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What you let others know.
    #[schema(value_type = schema::Privacy)]
    pub privacy: Privacy,
}

/// Changes of what you let others know; what is left out stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditPrivacy {
    /// Who may see whether you are online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PresenceFor>)]
    pub presence: Option<PresenceFor>,
    /// Whether others see how far you have read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
}

/// `PATCH /api/v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditProfile {
    /// The name that others see; null makes it the user name again.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>)]
    pub display_name: Patch<String>,
    /// What you let others know.
    #[serde(default, deserialize_with = "body::optional_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<EditPrivacy>,
}

/// `POST /api/v1/users/lookup`: users by id, at most 1,000 in all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LookupUsers {
    /// By number.
    #[serde(default)]
    #[schema(value_type = Vec<schema::UserId>, required = false)]
    pub ids: Vec<UserId>,
    /// By the id in your own system, without `ext:`.
    #[serde(default)]
    #[schema(required = false)]
    pub external_ids: Vec<String>,
}

/// Several users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Profiles {
    /// Those that exist, by rising id.
    pub users: Vec<Profile>,
}

body::plain_body!(Profile, OwnProfile, EditProfile, LookupUsers, Profiles);

/// `GET /api/v1/users`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersQuery {
    /// Beginning of a user name or display name; not empty.
    pub query: String,
    /// How many.
    pub limit: u32,
}

impl UsersQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 20, max: 200 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            query: raw
                .get("query")
                .ok_or_else(|| Invalid::new("query", "must not be empty"))?
                .into_owned(),
            limit: raw.limit(Self::LIMIT)?,
        })
    }
}
