//! Moves on this store: crashes between their steps, notes while everybody writes, pages beside commits, and what changed
//! as the twin in memory knows it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ostracon_domain::{
    Action, ConversationId, Edit, Epoch, Row, Seq, ShardId, Subject, UnitAt, UnitId,
};
use ostracon_store::{
    Answer, Digest, MessagePage, Note, Order, Pair, Purged, Read, Relabel, Shard, ShardError,
    SubjectVersion, Transfer, UnitChange,
    UnitPhase::{self, Capturing, Frozen, Importing, Moved, Open},
    memory::{CountingIds, MemoryShard},
};
use ostracon_store_embedded::{
    EmbeddedShard,
    journal::fault::{Fault, FaultFs},
};

use crate::fixture::{ALICE, BOB, Home, SHARD, commit, direct, home, order, say, send, texts};

const CHILD: UnitId = UnitId(70_000);
/// More rows than go through the journal.
const MANY: u64 = 1_500;

static STEP: AtomicU64 = AtomicU64::new(1);

fn pair() -> Pair {
    Pair { lease: 1, step: STEP.fetch_add(1, Ordering::Relaxed) }
}

fn unit() -> UnitId {
    direct().slot().unit()
}

fn at(epoch: u64) -> UnitAt {
    UnitAt { unit: unit(), epoch: Epoch(epoch) }
}

async fn change(shard: &dyn Shard, unit: UnitId, phase: UnitPhase, epoch: u64) -> UnitChange {
    let states = shard.unit_states().await.unwrap();
    let known = states.into_iter().find(|state| state.unit == unit);
    let expect = known.map(|state| (state.phase, state.epoch));
    UnitChange { unit, expect, phase, epoch: Epoch(epoch), pair: pair() }
}

/// Takes a unit through states.
async fn step(shard: &dyn Shard, unit: UnitId, way: &[(UnitPhase, u64)]) {
    for (phase, epoch) in way {
        let change = change(shard, unit, *phase, *epoch).await;
        let state = shard.set_unit_state(change).await.unwrap();
        assert_eq!((state.phase, state.epoch), (*phase, Epoch(*epoch)));
    }
}

async fn scan(shard: &dyn Shard, unit: UnitId) -> Vec<Row> {
    shard.scan_unit(unit, None, 1_000_000).await.unwrap().rows
}

/// A conversation of so many messages, with edits and reactions here and there, as rows.
async fn source(messages: u64) -> (Home, Vec<Row>) {
    let home = Home::of_pair(None).await;
    let shard = home.shard();
    let orders = (1..=messages).map(|n| send(&n.to_string(), &n.to_string())).collect();
    commit(&*shard, orders).await.unwrap();
    for seq in (1..=messages).step_by(50) {
        let react = Action::React { seq, emoji: "👍".to_owned(), remove: false };
        commit(&*shard, vec![order(BOB, react)]).await.unwrap();
    }
    let rows = scan(&*shard, unit()).await;
    (home, rows)
}

/// A place that imports the conversation's unit at epoch 2.
async fn target() -> Home {
    let home = Home::of_pair(None).await;
    let way = [(Capturing, 1), (Frozen, 1), (Moved, 1), (Importing, 2)];
    step(&*home.shard(), unit(), &way).await;
    home
}

fn contents(rows: &[Row]) -> Vec<String> {
    let messages = rows.iter().filter_map(|row| match row {
        Row::Message(row) => Some(row.content.clone()),
        _ => None,
    });
    messages.collect()
}

async fn read(shard: &dyn Shard, epoch: u64, limit: u32) -> Read<Vec<String>> {
    let page = MessagePage::Newest { limit };
    match shard.messages(at(epoch), direct(), ALICE, page).await.unwrap() {
        Read::Rows(page) => {
            let texts = page.messages.iter().map(|view| view.message.content.clone());
            Read::Rows(texts.collect())
        }
        Read::Absent => Read::Absent,
        Read::Fenced(state) => Read::Fenced(state),
    }
}

