//! Deleted for everyone: after the stated time no file holds the text any more.

use std::path::Path;

use ostracon_domain::{Action, Epoch, Row, UnitAt};
use ostracon_store::{Pair, Shard as _, Transfer as _, UnitChange, UnitPhase};
use ostracon_store_embedded::EmbeddedStore;

use crate::fixture::{ALICE, Home, NOW, SHARD, commit, options, order, say, send};

const SECRET: &str = "the launch code is 0000, as always";

/// Files below a folder that hold the text.
fn holding(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn deleted_content_is_gone_from_every_file_in_time() {
    let mut home = Home::of_pair(None).await;
    let shard = home.shard();
    commit(&*shard, vec![send("a", SECRET)]).await.unwrap();
    shard.flush().await.unwrap();
    say(&*shard, "other").await.unwrap();
    assert!(!holding(home.dir.path()).is_empty());
    let deleted = commit(&*shard, vec![order(ALICE, Action::Delete { seq: 1 })]).await;
    shard.dispatched(deleted.unwrap().position).await.unwrap();

    let minutes = |n: i64| NOW + n * 60_000;
    let mut minute = 0;
    while !holding(home.dir.path()).is_empty() {
        home.store().maintain(minutes(minute)).await.unwrap();
        home.shard().settle().await.unwrap();
        minute += 1;
        assert!(minute <= 10, "{:?}", holding(home.dir.path()));
    }
    drop(shard);

    // A restart in between does not forget it.
    let shard = home.shard();
    commit(&*shard, vec![send("b", SECRET)]).await.unwrap();
    let deleted = commit(&*shard, vec![order(ALICE, Action::Delete { seq: 3 })]).await;
    let position = deleted.unwrap().position;
    shard.flush().await.unwrap();
    drop((shard, home.take_store()));
    let store = EmbeddedStore::open(options(home.dir.path(), &home.ids)).unwrap();
    let shard = store.shard(SHARD).unwrap();
    shard.dispatched(position).await.unwrap();
    for minute in 0..=10 {
        store.maintain(minutes(minute)).await.unwrap();
        shard.settle().await.unwrap();
    }
    assert_eq!(holding(home.dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn content_that_is_not_retained_is_gone_from_every_file_in_time() {
    let home = Home::of_pair(None).await;
    let shard = home.shard();
    commit(&*shard, vec![send("a", SECRET), send("b", SECRET), send("c", "other")]).await.unwrap();
    shard.flush().await.unwrap();
    assert!(!holding(home.dir.path()).is_empty());
    let removed = commit(&*shard, vec![order(ALICE, Action::Retain { from: 3 })]).await;
    shard.dispatched(removed.unwrap().position).await.unwrap();
    for minute in 0..=10 {
        home.store().maintain(NOW + minute * 60_000).await.unwrap();
        shard.settle().await.unwrap();
    }
    assert_eq!(holding(home.dir.path()), Vec::<String>::new());
}

/// Copied first, and then deleted on the other side.
#[tokio::test]
async fn content_that_is_deleted_while_it_moves_is_gone_from_its_new_home_in_time() {
    let source = Home::of_pair(None).await;
    let shard = source.shard();
    let mut orders: Vec<_> = (0..1_100).map(|n| send(&n.to_string(), "other")).collect();
    orders.push(send("a", SECRET));
    commit(&*shard, orders).await.unwrap();
    let at = UnitAt { epoch: Epoch(2), ..send("", "").at };
    let rows = async || shard.scan_unit(at.unit, None, 2_000).await.unwrap().rows;
    let before: Vec<Row> = rows().await;
    commit(&*shard, vec![order(ALICE, Action::Delete { seq: 1_101 })]).await.unwrap();
    let after = rows().await;

    let home = Home::of_pair(None).await;
    let target = home.shard();
    let way = [
        (UnitPhase::Open, 1),
        (UnitPhase::Capturing, 1),
        (UnitPhase::Frozen, 1),
        (UnitPhase::Moved, 1),
        (UnitPhase::Importing, 2),
    ];
    for (step, way) in (1..).zip(way.windows(2)) {
        let change = UnitChange {
            unit: at.unit,
            expect: Some((way[0].0, Epoch(way[0].1))),
            phase: way[1].0,
            epoch: Epoch(way[1].1),
            pair: Pair { lease: 1, step },
        };
        target.set_unit_state(change).await.unwrap();
    }
    for (step, rows) in [(1, before), (2, after)] {
        let pair = Pair { lease: 2, step };
        target.apply_rows(at, rows, pair).await.unwrap();
        assert!(!holding(home.dir.path()).is_empty());
    }
    for minute in 0..=10 {
        home.store().maintain(NOW + minute * 60_000).await.unwrap();
        target.settle().await.unwrap();
    }
    assert_eq!(holding(home.dir.path()), Vec::<String>::new());
}
