//! What is busy is found among many that are not, and fades when it stops.

use ostracon_domain::{ConversationId, UnitId, UserId};

use super::{Cost, Heat};
use crate::limits::{HEAT_COUNTERS, HEAT_WINDOW};

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn write(a: u64, b: u64) -> Cost {
    let (a, b) = (user(a), user(b));
    let id = ConversationId::direct(a, b);
    let unit = id.slot().unit();
    Cost { unit, conversation: Some(id), users: [Some(a), Some(b)], cost: 3 }
}

#[tokio::test(start_paused = true)]
async fn the_busy_are_found_among_many_and_fade() {
    let heat = Heat::new();
    let many = 10 * HEAT_COUNTERS as u64;
    for window in 0..6 {
        // User 1 talks to everybody a little, 2 and 3 with each other a lot.
        for other in 0..many {
            heat.add([write(1, 10 + other)]);
            heat.add([write(10 + other, 20 + other + window)]);
            if other % 10 == 0 {
                heat.add([write(2, 3)]);
            }
        }
        tokio::time::advance(HEAT_WINDOW).await;
    }
    let hottest = heat.hottest(3);
    assert_eq!(hottest.users[0].what, user(1));
    let of_user = many as f64 / HEAT_WINDOW.as_secs_f64();
    assert!((0.9..=1.0).contains(&(hottest.users[0].cost / of_user)), "{hottest:?}");
    assert_eq!(hottest.conversations[0].what, ConversationId::direct(user(2), user(3)));
    let of_pair = 3.0 * many as f64 / 10.0 / HEAT_WINDOW.as_secs_f64();
    assert!((0.5..=1.0).contains(&(hottest.conversations[0].cost / of_pair)), "{hottest:?}");
    assert!(hottest.conversations.get(1).is_none_or(|next| next.cost * 10.0 < of_pair));
    assert_eq!(hottest.units[0].what, ConversationId::direct(user(2), user(3)).slot().unit());
    let before = hottest.users[0].cost;
    tokio::time::advance(HEAT_WINDOW).await;
    let after = heat.hottest(1).users[0].cost;
    assert!(after < before * 0.6 && after > before * 0.4, "{after} of {before}");
    tokio::time::advance(HEAT_WINDOW * 1_000).await;
    assert_eq!(heat.hottest(3), super::Hottest::default());
}

#[tokio::test(start_paused = true)]
async fn a_present_window_is_not_told_before_it_is_over() {
    let heat = Heat::new();
    heat.add([Cost::of_list(UnitId(7), user(1))]);
    assert!(heat.hottest(1).users.is_empty());
    tokio::time::advance(HEAT_WINDOW).await;
    let hottest = heat.hottest(1);
    assert_eq!((hottest.users[0].what, hottest.units[0].what), (user(1), UnitId(7)));
    assert!(hottest.conversations.is_empty());
}
