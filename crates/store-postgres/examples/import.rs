//! How fast a shard takes, gives, compares and purges the rows of a unit, in one stream. For people with a profiler.
//!
//! `cargo run --release -p ostracon-store-postgres --example import -- URL CONVERSATIONS MESSAGES PAGE`
//! with MESSAGES in each conversation and PAGE rows at a time.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the console")]

use std::{sync::Arc, time::Instant};

use ostracon_domain::{
    ClientId, Conversation, ConversationId, ConversationKind, Epoch, GroupSettings, History,
    HistoryFor, Member, Message, MessageId, MessageKind, Role, Row, ShardId, Subject, UnitAt,
    UnitId, UserId,
};
use ostracon_store::{Pair, SubjectVersion, Transfer, UnitChange, UnitPhase, memory::CountingIds};
use ostracon_store_postgres::{PostgresOptions, PostgresShard};

const START: i64 = 1_700_000_000_000;
const UNIT: UnitId = UnitId(20_000);
const AT: UnitAt = UnitAt { unit: UNIT, epoch: Epoch(1) };

fn client_id(n: u64) -> Option<ClientId> {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ClientId::new(&format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        mixed >> 32,
        (mixed >> 16) & 0xffff,
        mixed & 0xfff,
        n & 0xfff,
        mixed.rotate_left(17) & 0xffff_ffff_ffff
    ))
}

/// A direct conversation as a scan gives it.
fn conversation(number: u64, messages: u64, rows: &mut Vec<Row>) {
    let users = [2 * number + 1, 2 * number + 2].map(|user| UserId::new(user).unwrap());
    let id = ConversationId::direct(users[0], users[1]);
    let message_id = |seq: u64| MessageId::new((seq << 32) | (number + 1)).unwrap();
    rows.push(Row::Conversation(Arc::new(Conversation {
        id,
        unit: UNIT,
        slot: id.slot(),
        kind: ConversationKind::Direct,
        name: String::new(),
        created_at: START,
        history: History(number + 1),
        head_seq: messages,
        last_message_id: (messages > 0).then(|| message_id(messages)),
        last_activity_at: START,
        rev: messages,
        info_rev: 0,
        mark_rev: 1,
        member_count: 2,
        large: false,
        retained_from: 1,
        settings: GroupSettings { history_for: HistoryFor::All },
        create_hash: None,
        deleted_at: None,
        extra: None,
    })));
    for user in users {
        rows.push(Row::Member(Arc::new(Member {
            conversation: id,
            user,
            role: Role::Member,
            joined_seq: 0,
            left_seq: None,
            rev: 1,
            read_seq: messages,
            delivered_seq: messages,
            mark_rev: 1,
            hidden_to: 0,
            muted_until: None,
            extra: None,
        })));
    }
    for seq in 1..=messages {
        rows.push(Row::Message(Arc::new(Message {
            conversation: id,
            seq,
            message_id: message_id(seq),
            slot: id.slot(),
            sender: users[(seq % 2) as usize],
            client_id: client_id(number * messages + seq),
            payload_hash: Some(u128::from(seq)),
            kind: MessageKind::Text,
            content: "x".repeat(200),
            reply_to: None,
            mentions: Vec::new(),
            created_at: START,
            edited_at: None,
            deleted: None,
            uncounted: false,
            created_rev: seq,
            rev: seq,
            content_rev: seq,
            extra: None,
        })));
    }
}

/// A mover's commands, each with the next pair.
struct Mover {
    shard: PostgresShard,
    step: u64,
}

impl Mover {
    fn pair(&mut self) -> Pair {
        self.step += 1;
        Pair { lease: 1, step: self.step }
    }

    async fn become_now(&mut self, from: Option<UnitPhase>, to: UnitPhase) {
        let pair = self.pair();
        let expect = from.map(|phase| (phase, AT.epoch));
        let change = UnitChange { unit: UNIT, expect, phase: to, epoch: AT.epoch, pair };
        self.shard.set_unit_state(change).await.unwrap();
    }
}

fn tell(what: &str, count: u64, began: Instant) {
    let took = began.elapsed().as_secs_f64();
    println!("{what}: {count} in {took:.2} s, {:.0} a second", count as f64 / took);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let url = args.first().map_or("postgres://app@127.0.0.1:5432/postgres", String::as_str);
    let number = |at: usize, default: u64| args.get(at).map_or(default, |n| n.parse().unwrap());
    let (conversations, messages, page) = (number(1, 2_000), number(2, 200), number(3, 4_000));

    let url = format!("{url}?schema=import_{}", std::process::id());
    let ids = Arc::new(CountingIds::new(1, 1));
    let options = PostgresOptions::new(&url, 1, ShardId(0), ids).unwrap();
    PostgresShard::format(&options, []).await.unwrap();
    let shard = PostgresShard::connect(options).await.unwrap();
    let mut mover = Mover { shard, step: 0 };
    mover.become_now(None, UnitPhase::Importing).await;

    let (mut rows, mut making) = (Vec::new(), std::time::Duration::ZERO);
    let began = Instant::now();
    for number in 0..conversations {
        let made = Instant::now();
        conversation(number, messages, &mut rows);
        making += made.elapsed();
        let last = number + 1 == conversations;
        while rows.len() as u64 >= page || (last && !rows.is_empty()) {
            let rest = rows.split_off(rows.len().min(page as usize));
            let pair = mover.pair();
            mover.shard.apply_rows(AT, std::mem::replace(&mut rows, rest), pair).await.unwrap();
        }
    }
    tell("messages imported", conversations * messages, began);
    println!("  of which {making:?} to make them up");
    let began = Instant::now();
    let pair = mover.pair();
    mover.shard.import_complete(AT, pair).await.unwrap();
    println!("import complete after {:?}", began.elapsed());

    let (began, mut next, mut scanned) = (Instant::now(), None, 0);
    loop {
        let found = mover.shard.scan_unit(UNIT, next, page as u32).await.unwrap();
        scanned += found.rows.len() as u64;
        next = found.next;
        if next.is_none() {
            break;
        }
    }
    tell("rows scanned", scanned, began);

    let began = Instant::now();
    let heads = mover.shard.heads(UNIT, None, conversations as u32).await.unwrap();
    tell("heads", heads.len() as u64, began);
    let subjects: Vec<Subject> = heads.iter().map(|head| head.subject).collect();
    let began = Instant::now();
    let mut digested = 0;
    for some in subjects.chunks(500) {
        let digests = mover.shard.digests(UNIT, some).await.unwrap();
        digested += digests.iter().map(|digest| digest.rows).sum::<u64>();
    }
    tell("rows digested", digested, began);

    // As a catch-up: a little has changed in each of many subjects.
    let since: Vec<(Subject, SubjectVersion)> = heads
        .iter()
        .map(|head| {
            let rev = head.version.rev.saturating_sub(2);
            (head.subject, SubjectVersion { rev, ..head.version })
        })
        .collect();
    let began = Instant::now();
    for some in since.chunks(500) {
        let changed = mover.shard.subjects_since(UNIT, some).await.unwrap();
        assert!(changed.iter().all(Option::is_some));
    }
    tell("subjects since a version", since.len() as u64, began);

    mover.become_now(Some(UnitPhase::Importing), UnitPhase::Moved).await;
    let (began, mut gone) = (Instant::now(), 0);
    loop {
        let purged = mover.shard.purge(AT, page as u32).await.unwrap();
        gone += purged.rows;
        if purged.done {
            break;
        }
    }
    tell("rows purged", gone, began);
    assert_eq!((gone, digested), (scanned, scanned));
}