#[tokio::test]
async fn an_import_that_dies_between_pages_begins_anew() {
    let (_source, rows) = source(MANY).await;
    // A large page and a small one.
    for first in [&rows[..rows.len() - 50], &rows[..50]] {
        let mut home = target().await;
        home.shard().apply_rows(at(2), first.to_vec(), pair()).await.unwrap();
        home.reopen();
        let shard = home.shard();
        assert!(matches!(read(&*shard, 2, 9).await, Read::Fenced(_)));
        let rest = rows[first.len()..].to_vec();
        let lost = Err(ShardError::Restarted);
        assert_eq!(shard.apply_rows(at(2), rest.clone(), pair()).await, lost);
        assert_eq!(shard.apply_rows(at(2), rest[..9].to_vec(), pair()).await, lost);
        assert_eq!(shard.import_complete(at(2), pair()).await, lost);
        step(&*shard, unit(), &[(Importing, 2)]).await;
        for page in rows.chunks(1_200) {
            shard.apply_rows(at(2), page.to_vec(), pair()).await.unwrap();
        }
        shard.import_complete(at(2), pair()).await.unwrap();
        home.reopen();
        let shard = home.shard();
        step(&*shard, unit(), &[(Open, 2)]).await;
        assert_eq!(scan(&*shard, unit()).await, rows);
        assert_eq!(shard.undispatched(None, 99).await.unwrap(), []);
        // A retry of what was sent to the other shard.
        let again = Order { at: at(2), ..send("7", "7") };
        let answers = commit(&*shard, vec![again]).await.unwrap().answers;
        assert!(matches!(&answers[..], [Answer::Done { rows, .. }] if rows.is_empty()));
    }
}

#[tokio::test]
async fn small_pages_are_served_before_the_tables_have_them() {
    let (from, rows) = source(MANY).await;
    let home = target().await;
    let shard = home.shard();
    shard.apply_rows(at(2), rows, pair()).await.unwrap();
    // What changed: one old message, and two that came later. Besides, one that did not change.
    let edit = Edit { seq: MANY - 1, content: "edited".to_owned(), if_content_rev: None };
    commit(&*from.shard(), vec![order(ALICE, Action::Edit(edit))]).await.unwrap();
    let more = vec![send("new", "new"), send("newer", "newer")];
    commit(&*from.shard(), more).await.unwrap();
    let rows = scan(&*from.shard(), unit()).await;
    let is_late = |row: &&Row| match row {
        Row::Message(row) => [MANY - 3, MANY - 1, MANY + 1, MANY + 2].contains(&row.seq),
        Row::Reaction(_) => false,
        _ => true,
    };
    let late: Vec<Row> = rows.iter().filter(is_late).cloned().collect();
    shard.pause_applier(true);
    shard.apply_rows(at(2), late, pair()).await.unwrap();
    shard.import_complete(at(2), pair()).await.unwrap();
    step(&*shard, unit(), &[(Open, 2)]).await;
    let all = contents(&rows);
    for limit in [3, 10, 100] {
        let newest = all[all.len() - limit as usize..].to_vec();
        assert_eq!(read(&*shard, 2, limit).await, Read::Rows(newest));
    }
    let next = Order { at: at(2), ..send("next", "next") };
    commit(&*shard, vec![next]).await.unwrap();
    let newest = [&all[all.len() - 3..], &["next".to_owned()]].concat();
    assert_eq!(read(&*shard, 2, 4).await, Read::Rows(newest));
    // The heads of both sides are the same but for it.
    let heads = shard.heads(unit(), None, 9).await.unwrap();
    assert_eq!(heads[0].head_seq, MANY + 3);
    shard.pause_applier(false);
    let imported = scan(&*shard, unit()).await;
    assert_eq!(contents(&imported)[..all.len()], all);
}

