//! Checks that neither rustc nor clippy make: layers, file heads, banned calls, links, tables.
//!
//! Every check is a function that returns sentences; `run` prints them all and fails if there is one.
//! To add one: a function in the file of its subject, a call in `run`, a case in its tests.

mod architecture;
mod docs;
mod layers;
mod manifest;
mod mask;
mod sources;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::metadata::Metadata;
use crate::mutants::Mutants;
use crate::tree::{self, Tree};

/// Where the rules of the text checks stand; not searched itself.
const RULES: &str = "xtask/tidy.toml";
/// A longer file is mentioned, not refused: length alone is no fault.
const LINES_WARNED: usize = 900;

/// Words and exceptions, from `xtask/tidy.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    machine_paths: Vec<String>,
    words: Vec<String>,
    #[serde(default)]
    allow: Vec<Exception>,
}

/// One rule does not hold in one file or folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    file: String,
    reason: String,
}

/// One broken rule in one place.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// Name of the rule, for exceptions.
    rule: &'static str,
    file: String,
    /// 0 when the whole file is meant.
    line: usize,
    what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}: {} [{}]", self.file, self.line, self.what, self.rule)
    }
}

/// Runs every check over the workspace.
pub(crate) fn run() -> Result<()> {
    let metadata = Metadata::load(false)?;
    let root = metadata.workspace_root.as_path();
    let files = tree::walk(root)?;
    let rules = fs::read_to_string(root.join(RULES)).context(RULES)?;
    let rules: Rules = toml::from_str(&rules).context(RULES)?;
    let layers = fs::read_to_string(root.join("xtask/layers.toml")).context("xtask/layers.toml")?;
    let layers = layers::Table::parse(&layers)?;

    let mut problems = layers.check(&metadata);
    problems.extend(manifest::check_workspace(&root_text(root, "Cargo.toml")?));
    for package in metadata.members() {
        let text = fs::read_to_string(&package.manifest_path)?;
        problems.extend(manifest::check_member(package.plain_name(), &text));
    }
    problems.extend(architecture::check(&root_text(root, "ARCHITECTURE.md")?, &layers));
    problems.extend(Mutants::load(root)?.stale(root));

    let mut found = Vec::new();
    let mut lines = 0;
    for (relative, path) in &files {
        let Some(text) = tree::read_text(path)? else {
            continue;
        };
        if relative != RULES {
            found.extend(sources::check_text(relative, &text, &rules));
        }
        if is_source(relative, "rs") {
            found.extend(sources::check_rust(relative, &text));
            lines += text.lines().count();
        }
        if is_source(relative, "rs") || is_source(relative, "md") {
            found.extend(docs::check(relative, &text, &files));
        }
    }
    problems.extend(without_exceptions(found, &rules.allow));

    for sentence in long_files(&files)? {
        println!("warning: {sentence}");
    }
    for sentence in manifest::unused(&metadata, &root_text(root, "Cargo.toml")?) {
        println!("warning: {sentence}");
    }
    if !problems.is_empty() {
        bail!("tidy found {} problems\n{}", problems.len(), problems.join("\n"));
    }
    println!("tidy: {} files, {lines} lines of Rust", files.len());
    Ok(())
}

fn root_text(root: &Path, name: &str) -> Result<String> {
    fs::read_to_string(root.join(name)).with_context(|| format!("reading {name}"))
}

fn is_source(relative: &str, extension: &str) -> bool {
    Path::new(relative).extension().is_some_and(|found| found == extension)
}

/// Drops what `tidy.toml` excuses, and complains about excuses that excuse nothing.
fn without_exceptions(found: Vec<Problem>, allow: &[Exception]) -> Vec<String> {
    let mut used = vec![false; allow.len()];
    let mut sentences = Vec::new();
    for problem in found {
        let excuse = allow.iter().position(|one| one.covers(&problem));
        match excuse {
            Some(index) => used[index] = true,
            None => sentences.push(problem.to_string()),
        }
    }
    for (exception, used) in allow.iter().zip(used) {
        let Exception { rule, file, reason } = exception;
        if !used {
            sentences.push(format!("{RULES}: the exception of {file} from {rule} is not needed"));
        }
        if reason.trim().is_empty() {
            sentences.push(format!("{RULES}: the exception of {file} from {rule} has no reason"));
        }
    }
    sentences
}

impl Exception {
    fn covers(&self, problem: &Problem) -> bool {
        let folder = self.file.ends_with('/') && problem.file.starts_with(&self.file);
        self.rule == problem.rule && (folder || self.file == problem.file)
    }
}

fn long_files(files: &Tree) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for (relative, path) in files {
        if is_source(relative, "rs") {
            let lines = fs::read_to_string(path)?.lines().count();
            if lines > LINES_WARNED {
                sentences
                    .push(format!("{relative} has {lines} lines: has its second noun arrived?"));
            }
        }
    }
    Ok(sentences)
}

#[cfg(test)]
mod tests {
    use super::{Exception, Problem, without_exceptions};

    fn problem(rule: &'static str, file: &str) -> Problem {
        Problem { rule, file: file.to_owned(), line: 3, what: "sleeps".to_owned() }
    }

    fn exception(file: &str, reason: &str) -> Exception {
        Exception { rule: "sleep".to_owned(), file: file.to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn an_exception_covers_its_rule_and_file_only() {
        let found = vec![problem("sleep", "a.rs"), problem("words", "a.rs")];
        let left = without_exceptions(found, &[exception("a.rs", "polls a child process")]);
        assert_eq!(left, ["a.rs:3: sleeps [words]"]);
    }

    #[test]
    fn an_exception_may_cover_a_folder() {
        let found = vec![problem("sleep", "tests/it/a.rs"), problem("sleep", "tests/itx.rs")];
        let left = without_exceptions(found, &[exception("tests/it/", "polls")]);
        assert_eq!(left, ["tests/itx.rs:3: sleeps [sleep]"]);
    }

    #[test]
    fn an_idle_or_unexplained_exception_fails() {
        assert_eq!(without_exceptions(Vec::new(), &[exception("a.rs", "x")]).len(), 1);
        let found = vec![problem("sleep", "a.rs")];
        assert_eq!(without_exceptions(found, &[exception("a.rs", " ")]).len(), 1);
    }
}
