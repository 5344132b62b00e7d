//! The simple API: a view of the direct conversation of two users.

use std::{borrow::Cow, sync::Arc};

use axum::extract::State;
use ostracon_domain::{Action, ConversationId, Message, Outcome, RefusalCode, UserId};
use ostracon_engine::EngineError;
use ostracon_proto::{Body as _, Invalid, UserRef, frame::OutgoingMessage, rest};
use ostracon_store::{MessagePage, PagePosition};

use crate::{
    app::App,
    error::ApiResult,
    extract::{Caller, Params, Payload, QueryText},
    respond::{created, ok},
    routes::unexpected,
};

pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(peer): Params<UserRef>,
    body: Payload,
) -> ApiResult {
    let body = rest::DialogSend::read(&body.0)?;
    if let Some(to) = &body.to
        && *to != peer
        && app.engine.resolve(to).await.ok() != app.engine.resolve(&peer).await.ok()
    {
        return Err(Invalid::new("to", "must be the user of the path").into());
    }
    let peer = app.engine.resolve(&peer).await?;
    let message = OutgoingMessage { client_id: body.client_id, ..OutgoingMessage::text(body.text) };
    let action = Action::Send(app.engine.new_message(caller.user, &message).await?);
    let id = ConversationId::direct(caller.user, peer);
    let done = app.engine.run(caller.user, id, action).await?;
    match &done.outcome {
        Outcome::Sent { message, duplicate, .. } => {
            let shown = dialog_message(&message.message, peer);
            Ok(if *duplicate { ok(&shown) } else { created(&shown) })
        }
        _ => Err(unexpected(&done)),
    }
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(peer): Params<UserRef>,
    query: QueryText,
) -> ApiResult {
    let query = rest::DialogQuery::read(query.get())?;
    let peer = app.engine.resolve(&peer).await?;
    let id = ConversationId::direct(caller.user, peer);
    let first = match query.offset {
        0 => query.limit,
        _ => 1,
    };
    let newest = app.engine.messages(caller.user, id, MessagePage::Newest { limit: first });
    let mut found = match newest.await {
        Ok((found, _)) => found,
        // Both exist; they have not talked yet.
        Err(EngineError::Refused(refusal)) if refusal.code == RefusalCode::NotFound => {
            return Ok(ok(&rest::DialogList { messages: Vec::new(), total: 0 }));
        }
        Err(error) => return Err(error.into()),
    };
    let total = found.conversation.head_seq;
    if query.offset >= total {
        found.messages.clear();
    } else if query.offset > 0 {
        // Seqs have no gaps: what is left out of the newest ends right before this one.
        let page = MessagePage::Before {
            position: PagePosition::Seq(total - query.offset + 1),
            limit: query.limit,
        };
        found = app.engine.messages(caller.user, id, page).await?.0;
    }
    let (user, rows) = (caller.user, found.messages.iter().rev());
    let messages = rows
        .map(|view| {
            let to = if view.message.sender == user { peer } else { user };
            let mut shown = dialog_message(&view.message, to);
            if found.hidden.contains(&view.message.seq) {
                shown.text = Cow::Borrowed("");
                shown.deleted = true;
            }
            shown
        })
        .collect();
    Ok(ok(&rest::DialogList { messages, total }))
}

fn dialog_message(message: &Message, to: UserId) -> rest::DialogMessage<'_> {
    let deleted = message.deleted.is_some();
    rest::DialogMessage {
        id: rest::DialogMessage::id_of(message.message_id),
        from_id: message.sender,
        to_id: to,
        text: if deleted { Cow::Borrowed("") } else { Cow::Borrowed(&message.content) },
        created_at: rest::DialogMessage::created_at_of(message.created_at),
        conversation_id: message.conversation,
        seq: message.seq,
        deleted,
    }
}
