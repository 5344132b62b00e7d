//! Handlers, one file for each group of calls: parse, one call into the engine, an answer.

pub(crate) mod auth;
pub(crate) mod conversations;
pub(crate) mod dialogs;
pub(crate) mod inbox;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod named;
pub(crate) mod operator;
pub(crate) mod sync;
pub(crate) mod users;

use ostracon_domain::{ConversationId, History, UserId};
use ostracon_engine::Done;
use ostracon_store::MessagePage;

use crate::{app::App, error::ApiError};

/// The history that the revs of an answer belong to. A command that changed nothing does not carry it.
pub(crate) async fn history_of(
    app: &App,
    user: UserId,
    id: ConversationId,
    done: &Done,
) -> Result<History, ApiError> {
    if let Some(conversation) = &done.conversation {
        return Ok(conversation.history);
    }
    let page = MessagePage::Newest { limit: 1 };
    let (found, _) = app.engine.messages(user, id, page).await?;
    Ok(found.conversation.history)
}

/// An outcome that the command cannot have.
pub(crate) fn unexpected(done: &Done) -> ApiError {
    // The outcome itself may hold a message's text.
    let kind = std::mem::discriminant(&done.outcome);
    ApiError::internal(&format!("unexpected outcome {kind:?}"))
}
