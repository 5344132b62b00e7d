//! A search over schedules: a small server and the real [`Device`](super::Device), with connections
//! that are cut, answers that come late or never, frames that are dropped, crashes and restores.
//!
//! This is docs/model/sync_model.py with its device half replaced by the code that ships. The server
//! half, the configurations and the names of the broken rules are the same; so are the properties:
//!
//! - safety, in every state: inside the interval shown there is no gap, no image that was never on
//!   this line of numbers and none older than at the rev claimed; nothing shown goes back;
//! - liveness, from every state: with no more commits, cuts, crashes, losses and wishes, every run of
//!   the rest ends, and ends equal to the server.
//!
//! Differences. A request has one moment more here: it is asked, computed and applied, so that its
//! position may be older than the device when it is computed. The configuration `hold` is left out:
//! it is about frames without a history, which the wire does not have. Broken rules of the server
//! are not repeated; the python model refutes them.

mod check;
mod configs;
mod key;
mod search;
mod tables;
mod walk;
mod world;

use super::faults::Fault;
use configs::{CONFIGS, config};

/// Searches a configuration to its end and expects that everything holds.
#[track_caller]
fn holds(name: &str) {
    let outcome = search::search(config(name), None);
    assert_eq!(outcome.broken, None, "{name}, after {} states", outcome.states);
    assert!(outcome.states > 100, "{name}: only {} states", outcome.states);
}

/// Searches a configuration with a broken rule and expects that it is noticed.
#[track_caller]
fn refuted(fault: Fault, name: &str, expect: &str) {
    let outcome = search::search(config(name), Some(fault));
    let broken = outcome.broken.unwrap_or_default();
    assert!(
        broken.starts_with(expect),
        "{fault:?} in {name}: {broken:?} after {} states",
        outcome.states
    );
}

macro_rules! holds {
    ($($test:ident: $($name:literal)+;)+) => {$(
        #[test]
        fn $test() {
            $(holds($name);)+
        }
    )+};
}

holds! {
    nothing_is_lost_by_cuts_crashes_and_overflow: "base" "over" "split";
    nothing_is_lost_when_one_message_changes_twice: "twice";
    nothing_is_lost_when_the_list_lags: "applied";
    nothing_is_lost_before_the_first_listing: "fresh";
    nothing_is_lost_before_the_first_page: "listed";
    older_pages_join_what_is_held: "older";
    older_pages_join_through_cut_answers: "olderlim" "reads";
    deletions_join_like_edits: "deletions" "deletions_older";
    large_groups_catch_up: "large" "flip" "nodesbig";
    a_restore_is_followed: "restore" "restfirst";
    a_repair_is_followed: "repair" "live";
    several_nodes_lose_messages_between_them: "nodes" "nodes+";
}

macro_rules! refuted {
    ($($test:ident: $fault:ident $name:literal $expect:literal;)+) => {$(
        #[test]
        fn $test() {
            refuted(Fault::$fault, $name, $expect);
        }
    )+};
}

refuted! {
    page_older_than_held_shown_at_once: PageOld "older" "stale";
    page_older_than_held_asked_once: Once "older" "stale";
    newer_page_raises_the_own_rev: PageRev "older" "stale";
    rows_taken_without_comparing: Merge "twice" "back";
    events_applied_over_a_jump: Jump "over" "stale";
    more_not_followed: More "pages" "hole";
    rows_above_a_gap_shown: ShowAll "pages" "hole";
    history_not_looked_at: History "restore" "";
    answers_from_before_a_drop_used: KeepRequests "restfirst" "stuck";
    cursor_moved_by_events: CursorByEvents "over" "stuck";
    heard_before_the_first_page_forgotten: Forget "listed" "stuck";
    sync_required_swallowed: Coalesce "large" "stuck";
}

/// Every configuration, the largest included, by random schedules.
#[test]
fn random_schedules_hold_in_every_configuration() {
    for config in CONFIGS {
        for seed in 0..300 {
            let outcome = walk::walk(config, None, seed);
            assert_eq!(outcome, Ok(()), "{} seed {seed}", config.name);
        }
    }
}
