//! What messages said before their edits.

use std::{borrow::Cow, sync::Arc};

use axum::extract::State;
use ostracon_domain::{ConversationId, Edition, Seq};
use ostracon_proto::rest;

use crate::{
    app::App,
    error::ApiResult,
    extract::{Caller, Params},
    respond::ok,
};

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, seq)): Params<(ConversationId, Seq)>,
) -> ApiResult {
    let found = app.engine.edits(caller.user, id, seq).await?;
    let former = found.annexes.iter().filter_map(|row| {
        let Edition { since, content } = Edition::of_value(&row.value)?;
        Some(rest::FormerContent {
            content_rev: row.key.second,
            since,
            content: Cow::Owned(content),
        })
    });
    Ok(ok(&rest::Edits { edits: former.collect(), history: found.conversation.history }))
}
