//! When typing is told and when it ends, step by step and at random.

use std::collections::BTreeMap;

use ostracon_domain::{ConversationId, UserId};
use proptest::prelude::*;

use super::{AGAIN, GAP, LIFE, Place, Typers};
use crate::{limits::TYPING_PER_CONNECTION_MAX, presence::table::Tick};

fn place(n: u64) -> Place {
    let user = |id| UserId::new(id).unwrap();
    (ConversationId::direct(user(1), user(n + 2)), user(1))
}

#[test]
fn who_types_is_told_at_once_again_now_and_then_and_at_the_end() {
    let mut typers = Typers::default();
    assert_eq!(typers.heard(place(0), 7, true, 0), Some(true));
    assert_eq!(typers.heard(place(0), 7, true, 2_000), None);
    assert_eq!(typers.heard(place(0), 7, true, AGAIN), Some(true));
    assert_eq!(typers.next_due(), Some(AGAIN + LIFE));
    assert_eq!(typers.pass(AGAIN + LIFE - 1), []);
    assert_eq!(typers.pass(AGAIN + LIFE), [(place(0), false)]);
    assert_eq!(typers.pass(AGAIN + LIFE + GAP), []);
    assert!(typers.is_empty());
}

#[test]
fn whoever_wavers_is_told_once_in_a_gap() {
    let mut typers = Typers::default();
    assert_eq!(typers.heard(place(0), 7, false, 0), None, "nobody was typing");
    assert_eq!(typers.heard(place(0), 7, true, 0), Some(true));
    for n in 1..10 {
        assert_eq!(typers.heard(place(0), 7, n % 2 == 0, n * 10), None);
    }
    assert_eq!(typers.next_due(), Some(GAP));
    assert_eq!(typers.pass(GAP), [(place(0), false)]);
    assert_eq!(typers.pass(2 * GAP), []);
    assert!(typers.is_empty());
}

#[test]
fn a_lost_connection_types_no_longer() {
    let mut typers = Typers::default();
    typers.heard(place(0), 7, true, 0);
    typers.heard(place(1), 8, true, 0);
    typers.forget(7, 3_000);
    assert_eq!(typers.pass(3_000), [(place(0), false)]);
    typers.forget(7, 3_000);
    assert_eq!(typers.pass(LIFE), [(place(1), false)]);
}

#[test]
fn one_connection_types_in_so_many_places() {
    let mut typers = Typers::default();
    for n in 0..TYPING_PER_CONNECTION_MAX as u64 {
        assert_eq!(typers.heard(place(n), 7, true, 0), Some(true));
    }
    assert_eq!(typers.heard(place(99), 7, true, 0), None);
    assert_eq!(typers.heard(place(99), 8, true, 0), Some(true));
    assert_eq!(typers.heard(place(0), 7, true, AGAIN), Some(true), "one of its own");
}

proptest! {
    /// Whatever is heard: what is told alternates but for repetitions of "types", never twice in a gap, and in the end
    /// everybody has stopped and nothing is kept.
    #[test]
    fn it_always_ends(steps in prop::collection::vec((0..3_u64, 0..3_u64, any::<bool>(), any::<bool>(), 0..3_000_u64), 0..80)) {
        let (mut typers, mut now) = (Typers::default(), 0);
        let mut last: BTreeMap<Place, (Tick, bool)> = BTreeMap::new();
        let mut check = |place: Place, is_typing: bool, now: Tick| {
            if let Some((at, before)) = last.insert(place, (now, is_typing)) {
                prop_assert!(now >= at + GAP);
                prop_assert!(before != is_typing || (is_typing && now >= at + AGAIN));
            } else {
                prop_assert!(is_typing);
            }
            Ok(())
        };
        for (n, connection, is_typing, is_lost, span) in steps {
            if is_lost {
                typers.forget(connection, now);
            } else if let Some(told) = typers.heard(place(n), connection, is_typing, now) {
                check(place(n), told, now)?;
            }
            // As the engine does: at each moment that is due, and no later.
            let until = now + span;
            while let Some(due) = typers.next_due().filter(|due| *due <= until) {
                now = now.max(due);
                for (place, told) in typers.pass(now) {
                    check(place, told, now)?;
                }
            }
            now = until;
        }
        for _ in 0..20 {
            now += LIFE;
            for (place, told) in typers.pass(now) {
                check(place, told, now)?;
            }
        }
        prop_assert!(typers.is_empty());
        prop_assert!(last.values().all(|(_, is_typing)| !is_typing));
    }
}
