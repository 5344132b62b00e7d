//! Manifests: versions and their reasons stand in the root, crates only say `workspace = true`.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::metadata::Metadata;

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Every dependency of the root manifest stands under a comment that says what it is for. A comment
/// covers the lines up to the next comment or empty line.
pub(super) fn check_workspace(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut inside = false;
    let mut covered = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            covered = false;
        } else if line.is_empty() {
            covered = false;
        } else if line.starts_with('#') {
            covered = true;
        } else if inside
            && !covered
            && let Some((name, _)) = line.split_once(" = ")
        {
            problems.push(format!("Cargo.toml:{}: {name} has no comment", index + 1));
        }
    }
    problems
}

/// Crates that are tests themselves and no part of the product.
const TESTS: [&str; 1] = ["sim"];

/// A crate inherits lints and every dependency from the workspace.
pub(super) fn check_member(name: &str, text: &str) -> Vec<String> {
    let Ok(manifest) = text.parse::<Table>() else {
        return vec![format!("{name}: its manifest cannot be read")];
    };
    let mut problems = Vec::new();
    if !inherits(manifest.get("lints")) {
        problems.push(format!("{name}: its manifest lacks `[lints] workspace = true`"));
    }
    for kind in KINDS {
        let Some(Value::Table(table)) = manifest.get(kind) else {
            continue;
        };
        for (dependency, value) in table {
            if kind != "dev-dependencies" && has_testing(value) && !TESTS.contains(&name) {
                problems.push(format!("{name}: {dependency} brings test code into the product"));
            }
            if !inherits(Some(value)) && !is_itself(value) {
                problems.push(format!("{name}: {dependency} must be `workspace = true`"));
            }
        }
    }
    problems
}

/// Dependencies of the root manifest that no crate uses.
pub(super) fn unused(metadata: &Metadata, text: &str) -> Vec<String> {
    let used: BTreeSet<&str> = metadata
        .members()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .collect();
    let Ok(manifest) = text.parse::<Table>() else {
        return Vec::new();
    };
    manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies")?.as_table())
        .into_iter()
        .flat_map(Table::keys)
        .filter(|name| !used.contains(name.as_str()))
        .map(|name| format!("Cargo.toml: no crate uses {name}"))
        .collect()
}

/// The feature that opens twins and contract suites.
fn has_testing(value: &Value) -> bool {
    let features = value.get("features").and_then(Value::as_array);
    features.is_some_and(|list| list.iter().any(|one| one.as_str() == Some("testing")))
}

/// A crate may name itself to switch a feature on for its own tests.
fn is_itself(value: &Value) -> bool {
    value.get("path").and_then(Value::as_str) == Some(".")
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|table| table.get("workspace")?.as_bool()) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::{check_member, check_workspace};

    #[test]
    fn a_comment_covers_a_block() {
        let text = "[workspace.dependencies]\n# Errors.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\n\
                    [other]\nd = \"1\"\n";
        assert_eq!(check_workspace(text), ["Cargo.toml:6: c has no comment"]);
    }

    #[test]
    fn versions_stand_in_the_root_only() {
        let good = "[lints]\nworkspace = true\n[dependencies]\na.workspace = true\n\
                    b = { workspace = true, features = [\"x\"] }\n";
        assert!(check_member("x", good).is_empty());
        let bad = "[dev-dependencies]\na = \"1\"\n";
        assert_eq!(
            check_member("x", bad),
            ["x: its manifest lacks `[lints] workspace = true`", "x: a must be `workspace = true`",]
        );
        assert_eq!(check_member("x", "[").len(), 1);
    }

    #[test]
    fn test_code_stays_in_tests() {
        let with = |kind: &str, value: &str| {
            let text = format!("[lints]\nworkspace = true\n[{kind}]\na = {value}\n");
            check_member("x", &text).len()
        };
        let testing = "{ workspace = true, features = [\"testing\"] }";
        assert_eq!(with("dev-dependencies", testing), 0);
        assert_eq!(with("dependencies", testing), 1);
        let itself = "{ path = \".\", features = [\"testing\"] }";
        assert_eq!(with("dev-dependencies", itself), 0);
        assert_eq!(with("dependencies", itself), 1);
    }
}