#[tokio::test]
async fn the_higher_number_wins_on_large_pages_too() {
    let (from, old) = source(MANY).await;
    let shard = from.shard();
    for seq in [1, 3, MANY] {
        let edit = Edit { seq, content: "edited".to_owned(), if_content_rev: None };
        let react = Action::React { seq, emoji: "👍".to_owned(), remove: seq == 1 };
        let orders = vec![order(ALICE, Action::Edit(edit)), order(BOB, react)];
        commit(&*shard, orders).await.unwrap();
    }
    commit(&*shard, vec![order(BOB, Action::MarkRead { seq: 9 })]).await.unwrap();
    let new = scan(&*shard, unit()).await;
    for pages in [[&old, &new], [&new, &old], [&new, &new]] {
        let home = target().await;
        for rows in pages {
            home.shard().apply_rows(at(2), rows.clone(), pair()).await.unwrap();
        }
        assert_eq!(scan(&*home.shard(), unit()).await, new);
    }
    // A large page comes behind a small one that waits for the tables.
    let home = target().await;
    let shard = home.shard();
    shard.pause_applier(true);
    shard.apply_rows(at(2), old[..100].to_vec(), pair()).await.unwrap();
    let large = tokio::spawn({
        let (shard, new) = (Arc::clone(&shard), new.clone());
        async move { shard.apply_rows(at(2), new, pair()).await }
    });
    while shard.pages_under_way(unit()) == 0 {
        tokio::task::yield_now().await;
    }
    shard.pause_applier(false);
    large.await.unwrap().unwrap();
    assert_eq!(scan(&*shard, unit()).await, new);
}

#[tokio::test]
async fn a_copy_has_all_that_was_committed_before_its_capture() {
    let home = Home::of_pair(None).await;
    let shard = home.shard();
    shard.pause_applier(true);
    for n in 0..5 {
        say(&*shard, &n.to_string()).await.unwrap();
    }
    step(&*shard, unit(), &[(Capturing, 1)]).await;
    let page = tokio::spawn({
        let shard = Arc::clone(&shard);
        async move { scan(&*shard, unit()).await }
    });
    let mut page = page;
    let early = tokio::time::timeout(Duration::from_millis(100), &mut page).await;
    assert!(early.is_err(), "{early:?}");
    shard.pause_applier(false);
    assert_eq!(contents(&page.await.unwrap()).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_a_mover_reads_is_of_one_moment() {
    let place = Home::of_pair(None).await;
    let shard = place.shard();
    say(&*shard, "first").await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (shard, done) = (Arc::clone(&shard), Arc::clone(&done));
        async move {
            for n in 2..=300u64 {
                let (seq, content) = (n / 2, format!("edited at {n}"));
                let orders = vec![
                    send(&n.to_string(), &n.to_string()),
                    order(ALICE, Action::Edit(Edit { seq, content, if_content_rev: None })),
                    order(BOB, Action::React { seq, emoji: "👍".to_owned(), remove: n % 2 == 0 }),
                    order(BOB, Action::MarkRead { seq }),
                ];
                commit(&*shard, orders).await.unwrap();
            }
            done.store(true, Ordering::SeqCst);
        }
    });
    let applier = tokio::spawn({
        let (shard, done) = (Arc::clone(&shard), Arc::clone(&done));
        async move {
            while !done.load(Ordering::SeqCst) {
                shard.flush().await.unwrap();
            }
        }
    });
    let subject = Subject::Conversation(direct());
    let mut older = SubjectVersion::default();
    loop {
        let is_last = done.load(Ordering::SeqCst);
        let since = [(subject, SubjectVersion::default()), (subject, older)];
        let mut answers = shard.subjects_since(unit(), &since).await.unwrap();
        let (newer, all) = (answers.pop().unwrap().unwrap(), answers.pop().unwrap().unwrap());
        assert_eq!(newer.version, all.version);
        let Row::Conversation(own) = &all.rows[0] else { panic!("{:?}", all.rows[0]) };
        let revs = |row: &Row| match row {
            Row::Message(row) => Some((row.seq, row.rev)),
            _ => None,
        };
        let messages: Vec<(Seq, u64)> = all.rows.iter().filter_map(revs).collect();
        assert_eq!(messages.len() as u64, own.head_seq);
        assert!(messages.iter().all(|(_, rev)| *rev <= own.rev));
        let expected: Vec<_> =
            messages.iter().filter(|(_, rev)| *rev > older.rev).copied().collect();
        assert_eq!(newer.rows.iter().filter_map(revs).collect::<Vec<_>>(), expected);
        let stored = shard.digests(unit(), &[subject]).await.unwrap();
        let head = shard.heads(unit(), None, 9).await.unwrap();
        assert!(head[0].version >= all.version && head[0].version >= stored[0].version);
        older = all.version;
        if is_last {
            let mut digest = Digest::new(subject, all.version);
            all.rows.iter().for_each(|row| digest.add(row));
            assert_eq!(stored, [digest.finish()]);
            break;
        }
    }
    writer.await.unwrap();
    applier.await.unwrap();
}

