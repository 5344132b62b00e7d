//! `history`: random pages of a long conversation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, together};
use crate::{
    pace::Pace,
    report::{Latency, Report, histogram},
    swarm::{Course, Role, drive, open},
    wire::{field, http::Http},
};

const PAGE: u64 = 50;
const READERS: usize = 16;

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let messages = bench.options.scale.unwrap_or(1_000_000) as u64;
    let users = bench.users(2).await?;
    let (id, head) = fill(bench, &users, messages).await?;
    bench.say(&format!("reading pages of a conversation of {head} messages"));
    let before = bench.cost().await?;
    let end = Instant::now() + bench.options.span;
    let parts = (0..READERS).map(|reader| {
        let (address, token, id) = (bench.address.clone(), users[0].token.clone(), id.clone());
        async move {
            let mut http = Http::tcp(&address).await?;
            let (mut spans, mut newest, mut deepest) = (histogram(), histogram(), histogram());
            let (mut pages, mut refused) = (0u64, 0u64);
            let mut random = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(reader as u64 + 1);
            while Instant::now() < end {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let before = match pages % 100 {
                    0 => head + 1,
                    1 => PAGE + 1,
                    _ => PAGE + 1 + (random >> 33) % head.saturating_sub(PAGE).max(1),
                };
                let path =
                    format!("/api/v1/conversations/{id}/messages?limit={PAGE}&before={before}");
                let begun = Instant::now();
                let status = http.ask("GET", &path, &token, b"").await?.status;
                let us = begun.elapsed().as_micros() as u64;
                spans.saturating_record(us);
                match pages % 100 {
                    0 => newest.saturating_record(us),
                    1 => deepest.saturating_record(us),
                    _ => {}
                }
                pages += 1;
                refused += u64::from(status != 200);
            }
            Ok((spans, newest, deepest, pages, refused))
        }
    });
    let results = together(parts.collect::<Vec<_>>()).await?;
    let after = bench.cost().await?;
    let mut report = Report::default();
    let (mut spans, mut newest, mut deepest) = (histogram(), histogram(), histogram());
    for (part, part_newest, part_deepest, pages, refused) in results {
        spans.add(part)?;
        newest.add(part_newest)?;
        deepest.add(part_deepest)?;
        report.acked += pages;
        report.refused += refused;
    }
    report.ack_ms = Latency::of(&spans);
    report.extra.insert("newest_page_ms_p50".into(), Latency::of(&newest).p50);
    report.extra.insert("deepest_page_ms_p50".into(), Latency::of(&deepest).p50);
    bench.costs(&mut report, &before, &after, 0);
    bench.finish(&mut report);
    Ok(report)
}

/// Sends until the conversation is long enough; its id and head.
async fn fill(
    bench: &mut Bench<'_>,
    users: &[crate::admin::User],
    messages: u64,
) -> Result<(String, u64)> {
    bench.say(&format!("filling a conversation with {messages} messages"));
    let mut http = Http::tcp(&bench.address).await?;
    let open_body = format!("{{\"type\":\"direct\",\"user_id\":{}}}", users[1].user_id);
    let answer =
        http.ask("POST", "/api/v1/conversations", &users[0].token, open_body.as_bytes()).await?;
    let id = field::conversation(answer.body).context("no conversation")?;
    let id = String::from_utf8(id.to_vec())?;
    let path = format!("/api/v1/conversations/{id}");
    loop {
        let answer = http.ask("GET", &path, &users[0].token, b"").await?;
        let head = field::number(answer.body, b"\"head_seq\":").context("no head")?;
        if head >= messages {
            return Ok((id, head));
        }
        let socket = open(&bench.address, &users[0]).await?;
        let targets = vec![format!("\"conversation_id\":\"{id}\"")];
        let role = Role { user: users[0].clone(), targets, in_flight: 250 };
        // Client ids must not repeat: every round has another user part.
        let role = Role { user: crate::admin::User { user_id: head + 1, ..role.user }, ..role };
        let pace = Pace::of(None, 1, 0);
        drive(socket, role, pace, Course::begin(Duration::from_secs(3))).await?;
    }
}
