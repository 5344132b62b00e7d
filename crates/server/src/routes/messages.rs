//! Messages: pages, sending, editing, deleting, reactions, marks.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use ostracon_domain::{
    Access, Action, ConversationId, Edit, Outcome, Seq, UserId, access, limits::EMOJI_BYTES_MAX,
};
use ostracon_engine::{Done, EngineError, view};
use ostracon_proto::{
    Body as _, Invalid, Position,
    frame::{DeleteScope, MarkTarget, OutgoingMessage},
    rest::{self, Anchor},
};
use ostracon_store::{MessagePage, Messages, PagePosition, Read};

use crate::{
    app::App,
    auth::Identity,
    error::{ApiError, ApiResult},
    extract::{Caller, Params, Payload, QueryText},
    respond::{created, ok, page_of},
    routes::unexpected,
};

pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    query: QueryText,
) -> ApiResult {
    let query = rest::MessagesQuery::read(query.get())?;
    let limit = query.limit;
    let page = match query.anchor {
        Anchor::Newest => MessagePage::Newest { limit },
        Anchor::Before(at) => MessagePage::Before { position: place(at), limit },
        Anchor::After(at) => MessagePage::After { position: place(at), limit },
        Anchor::Around(at) => MessagePage::Around { position: place(at), limit },
    };
    let (found, access, stale) = match app.engine.messages(caller.user, id, page).await {
        // Whoever says how far the page must reach takes one from a replica.
        Err(EngineError::Unavailable) if query.min_rev.is_some() => {
            let (found, access) = older(&app, caller.user, id, page).await?;
            (found, access, true)
        }
        read => {
            let (found, access) = read?;
            (found, access, false)
        }
    };
    if query.min_rev.is_some_and(|rev| found.conversation.rev < rev) {
        return Err(EngineError::Unavailable.into());
    }
    let (before, after) = beyond(&found, &access, &query.anchor);
    let to = app.engine.addresses();
    let body = rest::MessagePage {
        messages: view::messages_within(&found.messages, &found.hidden, caller.user, &access, to),
        has_more_before: before,
        has_more_after: after,
        first_seq: access.from,
        head_seq: access.to,
        rev: found.conversation.rev,
        history: found.conversation.history,
        stale,
    };
    Ok(page_of(&body, body.messages.len()))
}

/// A page of a replica, with what the reader could see then.
async fn older(
    app: &App,
    reader: UserId,
    id: ConversationId,
    page: MessagePage,
) -> Result<(Messages, Access), EngineError> {
    match app.backends.older_page(&app.engine.map(), reader, id, page).await {
        Some(Read::Rows(found)) => {
            let access = access(Some(&found.conversation), found.member.as_deref())?;
            Ok((found, access))
        }
        // What it does not know it may only not know yet.
        Some(Read::Absent | Read::Fenced(_)) | None => Err(EngineError::Unavailable),
    }
}

const fn place(position: Position) -> PagePosition {
    match position {
        Position::Seq(seq) => PagePosition::Seq(seq),
        Position::Time(at) => PagePosition::Time(at),
        Position::MessageId(id) => PagePosition::Id(id),
    }
}

/// Whether there is more to read before and after a page. An empty one stands at an end, or there is nothing at all.
fn beyond(found: &Messages, access: &Access, anchor: &Anchor) -> (bool, bool) {
    match (found.messages.first(), found.messages.last()) {
        (Some(first), Some(last)) => {
            (first.message.seq > access.from, last.message.seq < access.to)
        }
        _ => {
            let any = access.from <= access.to;
            match anchor {
                Anchor::Before(_) => (false, any),
                Anchor::After(_) => (any, false),
                Anchor::Newest | Anchor::Around(_) => (false, false),
            }
        }
    }
}

pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: Payload,
) -> ApiResult {
    let body = OutgoingMessage::read(&body.0)?;
    let id = app.engine.may_begin(caller.user, id).await?;
    let action = Action::Send(app.engine.new_message(caller.user, &body).await?);
    let done = app.engine.run(caller.user, id, action).await?;
    match &done.outcome {
        Outcome::Sent { message, mark_rev, history, duplicate } => {
            let shown =
                view::own_message(message, Some(*history), Some(*mark_rev), app.engine.addresses());
            Ok(if *duplicate { ok(&shown) } else { created(&shown) })
        }
        _ => Err(unexpected(&done)),
    }
}

pub(crate) async fn edit(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq)): Params<(ConversationId, Seq)>,
    body: Payload,
) -> ApiResult {
    let body = rest::EditContent::read(&body.0)?;
    let action = Action::Edit(Edit {
        seq,
        content: body.content.into_owned(),
        if_content_rev: body.if_content_rev,
    });
    let done = app.engine.run(caller.user, id, action).await?;
    match &done.outcome {
        Outcome::Changed { message, history } => {
            Ok(ok(&view::message_for(message, caller.user, Some(*history), app.engine.addresses())))
        }
        _ => Err(unexpected(&done)),
    }
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq)): Params<(ConversationId, Seq)>,
    query: QueryText,
) -> ApiResult {
    let action = match rest::DeleteQuery::read(query.get())?.scope {
        DeleteScope::Everyone => Action::Delete { seq },
        DeleteScope::Me => Action::Hide { seq },
    };
    let done = app.engine.run(caller.user, id, action).await?;
    match done.outcome {
        Outcome::Deleted { rev, history, at, by, .. } => {
            Ok(ok(&rest::Deleted { rev, history, deleted_at: at, deleted_by: by }))
        }
        Outcome::Hidden { annex, history, .. } => {
            Ok(ok(&rest::Hidden { mark_rev: annex.number, history }))
        }
        _ => Err(unexpected(&done)),
    }
}

type ReactionPath = Params<(ConversationId, Seq, String)>;

pub(crate) async fn react(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq, emoji)): ReactionPath,
) -> ApiResult {
    set_reaction(&app, caller, id, seq, emoji, false).await
}

pub(crate) async fn unreact(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq, emoji)): ReactionPath,
) -> ApiResult {
    set_reaction(&app, caller, id, seq, emoji, true).await
}

async fn set_reaction(
    app: &App,
    caller: Identity,
    id: ConversationId,
    seq: Seq,
    emoji: String,
    remove: bool,
) -> ApiResult {
    if emoji.len() > EMOJI_BYTES_MAX {
        return Err(Invalid::new("emoji", "must be one emoji").into());
    }
    let action = Action::React { seq, emoji, remove };
    let done = app.engine.run(caller.user, id, action).await?;
    match &done.outcome {
        Outcome::Changed { message, history } => {
            Ok(ok(&rest::Changed { rev: message.message.rev, history: *history }))
        }
        _ => Err(unexpected(&done)),
    }
}

pub(crate) async fn mark_read(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: Payload,
) -> ApiResult {
    let seq = target(&app, caller, id, &body).await?;
    marked(app.engine.run(caller.user, id, Action::MarkRead { seq }).await)
}

pub(crate) async fn mark_delivered(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: Payload,
) -> ApiResult {
    let seq = target(&app, caller, id, &body).await?;
    marked(app.engine.run(caller.user, id, Action::MarkDelivered { seq }).await)
}

async fn target(
    app: &App,
    caller: Identity,
    id: ConversationId,
    body: &Payload,
) -> Result<Seq, ApiError> {
    let rest::MarkUpTo(target) = rest::MarkUpTo::read(&body.0)?;
    Ok(match target {
        MarkTarget::Seq(seq) => seq,
        MarkTarget::Message(message) => app.engine.seq_of(caller.user, id, message).await?,
    })
}

fn marked(done: Result<Done, EngineError>) -> Result<Response, ApiError> {
    done?;
    Ok(ok(&rest::Empty {}))
}
