//! How many commands a user and a session may send: GCRA, checked before anything is done.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware, nanos::Nanos,
    state::keyed::DefaultKeyedStateStore,
};
use ostracon_domain::UserId;
use tokio::time::Instant;

use crate::error::EngineError;

type Keyed<K> = RateLimiter<K, DefaultKeyedStateStore<K>, Monotonic, StateInformationMiddleware>;

/// Limits of one kind: so many at once, refilled at so many a second.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Commands at once.
    pub burst: NonZeroU32,
    /// Commands a second in the long run.
    pub per_second: NonZeroU32,
}

/// What a response's headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// Commands at once.
    pub limit: u32,
    /// Commands left now.
    pub remaining: u32,
    /// Seconds until all are there again.
    pub reset_s: u64,
}

/// Limits of users and sessions.
pub struct RateLimits {
    users: Keyed<UserId>,
    sessions: Keyed<u64>,
    clock: Monotonic,
    allowance: Allowance,
}

/// The runtime's clock: it never goes back, and a test can move it.
#[derive(Debug, Clone, Copy)]
struct Monotonic(Instant);

impl Clock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

impl RateLimits {
    /// Limits with an allowance for each user; one session may use three quarters of it.
    pub fn new(allowance: Allowance) -> Self {
        let share = |n: NonZeroU32| {
            let part = u64::from(n.get()) * 3 / 4;
            NonZeroU32::new(part as u32).unwrap_or(n)
        };
        let session =
            Allowance { burst: share(allowance.burst), per_second: share(allowance.per_second) };
        let clock = Monotonic(Instant::now());
        Self { users: keyed(allowance, clock), sessions: keyed(session, clock), clock, allowance }
    }

    /// Takes one command of a session.
    ///
    /// # Errors
    /// `RateLimited` with the time to wait.
    pub fn check(&self, user: UserId, session: u64) -> Result<Remaining, EngineError> {
        let wait = |until: governor::NotUntil<_>| {
            let wait: Duration = until.wait_time_from(self.clock.now());
            // Rounded up: who comes back then is let in.
            let ms = wait.as_nanos().div_ceil(1_000_000);
            EngineError::RateLimited(u64::try_from(ms).unwrap_or(u64::MAX).max(1))
        };
        let session = self.sessions.check_key(&session).map_err(wait)?;
        let user = self.users.check_key(&user).map_err(wait)?;
        let remaining = user.remaining_burst_capacity().min(session.remaining_burst_capacity());
        let limit = self.allowance.burst.get();
        let used = u64::from(limit.saturating_sub(remaining));
        let reset_s = used.div_ceil(u64::from(self.allowance.per_second.get()));
        Ok(Remaining { limit, remaining, reset_s })
    }

    /// Forgets users and sessions that have their whole allowance again; to be called now and then.
    pub fn tidy(&self) {
        self.users.retain_recent();
        self.users.shrink_to_fit();
        self.sessions.retain_recent();
        self.sessions.shrink_to_fit();
    }
}

fn keyed<K: Clone + Eq + std::hash::Hash>(allowance: Allowance, clock: Monotonic) -> Keyed<K> {
    let quota = Quota::per_second(allowance.per_second).allow_burst(allowance.burst);
    Keyed::new(quota, DefaultKeyedStateStore::default(), clock)
}
