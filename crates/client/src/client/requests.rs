//! Makes the calls that a device asks for. One attempt each; waiting and trying again is decided by
//! the driver.

use crate::{
    api::{Api, ApiError},
    device::{Answer, Request},
};
use ostracon_domain::ConversationId;
use ostracon_proto::{
    ErrorCode, ErrorObject,
    rest::{ChangesQuery, MessagesQuery},
};

/// What a request is about: failures in a row are counted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Sync,
    Changes(ConversationId),
    Page(ConversationId),
    Members(ConversationId),
}

impl Topic {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Sync { .. } => Self::Sync,
            Request::Changes { conversation, .. } => Self::Changes(*conversation),
            Request::Page { conversation, .. } => Self::Page(*conversation),
            Request::Members { conversation, .. } => Self::Members(*conversation),
        }
    }
}

pub(super) async fn call(api: &Api, request: Request) -> Result<Answer, ApiError> {
    Ok(match request {
        Request::Sync { cursor, limit } => Answer::Sync(api.sync(cursor.as_deref(), limit).await?),
        Request::Changes { conversation, since_rev, since_mark, history, limit } => {
            let query = ChangesQuery { since_rev, since_mark, history, limit };
            Answer::Changes(api.changes(conversation, &query).await?)
        }
        Request::Page { conversation, anchor, limit } => {
            let query = MessagesQuery { limit, anchor, min_rev: None };
            Answer::Page(api.messages(conversation, &query).await?)
        }
        Request::Members { conversation, cursor } => {
            Answer::Members(api.members(conversation, None, cursor.as_deref()).await?)
        }
    })
}

/// The refusal that is final; `None` when the call may be tried again. A fault of the server may
/// pass, so may an answer that cannot be read.
pub(super) fn refused(error: &ApiError) -> Option<Box<ErrorObject>> {
    match error {
        ApiError::Refused { error, .. }
            if !error.code.retryable() && error.code != ErrorCode::Internal =>
        {
            Some(error.clone())
        }
        _ => None,
    }
}
