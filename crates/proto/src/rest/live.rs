//! Who is online, and who has read a message.

use crate::{
    Invalid, UserRef, body,
    frame::live::{PRESENCE_USERS_MAX, Presence},
    query::Query,
    schema,
};
use ostracon_domain::UserId;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/presence`: one for each user that was asked for, in that order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct PresenceList(pub Vec<Presence>);

/// The query of `GET /api/v1/presence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceQuery {
    /// The users, at most 500.
    pub user_ids: Vec<UserRef>,
}

impl PresenceQuery {
    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let wrong = |why: &str| Invalid::new("user_ids", why);
        let text = raw.get("user_ids").ok_or_else(|| wrong("must not be empty"))?;
        if text.split(',').count() > PRESENCE_USERS_MAX {
            return Err(wrong("names at most 500 users"));
        }
        let read =
            |one: &str| one.parse().map_err(|_| wrong("must be user ids with commas between"));
        Ok(Self { user_ids: text.split(',').map(read).collect::<Result<_, _>>()? })
    }
}

/// `GET /api/v1/conversations/{id}/messages/{seq}/seen`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SeenBy {
    /// Members that have read it, without its sender, by rising user id.
    #[schema(value_type = Vec<schema::UserId>)]
    pub read: Vec<UserId>,
    /// Members whose devices it has reached and who have not read it, or do not tell.
    #[schema(value_type = Vec<schema::UserId>)]
    pub delivered: Vec<UserId>,
}

body::plain_body!(SeenBy);
