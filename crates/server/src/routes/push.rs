//! Devices that are reached while their user is away, and what one wants to be told.

use std::sync::Arc;

use axum::extract::State;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ostracon_domain::{Millis, PushSetting};
use ostracon_proto::{Body as _, ErrorCode, Invalid, rest};
use ostracon_push::DeviceKeys;
use ostracon_store::{
    DirectoryError,
    directory::{NewSubscription, Subscription},
};

use crate::{
    app::App,
    auth::Identity,
    error::{ApiError, ApiResult},
    extract::{Caller, Params, Payload},
    push::endpoint,
    respond::{created, no_content, ok},
};

/// How long a device without a session of ours lasts.
const FOREIGN_MS: Millis = 60 * 86_400_000;

/// As browsers write it, with or without padding.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) async fn vapid_key(State(app): State<Arc<App>>, _: Caller) -> ApiResult {
    let key = app.push.vapid()?.public().to_owned();
    std::future::ready(Ok(ok(&rest::VapidPublicKey { key }))).await
}

pub(crate) async fn subscribe(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    body: Payload,
) -> ApiResult {
    app.push.vapid()?;
    let body = rest::Subscribe::read(&body.0)?;
    endpoint::checked(&body.endpoint, app.push.private_addresses)
        .map_err(|wrong| Invalid::new("endpoint", wrong))?;
    let wrong = || Invalid::new("keys.p256dh", "must be a point of P-256: 65 bytes, base64url");
    let p256dh = bytes(&body.keys.p256dh).ok_or_else(wrong)?;
    let auth = bytes(&body.keys.auth)
        .ok_or_else(|| Invalid::new("keys.auth", "must be 16 bytes, base64url"))?;
    if !(DeviceKeys { p256dh, auth }).are_good() {
        return Err(wrong().into());
    }
    let now = app.clock.now();
    let is_foreign = caller.is_foreign();
    let new = NewSubscription {
        user: caller.user,
        session: (!is_foreign).then_some(caller.session),
        endpoint: body.endpoint,
        p256dh,
        auth,
        expires_at: is_foreign.then_some(now + FOREIGN_MS),
    };
    let made = match app.directory.subscribe(new, now).await {
        // The session ended this moment.
        Err(DirectoryError::Refused(_)) => return Err(ApiError::unauthorized()),
        made => made?,
    };
    app.engine.subscribed(caller.user);
    Ok(created(&shown(&app, caller, made)))
}

pub(crate) async fn list(State(app): State<Arc<App>>, Caller(caller): Caller) -> ApiResult {
    app.push.vapid()?;
    let found = app.directory.subscriptions(caller.user, app.clock.now()).await?;
    let subscriptions = found.into_iter().map(|one| shown(&app, caller, one)).collect();
    Ok(ok(&rest::PushSubscriptions { subscriptions }))
}

pub(crate) async fn edit(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<u64>,
    body: Payload,
) -> ApiResult {
    app.push.vapid()?;
    let body = rest::EditSubscription::read(&body.0)?;
    let found = match body.enabled {
        Some(enabled) => app.directory.enable_subscription(caller.user, id, enabled).await?,
        None => {
            let all = app.directory.subscriptions(caller.user, app.clock.now()).await?;
            all.into_iter().find(|one| one.id == id)
        }
    };
    Ok(ok(&shown(&app, caller, found.ok_or_else(none)?)))
}

pub(crate) async fn unsubscribe(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<u64>,
) -> ApiResult {
    app.push.vapid()?;
    if app.directory.unsubscribe(caller.user, id).await? { Ok(no_content()) } else { Err(none()) }
}

pub(crate) async fn settings(State(app): State<Arc<App>>, Caller(caller): Caller) -> ApiResult {
    app.push.vapid()?;
    Ok(ok(&settings_of(app.directory.push_setting(caller.user).await?)))
}

pub(crate) async fn edit_settings(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    body: Payload,
) -> ApiResult {
    app.push.vapid()?;
    let body = rest::EditPushSettings::read(&body.0)?;
    let before = app.directory.push_setting(caller.user).await?;
    let after = PushSetting {
        scope: body.scope.unwrap_or(before.scope),
        preview: body.preview.unwrap_or(before.preview),
    };
    if after != before && !app.directory.set_push_setting(caller.user, after).await? {
        return Err(ApiError::unauthorized());
    }
    Ok(ok(&settings_of(after)))
}

fn settings_of(setting: PushSetting) -> rest::PushSettings {
    rest::PushSettings { scope: setting.scope, preview: setting.preview }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    KEYS.decode(text).ok()?.try_into().ok()
}

fn none() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "No such device.")
}

fn shown(app: &App, caller: Identity, device: Subscription) -> rest::PushSubscription {
    let url = endpoint::checked(&device.endpoint, app.push.private_addresses).ok();
    rest::PushSubscription {
        subscription_id: device.id.to_string(),
        session_id: device.session.map(|session| session.to_string()),
        service: url.and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default(),
        created_at: device.created_at,
        expires_at: device.expires_at,
        enabled: device.enabled,
        current: device.session == Some(caller.session),
    }
}