#[tokio::test]
async fn a_key_that_a_purge_freed_is_nobody_elses() {
    let (home, rows) = source(3).await;
    let shard = home.shard();
    step(&*shard, unit(), &[(Capturing, 1), (Frozen, 1), (Moved, 1)]).await;
    assert!(shard.purge(at(1), 99).await.unwrap().done);
    // Another conversation takes its place in the tables.
    let here = UnitAt { unit: ALICE.slot().unit(), epoch: Epoch(1) };
    let other = ConversationId::direct(ALICE, ALICE);
    commit(&*shard, vec![Order { at: here, ..send_to(other, "other") }]).await.unwrap();
    let others = scan(&*shard, here.unit).await;
    step(&*shard, unit(), &[(Importing, 2)]).await;
    // Back to front: messages come before the row of their conversation.
    for row in rows.iter().rev().filter(|row| !matches!(row, Row::Reaction(_))) {
        let many = vec![row.clone(); 1_001];
        shard.apply_rows(at(2), many, pair()).await.unwrap();
    }
    assert_eq!(contents(&scan(&*shard, unit()).await), contents(&rows));
    assert_eq!(scan(&*shard, here.unit).await, others);
}

#[tokio::test]
async fn commits_go_on_beside_a_page_and_a_change_of_state_waits_for_it() {
    let (_source, rows) = source(MANY).await;
    let home = target().await;
    let shard = home.shard();
    shard.pause_applier(true);
    let page = tokio::spawn({
        let (shard, rows) = (Arc::clone(&shard), rows.clone());
        async move { shard.apply_rows(at(2), rows, pair()).await }
    });
    while shard.pages_under_way(unit()) == 0 {
        tokio::task::yield_now().await;
    }
    // Another unit is served.
    let other = ConversationId::direct(ALICE, ALICE);
    let here = UnitAt { unit: ALICE.slot().unit(), epoch: Epoch(1) };
    let note = Order { at: here, ..send_to(other, "note") };
    commit(&*shard, vec![note]).await.unwrap();
    // Given up: the record does not overtake the page.
    let change = change(&*shard, unit(), Moved, 2).await;
    let mut given_up = tokio::spawn({
        let shard = Arc::clone(&shard);
        async move { shard.set_unit_state(change).await }
    });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut given_up).await;
    assert!(early.is_err() && !page.is_finished(), "{early:?}");
    shard.pause_applier(false);
    assert_eq!(page.await.unwrap(), Ok(()));
    assert_eq!(given_up.await.unwrap().unwrap().phase, Moved);
    let late = shard.apply_rows(at(2), rows.clone(), pair()).await;
    assert!(matches!(late, Err(ShardError::Unexpected(_))));
    // What was left is purged, and nothing comes behind.
    assert_eq!(scan(&*shard, unit()).await, rows);
    assert!(shard.purge(at(2), 1_000_000).await.unwrap().done);
    assert_eq!(scan(&*shard, unit()).await, []);
}

fn send_to(conversation: ConversationId, text: &str) -> Order {
    let mut order = send(text, text);
    if let ostracon_domain::Command::Conversation(command) = &mut order.command {
        command.conversation = conversation;
    }
    order
}

#[tokio::test]
async fn a_page_that_nobody_waits_for_is_waited_for_by_who_comes_next() {
    let (_source, rows) = source(MANY).await;
    let home = target().await;
    let shard = home.shard();
    shard.pause_applier(true);
    {
        let page = shard.apply_rows(at(2), rows.clone(), pair());
        tokio::pin!(page);
        while shard.pages_under_way(unit()) == 0 {
            assert!(crate::failures::futures_now(page.as_mut()).is_none());
            tokio::task::yield_now().await;
        }
    }
    shard.pause_applier(false);
    shard.import_complete(at(2), pair()).await.unwrap();
    assert_eq!(scan(&*shard, unit()).await, rows);
}

