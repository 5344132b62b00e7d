//! Licences, sources and banned crates of every dependency, by the rules of `deny.toml`.
//!
//! The same file serves `cargo deny` where that is installed; here only licences, bans and sources
//! are checked, advisories are not.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::metadata::{Metadata, Package};
use crate::spdx;

const CRATES_IO: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

/// The part of `deny.toml` that is used here; cargo-deny knows more keys.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// A licence that is fine for one crate only.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// Prints how many crates there are by licence, or fails with every rule that is broken.
pub(crate) fn run() -> Result<()> {
    let metadata = Metadata::load(true)?;
    let path = metadata.workspace_root.join("deny.toml");
    let text = fs::read_to_string(&path).context("reading deny.toml")?;
    let rules: Rules = toml::from_str(&text).context("reading deny.toml")?;

    let mut problems = Vec::new();
    let mut by_licence: BTreeMap<&str, usize> = BTreeMap::new();
    for package in &metadata.packages {
        problems.extend(problems_of(package, &rules));
        let licence = package.license.as_deref().unwrap_or("none");
        *by_licence.entry(licence).or_default() += 1;
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    println!("licences: {} packages are fine", metadata.packages.len());
    for (licence, count) in by_licence {
        println!("{count:5}  {licence}");
    }
    Ok(())
}

fn problems_of(package: &Package, rules: &Rules) -> Vec<String> {
    let mut problems = Vec::new();
    let name = format!("{} {}", package.name, package.version);

    if let Some(banned) = rules.bans.deny.iter().find(|ban| ban.name == package.name) {
        problems.push(format!("{name} is banned: {}", banned.reason));
    }
    if let Some(source) = &package.source
        && !CRATES_IO.contains(&source.as_str())
    {
        problems.push(format!("{name} comes from {source}: only crates.io is allowed"));
    }
    let Some(expression) = &package.license else {
        problems.push(format!("{name} names no licence"));
        return problems;
    };
    let mut allowed = rules.licenses.allow.clone();
    for exception in &rules.licenses.exceptions {
        if exception.name == package.name {
            allowed.extend(exception.allow.iter().cloned());
        }
    }
    match spdx::satisfied(expression, &allowed) {
        Ok(true) => {}
        Ok(false) => problems.push(format!("{name}: licence {expression} is not in deny.toml")),
        Err(error) => problems.push(format!("{name}: {error}")),
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Rules, problems_of};
    use crate::metadata::Package;

    fn check(name: &str, license: Option<&str>, source: Option<&str>, expect: &[&str]) {
        let rules: Rules = toml::from_str(
            r#"
            [licenses]
            allow = ["MIT"]
            exceptions = [{ crate = "odd", allow = ["Zlib"] }]
            [bans]
            deny = [{ crate = "openssl", reason = "no C TLS" }]
            "#,
        )
        .unwrap();
        let package = Package {
            id: String::new(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            manifest_path: PathBuf::new(),
            dependencies: Vec::new(),
        };
        assert_eq!(problems_of(&package, &rules), expect, "{name}");
    }

    #[test]
    fn rules() {
        let crates_io = Some(super::CRATES_IO[0]);
        check("good", Some("MIT OR GPL-3.0"), crates_io, &[]);
        check("odd", Some("Zlib"), crates_io, &[]);
        check("zlib", Some("Zlib"), crates_io, &["zlib 1.0.0: licence Zlib is not in deny.toml"]);
        check("ours", Some("MIT"), None, &[]);
        check("bare", None, crates_io, &["bare 1.0.0 names no licence"]);
        check("openssl", Some("MIT"), crates_io, &["openssl 1.0.0 is banned: no C TLS"]);
        check(
            "forked",
            Some("MIT"),
            Some("git+https://example.org/forked"),
            &["forked 1.0.0 comes from git+https://example.org/forked: only crates.io is allowed"],
        );
    }
}
