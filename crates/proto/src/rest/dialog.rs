//! The simple API: text to a user, and the list of what two users said. Views of their direct
//! conversation; the only place with RFC 3339 times and message ids as numbers.

use crate::{
    Invalid, UserRef, body,
    query::{Limit, Query},
    schema, text, timestamp,
};
use ostracon_domain::{ConversationId, MessageId, Millis, Seq, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `POST /api/v1/dialog/{user_id}/send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DialogSend<'a> {
    /// The recipient again; may be left out, must be the one of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UserRef>)]
    pub to: Option<UserRef>,
    /// The text: at most 10,000 UTF-16 units, not empty.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// Your own id of this send; makes a retry harmless.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Cow<'a, str>>,
}

/// One message of the simple API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DialogMessage<'a> {
    /// The message id as a number of up to 63 bits: mind readers that keep only 53.
    pub id: u64,
    /// Who sent it.
    #[schema(value_type = schema::UserId)]
    pub from_id: UserId,
    /// Whom it was sent to.
    #[schema(value_type = schema::UserId)]
    pub to_id: UserId,
    /// The text; empty when deleted.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// When the server received it: RFC 3339, UTC, milliseconds.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The direct conversation of the two.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Its place there.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// True for a deleted message; else left out.
    #[serde(default, skip_serializing_if = "crate::message::is_false")]
    #[schema(required = false)]
    pub deleted: bool,
}

impl DialogMessage<'_> {
    /// The `id` field of a message id.
    #[must_use]
    pub const fn id_of(id: MessageId) -> u64 {
        id.get()
    }

    /// The `created_at` field of a time.
    #[must_use]
    pub fn created_at_of(at: Millis) -> String {
        timestamp::rfc3339(at)
    }
}

/// `GET /api/v1/dialog/{user_id}/list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DialogList<'a> {
    /// Newest first.
    #[serde(borrow)]
    pub messages: Vec<DialogMessage<'a>>,
    /// All messages of the two, deleted ones included: seq of the newest.
    pub total: u64,
}

body::plain_body!(DialogSend<'a>, DialogMessage<'a>, DialogList<'a>);

/// The query of `GET /api/v1/dialog/{user_id}/list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialogQuery {
    /// How many.
    pub limit: u32,
    /// How many of the newest are left out.
    pub offset: u64,
}

impl DialogQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 50, max: 200 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            limit: raw.limit(Self::LIMIT)?,
            offset: raw.number("offset")?.unwrap_or_default(),
        })
    }
}
