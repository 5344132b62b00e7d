//! How often a user may begin an upload, and how many may be open at once: his and everybody's.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};
use ostracon_domain::UserId;
use ostracon_engine::EngineError;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::{config::RateLimits, error::ApiError};

/// Open uploads of one user; one more is `rate_limited`.
const OF_USER_MAX: u32 = 8;
/// Open uploads of everybody; one more is `busy`.
const OF_ALL_MAX: u32 = 1_024;
/// When one that is refused may try again, milliseconds.
const AGAIN_MS: u64 = 1_000;

type Keyed = RateLimiter<UserId, DefaultKeyedStateStore<UserId>, DefaultClock>;

/// Open uploads, and how many were begun. The lock is held for a look-up.
pub(crate) struct Uploads {
    open: Arc<Mutex<Open>>,
    begun: Option<Keyed>,
    clock: DefaultClock,
}

#[derive(Default)]
struct Open {
    of_users: FxHashMap<UserId, u32>,
    all: u32,
}

/// One open upload, counted until it is dropped.
pub(crate) struct OpenUpload {
    open: Arc<Mutex<Open>>,
    user: UserId,
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.all -= 1;
        if let Some(count) = open.of_users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.of_users.remove(&self.user);
            }
        }
    }
}

impl Uploads {
    pub(super) fn new(rates: &RateLimits, per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).filter(|_| rates.enabled);
        Self {
            open: Arc::default(),
            begun: per_minute.map(|one| RateLimiter::keyed(Quota::per_minute(one))),
            clock: DefaultClock::default(),
        }
    }

    /// Counts an upload that begins.
    pub(crate) fn begin(&self, user: UserId) -> Result<OpenUpload, ApiError> {
        if let Some(begun) = &self.begun {
            begun.check_key(&user).map_err(|until| {
                let wait: Duration = until.wait_time_from(self.clock.now());
                let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
                ApiError::from(EngineError::RateLimited(ms))
            })?;
        }
        self.open(user)
    }

    /// Counts a part of an upload that was begun before.
    pub(crate) fn open(&self, user: UserId) -> Result<OpenUpload, ApiError> {
        let mut open = self.open.lock();
        if open.all >= OF_ALL_MAX {
            return Err(ApiError::busy());
        }
        let count = open.of_users.entry(user).or_default();
        if *count >= OF_USER_MAX {
            return Err(EngineError::RateLimited(AGAIN_MS).into());
        }
        *count += 1;
        open.all += 1;
        Ok(OpenUpload { open: Arc::clone(&self.open), user })
    }

    /// Forgets who has the whole allowance again; to be called now and then.
    pub(crate) fn tidy(&self) {
        if let Some(begun) = &self.begun {
            begun.retain_recent();
            begun.shrink_to_fit();
        }
    }
}
