//! The server's clock, as an argument.

use std::sync::atomic::{AtomicI64, Ordering};

use ostracon_domain::Millis;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Unix milliseconds, UTC. It may go back; whoever needs order keeps it himself.
    fn now(&self) -> Millis;
}

/// The operating system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the real time is read")]
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as Millis)
    }
}

/// A clock that a test sets.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at a time.
    pub const fn new(now: Millis) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves to a time, also back.
    pub fn set(&self, now: Millis) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// Moves by a span.
    pub fn advance(&self, ms: Millis) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::Relaxed)
    }
}
