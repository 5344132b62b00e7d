//! Chance as an argument: client ids and the jitter of retries come from here.

use std::time::Duration;

/// A source of random numbers. Tests hand in a seeded one.
pub trait Random: Send {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;
}

/// The randomness of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn next_u64(&mut self) -> u64 {
        // Systems without a random source do not run this program; jitter without it is still jitter.
        getrandom::u64().unwrap_or_default()
    }
}

/// A new client id: a random UUID, which servers store in 16 bytes.
pub fn client_id(random: &mut dyn Random) -> String {
    let bits = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}

/// First bound of a retry's delay; it doubles with every further failure.
const BACK_OFF_FIRST: Duration = Duration::from_millis(250);
/// Largest bound of a retry's delay.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Doublings after which the bound is at its maximum anyway.
const DOUBLINGS_MAX: u32 = 10;

/// Full jitter: anything from nothing to a bound that doubles with every failure in a row (the
/// first is number 0), so that clients that failed together do not come back together.
pub fn back_off(random: &mut dyn Random, failures: u32) -> Duration {
    let bound = BACK_OFF_FIRST * (1 << failures.min(DOUBLINGS_MAX));
    spread(random, bound.min(BACK_OFF_MAX))
}

/// A delay that the server asked for, and up to half as much again.
pub fn asked_delay(random: &mut dyn Random, asked: Duration) -> Duration {
    asked + spread(random, asked / 2)
}

fn spread(random: &mut dyn Random, bound: Duration) -> Duration {
    let ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.next_u64() % ms.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);
    impl Random for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    #[test]
    fn delays_stay_below_a_bound_that_doubles_and_ends() {
        let mut step = Fixed(7);
        for failures in 0..100 {
            for value in [0, 1, 999, u64::MAX] {
                step.0 = value;
                let bound = (250_u64 << failures.min(20)).min(30_000);
                assert!(back_off(&mut step, failures) <= Duration::from_millis(bound));
            }
        }
        step.0 = 250;
        assert_eq!(back_off(&mut step, 0), Duration::from_millis(250));
        step.0 = 500;
        let asked = Duration::from_secs(1);
        assert_eq!(asked_delay(&mut step, asked), Duration::from_millis(1500));
    }

    #[test]
    fn client_ids_have_the_shape_that_is_stored_small() {
        let id = client_id(&mut Fixed(0x0123_4567_89ab_cdef));
        assert_eq!(id, "01234567-89ab-4def-8123-456789abcdef");
    }
}
