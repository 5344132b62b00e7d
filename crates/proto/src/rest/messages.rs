//! Messages of a conversation: pages, editing, deleting, marks. The body of a send is
//! [`OutgoingMessage`](crate::frame::OutgoingMessage), the same as in the frame.

use crate::{
    Body, Invalid, Message, Position, body,
    frame::{DeleteScope, MarkTarget, client::mark_target},
    query::{Limit, Query},
    schema,
};
use ostracon_domain::{History, MarkRev, MessageId, Millis, Rev, Seq, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `GET /api/v1/conversations/{id}/messages`: rising seq.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessagePage<'a> {
    /// The messages, by rising seq.
    #[serde(borrow)]
    pub messages: Vec<Message<'a>>,
    /// Whether one may read older ones.
    pub has_more_before: bool,
    /// Whether one may read newer ones.
    pub has_more_after: bool,
    /// First seq that one may read at all.
    #[schema(value_type = u64)]
    pub first_seq: Seq,
    /// Last seq that one may read; for members, that of the newest message.
    #[schema(value_type = u64)]
    pub head_seq: Seq,
    /// The page holds at least everything up to this change; rows may be newer.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that seq and rev belong to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// True when it came from a replica; else left out.
    #[serde(default, skip_serializing_if = "crate::message::is_false")]
    #[schema(required = false)]
    pub stale: bool,
}

/// `PATCH /api/v1/conversations/{id}/messages/{seq}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditContent<'a> {
    /// The new text.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// Only if the content is still the one of this number; else `conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub if_content_rev: Option<Rev>,
}

/// `DELETE /api/v1/conversations/{id}/messages/{seq}`: twice the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Deleted {
    /// Number of the deletion.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that `rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// Time of the deletion.
    #[schema(value_type = schema::Millis)]
    pub deleted_at: Millis,
    /// Who deleted it.
    #[schema(value_type = schema::UserId)]
    pub deleted_by: UserId,
}

/// `DELETE /api/v1/conversations/{id}/messages/{seq}?for=me`: twice the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hidden {
    /// Number of this private change.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
    /// The line of numbers that `mark_rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// `GET /api/v1/conversations/{id}/pins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pins<'a> {
    /// The pinned messages that one may read, by rising seq.
    #[serde(borrow)]
    pub messages: Vec<Message<'a>>,
    /// The list holds at least everything up to this change; rows may be newer.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that seq and rev belong to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// `GET /api/v1/conversations/{id}/messages/{seq}/replies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Replies<'a> {
    /// The messages that answer it and that one may read, by rising seq; deleted ones are left out.
    #[serde(borrow)]
    pub messages: Vec<Message<'a>>,
    /// How many there are in all; beyond 1,000 they are not counted.
    pub count: u32,
    /// Whether there are more after this page.
    pub has_more_after: bool,
    /// The page holds at least everything up to this change; rows may be newer.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that seq and rev belong to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// `GET /api/v1/conversations/{id}/messages/{seq}/edits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Edits<'a> {
    /// Former contents, oldest first; the present one is in the message.
    #[serde(borrow)]
    pub edits: Vec<FormerContent<'a>>,
    /// The line of numbers that `content_rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// What a message said before an edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FormerContent<'a> {
    /// Number of this content.
    #[schema(value_type = u64)]
    pub content_rev: Rev,
    /// Since when it said so.
    #[schema(value_type = schema::Millis)]
    pub since: Millis,
    /// The text.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
}

/// `POST /api/v1/conversations/{id}/read` and `…/delivered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkUpTo(pub MarkTarget);

/// `POST …/read` and `…/delivered`: one of `seq` and `message_id`.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MarkUpTo)]
#[doc(hidden)]
pub struct MarkUpToWire {
    /// Everything up to this seq; forward only, clamped to the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    seq: Option<Seq>,
    /// Or everything up to this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::MessageId>)]
    message_id: Option<MessageId>,
}

impl Body<'_> for MarkUpTo {
    type Wire = MarkUpToWire;

    fn check(wire: MarkUpToWire) -> Result<Self, Invalid> {
        mark_target(wire.seq, wire.message_id).map(Self)
    }
}

impl Serialize for MarkUpTo {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let (seq, message_id) = match self.0 {
            MarkTarget::Seq(seq) => (Some(seq), None),
            MarkTarget::Message(id) => (None, Some(id)),
        };
        MarkUpToWire { seq, message_id }.serialize(out)
    }
}

/// An answer that says nothing but "done".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Empty {}

body::plain_body!(
    MessagePage<'a>,
    Message<'a>,
    EditContent<'a>,
    Deleted,
    Hidden,
    Pins<'a>,
    Edits<'a>,
    Replies<'a>,
    Empty
);

/// Which page of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// The newest.
    #[default]
    Newest,
    /// Those right before a position, without it.
    Before(Position),
    /// Those right after a position, without it.
    After(Position),
    /// Half before it, half from it on.
    Around(Position),
}

/// The query of `GET /api/v1/conversations/{id}/messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagesQuery {
    /// How many.
    pub limit: u32,
    /// Which.
    pub anchor: Anchor,
    /// The page may come from a replica that has at least this rev.
    pub min_rev: Option<Rev>,
}

impl MessagesQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 50, max: 200 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter; at most one of `before`, `after`, `around`.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let mut anchor = Anchor::Newest;
        for (name, at) in [
            ("before", Anchor::Before as fn(Position) -> Anchor),
            ("after", Anchor::After),
            ("around", Anchor::Around),
        ] {
            let Some(text) = raw.get(name) else { continue };
            if anchor != Anchor::Newest {
                return Err(Invalid::new(name, "only one of before, after and around"));
            }
            anchor = at(Position::parse(name, &text)?);
        }
        Ok(Self { limit: raw.limit(Self::LIMIT)?, anchor, min_rev: raw.number("min_rev")? })
    }
}

/// The query of `GET …/messages/{seq}/replies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepliesQuery {
    /// How many.
    pub limit: u32,
    /// Those after this seq; 0: from the first.
    pub after: Seq,
}

impl RepliesQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 50, max: 200 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let after = raw.number("after")?.unwrap_or_default();
        Ok(Self { limit: raw.limit(Self::LIMIT)?, after })
    }
}

/// The query of `DELETE …/messages/{seq}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteQuery {
    /// For whom.
    pub scope: DeleteScope,
}

impl DeleteQuery {
    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`] for every `for` but `everyone` and `me`.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        match raw.get("for").as_deref() {
            None | Some("everyone") => Ok(Self { scope: DeleteScope::Everyone }),
            Some("me") => Ok(Self { scope: DeleteScope::Me }),
            Some(_) => Err(Invalid::new("for", "must be everyone or me")),
        }
    }
}
