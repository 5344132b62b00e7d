//! Handlers, one file for each group of calls: parse, one call into the engine, an answer.

pub(crate) mod auth;
pub(crate) mod conversations;
pub(crate) mod dialogs;
pub(crate) mod edits;
pub(crate) mod inbox;
pub(crate) mod invites;
pub(crate) mod live;
pub(crate) mod media;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod named;
pub(crate) mod operator;
pub(crate) mod pins;
pub(crate) mod push;
pub(crate) mod replies;
pub(crate) mod search;
pub(crate) mod sync;
pub(crate) mod tus;
pub(crate) mod users;

use ostracon_engine::Done;

use crate::error::ApiError;

/// An outcome that the command cannot have.
pub(crate) fn unexpected(done: &Done) -> ApiError {
    // The outcome itself may hold a message's text.
    let kind = std::mem::discriminant(&done.outcome);
    ApiError::internal(&format!("unexpected outcome {kind:?}"))
}
