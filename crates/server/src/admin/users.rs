//! Accounts, as an operator handles them; many at once where that is asked for.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::{Request, State};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ostracon_domain::UserId;
use ostracon_proto::{CloseCode, ErrorCode, Invalid, UserRef, query::Limit};
use ostracon_store::directory::{self, AccountRole};
use serde::de::DeserializeOwned;

use super::types::{
    CreateUsers, CreatedUser, CreatedUsers, NewPassword, NewToken, NewUser, Role, SetPassword,
    SetRole, Token, User, Users,
};
use crate::{
    app::App,
    audit,
    auth::{check_display_name, check_external_id, check_password, fold_username},
    error::{ApiError, ApiResult},
    extract::{Operator, Params, QueryText, read},
    respond::{created, ok},
    routes::auth::{close, close_oldest},
};

/// Accounts in one request.
const USERS_MAX: usize = 20_000;
/// Bytes of a body: so many accounts with long names fit.
const BODY_BYTES_MAX: usize = 8 << 20;
const LIMIT: Limit = Limit { default: 100, max: 1_000 };

/// A body of an operator's call; an empty one is `{}`.
pub(crate) async fn body<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let bytes = read(request, BODY_BYTES_MAX).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| {
        let code = if error.is_data() { ErrorCode::Invalid } else { ErrorCode::BadRequest };
        ostracon_proto::ErrorObject::new(code, error.to_string()).into()
    })
}

pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, query: QueryText) -> ApiResult {
    let query = query.get();
    let limit = query.limit(LIMIT)?;
    let after = query.parse("after", "must be a user id")?;
    let text = query.get("query").unwrap_or_default();
    let mut found = app.directory.find_users(&text, after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().map(|user| user.id).filter(|_| more);
    let users = found.into_iter().map(shown).collect();
    Ok(ok(&Users { users, next }))
}

fn shown(user: directory::User) -> User {
    User {
        user_id: user.id,
        username: user.username,
        external_id: user.external_id,
        display_name: user.display_name,
        role: match user.role {
            AccountRole::User => Role::User,
            AccountRole::Admin => Role::Admin,
        },
        active: user.is_active,
        created_at: user.created_at,
    }
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> ApiResult {
    let wanted: CreateUsers = body(request).await?;
    if wanted.users.len().saturating_add(wanted.count as usize) > USERS_MAX {
        return Err(ApiError::too_large("At most 20,000 users in one request."));
    }
    let prefix = wanted.prefix.as_deref().unwrap_or("user");
    let made_up = (1..=wanted.count)
        .map(|n| NewUser { username: Some(format!("{prefix}{n}")), ..NewUser::default() });
    let mut new = Vec::with_capacity(wanted.users.len() + wanted.count as usize);
    for (index, user) in wanted.users.into_iter().chain(made_up).enumerate() {
        let account = account(&app, user).await;
        new.push(account.map_err(|error| error.with(index))?);
    }
    let users = if wanted.reuse {
        create_missing(&app, new).await?
    } else {
        app.directory.create_users(new, app.clock.now()).await?
    };
    let admin = if wanted.reuse { "admin, made now or before" } else { "admin" };
    for user in users.iter().filter(|user| user.role == AccountRole::Admin) {
        audit::record(&app, operator, "user.create", format!("user {}", user.id), admin).await;
    }
    let ids: Vec<_> = users.iter().map(|user| user.id).collect();
    if let Some(target) = several(&ids) {
        let detail = if wanted.reuse {
            "those that were missing are made; a token for each"
        } else {
            "a token for each"
        };
        audit::record(&app, operator, "user.create", target, detail).await;
    }
    let signed_in = app.auth.sign_in_all(&ids).await?;
    let users = users.into_iter().zip(signed_in).map(|(user, (session, token))| CreatedUser {
        user_id: user.id,
        username: user.username,
        token,
        session_id: session.id.to_string(),
    });
    let users = users.collect();
    Ok(created(&CreatedUsers { users }))
}

/// Some users in a few words, whatever their order; none if there are none.
fn several(ids: &[UserId]) -> Option<String> {
    let (first, last) = (ids.iter().min()?, ids.iter().max()?);
    Some(match ids.len() {
        1 => format!("user {first}"),
        count => format!("{count} users from {first} to {last}"),
    })
}

/// Why one of many accounts cannot be created.
enum AccountError {
    Invalid(Invalid),
    Other(ApiError),
}

impl AccountError {
    fn with(self, index: usize) -> ApiError {
        match self {
            Self::Invalid(invalid) => {
                Invalid::new(format!("users[{index}].{}", invalid.field), invalid.message).into()
            }
            Self::Other(error) => error,
        }
    }
}

async fn account(app: &App, user: NewUser) -> Result<directory::NewUser, AccountError> {
    let wrong = |field: &'static str| {
        move |error: ostracon_proto::ErrorObject| {
            AccountError::Invalid(Invalid::new(field, error.message))
        }
    };
    let username = user.username.as_deref().map(fold_username).transpose();
    let username = username.map_err(wrong("username"))?;
    if let Some(id) = user.external_id.as_deref().filter(|id| !check_external_id(id)) {
        let told = format!("has {} characters or a control character", id.chars().count());
        return Err(AccountError::Invalid(Invalid::new("external_id", told)));
    }
    let name = user.display_name.or_else(|| username.clone()).or_else(|| user.external_id.clone());
    let Some(display_name) = name else {
        let told = "it or an external_id is needed";
        return Err(AccountError::Invalid(Invalid::new("username", told)));
    };
    let display_name: String = display_name.chars().take(100).collect();
    check_display_name(&display_name).map_err(AccountError::Invalid)?;
    let password_hash = match user.password {
        Some(password) => {
            check_password(&password).map_err(wrong("password"))?;
            Some(app.auth.passwords.hash(password).await.map_err(AccountError::Other)?)
        }
        None => None,
    };
    Ok(directory::NewUser {
        username,
        external_id: user.external_id,
        display_name,
        password_hash,
        role: match user.role {
            Some(Role::Admin) => AccountRole::Admin,
            Some(Role::User) | None => AccountRole::User,
        },
    })
}

/// Creates those whose user name is not there yet; the accounts in the order of the argument.
async fn create_missing(
    app: &App,
    new: Vec<directory::NewUser>,
) -> Result<Vec<directory::User>, ApiError> {
    let (mut known, mut missing) = (BTreeMap::new(), Vec::new());
    for (index, user) in new.into_iter().enumerate() {
        let found = match &user.username {
            Some(name) => app.directory.credentials(name).await?,
            None => None,
        };
        match found {
            Some((found, _)) => {
                known.insert(index, found);
            }
            None => missing.push((index, user)),
        }
    }
    let (places, new): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    let made = app.directory.create_users(new, app.clock.now()).await?;
    known.extend(places.into_iter().zip(made));
    Ok(known.into_values().collect())
}

/// The account that a path names.
pub(super) async fn named(app: &App, text: &str) -> Result<directory::User, ApiError> {
    let found = match (text.strip_prefix("name:"), text.parse()) {
        (None, Ok(UserRef::Id(id))) => app.directory.users(&[id]).await?.pop(),
        (None, Ok(UserRef::External(id))) => app.directory.users_by_external_id(&[id]).await?.pop(),
        (name, _) => {
            let name = name.unwrap_or(text).to_ascii_lowercase();
            app.directory.credentials(&name).await?.map(|(user, _)| user)
        }
    };
    found.ok_or_else(ApiError::no_user)
}

pub(crate) async fn password(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(user): Params<String>,
    request: Request,
) -> ApiResult {
    let wanted: SetPassword = body(request).await?;
    let user = named(&app, &user).await?;
    if let Some(password) = &wanted.password {
        check_password(password)?;
    }
    let made_up = if wanted.password.is_none() { Some(new_password()?) } else { None };
    let password = wanted.password.or_else(|| made_up.clone()).unwrap_or_default();
    let hash = app.auth.passwords.hash(password).await?;
    app.directory.set_password(user.id, &hash).await?;
    audit::record(&app, operator, "user.password", format!("user {}", user.id), "").await;
    // Who knew the old one is out.
    sign_out(&app, user.id).await?;
    Ok(ok(&NewPassword { user_id: user.id, password: made_up }))
}

const fn word(role: AccountRole) -> &'static str {
    match role {
        AccountRole::User => "user",
        AccountRole::Admin => "admin",
    }
}