#[tokio::test]
async fn a_purge_goes_on_after_a_crash() {
    let (mut home, rows) = source(MANY).await;
    let shard = home.shard();
    let other = ConversationId::direct(ALICE, ALICE);
    let here = UnitAt { unit: ALICE.slot().unit(), epoch: Epoch(1) };
    commit(&*shard, vec![Order { at: here, ..send_to(other, "stays") }]).await.unwrap();
    let stays = scan(&*shard, here.unit).await;
    // The last rows and the states are in the journal alone.
    shard.pause_applier(true);
    say(&*shard, "last").await.unwrap();
    step(&*shard, unit(), &[(Capturing, 1), (Frozen, 1), (Moved, 1)]).await;
    drop(shard);
    home.reopen();
    let mut gone = 0;
    for limit in [1, 100, 100, 7] {
        let Purged { rows, done } = home.shard().purge(at(1), limit).await.unwrap();
        assert_eq!((rows, done), (u64::from(limit), false));
        gone += rows;
        home.reopen();
    }
    let shard = home.shard();
    let Purged { rows: last, done } = shard.purge(at(1), 1_000_000).await.unwrap();
    assert!(done);
    // One row more than was scanned: the last message.
    assert_eq!(gone + last, rows.len() as u64 + 1);
    drop(shard);
    for _ in 0..2 {
        home.reopen();
        let shard = home.shard();
        assert_eq!(scan(&*shard, unit()).await, []);
        assert_eq!(scan(&*shard, here.unit).await, stays);
        assert_eq!(shard.purge(at(1), 9).await, Ok(Purged { rows: 0, done: true }));
    }
    // The unit comes back, with fewer rows than it had.
    let shard = home.shard();
    let (_from, fresh) = source(3).await;
    step(&*shard, unit(), &[(Importing, 2)]).await;
    shard.apply_rows(at(2), fresh.clone(), pair()).await.unwrap();
    shard.import_complete(at(2), pair()).await.unwrap();
    step(&*shard, unit(), &[(Open, 2)]).await;
    assert_eq!(scan(&*shard, unit()).await, fresh);
    assert_eq!(read(&*shard, 2, 9).await, Read::Rows(contents(&fresh)));
    // Ids of the earlier stay are free, those of this one are known.
    let orders = ["last", "3"].map(|id| Order { at: at(2), ..send(id, id) }).into_iter().collect();
    let answers = commit(&*shard, orders).await.unwrap().answers;
    let written: Vec<bool> = answers
        .iter()
        .map(|answer| matches!(answer, Answer::Done { rows, .. } if !rows.is_empty()))
        .collect();
    assert_eq!(written, [true, false]);
}

#[tokio::test]
async fn a_small_page_that_was_held_up_is_stale_once_a_newer_one_came() {
    let (_source, rows) = source(MANY).await;
    let home = target().await;
    let shard = home.shard();
    shard.pause_applier(true);
    let apply = |rows: &[Row], pair: Pair| {
        let (shard, rows) = (Arc::clone(&shard), rows.to_vec());
        tokio::spawn(async move { shard.apply_rows(at(2), rows, pair).await })
    };
    let [first, second, third] = [pair(), pair(), pair()];
    let large = apply(&rows, first);
    while shard.pages_under_way(unit()) < 1 {
        tokio::task::yield_now().await;
    }
    let small = apply(&rows[..9], second);
    let newest = async || {
        let states = shard.unit_states().await.unwrap();
        states.into_iter().find(|state| state.unit == unit()).map(|state| state.pair)
    };
    while newest().await != Some(second) {
        tokio::task::yield_now().await;
    }
    let newer = apply(&rows, third);
    while shard.pages_under_way(unit()) < 2 {
        tokio::task::yield_now().await;
    }
    shard.pause_applier(false);
    assert_eq!((large.await.unwrap(), newer.await.unwrap()), (Ok(()), Ok(())));
    let stale = small.await.unwrap();
    assert!(matches!(stale, Err(ShardError::Unexpected(Some(state))) if state.pair == third));
    assert_eq!(scan(&*shard, unit()).await, rows);
}

