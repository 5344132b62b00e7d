//! Moves where several handles, several coordinators and a dying server meet: no change goes unnoted, late commands
//! are stale, nobody waits for a page, what was imported survives.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ostracon_domain::{
    Action, Applied, Command, ConversationId, Edit, Epoch, History, InboxAction, InboxChange,
    InboxCommand, Row, Subject, UnitAt, UnitId,
};
use ostracon_store::{
    Answer, Note, Order, Pair, Relabel, ShardError, SubjectVersion, Transfer, UnitChange,
    UnitPhase::{self, Capturing, Frozen, Importing, Moved, Open},
};
use ostracon_store_postgres::{PostgresOptions, PostgresShard, testing::Server};
use tokio_postgres::{Client, NoTls};

use crate::fixture::{
    ALICE, commit, direct, formatted, home, ids, open, options, options_on, order_in, say, send_in,
    sent, shared_url, texts, units, user,
};

const PAIRS: u64 = 8;

fn pairs() -> Vec<ConversationId> {
    (2..2 + PAIRS).map(|n| ConversationId::direct(ALICE, user(n))).collect()
}

fn at(unit: UnitId, epoch: u64) -> UnitAt {
    UnitAt { unit, epoch: Epoch(epoch) }
}

/// A coordinator: its lease, and the step of its last command.
struct Mover {
    shard: Arc<PostgresShard>,
    lease: u64,
    step: u64,
}

impl Mover {
    const fn new(shard: Arc<PostgresShard>, lease: u64) -> Self {
        Self { shard, lease, step: 0 }
    }

    const fn pair(&mut self) -> Pair {
        self.step += 1;
        Pair { lease: self.lease, step: self.step }
    }

    async fn step(
        &mut self,
        unit: UnitId,
        from: Option<(UnitPhase, u64)>,
        to: (UnitPhase, u64),
    ) -> Result<(), ShardError> {
        let change = UnitChange {
            unit,
            expect: from.map(|(phase, epoch)| (phase, Epoch(epoch))),
            phase: to.0,
            epoch: Epoch(to.1),
            pair: self.pair(),
        };
        self.shard.set_unit_state(change).await.map(|_| ())
    }

    /// Through all of these, from open at epoch 1.
    async fn steps(&mut self, unit: UnitId, phases: &[(UnitPhase, u64)]) {
        let mut from = (Open, 1);
        for to in phases {
            self.step(unit, Some(from), *to).await.unwrap();
            from = *to;
        }
    }

    async fn heads(&self, unit: UnitId) -> BTreeMap<Subject, SubjectVersion> {
        let heads = self.shard.heads(unit, None, 1_000).await.unwrap();
        heads.into_iter().map(|head| (head.subject, head.version)).collect()
    }
}

