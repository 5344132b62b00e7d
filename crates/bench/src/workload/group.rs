//! `group`, `groups` and `hot`: conversations of many.

use anyhow::Result;

use super::Bench;
use crate::{check::Seen, report::Report, swarm::Role, wire::http::Http};

/// 1,000 members online in one group; four of them send.
pub(super) async fn one(bench: &mut Bench<'_>) -> Result<Report> {
    const SENDERS: usize = 4;
    let size = bench.options.scale.unwrap_or(1_000);
    let in_flight = bench.options.in_flight.unwrap_or(8) / SENDERS;
    conversation(bench, size, SENDERS, in_flight.max(1)).await
}

/// Eight senders with 32 in flight each, in one conversation.
pub(super) async fn hot(bench: &mut Bench<'_>) -> Result<Report> {
    let size = bench.options.scale.unwrap_or(8);
    let in_flight = bench.options.in_flight.unwrap_or(32);
    conversation(bench, size, size, in_flight).await
}

async fn conversation(
    bench: &mut Bench<'_>,
    size: usize,
    senders: usize,
    in_flight: usize,
) -> Result<Report> {
    let users = bench.users(size).await?;
    let mut http = Http::tcp(&bench.address).await?;
    let first = users.len().min(400);
    let id = bench.group(&mut http, &users[0], &users[1..first]).await?;
    for more in users[first..].chunks(400) {
        let ids: Vec<u64> = more.iter().map(|user| user.user_id).collect();
        let body = serde_json::to_vec(&serde_json::json!({ "user_ids": ids }))?;
        let path = format!("/api/v1/conversations/{id}/members");
        let answer = http.ask("POST", &path, &users[0].token, &body).await?;
        let said = String::from_utf8_lossy(answer.body);
        anyhow::ensure!(answer.status < 300, "members were not added: {said}");
    }
    let target = format!("\"conversation_id\":\"{id}\"");
    let roles = users
        .into_iter()
        .enumerate()
        .map(|(index, user)| {
            let targets = (index < senders).then(|| target.clone()).into_iter().collect();
            Role { user, targets, in_flight }
        })
        .collect();
    let (mut report, seen) = bench.talk(roles).await?;
    report.lost += behind(&seen);
    Ok(report)
}

/// 100 groups of 100 members, ten of them online, one sender each.
pub(super) async fn many(bench: &mut Bench<'_>) -> Result<Report> {
    const MEMBERS: usize = 100;
    const ONLINE: usize = 10;
    let groups = bench.options.scale.unwrap_or(100);
    let in_flight = bench.options.in_flight.unwrap_or(8);
    let users = bench.users(groups * MEMBERS).await?;
    let mut http = Http::tcp(&bench.address).await?;
    let mut roles = Vec::new();
    for members in users.chunks_exact(MEMBERS) {
        let id = bench.group(&mut http, &members[0], &members[1..]).await?;
        let target = format!("\"conversation_id\":\"{id}\"");
        for (index, user) in members[..ONLINE].iter().enumerate() {
            let targets = (index == 0).then(|| target.clone()).into_iter().collect();
            roles.push(Role { user: user.clone(), targets, in_flight });
        }
    }
    let (mut report, seen) = bench.talk(roles).await?;
    report.lost += seen.chunks_exact(ONLINE).map(behind).sum::<u64>();
    Ok(report)
}

/// How many messages the connections of one conversation miss of its head, together.
pub(super) fn behind(seen: &[Seen]) -> u64 {
    let heads = || seen.iter().flat_map(Seen::heads);
    let Some((id, head)) = heads().max_by_key(|(_, head)| *head) else { return 0 };
    seen.iter().map(|seen| head - seen.head(id)).sum()
}
