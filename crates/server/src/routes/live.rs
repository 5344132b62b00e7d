//! Who is online, and who has read a message.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{ConversationId, Seq};
use ostracon_proto::rest;

use crate::{
    app::App,
    error::ApiResult,
    extract::{Caller, Params, QueryText},
    respond::ok,
};

pub(crate) async fn presence(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: QueryText,
) -> ApiResult {
    let query = rest::PresenceQuery::read(query.get())?;
    let users = app.engine.resolve_all(&query.user_ids).await?;
    Ok(ok(&rest::PresenceList(app.engine.presence(caller.user, &users).await?)))
}

pub(crate) async fn seen_by(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq)): Params<(ConversationId, Seq)>,
) -> ApiResult {
    let seen = app.engine.seen_by(caller.user, id, seq).await?;
    Ok(ok(&rest::SeenBy { read: seen.read, delivered: seen.delivered }))
}
