//! Being reached while away: devices of a push service and what one wants to be told. Endpoints and keys are checked by the
//! server; what is pushed is described in `docs/push.md`.

use crate::{body, schema};
use ostracon_domain::{Millis, PushScope};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `POST /api/v1/push/subscriptions`: what `PushSubscription.toJSON()` of a browser gives.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Subscribe {
    /// Where the push service takes messages; https, at most 2,000 bytes.
    pub endpoint: String,
    /// The keys that messages are encrypted with.
    #[serde(deserialize_with = "body::object")]
    pub keys: SubscriptionKeys,
}

/// Keys of a device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SubscriptionKeys {
    /// Its public key: an uncompressed point of P-256, base64url.
    pub p256dh: String,
    /// Its secret: 16 bytes, base64url.
    pub auth: String,
}

/// Whoever knows an endpoint can write to the device.
impl fmt::Debug for Subscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").finish_non_exhaustive()
    }
}

impl fmt::Debug for SubscriptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionKeys").finish_non_exhaustive()
    }
}

/// A device that is reached while its user is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PushSubscription {
    /// Its id, for changing and forgetting it.
    pub subscription_id: String,
    /// The session it goes with; null for tokens of another system.
    #[schema(required = true)]
    pub session_id: Option<String>,
    /// Host of the push service.
    pub service: String,
    /// When it was added.
    #[schema(value_type = schema::Millis)]
    pub created_at: Millis,
    /// When it ends by itself; null when only with its session.
    #[schema(value_type = Option<schema::Millis>, required = true)]
    pub expires_at: Option<Millis>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// Whether it is of the session that asks.
    pub current: bool,
}

/// `GET /api/v1/push/subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PushSubscriptions {
    /// One's own devices, by rising id; at most 20.
    pub subscriptions: Vec<PushSubscription>,
}

/// `PATCH /api/v1/push/subscriptions/{subscription_id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditSubscription {
    /// Whether it is told anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What one wants to be told while away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PushSettings {
    /// Of which messages.
    #[schema(value_type = schema::PushScope)]
    pub scope: PushScope,
    /// Whether the text is told with it.
    pub preview: bool,
}

/// `PATCH /api/v1/push/settings`; what is left out stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditPushSettings {
    /// Of which messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PushScope>)]
    pub scope: Option<PushScope>,
    /// Whether the text is told with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<bool>,
}

/// `GET /api/v1/push/vapid-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VapidPublicKey {
    /// For `applicationServerKey` of `PushManager.subscribe`: base64url. It stays as long as the data does.
    pub key: String,
}

body::plain_body!(
    Subscribe,
    PushSubscriptions,
    PushSubscription,
    EditSubscription,
    PushSettings,
    EditPushSettings,
    VapidPublicKey,
);
