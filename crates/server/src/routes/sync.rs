//! Finding again what was missed.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::ConversationId;
use ostracon_engine::view;
use ostracon_proto::{
    cursor::{Cursor as _, SyncCursor},
    rest,
};
use ostracon_store::ChangesSince;

use crate::{
    app::App,
    error::ApiResult,
    extract::{Caller, Params, QueryText},
    respond::{ok, page_of},
};

pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    query: QueryText,
) -> ApiResult {
    let query = rest::ChangesQuery::read(query.get())?;
    let since = ChangesSince {
        conversation: id,
        reader: caller.user,
        rev: query.since_rev,
        mark_rev: query.since_mark,
        limit: query.limit,
    };
    let (found, access) = app.engine.changes(since).await?;
    let row = &*found.conversation;
    let other_line = query.history.is_some_and(|history| history != row.history);
    if other_line || query.since_rev > row.rev || query.since_mark > row.mark_rev {
        return Ok(ok(&rest::Changes {
            conversation: None,
            messages: Vec::new(),
            members: Vec::new(),
            receipts: Vec::new(),
            hidden: Vec::new(),
            rev: row.rev,
            mark_rev: row.mark_rev,
            history: row.history,
            more: false,
            reset: true,
        }));
    }
    let conversation = found.info_changed.then(|| view::conversation_within(row, &access));
    let marks = |user| !row.large || user == caller.user;
    let hides = |user| app.engine.hides_reads(caller.user, user);
    let members = found.members.iter();
    let messages = found.messages.iter();
    Ok(ok(&rest::Changes {
        conversation,
        messages: messages
            .map(|view| view::message_within(view, caller.user, &access, app.engine.addresses()))
            .collect(),
        members: members
            .map(|member| {
                let mut shown = view::member(member, marks(member.user));
                if hides(member.user) {
                    shown.read_seq = None;
                }
                shown
            })
            .collect(),
        receipts: found
            .receipts
            .iter()
            .map(|member| {
                let mut shown = view::receipt(member);
                if hides(member.user) {
                    // Marks only go forward: this one says nothing.
                    shown.read_seq = 0;
                }
                shown
            })
            .collect(),
        hidden: found.hidden.iter().map(|annex| view::hidden_message(annex)).collect(),
        rev: found.rev,
        mark_rev: found.mark_rev,
        history: row.history,
        more: found.more,
        reset: false,
    }))
}

pub(crate) async fn sync(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: QueryText,
) -> ApiResult {
    let query = rest::SyncQuery::read(query.get())?;
    let since = query.cursor.map(|cursor| (cursor.history, cursor.user_rev));
    let found = app.engine.sync(caller.user, since, query.limit).await?;
    let cursor = SyncCursor { history: found.history, user_rev: found.user_rev, after: None };
    let body = rest::Sync {
        conversations: found
            .entries
            .iter()
            .map(|rows| view::entry(rows, app.engine.addresses()))
            .collect(),
        removed: found.removed,
        cursor: cursor.encode(),
        user_rev: found.user_rev,
        more: found.more,
        reset: found.reset,
    };
    Ok(page_of(&body, body.conversations.len()))
}
