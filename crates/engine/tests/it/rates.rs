//! Limits of users and sessions: a burst, then a steady rate.

use std::num::NonZeroU32;

use ostracon_engine::{Allowance, EngineError, RateLimits, Remaining};
use serde_json::json;

use crate::world::{ALICE, BOB, Plan, World, pass};

fn limits(burst: u32, per_second: u32) -> RateLimits {
    let number = |n| NonZeroU32::new(n).unwrap();
    RateLimits::new(Allowance { burst: number(burst), per_second: number(per_second) })
}

#[tokio::test(start_paused = true)]
async fn a_session_has_three_quarters_of_its_users_allowance() {
    let limits = limits(8, 4);
    let taken = |user, session| (0..20).take_while(|_| limits.check(user, session).is_ok()).count();
    assert_eq!(taken(ALICE, 1), 6);
    assert_eq!(taken(ALICE, 2), 2);
    assert_eq!(taken(ALICE, 3), 0);
    assert_eq!(taken(BOB, 4), 6, "others are not concerned");
    // Three a second come back to the session, four to the user.
    pass(1_000).await;
    assert_eq!(taken(ALICE, 1), 3);
    assert_eq!(taken(ALICE, 5), 1);
    pass(60_000).await;
    limits.tidy();
    assert_eq!(taken(ALICE, 1), 6);
    limits.tidy();
    assert_eq!(taken(ALICE, 1), 0, "who is not idle is remembered");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_and_when_to_come_back() {
    let limits = limits(8, 4);
    assert_eq!(limits.check(ALICE, 1), Ok(Remaining { limit: 8, remaining: 5, reset_s: 1 }));
    while limits.check(ALICE, 1).is_ok() {}
    let Err(EngineError::RateLimited(wait_ms)) = limits.check(ALICE, 1) else {
        panic!("it should be limited")
    };
    assert!((1..=334).contains(&wait_ms), "{wait_ms}");
    pass(wait_ms).await;
    assert!(limits.check(ALICE, 1).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_flood_on_a_connection_is_refused_and_everything_is_answered() {
    let world = World::planned(Plan { allowance: Some((8, 4)), ..Plan::default() }).await;
    let alice = world.connect(ALICE).await;
    for number in 0..10 {
        alice.send(&world, "send_message", number, json!({"to": 2, "content": "x"})).await;
        alice.send(&world, "heartbeat", number, json!({})).await;
    }
    world.settle().await;
    let words = alice.words();
    let count = |what| words.iter().filter(|words| words.contains(what)).count();
    assert_eq!((count("sent"), count("error rate_limited"), count("heartbeat")), (6, 4, 10));
    assert_eq!(alice.connection.in_flight(), 0);
}
