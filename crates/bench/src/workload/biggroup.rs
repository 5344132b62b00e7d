//! `biggroup`: one very large group, half of it online, and a steady beat of messages.
//!
//! What is looked at: that each message reaches everybody who is online, how late, and what it costs the server. Who is not
//! online costs nothing: a send writes no row of a member but the sender's.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Bench, group::behind};
use crate::{report::Report, swarm::Role, wire::http::Http};

const MEMBERS: usize = 10_000;
const RATE: f64 = 40.0;
const SENDERS: usize = 8;
/// Members added by one request.
const AT_ONCE: usize = 1_000;

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let members = bench.options.scale.unwrap_or(MEMBERS);
    let rate = bench.options.rate.unwrap_or(RATE);
    let users = bench.users(members).await?;
    let mut http = Http::tcp(&bench.address).await?;
    let begin = Instant::now();
    let first = users.len().min(AT_ONCE);
    let id = bench.group(&mut http, &users[0], &users[1..first]).await?;
    for more in users[first..].chunks(AT_ONCE) {
        let ids: Vec<u64> = more.iter().map(|user| user.user_id).collect();
        let body = serde_json::to_vec(&serde_json::json!({ "user_ids": ids }))?;
        let path = format!("/api/v1/conversations/{id}/members");
        let answer = http.ask("POST", &path, &users[0].token, &body).await?;
        let said = String::from_utf8_lossy(answer.body);
        ensure!(
            answer.status < 300,
            "members were not added (the server needs limits.group_members_max = {members}): {said}"
        );
    }
    let took = begin.elapsed().as_secs_f64();
    let online = users.len().div_ceil(2);
    let target = format!("\"conversation_id\":\"{id}\"");
    let roles: Vec<Role> = users
        .into_iter()
        .take(online)
        .enumerate()
        .map(|(index, user)| {
            let targets = (index < SENDERS).then(|| target.clone()).into_iter().collect();
            Role { user, targets, in_flight: bench.options.in_flight.unwrap_or(64) }
        })
        .collect();
    let (mut report, seen) = bench.talk_at(roles, Some(rate)).await?;
    report.lost += behind(&seen);
    let cores = report.server_cpu_us_per_message * report.acked as f64 / 1e6 / report.seconds;
    report.extra.insert("server_cores".into(), cores);
    report.extra.insert("members_added_per_s".into(), members as f64 / took);
    Ok(report)
}