#[tokio::test]
async fn a_purge_waits_for_the_last_rows() {
    let (home, rows) = source(9).await;
    let shard = home.shard();
    shard.flush().await.unwrap();
    shard.pause_applier(true);
    say(&*shard, "last").await.unwrap();
    step(&*shard, unit(), &[(Capturing, 1), (Frozen, 1), (Moved, 1)]).await;
    let purge = tokio::spawn({
        let shard = Arc::clone(&shard);
        async move { shard.purge(at(1), 99).await }
    });
    while shard.pages_under_way(unit()) == 0 {
        tokio::task::yield_now().await;
    }
    shard.pause_applier(false);
    let purged = Purged { rows: rows.len() as u64 + 1, done: true };
    assert_eq!(purge.await.unwrap(), Ok(purged));
    shard.flush().await.unwrap();
    assert_eq!(scan(&*shard, unit()).await, []);
}

#[tokio::test]
async fn a_unit_that_comes_back_shows_nothing_that_was_cached_before() {
    let (home, _) = source(3).await;
    let shard = home.shard();
    step(&*shard, unit(), &[(Capturing, 1), (Frozen, 1)]).await;
    let away = Home::of_pair(None).await;
    let there = away.shard();
    step(&*there, unit(), &[(Capturing, 1), (Frozen, 1), (Moved, 1), (Importing, 2)]).await;
    there.apply_rows(at(2), scan(&*shard, unit()).await, pair()).await.unwrap();
    there.import_complete(at(2), pair()).await.unwrap();
    step(&*there, unit(), &[(Open, 2)]).await;
    step(&*shard, unit(), &[(Moved, 1)]).await;
    for n in 0..5 {
        let order = Order { at: at(2), ..send(&format!("away {n}"), &format!("away {n}")) };
        commit(&*there, vec![order]).await.unwrap();
        // A late router fills the caches here in vain.
        say_fenced(&*shard, 1).await;
    }
    while !shard.purge(at(1), 3).await.unwrap().done {}
    step(&*there, unit(), &[(Capturing, 2), (Frozen, 2)]).await;
    step(&*shard, unit(), &[(Importing, 3)]).await;
    let rows = scan(&*there, unit()).await;
    for page in rows.chunks(4) {
        say_fenced(&*shard, 3).await;
        shard.apply_rows(at(3), page.to_vec(), pair()).await.unwrap();
    }
    shard.import_complete(at(3), pair()).await.unwrap();
    step(&*shard, unit(), &[(Open, 3)]).await;
    let back = vec![
        Order { at: at(3), ..send("away 4", "away 4") },
        Order { at: at(3), ..send("back", "back") },
    ];
    commit(&*shard, back).await.unwrap();
    let mut expected = contents(&rows);
    expected.push("back".to_owned());
    assert_eq!(read(&*shard, 3, 99).await, Read::Rows(expected));
}

async fn say_fenced(shard: &dyn Shard, epoch: u64) {
    let order = Order { at: at(epoch), ..send("late", "late") };
    let answers = commit(shard, vec![order]).await.unwrap().answers;
    assert!(matches!(answers[..], [Answer::Fenced(_)]));
}

fn carve(away: bool) -> Relabel {
    Relabel {
        frozen: at(1),
        other: CHILD,
        away,
        subjects: vec![Subject::Conversation(direct())],
        pair: pair(),
    }
}

