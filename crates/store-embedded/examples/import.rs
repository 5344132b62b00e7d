//! How fast a unit is copied from one shard to another, page by page, and purged where it was. For people with a profiler.
//!
//! With `live` at the end the target commits messages of other units all the time.
//!
//! `cargo run --release -p ostracon-store-embedded --example import -- DIR MESSAGES CONVERSATIONS PAGE`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the console")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Epoch, Limits, MessageKind,
    NewMessage, Row, ShardId, Subject, UnitAt, UnitId, UserId,
};
use ostracon_store::{
    Answer, Batch, Order, Pair, ScanCursor, Shard, Transfer, UnitChange, UnitPhase,
    memory::CountingIds,
};
use ostracon_store_embedded::{DataDir, EmbeddedOptions, EmbeddedShard, EmbeddedStore};

const START: i64 = 1_700_000_000_000;
const MOVED: UnitId = UnitId(1);
const LIVE: UnitId = UnitId(2);
const SHARD: ShardId = ShardId(0);

static STEP: AtomicU64 = AtomicU64::new(1);

fn pair() -> Pair {
    Pair { lease: 1, step: STEP.fetch_add(1, Ordering::Relaxed) }
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

fn order(unit: UnitId, n: u64, conversations: u64) -> Order {
    // Each unit has people of its own.
    let pair = u64::from(unit.0) * 1_000_000 + n % conversations;
    let users = [UserId::new(2 * pair + 1).unwrap(), UserId::new(2 * pair + 2).unwrap()];
    Order {
        at: UnitAt { unit, epoch: Epoch(1) },
        command: Command::Conversation(ConversationCommand {
            conversation: ConversationId::direct(users[0], users[1]),
            actor: users[(n / conversations % 2) as usize],
            action: Action::Send(NewMessage {
                kind: MessageKind::Text,
                content: "x".repeat(200),
                client_id: ClientId::new(&uuid(n)),
                payload_hash: u128::from(n),
                reply_to: None,
                mentions: Vec::new(),
                attachments: Some(Vec::new()),
            }),
        }),
    }
}

async fn send(shard: &EmbeddedShard, orders: Vec<Order>) {
    let batch = Batch { now: START, limits: Limits::default(), orders: orders.into() };
    loop {
        match shard.commit(batch.clone()).await {
            Ok(commit) => {
                let is_done = |answer: &Answer| matches!(answer, Answer::Done { .. });
                assert!(commit.answers.iter().all(is_done));
                return;
            }
            Err(error) => {
                assert_eq!(error, ostracon_store::ShardError::Busy);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

async fn step(shard: &EmbeddedShard, from: (UnitPhase, u64), to: (UnitPhase, u64)) {
    let change = UnitChange {
        unit: MOVED,
        expect: (from.1 > 0).then_some((from.0, Epoch(from.1))),
        phase: to.0,
        epoch: Epoch(to.1),
        pair: pair(),
    };
    let started = Instant::now();
    shard.set_unit_state(change).await.unwrap();
    println!("  {:?} after {:?}", to.0, started.elapsed());
}

async fn open(dir: &Path, unit: UnitId) -> EmbeddedStore {
    let data_dir = Arc::new(DataDir::open(dir).unwrap());
    let ids = Arc::new(CountingIds::new(1, 1));
    let store = EmbeddedStore::open(EmbeddedOptions::new(data_dir, 1, vec![SHARD], ids)).unwrap();
    store.format(SHARD, [(unit, Epoch(1))]).await.unwrap();
    store
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(args.first().map_or("bench-data", String::as_str));
    let number = |at: usize, default: u64| args.get(at).map_or(default, |n| n.parse().unwrap());
    let (messages, conversations, page) = (number(1, 500_000), number(2, 500), number(3, 2_000));
    let is_live = args.get(4).is_some_and(|word| word == "live");

    let (from, to) = (open(&dir.join("from"), MOVED).await, open(&dir.join("to"), LIVE).await);
    let (source, target) = (from.shard(SHARD).unwrap(), to.shard(SHARD).unwrap());
    for first in (0..messages).step_by(500) {
        let orders = first..(first + 500).min(messages);
        send(&source, orders.map(|n| order(MOVED, n, conversations)).collect()).await;
    }
    source.flush().await.unwrap();

    use UnitPhase::{Capturing, Frozen, Importing, Moved, Open};
    step(&target, (Moved, 0), (Importing, 2)).await;
    step(&source, (Open, 1), (Capturing, 1)).await;
    let stop = Arc::new(AtomicBool::new(!is_live));
    let live = tokio::spawn({
        let (target, stop) = (Arc::clone(&target), Arc::clone(&stop));
        async move {
            let (mut sent, mut worst) = (0, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let orders = (sent..sent + 100).map(|n| order(LIVE, n, 1_000)).collect();
                let began = Instant::now();
                send(&target, orders).await;
                worst = worst.max(began.elapsed());
                sent += 100;
            }
            (sent, worst)
        }
    });
    let at = UnitAt { unit: MOVED, epoch: Epoch(2) };
    let (started, mut read) = (Instant::now(), Duration::ZERO);
    let (mut copied, mut pages, mut worst) = (0u64, 0u64, Duration::ZERO);
    let mut cursor: Option<ScanCursor> = None;
    loop {
        let began = Instant::now();
        let scanned = source.scan_unit(MOVED, cursor, page as u32).await.unwrap();
        read += began.elapsed();
        let is_message = |row: &&Row| matches!(row, Row::Message(_));
        copied += scanned.rows.iter().filter(is_message).count() as u64;
        let began = Instant::now();
        target.apply_rows(at, scanned.rows, pair()).await.unwrap();
        worst = worst.max(began.elapsed());
        pages += 1;
        cursor = scanned.next;
        if cursor.is_none() {
            break;
        }
    }
    let took = started.elapsed();
    assert_eq!(copied, messages);
    let per_second = |took: Duration| copied as f64 / took.as_secs_f64();
    println!(
        "{copied} messages in {pages} pages: read {:.0}/s, written {:.0}/s, both {:.0}/s; slowest page {worst:?}",
        per_second(read),
        per_second(took - read),
        per_second(took)
    );

    let frozen = Instant::now();
    step(&source, (Capturing, 1), (Frozen, 1)).await;
    let subjects: Vec<_> = source.heads(MOVED, None, 50).await.unwrap();
    let all: Vec<(Subject, _)> =
        subjects.iter().map(|head| (head.subject, Default::default())).take(1).collect();
    let changed = source.subjects_since(MOVED, &all).await.unwrap().remove(0).unwrap();
    let last = changed.rows.len() - changed.rows.len().min(200);
    target.apply_rows(at, changed.rows[last..].to_vec(), pair()).await.unwrap();
    target.import_complete(at, pair()).await.unwrap();
    step(&target, (Importing, 2), (Open, 2)).await;
    step(&source, (Frozen, 1), (Moved, 1)).await;
    println!("frozen for {:?}, with 200 rows", frozen.elapsed());
    stop.store(true, Ordering::Relaxed);
    let (sent, slowest) = live.await.unwrap();
    if is_live {
        let rate = sent as f64 / started.elapsed().as_secs_f64();
        println!("meanwhile {rate:.0} other messages/s, slowest batch {slowest:?}");
    }

    let (started, mut gone, mut worst) = (Instant::now(), 0, Duration::ZERO);
    loop {
        let began = Instant::now();
        let at = UnitAt { unit: MOVED, epoch: Epoch(1) };
        let purged = source.purge(at, page as u32).await.unwrap();
        worst = worst.max(began.elapsed());
        gone += purged.rows;
        if purged.done {
            break;
        }
    }
    let rate = gone as f64 / started.elapsed().as_secs_f64();
    println!("purged {gone} rows, {rate:.0}/s; slowest page {worst:?}");
}
