//! What is exported, and what dashboards and alerts name of it: one list, held against all three.

use std::{collections::BTreeSet, path::Path};

use ostracon_server::{
    metrics::{Kind, METRICS, PREFIX},
    testing::TestServer,
};
use serde_json::Value;

use crate::client::{Caller, operator};

/// Every name with our prefix in a text, without the endings of histograms.
fn names(text: &str) -> BTreeSet<String> {
    let histograms: BTreeSet<_> = METRICS
        .iter()
        .filter(|metric| metric.kind == Kind::Histogram)
        .map(|metric| metric.name)
        .collect();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with(PREFIX) && word.len() > PREFIX.len())
        .map(|word| {
            let ends = ["_bucket", "_sum", "_count"];
            let base = ends.iter().find_map(|end| word.strip_suffix(end));
            base.filter(|base| histograms.contains(base)).unwrap_or(word).to_owned()
        })
        .collect()
}

fn known() -> BTreeSet<String> {
    METRICS.iter().map(|metric| metric.name.to_owned()).collect()
}

#[test]
fn the_list_is_sorted_and_prefixed() {
    assert!(METRICS.is_sorted_by(|a, b| a.name < b.name));
    assert!(METRICS.iter().all(|metric| metric.name.starts_with(PREFIX)));
}

#[test]
fn dashboard_and_alerts_name_what_is_exported() {
    let ops = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops");
    let known = known();
    let mut used = BTreeSet::new();
    for file in ["grafana/ostracon.json", "alerts.yml"] {
        let text = std::fs::read_to_string(ops.join(file)).unwrap();
        let named = names(&text);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(named.len() > 5, "{file} names too little");
        used.extend(named);
    }
    let dashboard = std::fs::read_to_string(ops.join("grafana/ostracon.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(dashboard["title"], "Ostracon");
    for needed in ["unit_freeze_seconds", "verify_mismatch_total", "stale_steps_total", "shard_up"]
    {
        assert!(
            used.contains(&format!("{PREFIX}{needed}")),
            "{needed} is on no panel and no alert"
        );
    }
}

#[tokio::test]
async fn a_server_exports_what_is_on_the_list_and_nothing_else() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "hello").await;
    let metrics = operator(&server, "GET", "/metrics", Value::Null).await;
    let types = metrics.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let exported: BTreeSet<String> =
        types.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let unknown: Vec<_> = exported.difference(&known()).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for metric in METRICS.iter().filter(|metric| metric.label.is_empty()) {
        let there = exported.contains(metric.name) || metric.kind == Kind::Histogram;
        assert!(there, "{} is not there from the start", metric.name);
    }
    assert!(metrics.text.contains("ostracon_commit_seconds_count{shard="), "{}", metrics.text);
}