#[tokio::test]
async fn a_carve_survives_a_crash_whole_or_not_at_all() {
    let disk = FaultFs::new();
    let mut home = Home::of_pair(Some(disk.as_fs())).await;
    let shard = home.shard();
    for n in 0..5 {
        say(&*shard, &n.to_string()).await.unwrap();
    }
    step(&*shard, unit(), &[(Capturing, 1), (Frozen, 1)]).await;
    let rows = scan(&*shard, unit()).await;
    let states = shard.unit_states().await.unwrap();
    // Not synced: nothing happened.
    disk.fail(0, Fault::SyncLosesCache);
    let failed = shard.relabel(carve(true)).await;
    assert!(matches!(failed, Err(ShardError::Unavailable(_))), "{failed:?}");
    assert_eq!(scan(&*shard, unit()).await, rows);
    assert_eq!(shard.unit_states().await.unwrap().len(), states.len());
    drop(shard);
    home.reopen();
    assert_eq!(scan(&*home.shard(), unit()).await, rows);
    // Synced, and in the journal alone.
    let shard = home.shard();
    shard.pause_applier(true);
    shard.relabel(carve(true)).await.unwrap();
    assert_eq!(shard.heads(unit(), None, 9).await.unwrap(), []);
    assert_eq!(shard.heads(CHILD, None, 9).await.unwrap().len(), 1);
    drop(shard);
    for _ in 0..2 {
        home.reopen();
        let shard = home.shard();
        assert_eq!(scan(&*shard, unit()).await, []);
        assert_eq!(scan(&*shard, CHILD).await.len(), rows.len());
        let states = shard.unit_states().await.unwrap();
        let child = states.iter().find(|state| state.unit == CHILD).unwrap();
        assert_eq!((child.phase, child.epoch), (Importing, Epoch(1)));
    }
    let shard = home.shard();
    let back = Relabel { pair: Pair { lease: 2, step: 1 }, ..carve(false) };
    shard.relabel(back).await.unwrap();
    let change = UnitChange {
        unit: unit(),
        expect: Some((Frozen, Epoch(1))),
        phase: Open,
        epoch: Epoch(1),
        pair: Pair { lease: 2, step: 2 },
    };
    shard.set_unit_state(change).await.unwrap();
    assert_eq!(say(&*shard, "5").await, Ok((6, false)));
    assert_eq!(texts(&*shard).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_change_of_a_captured_unit_goes_without_a_note() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 60;
    let home = Home::of_pair(None).await;
    let shard = home.shard();
    // All conversations in one unit.
    let talk = |n: u64| ConversationId::direct(ALICE, crate::fixture::user(10 + n));
    let here = self::home(direct());
    for n in 0..WRITERS {
        commit(&*shard, vec![Order { at: here, ..send_to(talk(n), "first") }]).await.unwrap();
    }
    let writing: Vec<_> = (0..WRITERS)
        .map(|n| {
            let shard = Arc::clone(&shard);
            tokio::spawn(async move {
                let mut acked = 1;
                for m in 0..EACH {
                    let text = format!("{n} {m}");
                    let order = Order { at: here, ..send_to(talk(n), &text) };
                    match &commit(&*shard, vec![order]).await.unwrap().answers[..] {
                        [Answer::Done { .. }] => acked += 1,
                        [Answer::Fenced(_)] => break,
                        other => panic!("{other:?}"),
                    }
                }
                acked
            })
        })
        .collect();
    tokio::task::yield_now().await;
    // What the copy has: nothing yet, then page by page, then what the notes say.
    let mut copy: std::collections::BTreeMap<Subject, (SubjectVersion, u64)> =
        std::collections::BTreeMap::new();
    step(&*shard, unit(), &[(Capturing, 1)]).await;
    for head in shard.heads(unit(), None, 99).await.unwrap() {
        catch_up(&shard, &mut copy, head.subject).await;
    }
    for round in 0.. {
        let notes = shard.notes(at(1), 2).await.unwrap();
        for note in &notes {
            catch_up(&shard, &mut copy, note.subject).await;
        }
        shard.drop_notes(at(1), &notes, pair()).await.unwrap();
        if round == 10 {
            break;
        }
    }
    step(&*shard, unit(), &[(Frozen, 1)]).await;
    let notes: Vec<Note> = shard.notes(at(1), 99).await.unwrap();
    for note in &notes {
        catch_up(&shard, &mut copy, note.subject).await;
        assert_eq!(copy[&note.subject].0, note.version);
    }
    let heads = shard.heads(unit(), None, 99).await.unwrap();
    assert_eq!(heads.len() as u64, WRITERS);
    for head in heads {
        assert_eq!(copy[&head.subject], (head.version, head.head_seq));
    }
    let mut acked = 0;
    for writer in writing {
        acked += writer.await.unwrap();
    }
    assert_eq!(acked, copy.values().map(|(_, messages)| messages).sum::<u64>());
}

/// Brings a copy, which counts messages, up to date.
async fn catch_up(
    shard: &EmbeddedShard,
    copy: &mut std::collections::BTreeMap<Subject, (SubjectVersion, u64)>,
    subject: Subject,
) {
    let (version, messages) = copy.get(&subject).copied().unwrap_or_default();
    let mut answer = shard.subjects_since(unit(), &[(subject, version)]).await.unwrap();
    let changed = answer.pop().unwrap().unwrap();
    let mut seqs: Vec<Seq> = changed
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::Message(row) => Some(row.seq),
            _ => None,
        })
        .collect();
    seqs.dedup();
    // Exactly those that it does not have.
    let expected: Vec<Seq> = (messages + 1..=messages + seqs.len() as u64).collect();
    assert_eq!(seqs, expected);
    copy.insert(subject, (changed.version, messages + seqs.len() as u64));
}