/// Asks again until the server serves.
async fn available<T>(ask: impl AsyncFn() -> Result<T, ShardError>) -> T {
    loop {
        match ask().await {
            Ok(done) => return done,
            Err(error) => assert!(matches!(error, ShardError::Unavailable(_)), "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn sql(options: &PostgresOptions) -> Client {
    let (client, connection) = tokio_postgres::connect(shared_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let path = format!("SET search_path = {}", options.schema().as_str());
    client.batch_execute(&path).await.unwrap();
    client
}

/// Returns when somebody who uses this table waits for somebody else.
async fn somebody_waits(options: &PostgresOptions, table: &str) {
    let watcher = sql(options).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_locks AS l WHERE NOT l.granted AND EXISTS (SELECT FROM pg_locks AS r \
         WHERE r.pid = l.pid AND r.relation = $1::text::regclass))";
    while !watcher.query_one(waits, &[&table]).await.unwrap().get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
}

/// Two handles, as two processes have them: nothing is shared but the database.
async fn two(units: &[UnitId]) -> (PostgresOptions, [Arc<PostgresShard>; 2]) {
    let first = options();
    let one = formatted(&first, units).await;
    let mut second = first.clone();
    second.ids = ids(2);
    let other = open(&second).await;
    (first, [one, other])
}

/// What writers do until their unit is frozen: sends, edits, marks, and entries of a list.
fn some_orders(round: u64, writer: u64) -> Vec<Order> {
    let pairs = pairs();
    let mut orders = Vec::new();
    for (n, id) in pairs.iter().enumerate() {
        let n = n as u64;
        match (round + n + writer) % 4 {
            0 => orders.push(send_in(*id, ALICE, &format!("{writer}-{round}"))),
            1 => {
                let edit =
                    Edit { seq: 1, content: format!("{writer}-{round}"), if_content_rev: None };
                orders.push(order_in(*id, ALICE, Action::Edit(edit)));
            }
            2 => orders.push(order_in(*id, user(2 + n), Action::MarkRead { seq: round })),
            _ => {}
        }
    }
    let change = InboxChange {
        conversation: pairs[(round % PAIRS) as usize],
        applied: Applied { history: History(writer + 1), rev: round, mark_rev: 0 },
        last_seq: round,
        last_activity_at: 1,
        view: None,
        large: false,
        removed: false,
    };
    orders.push(Order {
        at: at(ALICE.slot().unit(), 1),
        command: Command::Inbox(InboxCommand {
            user: ALICE,
            action: InboxAction::Apply(vec![change]),
        }),
    });
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_many_writers_goes_unnoted() {
    let mut units: BTreeSet<UnitId> = pairs().iter().map(|id| id.slot().unit()).collect();
    units.insert(ALICE.slot().unit());
    let units: Vec<UnitId> = units.into_iter().collect();
    let (_, shards) = two(&units).await;
    for id in pairs() {
        commit(&*shards[0], vec![send_in(id, ALICE, "first")]).await.unwrap();
    }
    let (sender, mut rounds) = tokio::sync::watch::channel(0u64);
    let frozen = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..4u64 {
        let shard = Arc::clone(&shards[(writer % 2) as usize]);
        let (sender, frozen) = (sender.clone(), Arc::clone(&frozen));
        writers.push(tokio::spawn(async move {
            for round in 1.. {
                let may_end = frozen.load(Ordering::SeqCst);
                let answers = commit(&*shard, some_orders(round, writer)).await.unwrap().answers;
                sender.send_modify(|rounds| *rounds += 1);
                let fenced = |answer: &Answer| matches!(answer, Answer::Fenced(_));
                if may_end {
                    assert!(answers.iter().all(fenced), "it was frozen before");
                    break;
                }
            }
        }));
    }
    rounds.wait_for(|rounds| *rounds > 20).await.unwrap();
    let mut mover = Mover::new(Arc::clone(&shards[1]), 1);
    for unit in &units {
        mover.step(*unit, Some((Open, 1)), (Capturing, 1)).await.unwrap();
    }
    // The copy: what each subject had come to some time after its capture began.
    let mut copies = BTreeMap::new();
    for unit in &units {
        copies.insert(*unit, mover.heads(*unit).await);
    }
    // Notes are taken and dropped while everybody writes.
    for catch_up in 1..=5u64 {
        let seen = *rounds.borrow_and_update();
        rounds.wait_for(|rounds| *rounds > seen + 10).await.unwrap();
        for unit in &units {
            let limit = if catch_up % 2 == 0 { 3 } else { 1_000 };
            let notes = mover.shard.notes(at(*unit, 1), limit).await.unwrap();
            let copy = copies.get_mut(unit).unwrap();
            for Note { subject, version } in &notes {
                copy.insert(*subject, *version);
            }
            let pair = mover.pair();
            mover.shard.drop_notes(at(*unit, 1), &notes, pair).await.unwrap();
        }
    }
    for unit in &units {
        mover.step(*unit, Some((Capturing, 1)), (Frozen, 1)).await.unwrap();
    }
    frozen.store(true, Ordering::SeqCst);
    let mut noted = 0;
    for unit in &units {
        let notes = shards[0].notes(at(*unit, 1), 1_000).await.unwrap();
        assert_eq!(shards[1].notes(at(*unit, 1), 1_000).await.unwrap(), notes);
        let now = mover.heads(*unit).await;
        let copy = copies.get_mut(unit).unwrap();
        for Note { subject, version } in notes {
            assert_eq!(now.get(&subject), Some(&version), "a note is of the last change");
            copy.insert(subject, version);
            noted += 1;
        }
        assert_eq!(*copy, now, "what was neither copied last nor noted has changed");
    }
    assert!(noted > 0);
    for writer in writers {
        writer.await.unwrap();
    }
    // Nothing came after the freeze.
    for unit in &units {
        assert_eq!(mover.heads(*unit).await, copies[unit]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_at_one_handle_is_noticed_by_the_other() {
    let (options, [one, other]) = two(&units()).await;
    let unit = direct().slot().unit();
    say(&*one, "one").await.unwrap();
    let mut mover = Mover::new(other, 1);
    let noted = async || one.notes(at(unit, 1), 10).await.unwrap().len();
    mover.step(unit, Some((Open, 1)), (Capturing, 1)).await.unwrap();
    assert_eq!(noted().await, 0);
    say(&*one, "two").await.unwrap();
    assert_eq!(noted().await, 1);
    // Left open again, nothing is noted, and the next capture begins without notes.
    mover.step(unit, Some((Capturing, 1)), (Open, 1)).await.unwrap();
    say(&*one, "three").await.unwrap();
    let left = sql(&options).await.query_one("SELECT count(*) FROM note", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
    mover.step(unit, Some((Open, 1)), (Capturing, 1)).await.unwrap();
    assert_eq!(noted().await, 0);
    say(&*one, "four").await.unwrap();
    assert_eq!(noted().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_is_being_changed_is_not_dropped() {
    let (options, [one, other]) = two(&units()).await;
    let unit = direct().slot().unit();
    let mut mover = Mover::new(other, 1);
    mover.steps(unit, &[(Capturing, 1)]).await;
    say(&*one, "one").await.unwrap();
    let old = one.notes(at(unit, 1), 10).await.unwrap();
    // A batch has written the next version and is about to commit.
    let mut batch = sql(&options).await;
    let batch = batch.transaction().await.unwrap();
    batch.execute("UPDATE note SET rev = rev + 1", &[]).await.unwrap();
    let notes = old.clone();
    let drops = tokio::spawn(async move {
        let pair = mover.pair();
        mover.shard.drop_notes(at(unit, 1), &notes, pair).await
    });
    somebody_waits(&options, "note").await;
    batch.commit().await.unwrap();
    drops.await.unwrap().unwrap();
    let left = one.notes(at(unit, 1), 10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].version.rev, old[0].version.rev + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_coordinator_is_stale_at_every_handle() {
    let (options, [one, other]) = two(&units()).await;
    let unit = direct().slot().unit();
    for n in 1..=5 {
        say(&*one, &format!("{n}")).await.unwrap();
    }
    let rows = one.scan_unit(unit, None, 1_000).await.unwrap().rows;
    let mut zombie = Mover::new(Arc::clone(&one), 1);
    zombie.steps(unit, &[(Capturing, 1), (Frozen, 1), (Moved, 1), (Importing, 2)]).await;
    let there = at(unit, 2);
    let version = async || {
        let row = sql(&options).await.query_one("SELECT version FROM fence", &[]).await.unwrap();
        row.get::<_, i64>(0)
    };
    let fence = version().await;
    let mut heir = Mover::new(other, 2);
    // A take-over keeps the state, and so does every page: no batch has to read anything anew.
    heir.step(unit, Some((Importing, 2)), (Importing, 2)).await.unwrap();
    let pair = heir.pair();
    heir.shard.apply_rows(there, rows.clone(), pair).await.unwrap();
    assert_eq!(version().await, fence);
    let stale = |answer: Result<(), ShardError>| {
        assert!(matches!(answer, Err(ShardError::Unexpected(Some(state))) if state.pair == pair));
    };
    let late = zombie.pair();
    stale(zombie.shard.apply_rows(there, rows.clone(), late).await);
    let late = zombie.pair();
    stale(zombie.shard.import_complete(there, late).await);
    stale(zombie.step(unit, Some((Importing, 2)), (Moved, 2)).await);
    // A command refused for its state leaves its pair behind all the same.
    let refused = Pair { lease: 3, step: 1 };
    let answer = heir.shard.drop_notes(there, &[], refused).await;
    assert!(matches!(answer, Err(ShardError::Unexpected(Some(state))) if state.pair == refused));
    let late = heir.pair();
    let answer = heir.shard.apply_rows(there, rows.clone(), late).await;
    assert!(matches!(answer, Err(ShardError::Unexpected(Some(state))) if state.pair == refused));
    assert_eq!(version().await, fence);
    assert_eq!(one.scan_unit(unit, None, 1_000).await.unwrap().rows, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_waits_for_a_page() {
    let free = ConversationId::direct(ALICE, user(9));
    let (options, [one, other]) = two(&[direct().slot().unit(), free.slot().unit()]).await;
    let unit = direct().slot().unit();
    // Somebody has the unit's row, as a page that is being written does.
    let mut page = sql(&options).await;
    let page = page.transaction().await.unwrap();
    let key = i64::from(unit.0);
    page.query_one("SELECT FROM unit_state WHERE unit = $1 FOR NO KEY UPDATE", &[&key])
        .await
        .unwrap();
    let change = tokio::spawn(async move {
        Mover::new(other, 1).step(unit, Some((Open, 1)), (Capturing, 1)).await
    });
    somebody_waits(&options, "unit_state").await;
    // Neither the same unit's commands nor another's wait behind the change that waits for the page.
    let orders = vec![send_in(direct(), ALICE, "here"), send_in(free, ALICE, "there")];
    let answers = commit(&*one, orders).await.unwrap().answers;
    assert_eq!(answers.iter().map(sent).collect::<Vec<_>>(), [(1, false), (1, false)]);
    assert!(!change.is_finished());
    page.commit().await.unwrap();
    change.await.unwrap().unwrap();
}

/// A mover repeats what is unavailable, and would repeat this for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_cannot_be_stored_is_refused() {
    let source = formatted(&options(), &units()).await;
    say(&*source, "one").await.unwrap();
    let unit = direct().slot().unit();
    let mut rows = source.scan_unit(unit, None, 1_000).await.unwrap().rows;
    let good = rows.clone();
    for row in &mut rows {
        if let Row::Message(row) = row {
            Arc::make_mut(row).content = "a \0 in it".to_owned();
        }
    }
    let shard = formatted(&options(), &[]).await;
    let mut mover = Mover::new(Arc::clone(&shard), 1);
    mover.step(unit, None, (Importing, 2)).await.unwrap();
    let refused = shard.apply_rows(at(unit, 2), rows, mover.pair()).await;
    assert!(matches!(&refused, Err(ShardError::Corrupt(why)) if why.contains("22")), "{refused:?}");
    // Nothing else is wrong with the shard.
    shard.apply_rows(at(unit, 2), good, mover.pair()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_survive_a_server_that_dies_between_and_within_them() {
    let source = formatted(&options(), &units()).await;
    for n in 0..40 {
        say(&*source, &format!("{n}")).await.unwrap();
    }
    let unit = direct().slot().unit();
    let rows = source.scan_unit(unit, None, 1_000).await.unwrap().rows;

    let server = Server::start();
    let shard = formatted(&options_on(&server.url(), ids(1)), &[]).await;
    let mut mover = Mover::new(Arc::clone(&shard), 1);
    mover.step(unit, None, (Importing, 2)).await.unwrap();
    let there = at(unit, 2);
    let mut first = None;
    for (n, page) in rows.chunks(9).enumerate() {
        let pair = mover.pair();
        first = first.or(Some((page.to_vec(), pair)));
        if n % 2 == 0 {
            // Answered, so it is there after the kill, and its repetition changes nothing.
            available(async || shard.apply_rows(there, page.to_vec(), pair).await).await;
            server.tell("kill");
            let later = shard.apply_rows(there, page.to_vec(), pair).await;
            assert!(matches!(later, Err(ShardError::Unavailable(_))));
            server.tell("restart");
        } else {
            // Killed at some moment of it: repeated with its pair until there is an answer.
            let dying = Arc::clone(&shard);
            let rows = page.to_vec();
            let writing = tokio::spawn(async move { dying.apply_rows(there, rows, pair).await });
            server.tell("kill");
            let _ = writing.await.unwrap();
            server.tell("restart");
            available(async || shard.apply_rows(there, page.to_vec(), pair).await).await;
        }
    }
    let complete = mover.pair();
    available(async || shard.import_complete(there, complete).await).await;
    let (page, pair) = first.unwrap();
    let late = shard.apply_rows(there, page, pair).await;
    assert!(matches!(late, Err(ShardError::Unexpected(Some(_)))));
    server.tell("kill");
    server.tell("restart");
    let found = available(async || shard.scan_unit(unit, None, 1_000).await).await.rows;
    assert_eq!(found, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_into_a_busy_unit_takes_no_lock_of_the_shard() {
    let child = UnitId(30_000);
    let parent = direct().slot().unit();
    let (_, [one, other]) = two(&[parent]).await;
    say(&*one, "first").await.unwrap();
    let mut mover = Mover::new(Arc::clone(&other), 1);
    mover.steps(parent, &[(Capturing, 1), (Frozen, 1)]).await;
    let relabel = |frozen, other, away, pair| Relabel {
        frozen,
        other,
        away,
        subjects: vec![Subject::Conversation(direct())],
        pair,
    };
    let pair = mover.pair();
    other.relabel(relabel(at(parent, 1), child, true, pair)).await.unwrap();
    mover.step(child, Some((Importing, 1)), (Open, 1)).await.unwrap();
    mover.step(parent, Some((Frozen, 1)), (Open, 2)).await.unwrap();
    // Writers try the parent, at which the conversation is not, until the merge gives it back.
    let writers: Vec<_> = [Arc::clone(&one), Arc::clone(&other)]
        .into_iter()
        .enumerate()
        .map(|(writer, shard)| {
            tokio::spawn(async move {
                let order = Order {
                    at: at(parent, 2),
                    ..send_in(direct(), ALICE, &format!("writer {writer}"))
                };
                loop {
                    let answers = commit(&*shard, vec![order.clone()]).await.unwrap().answers;
                    match &answers[0] {
                        Answer::Fenced(_) => {}
                        answer => return sent(answer),
                    }
                }
            })
        })
        .collect();
    mover.step(child, Some((Open, 1)), (Capturing, 1)).await.unwrap();
    mover.step(child, Some((Capturing, 1)), (Frozen, 1)).await.unwrap();
    let pair = mover.pair();
    other.relabel(relabel(at(child, 1), parent, true, pair)).await.unwrap();
    let mut seqs = Vec::new();
    for writer in writers {
        seqs.push(writer.await.unwrap());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, [(2, false), (3, false)]);
    assert_eq!(one.scan_unit(child, None, 10).await.unwrap().rows, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_waits_for_whoever_holds_a_row() {
    let (options, [one, other]) = two(&units()).await;
    let unit = direct().slot().unit();
    say(&*one, "one").await.unwrap();
    let count = one.scan_unit(unit, None, 100).await.unwrap().rows.len() as u64;
    Mover::new(one, 1).steps(unit, &[(Capturing, 1), (Frozen, 1), (Moved, 1)]).await;
    // A batch that named the unit in vain has the row still.
    let mut batch = sql(&options).await;
    let batch = batch.transaction().await.unwrap();
    batch.query_one("SELECT FROM conversation FOR NO KEY UPDATE", &[]).await.unwrap();
    let purger = Arc::clone(&other);
    let purge = tokio::spawn(async move { purger.purge(at(unit, 1), 100).await });
    somebody_waits(&options, "conversation").await;
    assert!(!purge.is_finished());
    batch.rollback().await.unwrap();
    let purged = purge.await.unwrap().unwrap();
    assert_eq!((purged.rows, purged.done), (count, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_copies_are_equal_and_digested_page_by_page() {
    let group = |n: u64| ConversationId::direct(user(100 + n), user(200 + n));
    let unit = UnitId(30_001);
    let place = at(unit, 1);
    let source = formatted(&options(), &[unit]).await;
    let copied = options();
    let target = formatted(&copied, &[]).await;
    // One long conversation among short ones: pages end before, inside and behind it.
    for n in 0..12u64 {
        let messages = if n == 5 { 4_500 } else { 3 * n };
        for from in (0..messages).step_by(500) {
            let orders = (from..messages.min(from + 500)).map(|m| Order {
                at: place,
                ..send_in(group(n), user(100 + n), &format!("{n}-{m}"))
            });
            commit(&*source, orders.collect()).await.unwrap();
        }
    }
    let mut mover = Mover::new(Arc::clone(&target), 1);
    mover.step(unit, None, (Importing, 2)).await.unwrap();
    let there = at(unit, 2);
    let (mut next, mut all) = (None, Vec::<Row>::new());
    loop {
        let page = source.scan_unit(unit, next, 700).await.unwrap();
        all.extend(page.rows.iter().cloned());
        let pair = mover.pair();
        target.apply_rows(there, page.rows, pair).await.unwrap();
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let heads = source.heads(unit, None, 100).await.unwrap();
    assert_eq!(target.heads(unit, None, 100).await.unwrap(), heads);
    // Whatever the order of the question is.
    let mut subjects: Vec<Subject> = heads.iter().map(|head| head.subject).collect();
    subjects.reverse();
    let digests = source.digests(unit, &subjects).await.unwrap();
    assert_eq!(digests.iter().map(|digest| digest.subject).collect::<Vec<_>>(), subjects);
    assert_eq!(digests.iter().map(|digest| digest.rows).sum::<u64>(), all.len() as u64);
    assert_eq!(target.digests(unit, &subjects).await.unwrap(), digests);
    // Asked one by one, and as a catch-up, it is the same.
    for (subject, digest) in subjects.iter().zip(&digests) {
        assert_eq!(source.digests(unit, &[*subject]).await.unwrap(), [*digest]);
    }
    let since: Vec<_> =
        subjects.iter().rev().map(|subject| (*subject, SubjectVersion::default())).collect();
    let rows = target.subjects_since(unit, &since).await.unwrap();
    let rows: Vec<Row> = rows.into_iter().flatten().flat_map(|found| found.rows).collect();
    let scanned = target.scan_unit(unit, None, 100_000).await.unwrap().rows;
    assert_eq!(rows, scanned);
    // A difference deep in the long one is found.
    let long = Subject::Conversation(group(5));
    let damage = "UPDATE message SET content = 'x' WHERE seq = 4321";
    sql(&copied).await.batch_execute(damage).await.unwrap();
    let damaged = target.digests(unit, &subjects).await.unwrap();
    let differ = damaged.iter().zip(&digests).filter(|(now, before)| now != before);
    assert_eq!(differ.map(|(now, _)| now.subject).collect::<Vec<_>>(), [long]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_of_the_first_version_is_brought_up() {
    let options = options();
    let shard = formatted(&options, &units()).await;
    say(&*shard, "one").await.unwrap();
    drop(shard);
    let older = "DROP TABLE search_conversation, search_message, annex; DROP VIEW placed_message; \
         ALTER TABLE conversation DROP COLUMN extra; ALTER TABLE member DROP COLUMN extra; \
         ALTER TABLE message DROP COLUMN extra; ALTER TABLE user_state DROP COLUMN extra; \
         ALTER TABLE inbox DROP COLUMN extra; CREATE VIEW placed_message AS SELECT m.* FROM message AS m; \
         DROP TABLE note; DROP FUNCTION change_unit; DELETE FROM migration WHERE version >= 2";
    sql(&options).await.batch_execute(older).await.unwrap();
    let shard = open(&options).await;
    let unit = direct().slot().unit();
    Mover::new(Arc::clone(&shard), 1).steps(unit, &[(Capturing, 1)]).await;
    say(&*shard, "two").await.unwrap();
    assert_eq!(shard.notes(home(direct()), 10).await.unwrap().len(), 1);
    assert_eq!(texts(&*shard).await, ["one", "two"]);
}
