//! `rest`: sends over keep-alive HTTP connections.

use std::time::Instant;

use anyhow::Result;

use super::{Bench, together};
use crate::{
    report::{Latency, Report, histogram},
    wire::http::Http,
};

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let connections = bench.options.scale.unwrap_or(32);
    let users = bench.users(2 * connections).await?;
    bench.say(&format!("sending over {connections} connections"));
    let before = bench.cost().await?;
    let end = Instant::now() + bench.options.span;
    let parts = users.chunks_exact(2).map(|pair| {
        let (address, user, peer) = (bench.address.clone(), pair[0].clone(), pair[1].clone());
        async move {
            let mut http = Http::tcp(&address).await?;
            let open = format!("{{\"type\":\"direct\",\"user_id\":{}}}", peer.user_id);
            let answer =
                http.ask("POST", "/api/v1/conversations", &user.token, open.as_bytes()).await?;
            let id = crate::wire::field::conversation(answer.body).unwrap_or([b'0'; 36]);
            let path = format!("/api/v1/conversations/{}/messages", String::from_utf8_lossy(&id));
            let body = format!("{{\"content\":\"{}\"}}", "x".repeat(200));
            let (mut spans, mut acked, mut refused) = (histogram(), 0u64, 0u64);
            while Instant::now() < end {
                let begun = Instant::now();
                let status = http.ask("POST", &path, &user.token, body.as_bytes()).await?.status;
                spans.saturating_record(begun.elapsed().as_micros() as u64);
                if status == 201 {
                    acked += 1;
                } else {
                    refused += 1;
                }
            }
            Ok((spans, acked, refused))
        }
    });
    let results = together(parts.collect::<Vec<_>>()).await?;
    let after = bench.cost().await?;
    let mut report = Report::default();
    let mut spans = histogram();
    for (part, acked, refused) in results {
        spans.add(part)?;
        report.acked += acked;
        report.refused += refused;
    }
    report.ack_ms = Latency::of(&spans);
    bench.costs(&mut report, &before, &after, 0);
    bench.finish(&mut report);
    Ok(report)
}
