//! `presence`: signed-in sockets that watch 200 others each, while some users come and go.
//!
//! A change is a visitor who connects, or leaves; both are told to everybody who watches that visitor. The server keeps
//! who has left online for a grace, which is part of its promise and not of the latency: what was told late is what came
//! later than the grace and the measured span.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use super::Bench;
use crate::{
    admin::User,
    report::{Latency, Report, histogram},
    swarm::open,
    wire::{field, websocket::WebSocket},
};

const SESSIONS: usize = 10_000;
const WATCHED: usize = 200;
const CHANGES_PER_S: f64 = 50.0;
/// How long who has left is still shown online.
const GRACE: Duration = Duration::from_secs(5);
/// How long a visitor stays, and then is away.
const STAY: Duration = Duration::from_secs(8);
/// After the load, everything that was still due has come.
const SILENCE: Duration = Duration::from_secs(8);

/// What all sockets of a run find out together.
struct Tally {
    /// Of each visitor the change that is being told: when it happened, and to how many it is still to be told.
    under_way: HashMap<u64, Change>,
    told: u64,
    doubled: u64,
    online_us: Histogram<u64>,
    offline_us: Histogram<u64>,
}

struct Change {
    online: bool,
    at: Instant,
    waiting: usize,
}

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let sessions = bench.options.scale.unwrap_or(SESSIONS);
    let rate = bench.options.rate.unwrap_or(CHANGES_PER_S);
    // Each visitor makes two changes in a stay and an absence.
    let visitors = ((rate * STAY.as_secs_f64()).ceil() as usize).max(1);
    let users = bench.users(sessions + visitors).await?;
    let (watchers, guests) = users.split_at(sessions);
    bench.say(&format!("opening {sessions} connections that watch {WATCHED} users each"));
    // Of those whom a session watches as many are visitors as makes each visitor watched by 200 sessions.
    let of_visitors = (WATCHED * visitors).div_ceil(sessions).min(WATCHED).min(visitors);
    let mut watched_by: HashMap<u64, usize> = HashMap::new();
    let mut sockets = Vec::with_capacity(sessions);
    for (place, user) in watchers.iter().enumerate() {
        let mut ids: Vec<u64> = (0..of_visitors)
            .map(|n| guests[(place * of_visitors + n) % visitors].user_id)
            .collect();
        ids.iter().for_each(|id| *watched_by.entry(*id).or_default() += 1);
        let others =
            (1..=WATCHED - of_visitors).map(|n| watchers[(place + n * 37) % sessions].user_id);
        ids.extend(others);
        ids.sort_unstable();
        ids.dedup();
        sockets.push(watch(&bench.address, user, &ids).await?);
    }
    let tally = Rc::new(RefCell::new(Tally {
        under_way: HashMap::new(),
        told: 0,
        doubled: 0,
        online_us: histogram(),
        offline_us: histogram(),
    }));
    let listeners: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::task::spawn_local(listen(socket, Rc::clone(&tally))))
        .collect();
    // The sessions themselves have come online meanwhile: that is told first.
    tokio::time::sleep(SILENCE).await;
    bench.say(&format!("{rate} changes a second for {} s", bench.options.span.as_secs()));
    let before = bench.cost().await?;
    let (end, mut changes, mut lost) = (Instant::now() + bench.options.span, 0, 0);
    let mut present: Vec<Option<WebSocket>> = guests.iter().map(|_| None).collect();
    let beat = Duration::from_secs_f64(1.0 / rate);
    let mut next = Instant::now();
    for place in (0..visitors).cycle() {
        if Instant::now() >= end {
            break;
        }
        next += beat;
        tokio::time::sleep_until(next.into()).await;
        let guest = &guests[place];
        let online = present[place].is_none();
        let waiting = watched_by.get(&guest.user_id).copied().unwrap_or(0);
        let change = Change { online, at: Instant::now(), waiting };
        let unfinished = tally.borrow_mut().under_way.insert(guest.user_id, change);
        lost += unfinished.map_or(0, |change| change.waiting as u64);
        match present[place].take() {
            Some(mut socket) => socket.leave().await?,
            None => present[place] = Some(open(&bench.address, guest).await?),
        }
        changes += 1;
    }
    let after = bench.cost().await?;
    tokio::time::sleep(SILENCE).await;
    listeners.iter().for_each(|task| task.abort());
    let tally = tally.borrow();
    lost += tally.under_way.values().map(|change| change.waiting as u64).sum::<u64>();
    let mut report = Report {
        acked: changes,
        delivered_per_s: tally.told as f64 / bench.options.span.as_secs_f64(),
        delivery_ms: Latency::of(&tally.online_us),
        duplicated: tally.doubled,
        lost,
        ..Report::default()
    };
    let cpu = after.server.cpu_seconds - before.server.cpu_seconds;
    report.extra.insert("server_cores".into(), cpu / bench.options.span.as_secs_f64());
    report.extra.insert("offline_after_grace_p99_ms".into(), Latency::of(&tally.offline_us).p99);
    bench.costs(&mut report, &before, &after, tally.told);
    bench.finish(&mut report);
    Ok(report)
}

/// A socket that watches users, once it was told how they are.
async fn watch(address: &str, user: &User, ids: &[u64]) -> Result<WebSocket> {
    let mut socket = open(address, user).await?;
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    let frame = format!(
        "{{\"type\":\"presence_subscribe\",\"id\":1,\"data\":{{\"user_ids\":[{}]}}}}",
        ids.join(",")
    );
    socket.push(frame.as_bytes());
    socket.flush().await?;
    loop {
        let kind = socket.frame(|frame| frame.get(9..11).map(<[u8]>::to_vec)).await?;
        match kind.as_deref() {
            Some(b"ok") => return Ok(socket),
            kind => ensure!(kind != Some(b"er"), "watching was refused"),
        }
    }
}

/// Counts what one socket is told, for ever.
async fn listen(mut socket: WebSocket, tally: Rc<RefCell<Tally>>) -> Result<()> {
    loop {
        socket.flush().await?;
        socket.fill().await?;
        let now = Instant::now();
        let mut tally = tally.borrow_mut();
        while let Some(frame) = socket.next()? {
            tally.note(frame, now);
        }
    }
}

impl Tally {
    fn note(&mut self, frame: &[u8], now: Instant) {
        if !frame.starts_with(b"{\"type\":\"presence_update\"") {
            return;
        }
        let Some(user) = field::number(frame, b"\"user_id\":") else { return };
        let online = field::text(frame, b"\"status\":\"") == Some(b"online");
        // Others than the visitors come online before the load.
        let Some(change) = self.under_way.get_mut(&user) else { return };
        if change.online != online || change.waiting == 0 {
            self.doubled += 1;
            return;
        }
        change.waiting -= 1;
        self.told += 1;
        let took = now - change.at;
        let (spans, took) = if online {
            (&mut self.online_us, took)
        } else {
            (&mut self.offline_us, took.saturating_sub(GRACE))
        };
        spans.saturating_record(took.as_micros() as u64);
    }
}
