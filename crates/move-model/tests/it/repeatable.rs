//! A search finds the same trace each time: nothing depends on addresses, hashes or threads.

use ostracon_move_model::{
    configuration::Configuration,
    guard::{Guard, Removed},
    model::Model,
    search::search,
};

#[test]
fn two_searches_give_the_same_trace() {
    let base = Configuration::named("base").unwrap();
    let model = Model::new(base, Removed::of(&[Guard::Noting, Guard::Compare]));
    let first = search(&model);
    assert_eq!(first, search(&model));
    let trace = first.refutation.unwrap().trace;
    assert_eq!(trace.len(), 18);
    assert_eq!(trace[0], "router 0 sends w0 (Append x) as (p, 1) to A");
}

#[test]
fn a_trace_that_ends_in_a_broken_step_names_the_rule() {
    let abort = Configuration::named("abort").unwrap();
    let outcome = search(&Model::new(abort, Removed::of(&[Guard::AbortCompare])));
    let trace = outcome.refutation.unwrap().trace;
    assert_eq!(trace.last().unwrap(), "COMMITTED is followed by ABORTING");
}
