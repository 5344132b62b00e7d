//! Pinned messages of a conversation.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{Action, ConversationId, Outcome, Seq};
use ostracon_engine::view;
use ostracon_proto::rest;

use crate::{
    app::App,
    auth::Identity,
    error::ApiResult,
    extract::{Caller, Params},
    respond::ok,
    routes::unexpected,
};

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
) -> ApiResult {
    let (found, access) = app.engine.pins(caller.user, id).await?;
    let messages =
        view::messages_within(&found.messages, &[], caller.user, &access, app.engine.addresses());
    let (rev, history) = (found.conversation.rev, found.conversation.history);
    Ok(ok(&rest::Pins { messages, rev, history }))
}

pub(crate) async fn pin(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq)): Params<(ConversationId, Seq)>,
) -> ApiResult {
    set(&app, caller, id, seq, false).await
}

pub(crate) async fn unpin(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq)): Params<(ConversationId, Seq)>,
) -> ApiResult {
    set(&app, caller, id, seq, true).await
}

async fn set(app: &App, caller: Identity, id: ConversationId, seq: Seq, remove: bool) -> ApiResult {
    let done = app.engine.run(caller.user, id, Action::Pin { seq, remove }).await?;
    match &done.outcome {
        Outcome::Changed { message, history } => {
            Ok(ok(&rest::Changed { rev: message.message.rev, history: *history }))
        }
        _ => Err(unexpected(&done)),
    }
}
