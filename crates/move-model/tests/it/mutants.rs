//! Every guard is needed: without it one of its configurations finds a fault.

use std::collections::BTreeSet;

use ostracon_move_model::mutants::{MUTANTS, Mutant};

use crate::pool;

#[test]
fn every_mutant_is_refuted_unless_its_guard_has_a_partner() {
    let outcomes = pool::map(MUTANTS, Mutant::search);
    for (mutant, outcome) in MUTANTS.iter().zip(outcomes) {
        let (_, outcome) = outcome.expect("names configurations that exist");
        let refuted = outcome.refutation.is_some();
        assert_eq!(refuted, mutant.redundant.is_none(), "{}", mutant.name());
    }
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<_> = MUTANTS.iter().map(Mutant::name).collect();
    assert_eq!(names.len(), MUTANTS.len());
}
