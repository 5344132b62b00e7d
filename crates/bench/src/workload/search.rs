//! `search`: a stated corpus is sent, indexed, indexed anew with nothing else to do, and searched.
//!
//! Half of the messages are Latin, a quarter Cyrillic, a quarter Chinese; 60 characters in the mean. Words are drawn from
//! vocabularies so that the frequency of a word falls with its rank, as in languages. The same seed gives the same texts.

use std::{
    cell::RefCell,
    io::Write as _,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Bench, together};
use crate::{
    admin::User,
    report::{Latency, Report, histogram},
    swarm::open,
    wire::{field, http::Http},
};

/// People who write; the first one gets a quarter of everything.
const USERS: usize = 200;
/// Others whom each writes to, besides the first one.
const PEERS: usize = 20;
/// Connections that send.
const SENDERS: usize = 40;
const IN_FLIGHT: usize = 48;
/// Connections that search.
const READERS: usize = 2;
/// How long the index may take to follow.
const PATIENCE: Duration = Duration::from_secs(600);
/// Answers that are late by so much count as an index that stands still.
const POLL: Duration = Duration::from_millis(100);
/// What was joined is given back a little later: an index of one size for so long has its last one.
const SETTLED: Duration = Duration::from_secs(12);

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let messages = bench.options.scale.unwrap_or(1_000_000);
    let users = bench.users(USERS).await?;
    let before = Index::read(bench).await?;
    bench.say(&format!("sending {messages} messages"));
    let began = Instant::now();
    let text_bytes = fill(bench, &users, messages).await?;
    let sent_s = began.elapsed().as_secs_f64();
    let wanted = before.messages + messages as u64;
    bench.say("waiting for the index");
    let followed = Instant::now();
    wait(bench, wanted).await?;
    let behind_s = followed.elapsed().as_secs_f64();

    bench.say("making the index anew");
    bench.admin.post("/api/v1/admin/search", b"{\"anew\":true}").await?;
    let began = Instant::now();
    let cpu = bench.admin.status().await?.cpu_seconds;
    let index = wait(bench, wanted).await?;
    let anew_s = began.elapsed().as_secs_f64();
    let cpu = bench.admin.status().await?.cpu_seconds - cpu;
    let settled = Index::settled(bench).await?;

    bench.say(&format!("searching for {} s", bench.options.span.as_secs()));
    let cost = bench.cost().await?;
    let end = Instant::now() + bench.options.span;
    let parts = (0..READERS).map(|reader| {
        let (address, users) = (bench.address.clone(), users.clone());
        async move { search(&address, &users, reader as u64, end).await }
    });
    let results = together(parts.collect::<Vec<_>>()).await?;
    let after = bench.cost().await?;
    let mut report = Report::default();
    let mut spans = histogram();
    let mut hits = 0;
    for part in results {
        spans.add(part.spans)?;
        report.acked += part.asked;
        report.refused += part.refused;
        hits += part.hits;
    }
    report.ack_ms = Latency::of(&spans);
    let mut note = |name: &str, value: f64| report.extra.insert(name.into(), value);
    note("sent_per_s", messages as f64 / sent_s);
    note("index_behind_s", behind_s);
    note("indexed_anew_per_s", index.messages as f64 / anew_s);
    note("indexing_cpu_us_each", cpu * 1e6 / index.messages.max(1) as f64);
    note("text_bytes", text_bytes as f64);
    note("index_bytes", settled.bytes as f64);
    let own = settled.bytes.saturating_sub(before.bytes);
    note("index_to_text", own as f64 / text_bytes.max(1) as f64);
    let asked = report.acked.max(1) as f64;
    report.extra.insert("hits_each".into(), hits as f64 / asked);
    bench.costs(&mut report, &cost, &after, 0);
    bench.finish(&mut report);
    Ok(report)
}

/// What the server tells of its indexes.
#[derive(Debug, Clone, Copy, Default)]
struct Index {
    messages: u64,
    bytes: u64,
    complete: bool,
}

