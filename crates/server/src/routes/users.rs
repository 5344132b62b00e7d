//! Profiles.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use ostracon_domain::{Privacy, limits::USERS_PER_REQUEST_MAX};
use ostracon_proto::{Body as _, Patch, UserRef, rest};
use ostracon_store::directory::User;

use crate::{
    app::App,
    auth::{Identity, check_display_name},
    error::{ApiError, ApiResult},
    extract::{Caller, ListPayload, Params, Payload, QueryText},
    respond::ok,
};

pub(crate) fn profile_of(user: User) -> rest::Profile {
    rest::Profile {
        user_id: user.id,
        username: user.username,
        display_name: user.display_name,
        external_id: user.external_id,
    }
}

/// One's own profile, with what only its owner knows.
fn own_profile(app: &App, user: User) -> rest::OwnProfile {
    let privacy = app.engine.privacy(user.id);
    let rest::Profile { user_id, username, display_name, external_id } = profile_of(user);
    rest::OwnProfile { user_id, username, display_name, external_id, privacy }
}

async fn own(app: &App, caller: Identity) -> Result<User, ApiError> {
    let found = app.directory.users(&[caller.user]).await?.pop();
    found.ok_or_else(ApiError::unauthorized)
}

pub(crate) async fn me(State(app): State<Arc<App>>, Caller(caller): Caller) -> ApiResult {
    Ok(ok(&own_profile(&app, own(&app, caller).await?)))
}

pub(crate) async fn edit_me(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    body: Payload,
) -> ApiResult {
    let body = rest::EditProfile::read(&body.0)?;
    if let Patch::Set(name) = &body.display_name {
        check_display_name(name)?;
    }
    let user = own(&app, caller).await?;
    if let Some(change) = body.privacy {
        set_privacy(&app, caller, change).await?;
    }
    let name = match body.display_name {
        Patch::Keep => return Ok(ok(&own_profile(&app, user))),
        Patch::Set(name) => name,
        // Users of another system have no user name here; they keep what they have.
        Patch::Clear => user.username.unwrap_or(user.display_name),
    };
    let changed = app.directory.set_display_name(caller.user, &name).await?;
    Ok(ok(&own_profile(&app, changed.ok_or_else(ApiError::unauthorized)?)))
}

async fn set_privacy(
    app: &App,
    caller: Identity,
    change: rest::EditPrivacy,
) -> Result<(), ApiError> {
    let before = app.engine.privacy(caller.user);
    let after = Privacy {
        presence: change.presence.unwrap_or(before.presence),
        read_receipts: change.read_receipts.unwrap_or(before.read_receipts),
    };
    if after != before {
        app.engine.set_privacy(caller.user, after).await?;
    }
    Ok(())
}

pub(crate) async fn profile(
    State(app): State<Arc<App>>,
    _: Caller,
    Params(user): Params<UserRef>,
) -> ApiResult {
    let found = match user {
        UserRef::Id(id) => app.directory.users(&[id]).await?,
        UserRef::External(id) => app.directory.users_by_external_id(&[id]).await?,
    };
    let user = found.into_iter().next().ok_or_else(ApiError::no_user)?;
    Ok(ok(&profile_of(user)))
}

pub(crate) async fn find(State(app): State<Arc<App>>, _: Caller, query: QueryText) -> ApiResult {
    let query = rest::UsersQuery::read(query.get())?;
    let found = app.directory.find_users(&query.query, None, query.limit).await?;
    let users = found.into_iter().map(profile_of).collect();
    Ok(ok(&rest::Profiles { users }))
}

pub(crate) async fn lookup(State(app): State<Arc<App>>, _: Caller, body: ListPayload) -> ApiResult {
    let body = rest::LookupUsers::read(&body.0)?;
    if body.ids.len() + body.external_ids.len() > USERS_PER_REQUEST_MAX {
        return Err(ApiError::too_large("At most 1,000 users in one request."));
    }
    let mut found = BTreeMap::new();
    if !body.ids.is_empty() {
        let users = app.directory.users(&body.ids).await?;
        found.extend(users.into_iter().map(|user| (user.id, user)));
    }
    if !body.external_ids.is_empty() {
        let users = app.directory.users_by_external_id(&body.external_ids).await?;
        found.extend(users.into_iter().map(|user| (user.id, user)));
    }
    let users = found.into_values().map(profile_of).collect();
    Ok(ok(&rest::Profiles { users }))
}