/// What became of a conversation since each of its versions, wherever the rows are.
#[tokio::test]
async fn what_changed_is_what_the_twin_says() {
    let place = Home::of_pair(None).await;
    let shard = place.shard();
    let units = [direct(), ConversationId::direct(ALICE, ALICE)].map(|id| id.slot().unit());
    let twin = MemoryShard::serving(ShardId(SHARD.0), Arc::new(CountingIds::new(1, 1)), units);
    let subject = Subject::Conversation(direct());
    let mut versions = vec![SubjectVersion::default()];
    let mut chance = 7u64;
    let mut below = |n: u64| {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % n
    };
    for round in 0..150u64 {
        let seq = 1 + below(round + 1);
        let who = if below(2) == 0 { ALICE } else { BOB };
        let emoji = ["👍", "🎂"][below(2) as usize].to_owned();
        let action = match below(8) {
            0 | 1 => Action::React { seq, emoji, remove: below(3) == 0 },
            2 => Action::Edit(Edit { seq, content: format!("e{round}"), if_content_rev: None }),
            3 => Action::MarkRead { seq },
            4 if below(3) == 0 => Action::Delete { seq },
            _ => {
                let both = vec![send(&format!("c{round}"), &format!("{round}"))];
                let rows = commit(&*shard, both.clone()).await.unwrap().answers;
                assert_eq!(rows, commit(&twin, both).await.unwrap().answers);
                Action::MarkDelivered { seq }
            }
        };
        let both = vec![order(who, action)];
        let done = commit(&*shard, both.clone()).await.unwrap().answers;
        assert_eq!(done, commit(&twin, both).await.unwrap().answers);
        match below(6) {
            0 => shard.pause_applier(true),
            1 => {
                shard.pause_applier(false);
                shard.flush().await.unwrap();
            }
            2 => shard.pause_applier(false),
            _ => {}
        }
        let heads = shard.heads(unit(), None, 9).await.unwrap();
        assert_eq!(heads, twin.heads(unit(), None, 9).await.unwrap());
        versions.extend(heads.first().map(|head| head.version));
        let since: Vec<_> =
            (0..4).map(|_| (subject, versions[below(versions.len() as u64) as usize])).collect();
        let here = shard.subjects_since(unit(), &since).await.unwrap();
        assert_eq!(here, twin.subjects_since(unit(), &since).await.unwrap(), "round {round}");
    }
    shard.pause_applier(false);
    let digests = shard.digests(unit(), &[subject]).await.unwrap();
    assert_eq!(digests, twin.digests(unit(), &[subject]).await.unwrap());
}

#[tokio::test]
async fn the_answer_to_a_stale_page_leaves_the_newer_pair() {
    let (_source, rows) = source(3).await;
    let home = target().await;
    let shard = home.shard();
    let [early, late] = [pair(), pair()];
    shard.apply_rows(at(2), rows.clone(), late).await.unwrap();
    for _ in 0..2 {
        let stale = shard.apply_rows(at(2), rows.clone(), early).await;
        assert!(matches!(stale, Err(ShardError::Unexpected(Some(state))) if state.pair == late));
    }
    let pairs = shard.unit_states().await.unwrap().into_iter().filter(|state| state.unit == unit());
    assert_eq!(pairs.map(|state| state.pair).collect::<Vec<_>>(), [late]);
}
