//! How often one may try to sign in or up: from one address with one name, from one address with any name, and with one
//! name from addresses that nobody has signed in from with it before.
//!
//! The last is against somebody who guesses from many addresses. It locks nobody out: where a person has signed in
//! lately, only the first two count, and sessions go on whatever others try.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};
use ostracon_engine::EngineError;
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::{config::RateLimits, error::ApiError};

type Keyed<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>;

/// With any name, so many times as often as with one.
const ANY_NAME: u32 = 10;
/// With one name from addresses that are not known for it, so many times as often as from one.
const ANY_ADDRESS: u32 = 3;
/// Names and addresses that belong together; beyond it all are forgotten.
const KNOWN_MAX: usize = 200_000;

pub(crate) struct Attempts {
    with_name: Keyed<(IpAddr, u64)>,
    with_any: Keyed<IpAddr>,
    of_strangers: Keyed<u64>,
    known: Mutex<FxHashSet<(IpAddr, u64)>>,
    clock: DefaultClock,
}

impl Attempts {
    /// None where there are no limits.
    pub(super) fn new(config: &RateLimits) -> Option<Self> {
        let one = NonZeroU32::new(config.sign_ins_per_minute).filter(|_| config.enabled)?;
        let times = |n| Some(Quota::per_minute(one.saturating_mul(NonZeroU32::new(n)?)));
        Some(Self {
            with_name: RateLimiter::keyed(Quota::per_minute(one)),
            with_any: RateLimiter::keyed(times(ANY_NAME)?),
            of_strangers: RateLimiter::keyed(times(ANY_ADDRESS)?),
            known: Mutex::default(),
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
        let (address, name) = (network(address), hash(name));
        self.with_any.check_key(&address).map_err(wait)?;
        self.with_name.check_key(&(address, name)).map_err(wait)?;
        if self.known.lock().contains(&(address, name)) {
            return Ok(());
        }
        self.of_strangers.check_key(&name).map_err(wait)
    }

    /// Remembers that somebody has signed in with this name from there.
    pub(crate) fn succeeded(&self, address: IpAddr, name: &str) {
        let mut known = self.known.lock();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert((network(address), hash(name)));
    }

    /// Forgets who has the whole allowance again; to be called now and then.
    pub(crate) fn tidy(&self) {
        self.with_name.retain_recent();
        self.with_name.shrink_to_fit();
        self.with_any.retain_recent();
        self.with_any.shrink_to_fit();
        self.of_strangers.retain_recent();
        self.of_strangers.shrink_to_fit();
    }
}

/// What counts as one address: with IPv6 a customer has at least the last 64 bits to himself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut segments = address.segments();
            segments[4..].fill(0);
            Ipv6Addr::from(segments).into()
        }
        address => address,
    }
}

/// Of a name in any case.
fn hash(name: &str) -> u64 {
    let mut first = [0; 8];
    let folded = name.to_ascii_lowercase();
    first.copy_from_slice(&blake3::hash(folded.as_bytes()).as_bytes()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> Attempts {
        let config = RateLimits { sign_ins_per_minute: 2, ..RateLimits::default() };
        Attempts::new(&config).unwrap()
    }

    fn v4(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn many_addresses_that_guess_lock_nobody_out() {
        let attempts = attempts();
        attempts.succeeded(v4(1), "Alice");
        let strangers = (2..100).filter(|n| attempts.check(v4(*n), "alice").is_ok()).count();
        assert_eq!(strangers, 6);
        assert!(attempts.check(v4(200), "alice").is_err());
        assert!(attempts.check(v4(1), "alice").is_ok(), "where she has signed in before");
        assert!(attempts.check(v4(200), "bob").is_ok());
    }

    #[test]
    fn a_network_counts_as_one_address() {
        let attempts = attempts();
        let in_network = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, 2, n, n, n, n]);
        let good = (1..10).filter(|n| attempts.check(in_network(*n), "alice").is_ok()).count();
        assert_eq!(good, 2);
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 1, 3, 1, 1, 1, 1]);
        assert!(attempts.check(elsewhere, "alice").is_ok());
        let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]);
        let good = [v4(1), mapped, v4(1)].map(|address| attempts.check(address, "bob").is_ok());
        assert_eq!(good, [true, true, false]);
    }
}
