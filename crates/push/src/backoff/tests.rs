//! How long is waited.

use std::time::Duration;

use super::{ATTEMPTS_MAX, LIFE_MS, wait_ms};

#[test]
fn waits_double_up_to_an_hour() {
    assert_eq!((wait_ms(1, None, 0), wait_ms(1, None, u32::MAX)), (2_500, 5_000));
    assert_eq!((wait_ms(2, None, 0), wait_ms(2, None, u32::MAX)), (5_000, 10_000));
    assert_eq!((wait_ms(99, None, 0), wait_ms(99, None, u32::MAX)), (1_800_000, 3_600_000));
    let all: u64 = (1..ATTEMPTS_MAX).map(|n| wait_ms(n, None, u32::MAX)).sum();
    assert!(all < LIFE_MS as u64);
}

#[test]
fn the_other_side_may_ask_for_longer() {
    assert_eq!(wait_ms(1, Some(Duration::from_secs(60)), 0), 60_000);
    assert_eq!(wait_ms(1, Some(Duration::from_secs(1)), 0), 2_500);
    assert_eq!(wait_ms(1, Some(Duration::from_secs(u64::MAX)), 0), 3_600_000);
}
