//! Members of a group.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{Action, ConversationId, Member, Outcome};
use ostracon_engine::{Done, view};
use ostracon_proto::{
    Body as _, UserRef,
    cursor::{Cursor as _, MembersCursor},
    rest,
};
use ostracon_store::MembersPage;

use crate::{
    app::App,
    auth::Identity,
    error::ApiResult,
    extract::{Caller, ListPayload, Params, Payload, QueryText},
    respond::ok,
    routes::{named::resolve_all, unexpected},
};

/// Reads for one page, where many have left; then the page is shorter than it could be.
const READS_MAX: usize = 8;

/// Those that have not left; a former member sees the own row only.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    query: QueryText,
) -> ApiResult {
    let query = rest::MembersQuery::read(query.get())?;
    let mut after = query.cursor.map(|cursor| cursor.after);
    if let Some(name) = &query.query {
        let found = app.engine.members_named(caller.user, id, after, name, query.limit).await?;
        let shown = found.members.iter().map(|row| shown_member(&app, caller, row, found.large));
        let next = found.next.map(|after| MembersCursor { after });
        let next_cursor = next.map(|cursor| cursor.encode());
        return Ok(ok(&rest::Members { members: shown.collect(), next_cursor }));
    }
    let (mut members, mut more) = (Vec::new(), true);
    for _ in 0..READS_MAX {
        let room = query.limit.saturating_sub(members.len() as u32);
        if room == 0 || !more {
            break;
        }
        let found = app.engine.members(caller.user, id, MembersPage { after, limit: room }).await?;
        more = found.more;
        after = found.members.last().map(|row| row.user).or(after);
        let large = found.conversation.large;
        let shown = found.members.iter();
        let shown = shown.filter(|row| row.is_present() || row.user == caller.user);
        members.extend(shown.map(|row| shown_member(&app, caller, row, large)));
    }
    let next = after.filter(|_| more).map(|after| MembersCursor { after });
    Ok(ok(&rest::Members { members, next_cursor: next.map(|cursor| cursor.encode()) }))
}

/// A member as the caller sees one.
fn shown_member(app: &App, caller: Identity, row: &Member, large: bool) -> ostracon_proto::Member {
    let mut shown = view::member(row, !large || row.user == caller.user);
    if app.engine.hides_reads(caller.user, row.user) {
        shown.read_seq = None;
    }
    shown
}

pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: ListPayload,
) -> ApiResult {
    let body = rest::AddMembers::read(&body.0)?;
    let users = resolve_all(&app, &body.user_ids).await?;
    let done = app.engine.add_members(caller.user, id, users).await?;
    match &done.outcome {
        Outcome::Members { members, rev, history } => {
            let large = done.conversation.as_ref().is_some_and(|row| row.large);
            let shown = members.iter().map(|row| shown_member(&app, caller, row, large));
            Ok(ok(&rest::MembersAdded { members: shown.collect(), rev: *rev, history: *history }))
        }
        _ => Err(unexpected(&done)),
    }
}

pub(crate) async fn edit(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, user)): Params<(ConversationId, UserRef)>,
    body: Payload,
) -> ApiResult {
    let body = rest::EditMember::read(&body.0)?;
    let user = app.engine.resolve(&user).await?;
    let action = Action::SetRole { user, role: body.role };
    let done = app.engine.run(caller.user, id, action).await?;
    changed(&done)
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, user)): Params<(ConversationId, UserRef)>,
) -> ApiResult {
    let user = app.engine.resolve(&user).await?;
    let done = app.engine.run(caller.user, id, Action::RemoveMember { user }).await?;
    changed(&done)
}

fn changed(done: &Done) -> ApiResult {
    let (rev, history) = match &done.outcome {
        Outcome::Members { rev, history, .. } => (*rev, *history),
        // The last one out deletes the group.
        Outcome::Group { conversation, .. } => (conversation.rev, conversation.history),
        _ => return Err(unexpected(done)),
    };
    Ok(ok(&rest::Changed { rev, history }))
}
