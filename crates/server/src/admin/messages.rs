//! Where the messages of a conversation are: shard, unit, epoch and numbers, never texts.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{ConversationId, Party, ShardId, UnitAt, UserId};
use ostracon_engine::EngineError;
use ostracon_proto::{
    Invalid,
    query::{Limit, Query},
};
use ostracon_store::{MembersPage, MessagePage, Messages, PagePosition, Read, Shard};

use super::types::{MessagePlace, MessagePlaces};
use crate::{
    app::App,
    error::{ApiError, ApiResult},
    extract::{Operator, QueryText},
    respond::ok,
};

const LIMIT: Limit = Limit { default: 50, max: 1_000 };
/// Members looked at to find one who sees most of a group.
const MEMBERS_MAX: u32 = 1_000;

/// Where a conversation is that an operator asks about.
pub(super) struct Place {
    pub(super) id: ConversationId,
    at: UnitAt,
    home: ShardId,
    shard: Arc<dyn Shard>,
}

impl Place {
    /// The conversation that `conversation` of a query names.
    pub(super) fn of(app: &App, query: &Query<'_>) -> Result<Self, ApiError> {
        let text =
            query.get("conversation").ok_or_else(|| Invalid::new("conversation", "is needed"))?;
        let id: ConversationId = text.parse().map_err(|_| ApiError::no_conversation())?;
        let map = app.engine.map();
        let unit = map.unit_of(id);
        let home = map.home(unit).ok_or(EngineError::Internal)?;
        let shard = app.engine.shards().get(&home.shard).cloned().ok_or(EngineError::Internal)?;
        Ok(Self { id, at: UnitAt { unit, epoch: home.epoch }, home: home.shard, shard })
    }
}

/// A page of its messages.
pub(super) async fn read(place: &Place, page: MessagePage) -> Result<Messages, ApiError> {
    let Place { id, at, shard, .. } = place;
    let reader = reader(&**shard, *at, *id).await?;
    rows(shard.messages(*at, *id, reader, page).await.map_err(EngineError::from)?)
}

pub(crate) async fn messages(
    State(app): State<Arc<App>>,
    _: Operator,
    query: QueryText,
) -> ApiResult {
    let query = query.get();
    let place = Place::of(&app, &query)?;
    let limit = query.limit(LIMIT)?;
    let page = match query.number("before")? {
        Some(seq) => MessagePage::Before { position: PagePosition::Seq(seq), limit },
        None => MessagePage::Newest { limit },
    };
    let found = read(&place, page).await?;
    let places = found.messages.iter().map(|view| MessagePlace {
        seq: view.message.seq,
        rev: view.message.rev,
        message_id: view.message.message_id,
        sender_id: view.message.sender,
        created_at: view.message.created_at,
        deleted: view.message.deleted.is_some(),
    });
    Ok(ok(&MessagePlaces {
        conversation_id: place.id,
        shard: place.home.0,
        unit: place.at.unit.0,
        epoch: place.at.epoch.0,
        head_seq: found.conversation.head_seq,
        rev: found.conversation.rev,
        messages: places.collect(),
    }))
}

/// Whose eyes see most of it: a direct conversation's first user, a group's earliest member, present ones first.
async fn reader(shard: &dyn Shard, at: UnitAt, id: ConversationId) -> Result<UserId, ApiError> {
    if let Party::Direct { lo, .. } = id.party() {
        return Ok(lo);
    }
    let page = MembersPage { after: None, limit: MEMBERS_MAX };
    let found = rows(shard.members(at, id, page).await.map_err(EngineError::from)?)?;
    let rows = found.members.iter();
    let earliest = rows.min_by_key(|row| (!row.is_present(), row.joined_seq));
    earliest.map(|row| row.user).ok_or_else(ApiError::no_conversation)
}

fn rows<T>(read: Read<T>) -> Result<T, ApiError> {
    match read {
        Read::Rows(rows) => Ok(rows),
        Read::Absent => Err(ApiError::no_conversation()),
        Read::Fenced(_) => Err(EngineError::Unavailable.into()),
    }
}
