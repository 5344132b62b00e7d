//! How much CPU a committed message costs, thread by thread, and how large it is on disk. For people with a profiler.
//!
//! With the number of shards followed by `crash` the tables get nothing and the process dies at the end: the next run shows
//! how long a start with a full overlay takes.
//!
//! `cargo run --release -p ostracon-store-embedded --example commit -- DIR BATCH CONVERSATIONS SECONDS SHARDS`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the console")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Limits, MessageKind,
    NewMessage, PlacementMap, ShardId, UnitAt, UserId,
};
use ostracon_store::{
    Answer, Batch, MessagePage, Order, PagePosition, Read, Shard, memory::CountingIds,
};
use ostracon_store_embedded::{DataDir, EmbeddedOptions, EmbeddedStore};

const START: i64 = 1_700_000_000_000;

/// CPU of each kind of thread so far, nanoseconds.
fn cpu() -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let used: u64 = stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let name =
            name.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned();
        *by_name.entry(name).or_insert(0) += used;
    }
    by_name
}

fn print_cpu(what: &str, before: &BTreeMap<String, u64>, count: u64) {
    for (name, used) in cpu() {
        let used = used - before.get(&name).copied().unwrap_or(0);
        if used > 1_000_000 {
            println!("  {:>6.2} µs/{what}  {name}", used as f64 / 1e3 / count as f64);
        }
    }
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines =
        status.lines().filter(|line| line.starts_with("RssAnon") || line.starts_with("VmRSS"));
    lines.map(|line| line.replace(['\t', ' '], "")).collect::<Vec<_>>().join(", ")
}

struct Pair {
    id: ConversationId,
    users: [UserId; 2],
    at: UnitAt,
    shard: ShardId,
}

