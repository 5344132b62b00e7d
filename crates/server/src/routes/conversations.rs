//! The chat list and conversations themselves.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ostracon_domain::{Action, ConversationId, GroupChange, GroupSettings, LifeChange, Outcome};
use ostracon_engine::view;
use ostracon_proto::{
    Body as _,
    cursor::{ChatListCursor, Cursor as _},
    rest,
};

use crate::{
    app::App,
    error::ApiResult,
    extract::{Caller, ListPayload, Params, Payload, QueryText},
    respond::{json, no_content, ok, page_of},
    routes::{named::resolve_all, unexpected},
};

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: QueryText,
) -> ApiResult {
    let query = rest::ConversationsQuery::read(query.get())?;
    let after = query.cursor.map(|cursor| (cursor.last_activity_at, cursor.conversation));
    let found = app.engine.chat_list(caller.user, after, query.limit).await?;
    let next = found
        .next
        .map(|(last_activity_at, conversation)| ChatListCursor { last_activity_at, conversation });
    let body = rest::Conversations {
        conversations: found
            .entries
            .iter()
            .map(|rows| view::entry(rows, app.engine.addresses()))
            .collect(),
        next_cursor: next.map(|cursor| cursor.encode()),
    };
    Ok(page_of(&body, body.conversations.len()))
}

pub(crate) async fn unread(State(app): State<Arc<App>>, Caller(caller): Caller) -> ApiResult {
    let (total, conversations) = app.engine.unread(caller.user).await?;
    Ok(ok(&rest::Unread { total, conversations }))
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    body: ListPayload,
) -> ApiResult {
    let done = match rest::CreateConversation::read(&body.0)? {
        rest::CreateConversation::Direct { user } => {
            let peer = app.engine.resolve(&user).await?;
            app.engine.open_direct(caller.user, peer).await?
        }
        rest::CreateConversation::Group { name, members, client_id, settings } => {
            if let Some(client_id) = &client_id {
                check_client_id(client_id)?;
            }
            let members = resolve_all(&app, &members).await?;
            let (user, name) = (caller.user, name.into_owned());
            let history_for = settings.history_for.unwrap_or_default();
            let settings = (GroupSettings { history_for }, settings.rules());
            app.engine.create_group(user, name, members, client_id.as_deref(), settings).await?
        }
    };
    let Outcome::Opened { conversation, created, .. } = &done.outcome else {
        return Err(unexpected(&done));
    };
    let status = if *created { StatusCode::CREATED } else { StatusCode::OK };
    let entry = app.engine.entry(caller.user, conversation.id).await?;
    Ok(json(status, &view::entry(&entry, app.engine.addresses())))
}

fn check_client_id(client_id: &str) -> Result<(), ostracon_proto::Invalid> {
    match ostracon_domain::ClientId::new(client_id) {
        Some(_) => Ok(()),
        None => Err(ostracon_proto::Invalid::new(
            "client_id",
            "must have 1 to 64 bytes and no control characters",
        )),
    }
}

pub(crate) async fn entry(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
) -> ApiResult {
    let entry = app.engine.entry(caller.user, id).await?;
    Ok(ok(&view::entry(&entry, app.engine.addresses())))
}

pub(crate) async fn edit(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: Payload,
) -> ApiResult {
    let body = rest::EditConversation::read(&body.0)?;
    let settings = body.settings.unwrap_or_default();
    let change = GroupChange {
        name: body.name.map(std::borrow::Cow::into_owned),
        settings: settings.history_for.map(|history_for| GroupSettings { history_for }),
        rules: settings.rules(),
    };
    let life = LifeChange {
        timer_s: body.timer_s.into_change(),
        retention_s: body.retention_s.into_change(),
    };
    if life == LifeChange::default() || change != GroupChange::default() {
        app.engine.run(caller.user, id, Action::Change(change)).await?;
    }
    if life != LifeChange::default() {
        app.engine.run(caller.user, id, Action::SetLife(life)).await?;
    }
    let entry = app.engine.entry(caller.user, id).await?;
    Ok(ok(&view::entry(&entry, app.engine.addresses())))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
) -> ApiResult {
    app.engine.run(caller.user, id, Action::DeleteGroup).await?;
    Ok(no_content())
}
