//! What was deleted for everyone, where the configuration keeps it. Each reading is in the audit log.

use std::sync::Arc;

use axum::extract::State;
use ostracon_proto::query::Limit;
use ostracon_store::{MessagePage, PagePosition};

use super::{
    messages::{self, Place},
    types::{DeletedMessage, DeletedMessages},
};
use crate::{
    app::App,
    audit,
    error::ApiResult,
    extract::{Operator, QueryText},
    respond::ok,
};

/// Messages that are looked at.
const LIMIT: Limit = Limit { default: 200, max: 1_000 };

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    query: QueryText,
) -> ApiResult {
    let query = query.get();
    let place = Place::of(&app, &query)?;
    let limit = query.limit(LIMIT)?;
    let page = match query.number("before")? {
        Some(seq) => MessagePage::Before { position: PagePosition::Seq(seq), limit },
        None => MessagePage::Newest { limit },
    };
    let found = messages::read(&place, page).await?;
    let first = found.messages.first().map(|view| view.message.seq);
    let shown = found.messages.iter().filter_map(|view| {
        let row = &view.message;
        let (deleted_at, deleted_by) = row.deleted?;
        Some(DeletedMessage {
            seq: row.seq,
            sender_id: row.sender,
            created_at: row.created_at,
            deleted_at,
            deleted_by,
            content: row.extra.as_ref()?.kept.clone()?,
        })
    });
    let body = DeletedMessages {
        conversation_id: place.id,
        messages: shown.collect(),
        before: first.filter(|seq| *seq > found.conversation.retained_from.max(1)),
    };
    let detail = format!("{} messages", body.messages.len());
    audit::record(&app, operator, "messages.deleted", format!("conversation {}", place.id), detail)
        .await;
    Ok(ok(&body))
}
