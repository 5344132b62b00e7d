//! Links and names of documents and folders lead to files that exist. Addresses of other places are
//! not tried.

use super::Problem;
use crate::tree::Tree;

/// Folders whose paths are checked where a document names them in backticks.
const FOLDERS: [&str; 5] = ["crates/", "dev/", "docs/", "xtask/", ".ci/"];

/// Checks the links of a Markdown file and the paths it names, and in Markdown and in whole-line Rust
/// comments every word that ends in `.md`.
pub(super) fn check(file: &str, text: &str, files: &Tree) -> Vec<Problem> {
    let markdown = file.ends_with(".md");
    let mut problems = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if markdown && line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if !markdown && !line.trim_start().starts_with("//") {
            continue;
        }
        let mut targets = Vec::new();
        if markdown && !fenced {
            targets.extend(links(line));
            targets.extend(paths(line));
        }
        targets.extend(documents(line));
        targets.sort_unstable();
        targets.dedup();
        for target in targets {
            if !exists(file, target, files) {
                problems.push(Problem {
                    rule: "links",
                    file: file.to_owned(),
                    line: index + 1,
                    what: format!("{target} does not exist"),
                });
            }
        }
    }
    problems
}

/// Targets of `[text](target)` that are files of ours, without the anchor.
fn links(line: &str) -> Vec<&str> {
    line.match_indices("](")
        .filter_map(|(at, _)| {
            let rest = &line[at + 2..];
            let target = rest[..rest.find(')')?].split(['#', ' ']).next()?;
            let foreign = target.contains("://") || target.starts_with("mailto:");
            (!target.is_empty() && !foreign).then_some(target)
        })
        .collect()
}

/// Paths of ours in backticks. With a space it is a command, with an ellipsis a pattern.
fn paths(line: &str) -> Vec<&str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains([' ', '…', '*', '<']))
        .collect()
}

/// Words that end in `.md`. Part of an address, a pattern or a bare ending is not a name.
fn documents(line: &str) -> Vec<&str> {
    line.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_./-:".contains(letter)))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| word.ends_with(".md") && word.len() > 3)
        .filter(|word| !word.contains("://") && !word.contains("NNNN"))
        .collect()
}

/// A name may be relative to the file, to the root, or the last parts of a path.
fn exists(file: &str, target: &str, files: &Tree) -> bool {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let target = target.trim_end_matches('/');
    [join(folder, target), join("", target)].iter().any(|path| {
        let below = format!("{path}/");
        let tail = format!("/{path}");
        path.is_empty()
            || files.contains_key(path)
            || files.keys().any(|one| one.starts_with(&below) || one.ends_with(&tail))
    })
}

/// Resolves `.` and `..`.
fn join(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::check;
    use crate::tree::Tree;

    fn found(file: &str, text: &str, expect: &[&str]) {
        let files: Tree = ["README.md", "docs/data.md", "docs/decisions/0001-one.md", "src/a.rs"]
            .into_iter()
            .map(|name| (name.to_owned(), PathBuf::new()))
            .collect();
        let got: Vec<String> = check(file, text, &files).into_iter().map(|one| one.what).collect();
        let expect: Vec<String> =
            expect.iter().map(|one| format!("{one} does not exist")).collect();
        assert_eq!(got, expect, "{file}: {text}");
    }

    #[test]
    fn links() {
        found("README.md", "[a](docs/data.md#journal) [b](#here) [c](src/)", &[]);
        found("README.md", "[a](https://example.org/x.md) [b](mailto:a@example.org)", &[]);
        found("README.md", "[a](docs/gone.md)", &["docs/gone.md"]);
        found("docs/data.md", "[a](../README.md) [b](decisions)", &[]);
        found("docs/data.md", "[a](../src/b.rs)", &["../src/b.rs"]);
        found("README.md", "```\n[a](gone.txt)\n```\n[b](gone.txt)", &["gone.txt"]);
    }

    #[test]
    fn paths() {
        found("README.md", "`docs/data.md` `docs/decisions` `docs/x y` `docs/….rs` docs/z", &[]);
        found("README.md", "in `docs/gone.toml` and `dev/gone`", &["dev/gone", "docs/gone.toml"]);
    }

    #[test]
    fn names_of_documents() {
        found("src/a.rs", "//! Rows: see `docs/data.md`, data.md.", &[]);
        found("src/a.rs", "    // as plan.md says", &["plan.md"]);
        found("src/a.rs", "let name = \"plan.md\";", &[]);
        found("docs/data.md", "decisions/NNNN-title.md and `.md` files, 0001-one.md", &[]);
    }
}