fn uuid(n: u64) -> String {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        mixed >> 32,
        (mixed >> 16) & 0xffff,
        mixed & 0xfff,
        n & 0xfff,
        mixed.rotate_left(17) & 0xffff_ffff_ffff
    )
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(args.first().map_or("bench-data", String::as_str));
    let number = |at: usize, default: u64| args.get(at).map_or(default, |n| n.parse().unwrap());
    let (batch, conversations, seconds, shards) =
        (number(1, 200), number(2, 50), number(3, 10), number(4, 1));

    let shard_ids: Vec<ShardId> = (0..shards as u32).map(ShardId).collect();
    let map = PlacementMap::initial(&shard_ids);
    let data_dir = Arc::new(DataDir::open(dir).unwrap());
    let started = Instant::now();
    let store = EmbeddedStore::open(EmbeddedOptions::new(
        data_dir,
        1,
        shard_ids.clone(),
        Arc::new(CountingIds::new(1, 1)),
    ))
    .unwrap();
    println!("open: {:?}, {}", started.elapsed(), memory());
    for shard in &shard_ids {
        let own = map.units().filter(|(_, home)| home.shard == *shard);
        store.format(*shard, own.map(|(unit, home)| (unit, home.epoch))).await.unwrap();
    }
    let pairs: Vec<Pair> = (0..conversations)
        .map(|n| {
            let users = [UserId::new(2 * n + 1).unwrap(), UserId::new(2 * n + 2).unwrap()];
            let id = ConversationId::direct(users[0], users[1]);
            let unit = map.unit_of(id);
            let home = map.home(unit).unwrap();
            Pair { id, users, at: UnitAt { unit, epoch: home.epoch }, shard: home.shard }
        })
        .collect();

    let crash = args.get(5).is_some_and(|word| word == "crash");
    for id in &shard_ids {
        store.shard(*id).unwrap().pause_applier(crash);
    }
    let content = "x".repeat(200);
    let before = cpu();
    let started = Instant::now();
    let mut sent = 0;
    let mut worst = Duration::ZERO;
    let mut tasks = Vec::new();
    let pairs = Arc::new(pairs);
    for id in &shard_ids {
        let shard = store.shard(*id).unwrap();
        let own: Vec<usize> = (0..pairs.len()).filter(|n| pairs[*n].shard == *id).collect();
        if own.is_empty() {
            continue;
        }
        let (pairs, content) = (Arc::clone(&pairs), content.clone());
        tasks.push(tokio::spawn(async move {
            let (mut sent, mut busy, mut worst) = (0u64, 0u64, Duration::ZERO);
            let salt = u64::from(std::process::id());
            while started.elapsed().as_secs() < seconds {
                let orders = (0..batch)
                    .map(|n| {
                        let number = sent + n;
                        let pair = &pairs[own[(number % own.len() as u64) as usize]];
                        let message = NewMessage {
                            kind: MessageKind::Text,
                            content: content.clone(),
                            client_id: ClientId::new(&uuid(number ^ (salt << 40))),
                            payload_hash: u128::from(number),
                            reply_to: None,
                            mentions: Vec::new(),
                            attachments: Some(Vec::new()),
                        };
                        Order {
                            at: pair.at,
                            command: Command::Conversation(ConversationCommand {
                                conversation: pair.id,
                                actor: pair.users[(number / own.len() as u64 % 2) as usize],
                                action: Action::Send(message),
                            }),
                        }
                    })
                    .collect();
                let now = START + started.elapsed().as_millis() as i64;
                let began = Instant::now();
                match shard
                    .commit(Batch { now, limits: Limits::default(), orders: Arc::new(orders) })
                    .await
                {
                    Ok(commit) => {
                        assert!(commit.answers.iter().all(|a| matches!(a, Answer::Done { .. })));
                        sent += batch;
                        worst = worst.max(began.elapsed());
                    }
                    Err(error) => {
                        busy += 1;
                        assert_eq!(error, ostracon_store::ShardError::Busy);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
            (sent, busy, worst)
        }));
    }
    let mut busy = 0;
    for task in tasks {
        let (n, b, w) = task.await.unwrap();
        sent += n;
        busy += b;
        worst = worst.max(w);
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "{:.0} messages/s, worst batch {worst:?}, busy {busy}, overlay {} MiB",
        sent as f64 / took,
        store.overlay_bytes() >> 20
    );
    if crash {
        std::process::abort();
    }
    for id in &shard_ids {
        store.shard(*id).unwrap().flush().await.unwrap();
    }
    println!("drained after {:.2} s", started.elapsed().as_secs_f64() - took);
    print_cpu("message", &before, sent);

    read(&store, &pairs).await;
    let started = Instant::now();
    let mut bytes = 0;
    let paths: Vec<_> =
        shard_ids.iter().map(|id| store.shard(*id).unwrap().path().to_owned()).collect();
    let messages = {
        let mut messages = 0;
        for id in &shard_ids {
            messages += store.shard(*id).unwrap().stats().await.unwrap().messages;
        }
        messages
    };
    store.close().await.unwrap();
    println!("closed after {:?}, {}", started.elapsed(), memory());
    for path in paths {
        bytes += std::fs::metadata(path).unwrap().len();
    }
    println!("{messages} messages, {:.0} bytes each", bytes as f64 / messages as f64);
}

/// Random pages of 50.
async fn read(store: &EmbeddedStore, pairs: &[Pair]) {
    let mut seed = 1u64;
    let (before, started, count) = (cpu(), Instant::now(), 20_000);
    for _ in 0..count {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let pair = &pairs[(seed >> 33) as usize % pairs.len()];
        let shard = store.shard(pair.shard).unwrap();
        let newest =
            shard.messages(pair.at, pair.id, pair.users[0], MessagePage::Newest { limit: 0 });
        let head = match if seed & 0xff00 == 0 { newest.await.unwrap() } else { Read::Absent } {
            Read::Rows(page) => page.conversation.head_seq,
            _ => 1_000,
        };
        let position = PagePosition::Seq(1 + (seed >> 20) % head.max(1));
        let page = MessagePage::Before { position, limit: 50 };
        let page = shard.messages(pair.at, pair.id, pair.users[0], page).await.unwrap();
        assert!(matches!(page, Read::Rows(_)));
    }
    println!("{:.0} pages/s one after another", f64::from(count) / started.elapsed().as_secs_f64());
    print_cpu("page", &before, count as u64);
}
