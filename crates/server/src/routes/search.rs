//! Search: messages by their words, conversations by their names.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{MessageId, Millis};
use ostracon_engine::{SearchFilter, SearchOrder, SearchStart, view};
use ostracon_proto::{
    Invalid, UserRef,
    cursor::{Cursor as _, SearchCursor},
    rest,
};
use ostracon_search::{Query, QueryError};

use crate::{
    app::App,
    error::{ApiError, ApiResult},
    extract::{Caller, QueryText},
    respond::{ok, page_of},
};

pub(crate) async fn messages(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: QueryText,
) -> ApiResult {
    let asked = rest::SearchQuery::read(query.get())?;
    let query = Query::parse(&asked.q).map_err(|error| {
        Invalid::new(
            "q",
            match error {
                QueryError::Empty => "must have something that can be searched for",
                QueryError::TooLong => "must have at most 16 words and 256 units",
            },
        )
    })?;
    let sender = match &asked.from {
        None => None,
        Some(UserRef::Id(id)) => Some(*id),
        Some(UserRef::External(id)) => {
            let found = app.directory.users_by_external_id(std::slice::from_ref(id)).await?;
            Some(found.first().ok_or_else(ApiError::no_user)?.id)
        }
    };
    let filter = SearchFilter {
        conversation: asked.conversation_id,
        sender,
        has_attachment: asked.has_attachment,
        from: asked.after.map_or(0, |edge| match edge {
            rest::SearchEdge::Time(ms) => first_id(ms),
            rest::SearchEdge::Message(id) => id.get() + 1,
        }),
        below: asked.before.map_or(u64::MAX >> 1, |edge| match edge {
            rest::SearchEdge::Time(ms) => first_id(ms),
            rest::SearchEdge::Message(id) => id.get(),
        }),
    };
    let order = match asked.sort {
        rest::SearchSort::Newest => SearchOrder::Newest,
        rest::SearchSort::Best => SearchOrder::Best,
    };
    let start = asked.cursor.map(|cursor| SearchStart { below: cursor.below, shown: cursor.shown });
    let began = std::time::Instant::now();
    let found = app.engine.search(caller.user, &query, filter, order, start, asked.limit).await?;
    metrics::histogram!("search_seconds").record(began.elapsed().as_secs_f64());
    let to = app.engine.addresses();
    let hits = found.hits.iter().map(|hit| rest::SearchHit {
        message: view::message_within(&hit.view, caller.user, &hit.access, to),
        conversation_id: hit.view.message.conversation,
        highlights: hit.highlights.iter().map(|(start, end)| [*start, *end]).collect(),
    });
    let next = found.next.map(|next| SearchCursor { below: next.below, shown: next.shown });
    let body = rest::SearchFound {
        hits: hits.collect(),
        next_cursor: next.map(|cursor| cursor.encode()),
        unavailable_shards: found.unavailable.iter().map(|shard| shard.0).collect(),
        indexing: !found.complete,
    };
    Ok(page_of(&body, body.hits.len()))
}

pub(crate) async fn conversations(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: QueryText,
) -> ApiResult {
    let asked = rest::SearchConversationsQuery::read(query.get())?;
    let found = app.engine.conversations_named(caller.user, &asked.q, asked.limit).await?;
    let conversations =
        found.iter().map(|named| view::entry(&named.entry, app.engine.addresses())).collect();
    Ok(ok(&rest::SearchConversations { conversations }))
}

/// The least id that a message of this time can have.
fn first_id(ms: Millis) -> u64 {
    MessageId::from_parts(ms, 0, 0).map_or(0, MessageId::get)
}
