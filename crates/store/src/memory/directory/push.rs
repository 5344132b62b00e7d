//! The twin's devices and settings of push.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ostracon_domain::{Millis, PushSetting, UserId};

use super::{MemoryDirectory, Result, State, runs};
use crate::directory::{
    DirectoryError, NewSubscription, Push, Subscription, push::SUBSCRIPTIONS_MAX,
};

#[derive(Default)]
pub(super) struct Subscribed {
    devices: BTreeMap<u64, Subscription>,
    last: u64,
    settings: BTreeMap<UserId, PushSetting>,
}

impl State {
    /// What the other backends do with a reference.
    fn drop_orphans(&mut self) {
        let sessions = &self.sessions;
        self.push.devices.retain(|_, device| {
            device.session.is_none_or(|session| sessions.contains_key(&session))
        });
    }
}

#[async_trait]
impl Push for MemoryDirectory {
    async fn subscribe(&self, new: NewSubscription, now: Millis) -> Result<Subscription> {
        let mut state = self.state.lock();
        state.drop_orphans();
        let own = |id: u64| state.sessions.get(&id).is_some_and(|d| d.session.user == new.user);
        if !state.users.contains_key(&new.user) || !new.session.is_none_or(own) {
            return Err(DirectoryError::Refused("there is no such user or session".to_owned()));
        }
        let push = &mut state.push;
        let same = push.devices.values().find(|known| known.endpoint == new.endpoint);
        let renewed = same.filter(|known| known.user == new.user).cloned();
        push.devices.retain(|_, known| known.endpoint != new.endpoint);
        let (id, created_at, enabled) = match renewed {
            Some(known) => (known.id, known.created_at, known.enabled),
            None => {
                push.last += 1;
                (push.last, now, true)
            }
        };
        let NewSubscription { user, session, endpoint, p256dh, auth, expires_at } = new;
        let device = Subscription {
            id,
            user,
            session,
            endpoint,
            p256dh,
            auth,
            created_at,
            expires_at,
            enabled,
        };
        push.devices.insert(id, device.clone());
        let own: Vec<_> = push
            .devices
            .values()
            .filter(|known| known.user == user)
            .map(|known| known.id)
            .collect();
        let too_many = own.len().saturating_sub(SUBSCRIPTIONS_MAX);
        for old in own.iter().filter(|old| **old != id).take(too_many) {
            push.devices.remove(old);
        }
        Ok(device)
    }

    async fn subscriptions(&self, user: UserId, now: Millis) -> Result<Vec<Subscription>> {
        let mut state = self.state.lock();
        state.drop_orphans();
        if !state.users.get(&user).is_some_and(|account| account.user.is_active) {
            return Ok(Vec::new());
        }
        let lives = |device: &&Subscription| {
            let session = device.session.and_then(|id| state.sessions.get(&id));
            device.user == user
                && device.expires_at.is_none_or(|end| end > now)
                && session.is_none_or(|of| runs(&of.session, now))
        };
        Ok(state.push.devices.values().filter(lives).cloned().collect())
    }

    async fn enable_subscription(
        &self,
        user: UserId,
        id: u64,
        enabled: bool,
    ) -> Result<Option<Subscription>> {
        let mut state = self.state.lock();
        state.drop_orphans();
        let device = state.push.devices.get_mut(&id).filter(|device| device.user == user);
        Ok(device.map(|device| {
            device.enabled = enabled;
            device.clone()
        }))
    }

    async fn unsubscribe(&self, user: UserId, id: u64) -> Result<bool> {
        let mut state = self.state.lock();
        state.drop_orphans();
        let is_own = state.push.devices.get(&id).is_some_and(|device| device.user == user);
        Ok(is_own && state.push.devices.remove(&id).is_some())
    }

    async fn subscribed_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        let mut state = self.state.lock();
        state.drop_orphans();
        let mut users: Vec<_> = state.push.devices.values().map(|device| device.user).collect();
        users.sort_unstable();
        users.dedup();
        users.retain(|user| after.is_none_or(|after| *user > after));
        users.truncate(limit as usize);
        Ok(users)
    }

    async fn push_setting(&self, user: UserId) -> Result<PushSetting> {
        Ok(self.state.lock().push.settings.get(&user).copied().unwrap_or_default())
    }

    async fn set_push_setting(&self, user: UserId, setting: PushSetting) -> Result<bool> {
        let mut state = self.state.lock();
        let is_known = state.users.contains_key(&user);
        if is_known {
            state.push.settings.insert(user, setting);
        }
        Ok(is_known)
    }
}
