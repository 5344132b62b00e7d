//! Finding again what was missed: `/changes` of one conversation, `/sync` of one user.

use crate::{
    Conversation, Entry, Invalid, Member, Message, Receipt, body,
    cursor::{Cursor, SyncCursor},
    query::{Limit, Query},
    schema,
};
use ostracon_domain::{ConversationId, History, MarkRev, Rev, Seq, UserRev};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/conversations/{id}/changes`: the newest state of every row that changed after
/// `since_rev`, in rev order, complete up to `rev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Changes<'a> {
    /// The conversation itself, where it changed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation<'a>>,
    /// Messages, tombstones included, by rising rev.
    #[serde(borrow)]
    pub messages: Vec<Message<'a>>,
    /// Members, those that left included, by rising rev.
    pub members: Vec<Member>,
    /// Marks above `since_mark`.
    pub receipts: Vec<Receipt>,
    /// Messages that one has deleted for oneself, with a number above `since_mark`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<HiddenMessage>,
    /// Complete up to this change: the next `since_rev`.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// Complete up to this mark: the next `since_mark`.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
    /// The line of numbers that rev and mark_rev belong to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// Whether there is more: ask again from `rev`.
    pub more: bool,
    /// Other history, ahead of the server, or too far back: drop what you hold and load a page.
    pub reset: bool,
}

/// A message that one has deleted for oneself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HiddenMessage {
    /// Its place.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Number of this private change.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
}

/// `GET /api/v1/sync`: what changed in one's own list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sync<'a> {
    /// Conversations that changed since the cursor.
    #[serde(borrow)]
    pub conversations: Vec<Entry<'a>>,
    /// Conversations that are gone.
    #[schema(value_type = Vec<schema::ConversationId>)]
    pub removed: Vec<ConversationId>,
    /// Where to go on; store it. Only this call moves it.
    pub cursor: String,
    /// Newest change of one's own view that this answer covers.
    #[schema(value_type = u64)]
    pub user_rev: UserRev,
    /// Whether there is more: ask again with the new cursor.
    pub more: bool,
    /// The listing starts anew: forget what it does not name.
    pub reset: bool,
}

body::plain_body!(Changes<'a>, Sync<'a>);

/// The query of `GET …/changes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesQuery {
    /// Changes above this; 0 = from the start.
    pub since_rev: Rev,
    /// Marks above this; 0 = all.
    pub since_mark: MarkRev,
    /// The line of numbers that the two belong to; none only with `since_rev` 0.
    pub history: Option<History>,
    /// How many rows.
    pub limit: u32,
}

impl ChangesQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 500, max: 1_000 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let since_rev = raw.number("since_rev")?.unwrap_or_default();
        let history = raw.parse("history", "must be the text that came with the rev")?;
        if since_rev > 0 && history.is_none() {
            return Err(Invalid::new("history", "may be left out only with since_rev=0"));
        }
        Ok(Self {
            since_rev,
            since_mark: raw.number("since_mark")?.unwrap_or_default(),
            history,
            limit: raw.limit(Self::LIMIT)?,
        })
    }
}

/// The query of `GET /api/v1/sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncQuery {
    /// Where the last answer ended; none = from the start.
    pub cursor: Option<SyncCursor>,
    /// How many conversations.
    pub limit: u32,
}

impl SyncQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 200, max: 1_000 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let cursor = raw.get("cursor").map(|text| SyncCursor::decode(&text)).transpose()?;
        Ok(Self { cursor, limit: raw.limit(Self::LIMIT)? })
    }
}
