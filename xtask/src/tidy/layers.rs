//! Which crate may see which, from `xtask/layers.toml` and the manifests.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::metadata::{Metadata, Package, plain_name};

/// Crate name without prefix → its rules.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Table(BTreeMap<String, Layer>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    layer: u8,
    /// When given: the only foreign crates it may name.
    only: Option<Vec<String>>,
    /// When given: the only crates of ours it may name.
    ours: Option<Vec<String>>,
    /// Foreign crates it must not name.
    #[serde(default)]
    never: Vec<String>,
    /// A driver of a seam.
    #[serde(default)]
    backend: bool,
    /// Whether it may name drivers.
    #[serde(default)]
    names_backends: bool,
}

impl Table {
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("reading xtask/layers.toml")
    }

    /// Crate names with their layer, by name.
    pub(super) fn layers(&self) -> impl Iterator<Item = (&str, u8)> {
        self.0.iter().map(|(name, layer)| (name.as_str(), layer.layer))
    }

    pub(super) fn check(&self, metadata: &Metadata) -> Vec<String> {
        let mut problems = Vec::new();
        for package in metadata.members() {
            problems.extend(self.check_package(package));
        }
        for name in self.0.keys() {
            if !metadata.members().any(|package| package.plain_name() == name) {
                problems.push(format!("xtask/layers.toml: there is no crate {name}"));
            }
        }
        problems
    }

    fn check_package(&self, package: &Package) -> Vec<String> {
        let name = package.plain_name();
        let Some(own) = self.0.get(name) else {
            return vec![format!("xtask/layers.toml: crate {name} has no layer")];
        };
        let mut problems = Vec::new();
        for dependency in package.dependencies.iter().filter(|one| !one.is_dev()) {
            let target = plain_name(&dependency.name);
            let problem = match self.0.get(target) {
                Some(other) if other.layer >= own.layer => Some(format!(
                    "{name} (layer {}) must not see {target} (layer {})",
                    own.layer, other.layer
                )),
                Some(other) if other.backend && !own.names_backends => {
                    Some(format!("{name} must not name the backend {target}"))
                }
                Some(_) if own.ours.as_ref().is_some_and(|ours| !contains(ours, target)) => {
                    Some(format!("{name} must not see {target}"))
                }
                Some(_) => None,
                None if contains(&own.never, &dependency.name)
                    || own.only.as_ref().is_some_and(|only| !contains(only, &dependency.name)) =>
                {
                    Some(format!("{name} must not depend on {}", dependency.name))
                }
                None => None,
            };
            problems.extend(problem.map(|sentence| format!("layers: {sentence}")));
        }
        problems
    }
}

fn contains(list: &[String], name: &str) -> bool {
    list.iter().any(|one| one == name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Table;
    use crate::metadata::{Dependency, Package};

    const TABLE: &str = r#"
        [domain]
        layer = 0
        only = ["serde"]
        [proto]
        layer = 1
        [store]
        layer = 1
        [embedded]
        layer = 2
        backend = true
        [engine]
        layer = 2
        never = ["axum"]
        [client]
        layer = 2
        ours = ["proto"]
        [server]
        layer = 3
        names_backends = true
        [binary]
        layer = 4
    "#;

    fn check(name: &str, kind: Option<&str>, target: &str, expect: &[&str]) {
        let package = Package {
            id: String::new(),
            name: name.to_owned(),
            version: String::new(),
            license: None,
            source: None,
            manifest_path: PathBuf::new(),
            dependencies: vec![Dependency {
                name: target.to_owned(),
                kind: kind.map(str::to_owned),
            }],
        };
        let table = Table::parse(TABLE).unwrap();
        assert_eq!(table.check_package(&package), expect, "{name} → {target}");
    }

    #[test]
    fn arrows() {
        check("ostracon-proto", None, "ostracon-domain", &[]);
        check(
            "ostracon-proto",
            None,
            "ostracon-store",
            &["layers: proto (layer 1) must not see store (layer 1)"],
        );
        check(
            "ostracon-domain",
            None,
            "ostracon-proto",
            &["layers: domain (layer 0) must not see proto (layer 1)"],
        );
        check(
            "ostracon-engine",
            Some("build"),
            "ostracon-server",
            &["layers: engine (layer 2) must not see server (layer 3)"],
        );
        check("ostracon-engine", Some("dev"), "ostracon-server", &[]);
        check("ostracon-server", None, "ostracon-embedded", &[]);
        check(
            "ostracon-binary",
            None,
            "ostracon-embedded",
            &["layers: binary must not name the backend embedded"],
        );
        check("ostracon-client", None, "ostracon-domain", &["layers: client must not see domain"]);
        check("ostracon-domain", None, "serde", &[]);
        check("ostracon-domain", None, "tokio", &["layers: domain must not depend on tokio"]);
        check("ostracon-engine", None, "axum", &["layers: engine must not depend on axum"]);
        check("ostracon-engine", None, "tokio", &[]);
        check("ostracon-new", None, "serde", &["xtask/layers.toml: crate new has no layer"]);
    }
}
