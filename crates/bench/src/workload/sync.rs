//! `sync`: devices that lose their connection at once, miss something, and come back.

use std::{rc::Rc, time::Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Bench, together};
use crate::{
    admin::User,
    report::{Latency, Report, histogram},
    swarm::open,
    wire::http::Http,
};

const CONVERSATIONS: usize = 20;
const CHANGED: usize = 3;
/// Connections opened, or requests asked, at the same time by the whole crowd.
const AT_ONCE: usize = 256;

#[derive(Deserialize)]
struct Sync {
    conversations: Vec<Entry>,
    cursor: String,
    more: bool,
}

#[derive(Deserialize)]
struct Entry {
    conversation: Conversation,
}

#[derive(Deserialize)]
struct Conversation {
    conversation_id: String,
    rev: u64,
    history: String,
}

#[derive(Deserialize)]
struct Changes {
    rev: u64,
    more: bool,
}

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let devices = bench.options.scale.unwrap_or(5_000);
    // Each device talks with its neighbours in a ring: everybody has twenty conversations.
    let users = Rc::new(bench.users(devices).await?);
    bench.say("opening conversations");
    let gate = Rc::new(Semaphore::new(AT_ONCE));
    let half = CONVERSATIONS / 2;
    let address: Rc<str> = bench.address.as_str().into();
    let spread = |from: usize, until: usize| {
        let parts = (0..devices).map(|index| {
            let (users, gate) = (Rc::clone(&users), Rc::clone(&gate));
            let address = Rc::clone(&address);
            async move {
                let _turn = gate.acquire().await?;
                let mut http = Http::tcp(&address).await?;
                for step in from..until {
                    let peer = &users[(index + step) % users.len()];
                    let path = format!("/api/v1/dialog/{}/send", peer.user_id);
                    let token = &users[index].token;
                    let answer = http.ask("POST", &path, token, b"{\"text\":\"hello\"}").await?;
                    ensure!(answer.status == 201, "{}", String::from_utf8_lossy(answer.body));
                }
                Ok(())
            }
        });
        together(parts.collect::<Vec<_>>())
    };
    spread(1, half + 1).await?;
    bench.say("learning cursors");
    let cursors = together(
        (0..devices)
            .map(|index| {
                let (users, gate) = (Rc::clone(&users), Rc::clone(&gate));
                let address = Rc::clone(&address);
                async move {
                    let _turn = gate.acquire().await?;
                    let mut http = Http::tcp(&address).await?;
                    Ok(catch_up(&mut http, &users[index], String::new(), false).await?.0)
                }
            })
            .collect::<Vec<_>>(),
    )
    .await?;
    bench.say("missing something");
    // One and a half of each device's conversations change by its own hand, as many by its neighbours'.
    spread(1, 1 + CHANGED.div_ceil(2)).await?;
    bench.say(&format!("{devices} devices come back"));
    let before = bench.cost().await?;
    let begun = Instant::now();
    let results = together(
        cursors
            .into_iter()
            .enumerate()
            .map(|(index, cursor)| {
                let (users, gate) = (Rc::clone(&users), Rc::clone(&gate));
                let address = Rc::clone(&address);
                async move {
                    let _turn = gate.acquire().await?;
                    let socket = open(&address, &users[index]).await?;
                    let mut http = Http::tcp(&address).await?;
                    let (_, changed) = catch_up(&mut http, &users[index], cursor, true).await?;
                    Ok((socket, changed, begun.elapsed().as_micros() as u64))
                }
            })
            .collect::<Vec<_>>(),
    )
    .await?;
    let span = begun.elapsed();
    let after = bench.cost().await?;
    let mut spans = histogram();
    let mut report = Report { acked: results.len() as u64, ..Report::default() };
    let mut changed_conversations = 0;
    for (_, changed, us) in &results {
        spans.saturating_record(*us);
        changed_conversations += changed;
    }
    report.ack_ms = Latency::of(&spans);
    report.extra.insert("level_after_s".into(), span.as_secs_f64());
    let mean = changed_conversations as f64 / devices as f64;
    report.extra.insert("changed_conversations_per_device".into(), mean);
    bench.costs(&mut report, &before, &after, 0);
    bench.finish(&mut report);
    report.seconds = span.as_secs_f64();
    report.acked_per_s = report.acked as f64 / report.seconds;
    Ok(report)
}

/// Follows `/sync`, and for what changed `changes`; the cursor, and how many conversations had changed.
async fn catch_up(
    http: &mut Http,
    user: &User,
    mut cursor: String,
    follow: bool,
) -> Result<(String, u64)> {
    let mut changed = 0;
    loop {
        let path = format!("/api/v1/sync?cursor={cursor}");
        let answer = http.ask("GET", &path, &user.token, b"").await?;
        ensure!(answer.status == 200, "sync: {}", String::from_utf8_lossy(answer.body));
        let page: Sync = serde_json::from_slice(answer.body).context("sync")?;
        for entry in page.conversations.iter().filter(|_| follow) {
            let row = &entry.conversation;
            changed += 1;
            let (mut rev, history) = (row.rev.saturating_sub(1), &row.history);
            loop {
                let path = format!(
                    "/api/v1/conversations/{}/changes?since_rev={rev}&history={history}",
                    row.conversation_id
                );
                let answer = http.ask("GET", &path, &user.token, b"").await?;
                ensure!(answer.status == 200, "changes: {}", String::from_utf8_lossy(answer.body));
                let page: Changes = serde_json::from_slice(answer.body).context("changes")?;
                rev = page.rev;
                if !page.more {
                    break;
                }
            }
        }
        cursor = page.cursor;
        if !page.more {
            return Ok((cursor, changed));
        }
    }
}
