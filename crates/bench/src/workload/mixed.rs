//! `mixed`: people who send, edit, delete, react, read, and now and then look back.

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Bench, together};
use crate::{
    admin::User,
    check::Seen,
    pace::Pace,
    report::{Latency, Report, histogram},
    swarm::{compose, open},
    wire::{field, http::Http, websocket::WebSocket},
};

const PEOPLE: usize = 200;
const GROUPS: usize = 40;
const GROUP_SIZE: usize = 10;
const PAGE_EVERY: u64 = 20;
/// Commands in flight of one person on a beat: as many as a session may have.
const IN_FLIGHT_MAX: usize = 64;
/// An answer that takes longer counts as refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// After the load, silence for so long means that everything has arrived.
const SILENCE: Duration = Duration::from_secs(2);

/// A command without an answer.
struct Waiting {
    id: u64,
    /// When it was due.
    due: Instant,
    /// It names a message that somebody may have deleted.
    may_miss: bool,
}

/// What one person found out.
struct Part {
    commands: u64,
    refused: u64,
    delivered: u64,
    pages: u64,
    seen: Seen,
    spans: hdrhistogram::Histogram<u64>,
    page_us: hdrhistogram::Histogram<u64>,
}

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let people = bench.options.scale.unwrap_or(PEOPLE);
    let rate = bench.options.rate;
    let in_flight =
        bench.options.in_flight.unwrap_or(if rate.is_some() { IN_FLIGHT_MAX } else { 8 });
    let users = Rc::new(bench.users(people).await?);
    let mut http = Http::tcp(&bench.address).await?;
    let mut targets: Vec<Vec<String>> = vec![Vec::new(); people];
    for (index, user) in users.iter().enumerate() {
        // Two of the four hundred direct conversations begin with each person.
        for step in 1..=2 {
            let peer = (index + step) % people;
            let body = format!("{{\"type\":\"direct\",\"user_id\":{}}}", users[peer].user_id);
            let answer =
                http.ask("POST", "/api/v1/conversations", &user.token, body.as_bytes()).await?;
            if let Some(id) = field::conversation(answer.body) {
                let id = String::from_utf8(id.to_vec())?;
                targets[index].push(id.clone());
                targets[peer].push(id);
            }
        }
    }
    for group in 0..GROUPS {
        let members: Vec<usize> =
            (0..GROUP_SIZE).map(|place| (group * people / GROUPS + place * 7) % people).collect();
        let rest: Vec<User> = members[1..].iter().map(|place| users[*place].clone()).collect();
        let id = bench.group(&mut http, &users[members[0]], &rest).await?;
        members.iter().for_each(|place| targets[*place].push(id.clone()));
    }
    bench.say(&format!("{people} people talk for {} s", bench.options.span.as_secs()));
    let mut connections = Vec::with_capacity(people);
    for user in users.iter() {
        connections.push((open(&bench.address, user).await?, Http::tcp(&bench.address).await?));
    }
    let before = bench.cost().await?;
    let end = Instant::now() + bench.options.span;
    let parts: Vec<_> = connections
        .into_iter()
        .zip(targets)
        .enumerate()
        .map(|(index, ((socket, http), targets))| {
            let pace = Pace::of(rate, people, index);
            person(socket, http, users[index].clone(), targets, end, in_flight, pace)
        })
        .collect();
    let running = tokio::task::spawn_local(together(parts));
    tokio::time::sleep_until(end.into()).await;
    let after = bench.cost().await?;
    let parts = running.await??;
    let lost = tails(parts.iter().map(|part| &part.seen));
    let mut report = Report { lost, ..Report::default() };
    let (mut spans, mut page_us, mut delivered, mut pages) = (histogram(), histogram(), 0, 0);
    for part in parts {
        spans.add(part.spans)?;
        page_us.add(part.page_us)?;
        report.acked += part.commands;
        report.refused += part.refused;
        report.lost += part.seen.lost;
        report.duplicated += part.seen.duplicated;
        report.reordered += part.seen.reordered;
        delivered += part.delivered;
        pages += part.pages;
    }
    report.ack_ms = Latency::of(&spans);
    report.delivered_per_s = delivered as f64 / bench.options.span.as_secs_f64();
    let per_s = pages as f64 / bench.options.span.as_secs_f64();
    report.extra.insert("pages_per_s".into(), per_s);
    report.extra.insert("page_p99_ms".into(), Latency::of(&page_us).p99);
    bench.costs(&mut report, &before, &after, delivered);
    bench.finish(&mut report);
    Ok(report)
}

