//! Searches the model by hand: tables of configurations and mutants, and the shortest trace to a
//! fault. The same searches run as tests.
#![expect(clippy::print_stdout, reason = "a command line tool: its output is its purpose")]

use std::{process::ExitCode, time::Instant};

use ostracon_move_model::{
    configuration::{CONFIGURATIONS, Configuration},
    guard::Removed,
    model::Model,
    mutants::{MUTANTS, Mutant},
    search::{Outcome, search},
};

const USAGE: &str = "explore                          every configuration, then every mutant
explore CONFIGURATION…           these configurations
explore --mutants                every mutant
explore --mutant NAME…           these mutants: a guard, or guards joined by +
explore … --trace                with the shortest trace to each fault
explore --list                   names";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |option: &str| words.iter().any(|word| word == option);
    let names: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let trace = has("--trace");
    if has("--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if has("--list") {
        list();
        return ExitCode::SUCCESS;
    }
    let only_mutants = has("--mutants") || has("--mutant");
    let (configurations, mutants) = match (only_mutants, names.is_empty()) {
        (true, true) => (Vec::new(), MUTANTS.iter().collect()),
        (true, false) => (Vec::new(), chosen(&names, Mutant::named)),
        (false, true) => (CONFIGURATIONS.iter().collect(), MUTANTS.iter().collect()),
        (false, false) => (chosen(&names, Configuration::named), Vec::new()),
    };
    if configurations.is_empty() && mutants.is_empty() {
        println!("no such name\n\n{USAGE}");
        return ExitCode::FAILURE;
    }
    let mut fine = true;
    for configuration in configurations {
        fine &= run_configuration(configuration, trace);
    }
    for mutant in mutants {
        fine &= run_mutant(mutant, trace);
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn chosen<T>(names: &[&str], named: impl Fn(&str) -> Option<&'static T>) -> Vec<&'static T> {
    names.iter().filter_map(|name| named(name)).collect()
}

fn list() {
    for configuration in CONFIGURATIONS {
        println!("{:16}  {}", configuration.name, configuration.about);
    }
    println!();
    for mutant in MUTANTS {
        println!("{:32}  {}", mutant.name(), mutant.tried.join(" "));
    }
}

fn run_configuration(configuration: &'static Configuration, trace: bool) -> bool {
    let start = Instant::now();
    let outcome = search(&Model::new(configuration, Removed::NOTHING));
    let verdict = outcome.refutation.as_ref().map(|refutation| refutation.violation.to_string());
    println!(
        "{:16} {:9} states {:6.2} s  {}",
        configuration.name,
        outcome.states,
        start.elapsed().as_secs_f64(),
        verdict.as_deref().unwrap_or("holds"),
    );
    show(&outcome, trace);
    outcome.refutation.is_none()
}

fn run_mutant(mutant: &'static Mutant, trace: bool) -> bool {
    let name = mutant.name();
    let Some((configuration, outcome)) = mutant.search() else { return false };
    let Some(refutation) = &outcome.refutation else {
        let why = mutant.redundant.map_or("for no known reason", |redundant| redundant.why);
        println!("{name:32} not refuted: redundant {why}");
        return mutant.redundant.is_some();
    };
    println!(
        "{name:32} {:12} {:3} steps  {}",
        configuration.name,
        refutation.trace.len(),
        refutation.violation
    );
    show(&outcome, trace);
    true
}

fn show(outcome: &Outcome, trace: bool) {
    let steps = outcome.refutation.iter().flat_map(|refutation| &refutation.trace);
    for (number, step) in (1..).zip(steps).take_while(|_| trace) {
        println!("    {number:3}. {step}");
    }
}
