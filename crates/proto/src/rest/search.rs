//! `GET /api/v1/search` and `GET /api/v1/search/conversations`: what one may read, by its words; one's list, by names.

use crate::{
    Entry, Invalid, Message, Position, UserRef, body,
    cursor::{Cursor as _, SearchCursor},
    query::{Limit, Query},
    schema,
};
use ostracon_domain::{ConversationId, MessageId, Millis};
use serde::{Deserialize, Serialize};

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SearchHit<'a> {
    /// The message as it is now.
    #[serde(borrow)]
    pub message: Message<'a>,
    /// Its conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Where the words stand in its text: UTF-16 units, first and one past the last, by rising start.
    pub highlights: Vec<[u32; 2]>,
}

/// `GET /api/v1/search`: messages that one may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SearchFound<'a> {
    /// The messages.
    #[serde(borrow)]
    pub hits: Vec<SearchHit<'a>>,
    /// Where to go on; none at the end. A page may be shorter than `limit` and still have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Shards with conversations of one's own that did not answer: of these, messages may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable_shards: Vec<u32>,
    /// The index is still being made: messages may be missing that will be found later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub indexing: bool,
}

/// `GET /api/v1/search/conversations`: conversations of one's list by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SearchConversations<'a> {
    /// The conversations, latest activity first.
    #[serde(borrow)]
    pub conversations: Vec<Entry<'a>>,
}

body::plain_body!(SearchFound<'a>, SearchConversations<'a>);

/// In which order messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchSort {
    /// The newest first.
    #[default]
    Newest,
    /// The best of the newest first.
    Best,
}

/// The query of `GET /api/v1/search`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// What to look for.
    pub q: String,
    /// Only in this conversation.
    pub conversation_id: Option<ConversationId>,
    /// Only of this sender.
    pub from: Option<UserRef>,
    /// Only messages later than this message or time.
    pub after: Option<SearchEdge>,
    /// Only messages before this message or time.
    pub before: Option<SearchEdge>,
    /// Only messages with something attached.
    pub has_attachment: bool,
    /// The order.
    pub sort: SearchSort,
    /// How many.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<SearchCursor>,
}

/// A place in time that does not belong to one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchEdge {
    /// A time, milliseconds.
    Time(Millis),
    /// A message.
    Message(MessageId),
}

impl SearchQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 20, max: 100 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let q = raw.get("q").ok_or_else(|| Invalid::new("q", "must be there"))?.into_owned();
        let has_attachment = match raw.get("has").as_deref() {
            None => false,
            Some("attachment") => true,
            Some(_) => return Err(Invalid::new("has", "must be attachment")),
        };
        let sort = match raw.get("sort").as_deref() {
            None | Some("newest") => SearchSort::Newest,
            Some("best") => SearchSort::Best,
            Some(_) => return Err(Invalid::new("sort", "must be newest or best")),
        };
        Ok(Self {
            q,
            conversation_id: raw.parse("conversation_id", "must be a conversation id")?,
            from: raw
                .get("from")
                .map(|text| {
                    text.parse::<UserRef>().map_err(|_| {
                        Invalid::new("from", "must be a user id or ext: and an external id")
                    })
                })
                .transpose()?,
            after: edge(raw, "after")?,
            before: edge(raw, "before")?,
            has_attachment,
            sort,
            limit: raw.limit(Self::LIMIT)?,
            cursor: raw.get("cursor").map(|text| SearchCursor::decode(&text)).transpose()?,
        })
    }
}

fn edge(raw: Query<'_>, name: &str) -> Result<Option<SearchEdge>, Invalid> {
    let Some(text) = raw.get(name) else { return Ok(None) };
    match Position::parse(name, &text)? {
        Position::Time(ms) => Ok(Some(SearchEdge::Time(ms))),
        Position::MessageId(id) => Ok(Some(SearchEdge::Message(id))),
        Position::Seq(_) => Err(Invalid::new(name, "must be a time or a message id")),
    }
}

/// The query of `GET /api/v1/search/conversations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchConversationsQuery {
    /// The beginning of a name, or of several of its words.
    pub q: String,
    /// How many.
    pub limit: u32,
}

impl SearchConversationsQuery {
    /// Bounds of `limit`.
    pub const LIMIT: Limit = Limit { default: 20, max: 100 };

    /// Reads the query.
    ///
    /// # Errors
    /// [`Invalid`], naming the parameter.
    pub fn read(raw: Query<'_>) -> Result<Self, Invalid> {
        let q = raw.get("q").ok_or_else(|| Invalid::new("q", "must be there"))?.into_owned();
        Ok(Self { q, limit: raw.limit(Self::LIMIT)? })
    }
}
