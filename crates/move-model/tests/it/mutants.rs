//! Every guard is needed: without it one of its configurations finds a fault. A guard with a
//! partner is needed as soon as the partner is gone.

use std::collections::BTreeSet;

use ostracon_move_model::{
    configuration::Configuration,
    guard::{Guard, Removed},
    model::Model,
    mutants::{MUTANTS, Mutant},
    search::search,
};

use crate::pool;

const PAGE: &str = include_str!("../../../../docs/model.md");

/// How a mutant's row in the page's table begins and ends. `None` for one that nothing notices.
fn row_of(mutant: &Mutant) -> Option<(String, String)> {
    let (configuration, outcome) = mutant.search()?;
    let start = format!("| `{}` |", mutant.name());
    let end = match outcome.refutation {
        Some(refutation) => format!(
            " | `{}` | {} | {} |",
            configuration.name,
            refutation.trace.len(),
            refutation.violation
        ),
        None => {
            let redundant = mutant.redundant?;
            format!(" | nowhere | | redundant {} |", redundant.why)
        }
    };
    Some((start, end))
}

#[test]
fn every_mutant_is_refuted_as_the_page_says() {
    let missing: Vec<_> = pool::map(MUTANTS, row_of)
        .into_iter()
        .map(|row| row.expect("is refuted or has a partner"))
        .filter(|(start, end)| {
            !PAGE.lines().any(|line| line.starts_with(start) && line.ends_with(end))
        })
        .collect();
    assert!(missing.is_empty(), "docs/model.md lacks these rows: {missing:#?}");
}

#[test]
fn a_redundant_guard_is_needed_once_its_partner_is_gone() {
    let pairs: Vec<_> = MUTANTS
        .iter()
        .filter_map(|mutant| Some((mutant.removed[0], mutant.redundant?.partner)))
        .collect();
    assert_eq!(pairs.len(), 4);
    pool::map(&pairs, |(guard, partner)| {
        let without = MUTANTS.iter().find(|mutant| {
            mutant.removed.len() == 2
                && mutant.removed.contains(guard)
                && mutant.removed.contains(partner)
        });
        let configuration = Configuration::named(without.unwrap().tried[0]).unwrap();
        let holds = |removed: &[Guard]| {
            search(&Model::new(configuration, Removed::of(removed))).refutation.is_none()
        };
        assert!(holds(&[*guard]), "{guard} alone in {}", configuration.name);
        assert!(holds(&[*partner]), "{partner} alone in {}", configuration.name);
        assert!(!holds(&[*guard, *partner]), "{guard} and {partner} in {}", configuration.name);
    });
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<_> = MUTANTS.iter().map(Mutant::name).collect();
    assert_eq!(names.len(), MUTANTS.len());
}
