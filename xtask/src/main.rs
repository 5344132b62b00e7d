//! The repository's own tools: `cargo xtask tidy | generate | licences | mutants`.
//!
//! Nothing here is part of the product. To add a command: one module with a `run` function, one arm
//! in `main`, one line in `USAGE`.
#![expect(clippy::print_stdout, reason = "a command line tool: its output is its purpose")]

mod generate;
mod licences;
mod metadata;
mod mutants;
mod spdx;
mod tidy;
mod tree;
mod typescript;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  tidy                     layers, file heads, banned calls, links, the crate table
  generate [--check]       write the generated documents, or say which ones have drifted
  licences                 licences, sources and banned crates of every dependency (deny.toml)
  mutants [--only NAME]    remove each guard of xtask/mutants.toml and see a test fail
          [--list]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["tidy"] => tidy::run(),
        ["generate"] => generate::run(generate::Mode::Write),
        ["generate", "--check"] => generate::run(generate::Mode::Check),
        ["licences"] => licences::run(),
        ["mutants"] => mutants::run(&mutants::Which::All),
        ["mutants", "--only", name] => mutants::run(&mutants::Which::Only((*name).to_owned())),
        ["mutants", "--list"] => mutants::list(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("unknown command: {}\n\n{USAGE}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
