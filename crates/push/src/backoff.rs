//! When something that failed is tried again, and when no more. Pure; chance is an argument.

use std::time::Duration;

use ostracon_domain::Millis;

/// After so many failures an errand is given up.
pub const ATTEMPTS_MAX: u32 = 15;
/// How long an errand may wait in all, milliseconds; then it is given up.
pub const LIFE_MS: Millis = 24 * 3_600_000;

const FIRST_MS: u64 = 5_000;
const LONGEST_MS: u64 = 3_600_000;

/// How long to wait after so many failures, this one included, milliseconds: twice as long each time, up to an hour, and of that
/// between half and all. `told`: how long the other side asks for, at least.
pub(crate) fn wait_ms(failures: u32, told: Option<Duration>, chance: u32) -> u64 {
    let doubled = FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let most = doubled.min(LONGEST_MS);
    let half = most / 2;
    let wait = half + half * u64::from(chance) / u64::from(u32::MAX);
    let told = told.map_or(0, |told| u64::try_from(told.as_millis()).unwrap_or(LONGEST_MS));
    wait.max(told.min(LONGEST_MS))
}

#[cfg(test)]
mod tests;
