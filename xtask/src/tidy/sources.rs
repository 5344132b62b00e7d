//! Rules about text: how a Rust file starts, calls that are banned, words that are banned anywhere.

use super::mask::mask;
use super::{Problem, Rules};

/// The only place where a Cargo feature may change what is compiled …
const FEATURES_LIVE_IN: &str = "crates/server/src/backends.rs";
/// … except this one, which opens twins and contract suites to the tests of other crates.
const TESTING: &str = "feature = \"testing\"";

/// Rules for every text file.
pub(super) fn check_text(file: &str, text: &str, rules: &Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut report = |rule, what| problems.push(problem(rule, file, index + 1, what));
        for path in &rules.machine_paths {
            if line.contains(path) {
                report("machine-paths", format!("a path of one machine: {path}"));
            }
        }
        for word in &rules.words {
            if has_word(line, word) {
                report("words", format!("the word {word}"));
            }
        }
    }
    problems
}

/// Rules for every Rust file.
pub(super) fn check_rust(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        let what = "a file opens with `//!`: what it is and what it is not".to_owned();
        problems.push(problem("head", file, 1, what));
    }
    let masked = mask(text);
    let lines: Vec<&str> = masked.lines().collect();
    let tests_from = if is_test_file(file) { 0 } else { first_test_line(&lines) };
    for (index, (line, raw)) in lines.iter().zip(text.lines()).enumerate() {
        let mut report = |rule, what: &str| {
            problems.push(problem(rule, file, index + 1, what.to_owned()));
        };
        if line.contains("#[ignore") {
            report("ignore", "a test that is not run proves nothing");
        }
        for name in ["todo", "unimplemented"] {
            if line.contains(&format!("{name}!")) && has_word(line, name) {
                report("unfinished", &format!("`{name}!`"));
            }
        }
        if index >= tests_from && (calls(line, "sleep") || calls(line, "sleep_until")) {
            report("sleep", "a test waits for an event or moves the clock, it never sleeps");
        }
        if looks_at_feature(line, raw) && file != FEATURES_LIVE_IN {
            report("cfg-feature", &format!("features are looked at only in {FEATURES_LIVE_IN}"));
        }
    }
    problems
}

fn problem(rule: &'static str, file: &str, line: usize, what: String) -> Problem {
    Problem { rule, file: file.to_owned(), line, what }
}

/// Whether code depends on a feature other than `testing`.
fn looks_at_feature(masked: &str, raw: &str) -> bool {
    let features = masked.matches("feature =").count();
    masked.contains("cfg") && features > raw.matches(TESTING).count()
}

fn is_test_file(file: &str) -> bool {
    let parts = || file.split('/');
    parts().any(|part| part == "tests")
        || parts().next_back().is_some_and(|name| name == "tests.rs")
}

/// The first line of `#[cfg(test)] mod name {`; past the end when there is none.
fn first_test_line(lines: &[&str]) -> usize {
    lines
        .windows(2)
        .position(|pair| {
            let module = pair[1].trim_start();
            pair[0].trim() == "#[cfg(test)]" && module.starts_with("mod ") && module.ends_with('{')
        })
        .unwrap_or(lines.len())
}

/// Whether `name(` is called; the definition `fn name(` does not count.
fn calls(line: &str, name: &str) -> bool {
    let call = format!("{name}(");
    line.match_indices(&call).any(|(at, _)| {
        let before = &line[..at];
        !before.ends_with(is_word) && !before.trim_end().ends_with("fn")
    })
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::{check_rust, check_text};
    use crate::tidy::Rules;

    fn rust(file: &str, body: &str, expect: &[(&str, usize)]) {
        let text = format!("//! A file.\n{body}");
        let got = check_rust(file, &text);
        let got: Vec<(&str, usize)> = got.iter().map(|one| (one.rule, one.line)).collect();
        assert_eq!(got, expect, "{file}: {body}");
    }

    #[test]
    fn banned_calls() {
        rust("src/a.rs", "fn f() { todo!() }", &[("unfinished", 2)]);
        rust("src/a.rs", "// todo!() was here\n", &[]);
        rust("src/a.rs", "const A: &str = \"unimplemented!\";", &[]);
        rust("src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[("ignore", 3)]);
        rust("src/a.rs", "#[cfg(feature = \"x\")]\nmod a;", &[("cfg-feature", 2)]);
        rust("crates/server/src/backends.rs", "#[cfg(feature = \"x\")]\nmod a;", &[]);
    }

    #[test]
    fn tests_do_not_sleep() {
        let sleeps = "time::sleep(d).await;";
        rust("src/a.rs", sleeps, &[]);
        rust("src/tests.rs", sleeps, &[("sleep", 2)]);
        rust("crates/a/tests/it/b.rs", sleeps, &[("sleep", 2)]);
        let inside = format!("{sleeps}\n#[cfg(test)]\nmod tests {{\n{sleeps}\n}}");
        rust("src/a.rs", &inside, &[("sleep", 5)]);
        rust("src/a.rs", &format!("#[cfg(test)]\nmod tests;\n{sleeps}"), &[]);
        rust("src/tests.rs", "fn sleep() {}\nfn oversleep() { asleep(); }", &[]);
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert!(check_rust("a.rs", "//! What.\n").is_empty());
        for text in ["", "use a;\n", "// What.\n", "\n//! What.\n"] {
            assert_eq!(check_rust("a.rs", text).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn banned_words() {
        let rules = Rules {
            machine_paths: vec!["/somebody/".to_owned()],
            words: vec!["LATER".to_owned()],
            allow: Vec::new(),
        };
        let text = "fine later\nLATER: x\nTHE_LATER_ONE\ncd /somebody/x\n";
        let got = check_text("a.md", text, &rules);
        let got: Vec<(&str, usize)> = got.iter().map(|one| (one.rule, one.line)).collect();
        assert_eq!(got, [("words", 2), ("machine-paths", 4)]);
    }
}