impl Index {
    async fn read(bench: &Bench<'_>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Answer {
            shards: Vec<Shard>,
        }
        #[derive(Deserialize)]
        struct Shard {
            messages: u64,
            bytes: u64,
            complete: bool,
        }
        let body = bench.admin.get("/api/v1/admin/search").await?;
        let answer: Answer = serde_json::from_slice(&body)?;
        Ok(Self {
            messages: answer.shards.iter().map(|shard| shard.messages).sum(),
            bytes: answer.shards.iter().map(|shard| shard.bytes).sum(),
            complete: answer.shards.iter().all(|shard| shard.complete),
        })
    }

    /// The index when it has stopped growing and shrinking.
    async fn settled(bench: &Bench<'_>) -> Result<Self> {
        let end = Instant::now() + PATIENCE;
        let (mut index, mut since) = (Self::read(bench).await?, Instant::now());
        while since.elapsed() < SETTLED && Instant::now() < end {
            tokio::time::sleep(POLL).await;
            let now = Self::read(bench).await?;
            if now.bytes != index.bytes {
                (index, since) = (now, Instant::now());
            }
        }
        Ok(index)
    }
}

async fn wait(bench: &Bench<'_>, messages: u64) -> Result<Index> {
    let end = Instant::now() + PATIENCE;
    loop {
        let index = Index::read(bench).await?;
        if index.complete && index.messages >= messages {
            return Ok(index);
        }
        ensure!(Instant::now() < end, "the index has only {} of {messages}", index.messages);
        tokio::time::sleep(POLL).await;
    }
}

/// Sends the corpus; the bytes of its texts.
async fn fill(bench: &Bench<'_>, users: &[User], messages: usize) -> Result<u64> {
    let bytes = Rc::new(RefCell::new(0));
    let parts = (0..SENDERS).map(|sender| {
        let (address, users, bytes) = (bench.address.clone(), users.to_vec(), Rc::clone(&bytes));
        let quota = messages / SENDERS + usize::from(sender < messages % SENDERS);
        async move {
            let own = &users[sender + 1];
            let mut socket = open(&address, own).await?;
            let mut corpus = Corpus::new(sender as u64 + 1);
            let (mut sent, mut answered) = (0, 0);
            let mut frame = Vec::new();
            let mut text = String::new();
            while answered < quota {
                while sent < quota && sent - answered < IN_FLIGHT {
                    corpus.text(&mut text);
                    *bytes.borrow_mut() += text.len() as u64;
                    let peer = match corpus.random.below(4) {
                        0 => 0,
                        _ => 1 + (sender + 1 + corpus.random.below(PEERS as u64) as usize * 7) % (USERS - 1),
                    };
                    frame.clear();
                    write!(
                        frame,
                        "{{\"type\":\"send_message\",\"id\":{sent},\"data\":{{\"to\":{},\"content\":\"{text}\"}}}}",
                        users[peer].user_id
                    )?;
                    socket.push(&frame);
                    sent += 1;
                }
                socket.flush().await?;
                socket.fill().await?;
                while let Some(frame) = socket.next()? {
                    ensure!(
                        !frame.starts_with(b"{\"type\":\"error\""),
                        "refused: {}",
                        String::from_utf8_lossy(frame)
                    );
                    answered += usize::from(frame.starts_with(b"{\"type\":\"message_sent\""));
                }
            }
            Ok(())
        }
    });
    together(parts.collect::<Vec<_>>()).await?;
    let bytes = *bytes.borrow();
    Ok(bytes)
}

struct Searched {
    spans: hdrhistogram::Histogram<u64>,
    asked: u64,
    refused: u64,
    hits: u64,
}

