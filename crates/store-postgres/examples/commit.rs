//! How many messages a shard commits when several writers send batches at full rate. For people with a profiler.
//!
//! `cargo run --release -p ostracon-store-postgres --example commit -- URL WRITERS BATCH CONVERSATIONS SECONDS`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the console")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Epoch, Limits, MessageKind,
    NewMessage, ShardId, UnitAt, UserId, id::SLOTS,
};
use ostracon_store::{
    Answer, Batch, MessagePage, Order, PagePosition, Read, Shard, memory::CountingIds,
};
use ostracon_store_postgres::{PostgresOptions, PostgresShard};

const START: i64 = 1_700_000_000_000;

struct Pair {
    id: ConversationId,
    users: [UserId; 2],
    at: UnitAt,
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

fn send(pair: &Pair, number: u64, content: &str) -> Order {
    Order {
        at: pair.at,
        command: Command::Conversation(ConversationCommand {
            conversation: pair.id,
            actor: pair.users[(number % 2) as usize],
            action: Action::Send(NewMessage {
                kind: MessageKind::Text,
                content: content.to_owned(),
                client_id: ClientId::new(&uuid(number)),
                payload_hash: u128::from(number),
                reply_to: None,
                mentions: Vec::new(),
                attachments: Some(Vec::new()),
            }),
        }),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let url = args.first().map_or("postgres://app@127.0.0.1:5432/postgres", String::as_str);
    let number = |at: usize, default: u64| args.get(at).map_or(default, |n| n.parse().unwrap());
    let (writers, batch, conversations, seconds) =
        (number(1, 4), number(2, 100), number(3, 10_000), number(4, 10));

    let schema = format!("commit_{}", std::process::id());
    let url = format!("{url}?schema={schema}");
    let ids = Arc::new(CountingIds::new(1, 1));
    let options = PostgresOptions::new(&url, 1, ShardId(0), ids).unwrap();
    let units = (0..u32::from(SLOTS)).map(|unit| (ostracon_domain::UnitId(unit), Epoch(1)));
    let started = Instant::now();
    PostgresShard::format(&options, units).await.unwrap();
    let shard = Arc::new(PostgresShard::connect(options).await.unwrap());
    println!("format and connect: {:?}", started.elapsed());

    // Each writer has conversations of its own, as lanes of one committer would.
    let per_writer = conversations / writers;
    let started = Instant::now();
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let shard = Arc::clone(&shard);
        tasks.push(tokio::spawn(async move {
            let pairs: Vec<Pair> = (0..per_writer)
                .map(|n| writer * per_writer + n)
                .map(|n| {
                    let users = [UserId::new(2 * n + 1).unwrap(), UserId::new(2 * n + 2).unwrap()];
                    let id = ConversationId::direct(users[0], users[1]);
                    Pair { id, users, at: UnitAt { unit: id.slot().unit(), epoch: Epoch(1) } }
                })
                .collect();
            let content = "x".repeat(200);
            let mut times = Vec::new();
            let mut done = 0u64;
            while started.elapsed().as_secs() < seconds {
                let orders = (done..done + batch)
                    .map(|n| send(&pairs[(n % per_writer) as usize], (writer << 40) | n, &content));
                let now = START + started.elapsed().as_millis() as i64;
                let batch_of =
                    Batch { now, limits: Limits::default(), orders: Arc::new(orders.collect()) };
                let began = Instant::now();
                let commit = shard.commit(batch_of).await.unwrap();
                times.push(began.elapsed());
                assert!(commit.answers.iter().all(|a| matches!(a, Answer::Done { .. })));
                done += batch;
                if times.len().is_multiple_of(64) {
                    shard.dispatched(commit.position.saturating_sub(64)).await.unwrap();
                }
            }
            (done, times, pairs)
        }));
    }
    let (mut sent, mut times, mut pairs) = (0, Vec::new(), Vec::new());
    for task in tasks {
        let (done, own, its) = task.await.unwrap();
        sent += done;
        times.extend(own);
        pairs.extend(its);
    }
    let took = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "{:.0} messages/s by {writers} writers of {batch}; a batch p50 {:?}, p99 {:?}, longest {:?}",
        sent as f64 / took,
        at(50),
        at(99),
        times.last().copied().unwrap_or(Duration::ZERO)
    );
    let stats = shard.stats().await.unwrap();
    println!("{} messages, {} bytes each", stats.messages, stats.bytes / stats.messages.max(1));
    read(&shard, &pairs).await;
}

/// Random pages of 50, one after another.
async fn read(shard: &PostgresShard, pairs: &[Pair]) {
    let (mut seed, count, started) = (1u64, 2_000, Instant::now());
    for _ in 0..count {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let pair = &pairs[(seed >> 33) as usize % pairs.len()];
        let position = PagePosition::Seq(1 + (seed >> 20) % 1_000);
        let page = MessagePage::Before { position, limit: 50 };
        let page = shard.messages(pair.at, pair.id, pair.users[0], page).await.unwrap();
        assert!(matches!(page, Read::Rows(_) | Read::Absent));
    }
    println!("{:.0} pages/s one after another", f64::from(count) / started.elapsed().as_secs_f64());
}
