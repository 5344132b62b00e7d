//! Where the messages of a conversation are: shard, unit, epoch and numbers, never texts.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{ConversationId, Party, UnitAt, UserId};
use ostracon_engine::EngineError;
use ostracon_proto::{Invalid, query::Limit};
use ostracon_store::{MembersPage, MessagePage, PagePosition, Read, Shard};

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

pub(crate) async fn messages(
    State(app): State<Arc<App>>,
    _: Operator,
    query: QueryText,
) -> ApiResult {
    let query = query.get();
    let text =
        query.get("conversation").ok_or_else(|| Invalid::new("conversation", "is needed"))?;
    let id: ConversationId = text.parse().map_err(|_| ApiError::no_conversation())?;
    let limit = query.limit(LIMIT)?;
    let page = match query.number("before")? {
        Some(seq) => MessagePage::Before { position: PagePosition::Seq(seq), limit },
        None => MessagePage::Newest { limit },
    };
    let map = app.engine.map();
    let unit = map.unit_of(id);
    let home = map.home(unit).ok_or(EngineError::Internal)?;
    let at = UnitAt { unit, epoch: home.epoch };
    let shards = app.engine.shards();
    let shard = shards.get(&home.shard).ok_or(EngineError::Internal)?;
    let reader = reader(&**shard, at, id).await?;
    let read = shard.messages(at, id, reader, page).await.map_err(EngineError::from)?;
    let found = rows(read)?;
    let places = found.messages.iter().map(|view| MessagePlace {
        seq: view.message.seq,
        rev: view.message.rev,
        message_id: view.message.message_id,
        sender_id: view.message.sender,
        created_at: view.message.created_at,
        deleted: view.message.deleted.is_some(),
    });
    Ok(ok(&MessagePlaces {
        conversation_id: id,
        shard: home.shard.0,
        unit: unit.0,
        epoch: home.epoch.0,
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
