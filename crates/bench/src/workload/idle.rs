//! `idle`: signed-in sockets that do nothing.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::{report::Report, swarm::open};

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let count = bench.options.scale.unwrap_or(10_000);
    let users = bench.users(count).await?;
    let before = bench.cost().await?;
    bench.say(&format!("opening {count} connections"));
    let mut sockets = Vec::with_capacity(count);
    for user in &users {
        sockets.push(open(&bench.address, user).await?);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let settled = bench.cost().await?;
    tokio::time::sleep(bench.options.span).await;
    let after = bench.cost().await?;
    let mut report = Report { acked: sockets.len() as u64, ..Report::default() };
    let grown = after.server.rss_bytes.saturating_sub(before.server.rss_bytes);
    let cpu = after.server.cpu_seconds - settled.server.cpu_seconds;
    report.extra.insert("rss_kib_per_socket".into(), grown as f64 / 1024.0 / count as f64);
    report.extra.insert("idle_cores".into(), cpu / bench.options.span.as_secs_f64());
    bench.costs(&mut report, &settled, &after, 0);
    bench.finish(&mut report);
    Ok(report)
}