/// Asks for words of the corpus, every tenth time as the one who got a quarter of everything.
async fn search(address: &str, users: &[User], reader: u64, end: Instant) -> Result<Searched> {
    let mut http = Http::tcp(address).await?;
    let mut corpus = Corpus::new(1_000 + reader);
    let mut done = Searched { spans: histogram(), asked: 0, refused: 0, hits: 0 };
    while Instant::now() < end {
        let user = match done.asked % 10 {
            0 => &users[0],
            _ => &users[1 + corpus.random.below(USERS as u64 - 1) as usize],
        };
        let query = corpus.query();
        let path = format!("/api/v1/search?limit=20&q={}", encoded(&query));
        let begun = Instant::now();
        let answer = http.ask("GET", &path, &user.token, b"").await?;
        done.spans.saturating_record(begun.elapsed().as_micros() as u64);
        done.asked += 1;
        done.refused += u64::from(answer.status != 200);
        let found = memchr::memmem::find_iter(answer.body, b"\"highlights\":").count();
        done.hits += found as u64;
        if answer.status != 200 && done.refused == 1 {
            let why =
                field::text(answer.body, b"\"message\":\"").context("an unreadable refusal")?;
            anyhow::bail!("{query:?} was refused: {}", String::from_utf8_lossy(why));
        }
    }
    Ok(done)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Texts of three scripts, by seed.
struct Corpus {
    random: Random,
}

/// Words of each vocabulary.
const WORDS: u64 = 60_000;
/// Characters of a text, least and most.
const CHARS: (u64, u64) = (20, 100);

#[derive(Clone, Copy)]
enum Script {
    Latin,
    Cyrillic,
    Han,
}

impl Corpus {
    const fn new(seed: u64) -> Self {
        Self { random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1) }
    }

    fn script(&mut self) -> Script {
        match self.random.below(4) {
            0 | 1 => Script::Latin,
            2 => Script::Cyrillic,
            _ => Script::Han,
        }
    }

    fn text(&mut self, out: &mut String) {
        out.clear();
        let script = self.script();
        let length = CHARS.0 + self.random.below(CHARS.1 - CHARS.0 + 1);
        let mut chars = 0;
        while chars < length {
            if chars > 0 && !matches!(script, Script::Han) {
                out.push(' ');
                chars += 1;
            }
            let rank = self.random.rank(WORDS);
            chars += word(script, rank, out);
        }
    }

    /// A common word, a rare one, two, the beginning of one, or a single Han character.
    fn query(&mut self) -> String {
        let script = self.script();
        let mut query = String::new();
        match self.random.below(5) {
            0 => {
                word(script, self.random.below(50), &mut query);
            }
            1 => {
                word(script, self.random.below(WORDS), &mut query);
            }
            2 | 3 => {
                word(script, self.random.rank(WORDS), &mut query);
                query.push(' ');
                word(script, self.random.rank(2_000), &mut query);
            }
            _ => {
                let mut whole = String::new();
                word(script, self.random.rank(WORDS), &mut whole);
                let keep = if matches!(script, Script::Han) { 1 } else { 3 };
                query.extend(whole.chars().take(keep));
            }
        }
        query
    }
}

/// Adds the word of a rank; how many characters it has. Common words are short.
fn word(script: Script, rank: u64, out: &mut String) -> u64 {
    let mut random = Random((rank + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93) | 1);
    for _ in 0..3 {
        random.next();
    }
    let length = match script {
        Script::Han => 1 + u64::from(rank > 300),
        _ => 2 + (rank + 2).ilog2() as u64 / 2 + random.below(3),
    };
    for at in 0..length {
        let c = match script {
            Script::Latin if at % 2 == 0 => pick(&mut random, "tsrnlmdcpbgkvfhwzj"),
            Script::Latin => pick(&mut random, "eaoiuy"),
            Script::Cyrillic if at % 2 == 0 => pick(&mut random, "нтсрвлкмдпзбгчжшх"),
            Script::Cyrillic => pick(&mut random, "оеаиыуяю"),
            Script::Han => {
                let place = random.rank(3_000) as u32;
                char::from_u32(0x4E00 + place * 5).unwrap_or('的')
            }
        };
        out.push(c);
    }
    length
}

fn pick(random: &mut Random, from: &str) -> char {
    let at = random.below(from.chars().count() as u64) as usize;
    from.chars().nth(at).unwrap_or('a')
}

/// Chance that is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    /// A rank whose frequency falls with it (Zipf's law).
    fn rank(&mut self, count: u64) -> u64 {
        let part = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (((count as f64).ln() * part).exp() as u64).min(count) - 1
    }
}
