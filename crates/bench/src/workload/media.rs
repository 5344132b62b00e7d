//! `media`: one file of a megabyte again and again, then messages without and with twenty pictures a second beside them.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Deserialize;

use super::{Bench, Cost, together};
use crate::{
    admin::User,
    report::{Latency, Report, histogram},
    wire::http::Http,
};

/// Bytes of the file that is downloaded.
const FILE: usize = 1_000_000;
/// Connections that download.
const READERS: usize = 4;
/// Connections that send messages, and messages a second of each.
const SENDERS: usize = 8;
const SENDS_PER_S: u32 = 50;
/// Pictures a second, and the connections that send them.
const PICTURES_PER_S: u32 = 20;
const UPLOADERS: usize = 8;
/// Pictures that are different.
const PICTURES: u32 = 24;
const BOUNDARY: &str = "ostracon-bench";

#[derive(Deserialize)]
struct Media {
    url: String,
}

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let users = bench.users(2 * SENDERS + UPLOADERS).await?;
    let (talkers, uploaders) = users.split_at(2 * SENDERS);
    bench.say("making pictures");
    let pictures: Rc<Vec<Vec<u8>>> = Rc::new((0..PICTURES).map(picture).collect::<Result<_>>()?);
    let span = bench.options.span / 3;
    let mut report = Report::default();

    let mut http = Http::tcp(&bench.address).await?;
    let file = form("file.bin", &noise(FILE, 1));
    let media = upload(&mut http, &users[0], &file).await?;
    bench.say(&format!("downloading over {READERS} connections"));
    let before = bench.cost().await?;
    let end = Instant::now() + span;
    let address = bench.address.clone();
    let readers = (0..READERS).map(|_| download(address.clone(), media.url.clone(), end));
    let loads = together(readers.collect::<Vec<_>>()).await?;
    let after = bench.cost().await?;
    let downloads: u64 = loads.iter().sum();
    let seconds = span.as_secs_f64();
    let mut put = |name: &str, figure: f64| report.extra.insert(name.into(), figure);
    put("downloads_per_s", downloads as f64 / seconds);
    put("download_mb_per_s", downloads as f64 * FILE as f64 / 1e6 / seconds);
    put("download_cpu_us", cpu_us(&before, &after) / downloads.max(1) as f64);
    put("rss_growth_mib", mib(&after) - mib(&before));

    bench.say("sending messages");
    let alone = send(bench, talkers, span).await?;
    bench.say(&format!("sending messages beside {PICTURES_PER_S} pictures a second"));
    let before = bench.cost().await?;
    let stored = Rc::new(Cell::new(0u64));
    let uploads = tokio::task::spawn_local(upload_all(
        bench.address.clone(),
        uploaders.to_vec(),
        Rc::clone(&pictures),
        span,
        Rc::clone(&stored),
    ));
    let beside = send(bench, talkers, span).await?;
    let spans = uploads.await??;
    let after = bench.cost().await?;
    let (alone_ms, beside_ms) = (Latency::of(&alone), Latency::of(&beside));
    let mut put = |name: &str, figure: f64| report.extra.insert(name.into(), figure);
    put("pictures_per_s", stored.get() as f64 / seconds);
    put("picture_p50_ms", Latency::of(&spans).p50);
    put("picture_p99_ms", Latency::of(&spans).p99);
    put("send_p99_ms_alone", alone_ms.p99);
    put("send_p99_ms_beside", beside_ms.p99);
    report.acked = alone.len() + beside.len() + downloads + stored.get();
    report.ack_ms = beside_ms;
    bench.costs(&mut report, &before, &after, 0);
    bench.finish(&mut report);
    Ok(report)
}

fn cpu_us(before: &Cost, after: &Cost) -> f64 {
    (after.server.cpu_seconds - before.server.cpu_seconds) * 1e6
}

