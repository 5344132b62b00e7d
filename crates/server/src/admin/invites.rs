//! Invites: codes that let people sign up where not everybody may.

use std::sync::Arc;

use axum::extract::{Request, State};
use ostracon_domain::Millis;
use ostracon_proto::{ErrorCode, Invalid};
use ostracon_store::directory;

use super::{
    types::{Invite, Invites, MadeInvite, NewInvite},
    users::body,
};
use crate::{
    app::App,
    audit,
    auth::{DAY_MS, new_invite_code, token_hash},
    error::{ApiError, ApiResult},
    extract::{Operator, Params},
    respond::{created, no_content, ok},
};

/// Invites that are listed.
const LISTED_MAX: u32 = 1_000;
/// How many may sign up with one, at most.
const USES_MAX: u32 = 100_000;
const DAYS: u32 = 7;
const DAYS_MAX: u32 = 3_650;
const NOTE_CHARS_MAX: usize = 200;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> ApiResult {
    let wanted: NewInvite = body(request).await?;
    let uses = wanted.uses.unwrap_or(1);
    if !(1..=USES_MAX).contains(&uses) {
        return Err(Invalid::new("uses", "must be from 1 to 100,000").into());
    }
    let days = wanted.days.unwrap_or(DAYS);
    if days > DAYS_MAX {
        return Err(Invalid::new("days", "must be at most 3,650").into());
    }
    let fits = |note: &String| {
        note.chars().count() <= NOTE_CHARS_MAX && !note.chars().any(char::is_control)
    };
    if !wanted.note.as_ref().is_none_or(fits) {
        let told = "must have at most 200 characters, no control characters";
        return Err(Invalid::new("note", told).into());
    }
    let now = app.clock.now();
    let code = new_invite_code()?;
    let new = directory::NewInvite {
        code_hash: token_hash(&code),
        note: wanted.note,
        expires_at: (days > 0).then(|| now + Millis::from(days) * DAY_MS),
        uses,
    };
    let invite = app.directory.create_invite(new, now).await?;
    let detail = format!("{uses} uses, {days} days");
    audit::record(&app, operator, "invite.create", format!("invite {}", invite.id), detail).await;
    Ok(created(&MadeInvite { code, invite: shown(invite) }))
}

pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    let invites = app.directory.invites(app.clock.now(), LISTED_MAX).await?;
    Ok(ok(&Invites { invites: invites.into_iter().map(shown).collect() }))
}

pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(invite): Params<u64>,
) -> ApiResult {
    if !app.directory.revoke_invite(invite).await? {
        return Err(ApiError::new(ErrorCode::NotFound, "No such invite."));
    }
    audit::record(&app, operator, "invite.revoke", format!("invite {invite}"), "").await;
    Ok(no_content())
}

fn shown(invite: directory::Invite) -> Invite {
    Invite {
        invite_id: invite.id,
        note: invite.note,
        created_at: invite.created_at,
        expires_at: invite.expires_at,
        uses_left: invite.uses_left,
    }
}
