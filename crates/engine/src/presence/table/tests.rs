//! What watchers are told, step by step and against the plainest telling of the rules.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{Millis, UserId};
use proptest::prelude::*;

use super::{BATCH, Seen, Table, Tick, Told, TooMany};
use crate::limits::WATCHED_MAX;

const ALICE: UserId = user(1);
const BOB: UserId = user(2);
const GRACE: Tick = 5_000;

const fn user(id: u64) -> UserId {
    match UserId::new(id) {
        Ok(user) => user,
        Err(_) => panic!("not a user id"),
    }
}

/// Everything that is due is told.
fn told(table: &mut Table, now: Tick) -> Vec<Told> {
    table.pass(now);
    table.take(now, usize::MAX)
}

fn online(user: UserId, watchers: &[u64]) -> Told {
    let seen = Seen { online: true, last_seen: None };
    Told { user, seen, watchers: watchers.to_vec() }
}

fn offline(user: UserId, last_seen: Millis, watchers: &[u64]) -> Told {
    let seen = Seen { online: false, last_seen: Some(last_seen) };
    Told { user, seen, watchers: watchers.to_vec() }
}

#[test]
fn changes_are_told_once_in_batches() {
    let mut table = Table::default();
    table.watch(7, &[(ALICE, true, None), (BOB, false, None)]).unwrap();
    table.arrive(ALICE, 10);
    table.arrive(BOB, 20);
    table.arrive(ALICE, 30);
    assert_eq!(table.next_due(), Some(10 + BATCH));
    assert_eq!(told(&mut table, 9 + BATCH), []);
    assert_eq!(told(&mut table, 10 + BATCH), [online(ALICE, &[7]), online(BOB, &[])]);
    assert_eq!(table.next_due(), None);
}

#[test]
fn who_comes_back_within_the_grace_was_never_away() {
    let mut table = Table::default();
    table.watch(7, &[(ALICE, true, None)]).unwrap();
    table.arrive(ALICE, 0);
    told(&mut table, BATCH);
    table.depart(ALICE, 1_000, GRACE, 500);
    assert!(table.seen(ALICE).online);
    table.arrive(ALICE, 5_999);
    assert_eq!(told(&mut table, 60_000), []);
    table.depart(ALICE, 60_000, GRACE, 900);
    assert_eq!(table.next_due(), Some(65_000));
    assert_eq!(told(&mut table, 64_999), []);
    // A little late, and not later for it: the batch began at the end of the grace.
    assert_eq!(told(&mut table, 65_000 + BATCH), [offline(ALICE, 900, &[7])]);
}

#[test]
fn who_has_one_connection_left_is_there() {
    let mut table = Table::default();
    table.arrive(ALICE, 0);
    table.arrive(ALICE, 0);
    table.depart(ALICE, 1, 0, 1);
    table.pass(1_000);
    assert!(table.seen(ALICE).online);
    table.depart(ALICE, 1_000, 0, 999);
    table.pass(1_000);
    assert_eq!(table.seen(ALICE), Seen { online: false, last_seen: Some(999) });
}

#[test]
fn who_watches_too_many_watches_no_more_than_before() {
    let mut table = Table::default();
    let all: Vec<_> = (1..=WATCHED_MAX as u64).map(|id| (user(id), true, None)).collect();
    table.watch(7, &all).unwrap();
    let one_more = [(user(1), true, None), (user(9_999), true, None)];
    assert_eq!(table.watch(7, &one_more), Err(TooMany));
    assert_eq!(table.watched_by(7).len(), WATCHED_MAX);
    table.watch(7, &all).unwrap();
    table.unwatch(7, user(1));
    table.watch(7, &[(user(9_999), true, None)]).unwrap();
    assert_eq!(table.watch(8, &[&all[..], &one_more[1..]].concat()), Err(TooMany));
    assert!(!table.is_watching(8));
}