async fn sign_out(app: &App, user: UserId) -> Result<(), ApiError> {
    for session in app.directory.sessions(user, app.clock.now()).await? {
        app.auth.revoke(user, session.id).await?;
        close(app, user, session.id);
    }
    Ok(())
}

pub(crate) async fn role(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(user): Params<String>,
    request: Request,
) -> ApiResult {
    let wanted: SetRole = body(request).await?;
    let user = named(&app, &user).await?;
    let role = match wanted.role {
        Role::User => AccountRole::User,
        Role::Admin => AccountRole::Admin,
    };
    let changed = app.directory.set_role(user.id, role).await?;
    app.auth.forget_user(user.id);
    let (was, is) = (word(user.role), word(role));
    audit::record(
        &app,
        operator,
        "user.role",
        format!("user {}", user.id),
        format!("{was} → {is}"),
    )
    .await;
    Ok(ok(&shown(changed.ok_or_else(ApiError::no_user)?)))
}

pub(crate) async fn activate(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(user): Params<String>,
) -> ApiResult {
    set_active(&app, operator, &user, true).await
}

pub(crate) async fn deactivate(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(user): Params<String>,
) -> ApiResult {
    set_active(&app, operator, &user, false).await
}

async fn set_active(app: &App, operator: Operator, user: &str, active: bool) -> ApiResult {
    let user = named(app, user).await?;
    if let (Operator::Account(id, _), false) = (operator, active)
        && id == user.id
    {
        return Err(ApiError::new(ErrorCode::Conflict, "That is your own account."));
    }
    let changed = app.directory.set_active(user.id, active).await?;
    let action = if active { "user.activate" } else { "user.deactivate" };
    audit::record(app, operator, action, format!("user {}", user.id), "").await;
    app.auth.forget_user(user.id);
    if !active {
        sign_out(app, user.id).await?;
        // Also those of an existing system's tokens.
        app.engine.close_user(user.id, CloseCode::SignedOut, "the account is deactivated");
    }
    Ok(ok(&shown(changed.ok_or_else(ApiError::no_user)?)))
}

pub(crate) async fn token(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(user): Params<String>,
    request: Request,
) -> ApiResult {
    let wanted: NewToken = body(request).await?;
    if let Some(name) = &wanted.device_name {
        check_display_name(name).map_err(|e| Invalid::new("device_name", e.message))?;
    }
    let user = named(&app, &user).await?;
    if !user.is_active {
        return Err(ApiError::new(ErrorCode::Conflict, "The account is deactivated."));
    }
    let (session, token) = app.auth.sign_in(user.id, wanted.device_name).await?;
    let detail = format!("session {}", session.id);
    audit::record(&app, operator, "user.token", format!("user {}", user.id), detail).await;
    close_oldest(&app, user.id).await?;
    Ok(ok(&Token { user_id: user.id, token, session_id: session.id.to_string() }))
}

/// A password of 16 characters, 96 bits.
pub(crate) fn new_password() -> Result<String, ApiError> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| ApiError::internal(&error))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}