fn mib(cost: &Cost) -> f64 {
    cost.server.rss_bytes as f64 / f64::from(1 << 20)
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed) << 32 | 0x9e37_79b9;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A photograph of 1,280 x 960 pixels, or what looks like one to a decoder: soft shapes and some noise.
fn picture(seed: u32) -> Result<Vec<u8>> {
    let grain = noise(1_280 * 960, seed + 7);
    let image = image::RgbImage::from_fn(1_280, 960, |x, y| {
        let grain = grain.get((y * 1_280 + x) as usize).copied().unwrap_or_default() >> 4;
        let wave = |n: u32| ((n.wrapping_mul(n) / 900 + seed * 9) % 200) as u8;
        image::Rgb([wave(x) + grain, wave(y) + grain, wave(x + y) + grain])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Jpeg)?;
    Ok(bytes.into_inner())
}

fn form(name: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    );
    [head.as_bytes(), bytes, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

async fn upload(http: &mut Http, user: &User, form: &[u8]) -> Result<Media> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let answer = http.ask_as("POST", "/api/v1/media/upload", &user.token, &kind, form).await?;
    ensure!(answer.status == 201, "upload: {}", String::from_utf8_lossy(answer.body));
    serde_json::from_slice(answer.body).context("upload")
}

async fn download(address: String, url: String, end: Instant) -> Result<u64> {
    let mut http = Http::tcp(&address).await?;
    let mut count = 0;
    while Instant::now() < end {
        let answer = http.ask("GET", &url, "", b"").await?;
        ensure!(answer.status == 200 && answer.body.len() == FILE, "a download failed");
        count += 1;
    }
    Ok(count)
}

/// Messages on a beat; how long each took from when it was due.
async fn send(bench: &Bench<'_>, users: &[User], span: Duration) -> Result<Histogram<u64>> {
    let parts = users.chunks_exact(2).map(|pair| {
        let (address, user, peer) = (bench.address.clone(), pair[0].clone(), pair[1].user_id);
        async move {
            let mut http = Http::tcp(&address).await?;
            let path = format!("/api/v1/dialog/{peer}/send");
            let body = format!("{{\"text\":\"{}\"}}", "x".repeat(200));
            let mut spans = histogram();
            let begun = Instant::now();
            for beat in 0.. {
                let due = begun + Duration::from_secs(1) * beat / SENDS_PER_S;
                if due >= begun + span {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                let answer = http.ask("POST", &path, &user.token, body.as_bytes()).await?;
                ensure!(answer.status == 201, "send: {}", String::from_utf8_lossy(answer.body));
                spans.saturating_record(due.elapsed().as_micros() as u64);
            }
            Ok(spans)
        }
    });
    let mut all = histogram();
    for part in together(parts.collect::<Vec<_>>()).await? {
        all.add(part)?;
    }
    Ok(all)
}

/// Pictures on a beat, from several connections.
async fn upload_all(
    address: String,
    users: Vec<User>,
    pictures: Rc<Vec<Vec<u8>>>,
    span: Duration,
    stored: Rc<Cell<u64>>,
) -> Result<Histogram<u64>> {
    let begun = Instant::now();
    let count = users.len() as u32;
    let parts = users.into_iter().zip(0u32..).map(|(user, first)| {
        let (address, pictures, stored) =
            (address.clone(), Rc::clone(&pictures), Rc::clone(&stored));
        async move {
            let mut http = Http::tcp(&address).await?;
            let mut spans = histogram();
            for beat in (first..).step_by(count as usize) {
                let due = begun + Duration::from_secs(1) * beat / PICTURES_PER_S;
                if due >= begun + span {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                let picture = &pictures[(beat % PICTURES) as usize];
                upload(&mut http, &user, &form("photo.jpg", picture)).await?;
                spans.saturating_record(due.elapsed().as_micros() as u64);
                stored.set(stored.get() + 1);
            }
            Ok(spans)
        }
    });
    let mut all = histogram();
    for part in together(parts.collect::<Vec<_>>()).await? {
        all.add(part)?;
    }
    Ok(all)
}