#[test]
fn nothing_is_kept_of_who_is_neither_there_nor_watched() {
    let mut table = Table::default();
    table.arrive(ALICE, 0);
    table.watch(7, &[(BOB, true, Some(3))]).unwrap();
    told(&mut table, BATCH);
    table.depart(ALICE, 1_000, GRACE, 900);
    told(&mut table, 6_000 + BATCH);
    assert_eq!(table.len(), 1);
    table.forget(7);
    assert_eq!(table.len(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Arrive(u64),
    Depart(u64, Tick),
    Watch(u64, u64, bool),
    Unwatch(u64, u64),
    Forget(u64),
    Sees(u64, u64, bool),
    Pass(Tick),
}

fn step() -> impl Strategy<Value = Step> {
    let (users, lines) = (1..5_u64, 10..14_u64);
    prop_oneof![
        users.clone().prop_map(Step::Arrive),
        (users.clone(), prop_oneof![Just(0), Just(GRACE), 0..GRACE])
            .prop_map(|(user, grace)| Step::Depart(user, grace)),
        (lines.clone(), users.clone(), any::<bool>()).prop_map(|(l, u, s)| Step::Watch(l, u, s)),
        (lines.clone(), users.clone()).prop_map(|(line, user)| Step::Unwatch(line, user)),
        lines.clone().prop_map(Step::Forget),
        (lines, users, any::<bool>()).prop_map(|(l, u, s)| Step::Sees(l, u, s)),
        (0..2 * GRACE).prop_map(Step::Pass),
    ]
}

/// The rules said in the plainest way.
#[derive(Default)]
struct Plain {
    present: BTreeMap<u64, u32>,
    grace: BTreeMap<u64, Tick>,
    watch: BTreeMap<(u64, u64), bool>,
    /// What each watcher believes of each user it watches.
    belief: BTreeMap<(u64, u64), bool>,
}

impl Plain {
    fn is_online(&self, user: u64, now: Tick) -> bool {
        self.present.get(&user).is_some_and(|n| *n > 0)
            || self.grace.get(&user).is_some_and(|at| *at > now)
    }
}

proptest! {
    /// Whatever happens: once everything due is told, each watcher believes what is true, and nobody else is told.
    #[test]
    fn watchers_believe_what_is_true(steps in prop::collection::vec(step(), 0..120)) {
        let (mut table, mut plain, mut now) = (Table::default(), Plain::default(), 0);
        for step in steps {
            now += 1;
            match step {
                Step::Arrive(u) => {
                    table.arrive(user(u), now);
                    *plain.present.entry(u).or_default() += 1;
                    plain.grace.remove(&u);
                }
                Step::Depart(u, grace) => {
                    let Some(n) = plain.present.get_mut(&u).filter(|n| **n > 0) else { continue };
                    *n -= 1;
                    table.depart(user(u), now, grace, now as Millis);
                    if plain.present[&u] == 0 {
                        plain.grace.insert(u, now + grace);
                    }
                }
                Step::Watch(line, u, sees) => {
                    table.watch(line, &[(user(u), sees, None)]).unwrap();
                    plain.watch.insert((line, u), sees);
                    plain.belief.insert((line, u), sees && table.told(user(u)).online);
                }
                Step::Unwatch(line, u) => {
                    table.unwatch(line, user(u));
                    plain.watch.remove(&(line, u));
                }
                Step::Forget(line) => {
                    table.forget(line);
                    plain.watch.retain(|(l, _), _| *l != line);
                }
                Step::Sees(line, u, sees) => {
                    if let Some(known) = plain.watch.get_mut(&(line, u)) {
                        *known = sees;
                    }
                    if let Some(seen) = table.set_sees(line, user(u), sees) {
                        plain.belief.insert((line, u), seen.online);
                    }
                }
                Step::Pass(span) => {
                    now += span;
                    prop_assert!(table.next_due().is_none_or(|due| due <= now) || told(&mut table, now).is_empty());
                    // Graces that have just ended are told a batch later.
                    let mut all = told(&mut table, now);
                    now += BATCH;
                    all.extend(told(&mut table, now));
                    let mut users = BTreeSet::new();
                    for Told { user, seen, watchers } in all {
                        for line in watchers {
                            prop_assert_eq!(plain.watch.get(&(line, user.get())), Some(&true));
                            plain.belief.insert((line, user.get()), seen.online);
                        }
                        users.insert(user);
                    }
                    for ((line, u), sees) in &plain.watch {
                        let is_true = *sees && plain.is_online(*u, now);
                        // A grace that ended within this last batch is told with the next.
                        let pending = table.next_due().is_some_and(|due| due <= now + BATCH);
                        prop_assert!(pending || plain.belief[&(*line, *u)] == is_true, "{} of {}", line, u);
                    }
                }
            }
            let watched: BTreeSet<_> = plain.watch.keys().map(|(_, u)| *u).collect();
            for u in 1..5 {
                if plain.is_online(u, now) {
                    prop_assert!(table.seen(user(u)).online, "{} is there", u);
                }
            }
            prop_assert!(table.len() <= 4);
            prop_assert!(watched.iter().all(|u| !table.watchers_of(user(*u)).is_empty()));
        }
    }
}
