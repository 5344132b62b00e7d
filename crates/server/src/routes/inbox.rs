//! One's own view of a conversation.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{Action, ConversationId, InboxAction, ViewChange};
use ostracon_engine::view;
use ostracon_proto::{Body as _, rest};

use crate::{
    app::App,
    error::ApiResult,
    extract::{Caller, Params, Payload},
    respond::ok,
};

/// What is mute and hidden is part of the conversation, the rest of the user's own list: two commands, in this order.
pub(crate) async fn edit(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: Payload,
) -> ApiResult {
    let body = rest::EditInbox::read(&body.0)?;
    let view =
        ViewChange { hidden_to: body.hidden_to, muted_until: body.muted_until.into_change() };
    // Also what is not the caller's is found out here, before anything is changed.
    let mut entry = app.engine.entry(caller.user, id).await?;
    let changes_view = view != ViewChange::default();
    if changes_view {
        app.engine.run(caller.user, id, Action::ChangeView(view)).await?;
    }
    let (pinned, archived, marked_unread) = (body.pinned, body.archived, body.marked_unread);
    let draft = body.draft.into_change();
    let changes_list =
        pinned.is_some() || archived.is_some() || marked_unread.is_some() || draft.is_some();
    if changes_list {
        let action = InboxAction::Set { conversation: id, pinned, archived, marked_unread, draft };
        app.engine.set_inbox(caller.user, id, action).await?;
    }
    if changes_view || changes_list {
        entry = app.engine.entry(caller.user, id).await?;
    }
    Ok(ok(&view::inbox(entry.inbox.as_deref(), Some(&entry.member))))
}
