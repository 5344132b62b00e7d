//! What is exported, and what dashboards and alerts name of it: one list, held against all three.

use std::{collections::BTreeSet, path::Path};

use ostracon_server::{
    metrics::{Kind, METRICS, PREFIX},
    testing::TestServer,
};
use serde_json::{Value, json};

use crate::client::{Caller, PATIENCE, operator};

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
    let unseen: Vec<_> = known.difference(&used).collect();
    assert!(unseen.is_empty(), "on no panel and no alert: {unseen:?}");
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

#[tokio::test]
async fn messages_and_bytes_of_a_shard_and_hits_of_overrides_are_counted() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let metrics = async || operator(&server, "GET", "/metrics", Value::Null).await.text;
    let sum = |text: &str, name: &str| -> f64 {
        (0..4)
            .map(|shard| {
                let start = format!("{PREFIX}{name}_sum{{shard=\"{shard}\"}} ");
                let line = text.lines().find_map(|line| line.strip_prefix(start.as_str()));
                line.map_or(0.0, |value| value.parse().unwrap())
            })
            .sum()
    };
    let before = metrics().await;
    for _ in 0..3 {
        alice.say(&bob, "ten bytes!").await;
    }
    // Other tests of this process count as well.
    let after = metrics().await;
    assert!(sum(&after, "commit_messages") >= sum(&before, "commit_messages") + 3.0, "{after}");
    let bytes = sum(&after, "commit_message_bytes") - sum(&before, "commit_message_bytes");
    assert!(bytes >= 30.0, "{after}");

    let hits = |text: &str| {
        let start = format!("{PREFIX}override_hits_total{{kind=\"conversation\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(start.as_str()));
        line.map_or(0, |value| value.parse::<u64>().unwrap())
    };
    let before = hits(&after);
    let said = alice.say(&bob, "here").await;
    let id = said["conversation_id"].as_str().unwrap();
    let path = format!("/api/v1/admin/messages?conversation={id}&limit=1");
    let home = operator(&server, "GET", &path, Value::Null).await.is(200)["shard"].as_u64();
    let body = json!({"pair": format!("{}:{}", alice.id, bob.id), "to": [(home.unwrap() + 1) % 4]});
    let job = operator(&server, "POST", "/api/v1/admin/shards/move", body).await.is(201);
    let path = format!("/api/v1/admin/shards/jobs/{}", job["job_id"]);
    let moved = async {
        while operator(&server, "GET", &path, Value::Null).await.is(200)["state"] != "done" {}
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("the pair moves");
    alice.say(&bob, "apart").await;
    let after = metrics().await;
    assert!(hits(&after) > before, "{after}");
}