async fn person(
    mut socket: WebSocket,
    mut http: Http,
    user: User,
    targets: Vec<String>,
    end: Instant,
    in_flight: usize,
    mut pace: Pace,
) -> Result<Part> {
    let mut part = Part {
        commands: 0,
        refused: 0,
        delivered: 0,
        pages: 0,
        seen: Seen::default(),
        spans: histogram(),
        page_us: histogram(),
    };
    // The newest own message of each conversation: what may be edited and deleted.
    let mut own: Vec<u64> = vec![0; targets.len()];
    let mut newest: Vec<u64> = vec![0; targets.len()];
    let mut waiting: Vec<Waiting> = Vec::with_capacity(in_flight);
    let mut id = 0u64;
    let mut random = user.user_id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut frame = Vec::new();
    loop {
        let sending = Instant::now() < end;
        while sending && waiting.len() < in_flight {
            let Some(due) = pace.take() else { break };
            id += 1;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (random >> 40) as usize % targets.len();
            let may_miss = command(
                &mut frame,
                id,
                &targets[place],
                &user,
                (random >> 20) % 100,
                own[place],
                newest[place],
            );
            socket.push(&frame);
            waiting.push(Waiting { id, due, may_miss });
        }
        socket.flush().await?;
        let patience = match (sending, waiting.is_empty()) {
            (false, true) => SILENCE,
            (true, _) => pace.pause().filter(|_| waiting.len() < in_flight).unwrap_or(PATIENCE),
            (false, false) => PATIENCE,
        };
        match tokio::time::timeout(patience, socket.fill()).await {
            Ok(read) => read?,
            Err(_) if sending && patience < PATIENCE => continue,
            Err(_) => {
                part.refused += waiting.len() as u64;
                return Ok(part);
            }
        }
        while let Some(frame) = socket.next()? {
            let event = frame.starts_with(b"{\"type\":\"new_message\"");
            if event || frame.starts_with(b"{\"type\":\"message_sent\"") {
                let seq = field::number(frame, b"\"seq\":").unwrap_or(0);
                let of = field::conversation(frame);
                if let Some(id) = &of {
                    part.seen.note(id, seq);
                }
                let at =
                    of.and_then(|id| targets.iter().position(|target| target.as_bytes() == id));
                if let Some(at) = at {
                    newest[at] = seq;
                    if !event {
                        own[at] = seq;
                    }
                }
            }
            part.delivered += u64::from(event);
            if event
                || !frame.starts_with(b"{\"type\":\"message_sent\"")
                    && !frame.starts_with(b"{\"type\":\"ok\"")
                    && !frame.starts_with(b"{\"type\":\"error\"")
            {
                continue;
            }
            let answered = field::number(frame, b"\"id\":").unwrap_or(0);
            let at = waiting.iter().position(|command| command.id == answered);
            let command = at.map(|at| waiting.swap_remove(at));
            if let Some(command) = &command {
                part.spans.saturating_record(command.due.elapsed().as_micros() as u64);
            }
            // What somebody deleted a moment ago can be edited no more: that is no refusal of the server's.
            let gone = command.is_some_and(|command| command.may_miss)
                && memchr::memmem::find(frame, b"not_found").is_some();
            if frame.starts_with(b"{\"type\":\"error\"") && !gone {
                part.refused += 1;
            } else {
                part.commands += 1;
            }
        }
        if part.commands / PAGE_EVERY > part.pages {
            part.pages += 1;
            let asked = Instant::now();
            let target = &targets[part.pages as usize % targets.len()];
            let path = format!("/api/v1/conversations/{target}/messages?limit=50");
            http.ask("GET", &path, &user.token, b"").await?;
            part.page_us.saturating_record(asked.elapsed().as_micros() as u64);
        }
    }
}

/// What is missing at the end: everybody in a conversation sees the same newest message.
fn tails<'a>(all: impl Iterator<Item = &'a Seen> + Clone) -> u64 {
    let mut heads: HashMap<[u8; 36], u64> = HashMap::new();
    for (id, head) in all.clone().flat_map(Seen::heads) {
        let newest = heads.entry(*id).or_default();
        *newest = head.max(*newest);
    }
    all.flat_map(Seen::heads).map(|(id, head)| heads[id] - head).sum()
}

/// 80 % send, 5 edit, 2 delete, 5 react, 8 read; a send where there is nothing to do it to. Whether it names a message that
/// may be gone.
fn command(
    frame: &mut Vec<u8>,
    id: u64,
    target: &str,
    user: &User,
    dice: u64,
    own: u64,
    newest: u64,
) -> bool {
    use std::io::Write;
    let conversation = format!("\"conversation_id\":\"{target}\"");
    let of = |frame: &mut Vec<u8>, kind: &str, rest: String| {
        frame.clear();
        // A vector takes every write.
        let _ =
            write!(frame, "{{\"type\":\"{kind}\",\"id\":{id},\"data\":{{{conversation},{rest}}}}}");
    };
    match dice {
        80..85 if own > 0 => {
            of(frame, "edit_message", format!("\"seq\":{own},\"content\":\"edited {id}\""));
            true
        }
        85..87 if own > 0 => {
            of(frame, "delete_message", format!("\"seq\":{own}"));
            true
        }
        87..92 if newest > 0 => {
            of(frame, "react", format!("\"seq\":{newest},\"emoji\":\"👍\""));
            true
        }
        92..100 if newest > 0 => {
            of(frame, "mark_read", format!("\"seq\":{newest}"));
            false
        }
        _ => {
            compose(frame, id, &conversation, user.user_id, id);
            false
        }
    }
}
