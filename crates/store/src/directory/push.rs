//! Devices that are reached through a push service while their user is away, and what users want to be told.

use std::fmt;

use async_trait::async_trait;
use ostracon_domain::{Millis, PushSetting, UserId};

use super::Result;

/// Devices of one user; one more ends the oldest.
pub const SUBSCRIPTIONS_MAX: usize = 20;

/// A device that is reached through a push service.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its number; rising, never reused.
    pub id: u64,
    /// Whose.
    pub user: UserId,
    /// The session it dies with; none for a token of an existing system.
    pub session: Option<u64>,
    /// Where the push service takes messages for it; unique, and a secret between it and us.
    pub endpoint: String,
    /// Its public key: a point of P-256, uncompressed.
    pub p256dh: [u8; 65],
    /// Its secret.
    pub auth: [u8; 16],
    /// When it was taken in.
    pub created_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// Whether it wants to be told anything.
    pub enabled: bool,
}

/// Whoever knows an endpoint and its keys can write to the device.
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("session", &self.session)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// A device to take in.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// Whose.
    pub user: UserId,
    /// The session it dies with; none for a token of an existing system.
    pub session: Option<u64>,
    /// Where the push service takes messages for it; at most 2,000 bytes.
    pub endpoint: String,
    /// Its public key: a point of P-256, uncompressed.
    pub p256dh: [u8; 65],
    /// Its secret.
    pub auth: [u8; 16],
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
}

/// Whoever knows an endpoint and its keys can write to the device.
impl fmt::Debug for NewSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSubscription")
            .field("user", &self.user)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Devices and settings of push. A device is gone when its session is.
#[async_trait]
pub trait Push: Send + Sync {
    /// Takes a device in. One with the same endpoint is renewed if it is this user's, keeping its number and whether it
    /// is enabled, and taken from whomever else it was. Of more than [`SUBSCRIPTIONS_MAX`] of a user the oldest go.
    ///
    /// # Errors
    /// `Refused` when there is no such user, or no such session of this user.
    async fn subscribe(&self, new: NewSubscription, now: Millis) -> Result<Subscription>;
    /// A user's devices whose time and whose session's time is not over, by number; none of a user who is out of use.
    async fn subscriptions(&self, user: UserId, now: Millis) -> Result<Vec<Subscription>>;
    /// Says whether a device of this user wants to be told anything; the device, or none if there is none.
    async fn enable_subscription(
        &self,
        user: UserId,
        id: u64,
        enabled: bool,
    ) -> Result<Option<Subscription>>;
    /// Forgets a device of this user; whether there was one.
    async fn unsubscribe(&self, user: UserId, id: u64) -> Result<bool>;
    /// Users with a device, by number, after `after`, at most `limit`.
    async fn subscribed_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>>;
    /// What a user wants to be told; the default of whom nothing was set.
    async fn push_setting(&self, user: UserId) -> Result<PushSetting>;
    /// Replaces what a user wants to be told; whether there is such a user.
    async fn set_push_setting(&self, user: UserId, setting: PushSetting) -> Result<bool>;
}
