//! Every configuration holds, with exactly the states that it is known to have. A change of the
//! protocol changes these numbers; a change of the code alone must not.

use ostracon_move_model::{
    configuration::{CONFIGURATIONS, Configuration},
    guard::Removed,
    model::Model,
    search::search,
};

use crate::pool;

/// Configurations and their reachable states.
const STATES: &[(&str, usize)] = &[
    ("base", 5_170),
    ("birth", 8_225),
    ("pages", 4_658),
    ("two", 6_766),
    ("late", 18_355),
    ("late2", 27_526),
    ("abort", 80_991),
    ("takeover", 529_215),
    ("takeover2", 153_221),
    ("s-restart", 762_278),
    ("d-restart", 751_365),
    ("moveback", 63_381),
    ("carve", 222_887),
    ("carve-late", 202_717),
    ("carve-back", 10_302),
    ("merge", 80_300),
    ("carve-zombie", 251_396),
    ("pipeline", 3_696),
    ("pipe-carve", 4_706),
    ("reads", 964_699),
    ("dispatch", 12_883),
    ("retry", 68_865),
    ("s-restart-late", 35_316),
    ("d-restart-late", 11_240),
    ("sd-restart", 55_208),
    ("zombie-late2", 208_940),
    ("moveback-zombie", 472_675),
];

#[test]
fn every_configuration_is_listed_here_once() {
    let known: Vec<_> = CONFIGURATIONS.iter().map(|configuration| configuration.name).collect();
    let listed: Vec<_> = STATES.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, listed);
}

#[test]
fn every_configuration_holds() {
    let outcomes = pool::map(STATES, |(name, _)| {
        let configuration = Configuration::named(name).unwrap();
        search(&Model::new(configuration, Removed::NOTHING))
    });
    for ((name, states), outcome) in STATES.iter().zip(outcomes) {
        if let Some(refutation) = outcome.refutation {
            let trace = refutation.trace.join("\n");
            panic!("{name}: {}\n{trace}", refutation.violation);
        }
        assert_eq!(outcome.states, *states, "states of {name}");
    }
}
