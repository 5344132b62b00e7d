//! The messages that answer one: the thread below it.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{ConversationId, Seq};
use ostracon_engine::view;
use ostracon_proto::rest;

use crate::{
    app::App,
    error::ApiResult,
    extract::{Caller, Params, QueryText},
    respond::page_of,
};

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq)): Params<(ConversationId, Seq)>,
    query: QueryText,
) -> ApiResult {
    let rest::RepliesQuery { limit, after } = rest::RepliesQuery::read(query.get())?;
    let found = app.engine.replies(caller.user, id, seq, after, limit).await?;
    let rows = &found.rows;
    let body = rest::Replies {
        messages: view::messages_within(
            &rows.messages,
            &found.hidden,
            caller.user,
            &found.access,
            app.engine.addresses(),
        ),
        count: found.count,
        has_more_after: rows.more,
        rev: rows.conversation.rev,
        history: rows.conversation.history,
    };
    Ok(page_of(&body, body.messages.len()))
}
