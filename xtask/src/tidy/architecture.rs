//! The crate table of ARCHITECTURE.md lists exactly the crates that exist, with their layers.

use std::collections::BTreeMap;

use super::layers::Table;

/// Rows look like ``| 2 | `engine` | … |``.
pub(super) fn check(text: &str, layers: &Table) -> Vec<String> {
    let mut listed = BTreeMap::new();
    let mut problems = Vec::new();
    for line in text.lines() {
        if let Some((layer, name)) = row(line)
            && listed.insert(name, layer).is_some()
        {
            problems.push(format!("ARCHITECTURE.md: crate {name} is listed twice"));
        }
    }
    for (name, layer) in layers.layers() {
        match listed.remove(name) {
            Some(said) if said == layer => {}
            Some(said) => problems
                .push(format!("ARCHITECTURE.md: crate {name} has layer {layer}, not {said}")),
            None => problems.push(format!("ARCHITECTURE.md: crate {name} is missing")),
        }
    }
    for name in listed.keys() {
        problems.push(format!("ARCHITECTURE.md: there is no crate {name}"));
    }
    problems
}

fn row(line: &str) -> Option<(u8, &str)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let layer = cells.next()?.parse().ok()?;
    let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    Some((layer, name))
}

#[cfg(test)]
mod tests {
    use super::{Table, check};

    #[test]
    fn table_and_crates_agree() {
        let layers = Table::parse("[domain]\nlayer = 0\n[proto]\nlayer = 1\n").unwrap();
        let good =
            "| layer | crate |\n|---|---|\n| 0 | `domain` | rules |\n| 1 | `proto` | wire |\n";
        assert!(check(good, &layers).is_empty());
        let bad = "| 1 | `domain` | rules |\n| 2 | `gone` | x |\n| 2 | `gone` | x |\n";
        assert_eq!(
            check(bad, &layers),
            [
                "ARCHITECTURE.md: crate gone is listed twice",
                "ARCHITECTURE.md: crate domain has layer 0, not 1",
                "ARCHITECTURE.md: crate proto is missing",
                "ARCHITECTURE.md: there is no crate gone",
            ]
        );
    }
}
