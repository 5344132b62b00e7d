//! Signing up, in and out; sessions; tickets.

use std::sync::Arc;

use axum::extract::State;
use ostracon_proto::{Body as _, CloseCode, ErrorCode, Invalid, rest};
use ostracon_store::directory::{AccountRole, NewUser, User};

use crate::{
    app::App,
    auth::{check_display_name, check_password, fold_username, token_hash, wrong_credentials},
    config::Registration,
    error::{ApiError, ApiResult},
    extract::{Caller, ClientAddress, Params, Payload},
    respond::{created, no_content, ok},
    routes::users::profile_of,
};

/// Sessions of one user; one more ends the oldest.
const SESSIONS_MAX: usize = 100;

pub(crate) async fn register(
    State(app): State<Arc<App>>,
    address: ClientAddress,
    body: Payload,
) -> ApiResult {
    let body = rest::Register::read(&body.0)?;
    attempt(&app, address, &body.username)?;
    let registration = app.auth.config().registration;
    let invited_only = registration == Registration::Invite;
    let told = match registration {
        Registration::Open => None,
        Registration::Invite if body.invite.is_some() => None,
        Registration::Invite => Some("To sign up on this server you need an invite."),
        Registration::Closed => Some("This server does not let people sign up by themselves."),
    };
    if let Some(told) = told {
        return Err(ApiError::new(ErrorCode::Forbidden, told));
    }
    let username = fold_username(&body.username)?;
    check_password(&body.password)?;
    let display_name = match &body.display_name {
        Some(name) => {
            check_display_name(name)?;
            name.clone().into_owned()
        }
        None => username.clone(),
    };
    // Before the costly hash; the directory decides.
    if app.directory.credentials(&username).await?.is_some() {
        return Err(ApiError::new(ErrorCode::Conflict, "This username is taken."));
    }
    let hash = app.auth.passwords.hash(body.password.into_owned()).await?;
    let new = NewUser {
        username: Some(username),
        external_id: None,
        display_name,
        password_hash: Some(hash),
        role: AccountRole::User,
    };
    let now = app.clock.now();
    let user = match body.invite.filter(|_| invited_only) {
        Some(code) => {
            let created = app.directory.create_invited(new, &token_hash(&code), now).await?;
            created.ok_or_else(|| {
                ApiError::new(ErrorCode::Forbidden, "This invite cannot be used (any more).")
            })?
        }
        None => app.directory.create_user(new, now).await?,
    };
    Ok(created(&signed_in(&app, user, None).await?))
}

pub(crate) async fn login(
    State(app): State<Arc<App>>,
    address: ClientAddress,
    body: Payload,
) -> ApiResult {
    let body = rest::Login::read(&body.0)?;
    attempt(&app, address, &body.username)?;
    if let Some(name) = &body.device_name {
        check_display_name(name).map_err(|e| Invalid::new("device_name", e.message))?;
    }
    // A name that cannot be takes the same way as one that nobody has.
    let username = fold_username(&body.username).unwrap_or_default();
    let found = app.directory.credentials(&username).await?;
    let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let is_right = app.auth.passwords.verify(body.password.into_owned(), hash).await?;
    let user = user.filter(|_| is_right).ok_or_else(wrong_credentials)?;
    if !user.is_active {
        return Err(ApiError::new(ErrorCode::Forbidden, "This account is deactivated."));
    }
    if let Some(attempts) = &app.auth.attempts {
        attempts.succeeded(address.0, &body.username);
    }
    let device_name = body.device_name.map(std::borrow::Cow::into_owned);
    Ok(ok(&signed_in(&app, user, device_name).await?))
}

fn attempt(app: &App, address: ClientAddress, name: &str) -> Result<(), ApiError> {
    match &app.auth.attempts {
        Some(attempts) => attempts.check(address.0, name),
        None => Ok(()),
    }
}

async fn signed_in(
    app: &App,
    user: User,
    device_name: Option<String>,
) -> Result<rest::SignedIn, ApiError> {
    let (session, token) = app.auth.sign_in(user.id, device_name).await?;
    close_oldest(app, user.id).await?;
    Ok(rest::SignedIn { user: profile_of(user), token, session_id: session.id.to_string() })
}

pub(crate) async fn logout(State(app): State<Arc<App>>, Caller(caller): Caller) -> ApiResult {
    if caller.is_foreign() {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            "This token is of another system; it ends there.",
        ));
    }
    app.auth.revoke(caller.user, caller.session).await?;
    close(&app, caller.user, caller.session);
    Ok(no_content())
}

pub(crate) async fn sessions(State(app): State<Arc<App>>, Caller(caller): Caller) -> ApiResult {
    let sessions = app.directory.sessions(caller.user, app.clock.now()).await?;
    let sessions = sessions.into_iter().map(|session| rest::Session {
        session_id: session.id.to_string(),
        device_name: session.device_name,
        created_at: session.created_at,
        last_seen_at: Some(session.last_seen_at),
        current: session.id == caller.session,
    });
    let sessions = sessions.collect();
    Ok(ok(&rest::Sessions { sessions }))
}

pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(session): Params<String>,
) -> ApiResult {
    let none = || ApiError::new(ErrorCode::NotFound, "No such session.");
    let digits = session.bytes().all(|b| b.is_ascii_digit());
    let session: u64 = session.parse().ok().filter(|_| digits).ok_or_else(none)?;
    if session >> 63 != 0 || !app.auth.revoke(caller.user, session).await? {
        return Err(none());
    }
    close(&app, caller.user, session);
    Ok(no_content())
}

/// Ends all sessions of the caller but the one that asks.
pub(crate) async fn revoke_others(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
) -> ApiResult {
    let mut revoked = 0;
    for session in app.directory.sessions(caller.user, app.clock.now()).await? {
        if session.id != caller.session && app.auth.revoke(caller.user, session.id).await? {
            close(&app, caller.user, session.id);
            revoked += 1;
        }
    }
    Ok(ok(&rest::SignedOut { revoked }))
}

pub(crate) async fn ticket(State(app): State<Arc<App>>, Caller(caller): Caller) -> ApiResult {
    let ticket = app.auth.ticket(caller)?;
    std::future::ready(Ok(ok(&rest::Ticket { ticket }))).await
}

/// Ends the oldest sessions of somebody who has too many.
pub(crate) async fn close_oldest(app: &App, user: ostracon_domain::UserId) -> Result<(), ApiError> {
    let sessions = app.directory.sessions(user, app.clock.now()).await?;
    for session in sessions.iter().skip(SESSIONS_MAX) {
        if app.auth.revoke(user, session.id).await? {
            close(app, user, session.id);
        }
    }
    Ok(())
}

/// Closes the connections of a session that is over.
pub(crate) fn close(app: &App, user: ostracon_domain::UserId, session: u64) {
    app.engine.close_session(user, session, CloseCode::SignedOut, "signed out");
}
