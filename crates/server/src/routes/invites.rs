//! Invite links of groups, joining by them, and who is kept out.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{Action, ConversationId, Invite, Outcome, Refusal};
use ostracon_engine::{Done, EngineError, view};
use ostracon_proto::{
    Body as _, UserRef,
    cursor::{Cursor as _, MembersCursor},
    rest,
};

use crate::{
    app::App,
    error::{ApiError, ApiResult},
    extract::{Caller, Params, Payload, QueryText},
    invite_token::{InviteToken, NewToken, name, read_name},
    respond::{created, no_content, ok},
    routes::unexpected,
};

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: Payload,
) -> ApiResult {
    let body = rest::CreateGroupInvite::read(&body.0)?;
    let token = NewToken::new(id)?;
    let hash = |place| token.at(place).hash();
    let (place, invite) =
        app.engine.create_invite(caller.user, id, hash, body.expires_at, body.max_uses).await?;
    let token = token.at(place).text();
    Ok(created(&rest::GroupInviteMade { token, invite: shown(place, &invite) }))
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
) -> ApiResult {
    let found = app.engine.invites(caller.user, id).await?;
    let invites = found.iter().map(|(place, invite)| shown(*place, invite)).collect();
    Ok(ok(&rest::GroupInvites { invites }))
}

pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, invite)): Params<(ConversationId, String)>,
) -> ApiResult {
    // What is no name of a link is one of none: who may not revoke any learns nothing from it.
    let (place, mark) = read_name(&invite).unwrap_or((u8::MAX, [0; 4]));
    app.engine.run(caller.user, id, Action::RevokeInvite { place, mark }).await?;
    Ok(no_content())
}

/// What a link leads to.
pub(crate) async fn look(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(text): Params<String>,
) -> ApiResult {
    let token = read(&text)?;
    let action = Action::LookAtInvite { place: token.place, hash: token.hash() };
    let done = app.engine.run(caller.user, token.conversation, action).await?;
    match &done.outcome {
        Outcome::Invite { conversation, annex } => Ok(ok(&rest::JoinPreview {
            conversation_id: conversation.id,
            name: conversation.name.clone(),
            member_count: conversation.member_count,
            expires_at: Invite::of(annex).and_then(|invite| invite.expires_at),
        })),
        _ => Err(unexpected(&done)),
    }
}

pub(crate) async fn join(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(text): Params<String>,
) -> ApiResult {
    let token = read(&text)?;
    let action = Action::Join { place: token.place, hash: token.hash() };
    app.engine.run(caller.user, token.conversation, action).await?;
    let entry = app.engine.entry(caller.user, token.conversation).await?;
    Ok(ok(&view::entry(&entry, app.engine.addresses())))
}

fn read(text: &str) -> Result<InviteToken, ApiError> {
    InviteToken::read(text).ok_or_else(|| EngineError::Refused(Refusal::no_invite()).into())
}

fn shown(place: u8, invite: &Invite) -> rest::GroupInvite {
    rest::GroupInvite {
        invite_id: name(place, &invite.hash),
        created_at: invite.created_at,
        created_by: invite.created_by,
        expires_at: invite.expires_at,
        max_uses: invite.max_uses,
        uses: invite.uses,
    }
}

pub(crate) async fn ban(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    body: Payload,
) -> ApiResult {
    let body = rest::BanUser::read(&body.0)?;
    let user = app.engine.resolve(&body.user_id).await?;
    let action = Action::Ban { user, until: body.until };
    changed(&app.engine.run(caller.user, id, action).await?)
}

pub(crate) async fn unban(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params((id, user)): Params<(ConversationId, UserRef)>,
) -> ApiResult {
    let user = app.engine.resolve(&user).await?;
    changed(&app.engine.run(caller.user, id, Action::Unban { user }).await?)
}

pub(crate) async fn bans(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<ConversationId>,
    query: QueryText,
) -> ApiResult {
    let query = rest::MembersQuery::read(query.get())?;
    let after = query.cursor.map(|cursor| cursor.after);
    let found = app.engine.bans(caller.user, id, after, query.limit).await?;
    let bans = found.bans.iter().map(|(user, ban)| rest::GroupBan {
        user_id: *user,
        banned_at: ban.at,
        banned_by: ban.by,
        until: ban.until,
    });
    let next_cursor = found.next.map(|after| MembersCursor { after }.encode());
    Ok(ok(&rest::GroupBans { bans: bans.collect(), next_cursor }))
}

fn changed(done: &Done) -> ApiResult {
    match &done.outcome {
        Outcome::Members { rev, history, .. } => {
            Ok(ok(&rest::Changed { rev: *rev, history: *history }))
        }
        _ => Err(unexpected(done)),
    }
}
