//! How often one address may try to sign in or up: with one name, and with any.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};
use ostracon_engine::EngineError;

use crate::{config::RateLimits, error::ApiError};

type Keyed<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>;

/// With any name, so many times as often as with one.
const ANY_NAME: u32 = 10;

pub(crate) struct Attempts {
    with_name: Keyed<(IpAddr, u64)>,
    with_any: Keyed<IpAddr>,
    clock: DefaultClock,
}

impl Attempts {
    /// None where there are no limits.
    pub(super) fn new(config: &RateLimits) -> Option<Self> {
        let one = NonZeroU32::new(config.sign_ins_per_minute).filter(|_| config.enabled)?;
        Some(Self {
            with_name: RateLimiter::keyed(Quota::per_minute(one)),
            with_any: RateLimiter::keyed(Quota::per_minute(
                one.saturating_mul(NonZeroU32::new(ANY_NAME)?),
            )),
            clock: DefaultClock::default(),
        })
    }

    /// Takes one attempt.
    pub(crate) fn check(&self, address: IpAddr, name: &str) -> Result<(), ApiError> {
        let wait = |until: governor::NotUntil<_>| {
            let wait: Duration = until.wait_time_from(self.clock.now());
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            ApiError::from(EngineError::RateLimited(ms))
        };
        let mut name_hash = [0; 8];
        let folded = name.to_ascii_lowercase();
        name_hash.copy_from_slice(&blake3::hash(folded.as_bytes()).as_bytes()[..8]);
        self.with_any.check_key(&address).map_err(wait)?;
        let key = (address, u64::from_be_bytes(name_hash));
        self.with_name.check_key(&key).map_err(wait)
    }

    /// Forgets who has the whole allowance again; to be called now and then.
    pub(crate) fn tidy(&self) {
        self.with_name.retain_recent();
        self.with_name.shrink_to_fit();
        self.with_any.retain_recent();
        self.with_any.shrink_to_fit();
    }
}
