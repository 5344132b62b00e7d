//! A copy of a running store, and what it is after a restore.

use std::{collections::HashSet, sync::Arc};

use ostracon_domain::{Action, History, Row, UnitId};
use ostracon_store::{InboxPage, Read, Shard};
use ostracon_store_embedded::{DataDir, EmbeddedStore, applied_position, rehistory};

use crate::fixture::{ALICE, BOB, Home, SHARD, commit, direct, newest, options, order, say, texts};

async fn rows(shard: &dyn Shard, unit: UnitId) -> Vec<Row> {
    shard.scan_unit(unit, None, 10_000).await.unwrap().rows
}

#[tokio::test]
async fn a_backup_is_one_moment_and_gets_new_histories() {
    let home = Home::of_pair(None).await;
    let shard = home.shard();
    for n in 0..20 {
        say(&*shard, &format!("{n}")).await.unwrap();
    }
    commit(&*shard, vec![order(BOB, Action::MarkRead { seq: 7 })]).await.unwrap();
    let unit = direct().slot().unit();
    let before = rows(&*shard, unit).await;

    let to = tempfile::tempdir().unwrap();
    let folder = to.path().join("copy");
    // Somebody writes all the time.
    let writing = tokio::spawn({
        let shard = Arc::clone(&shard);
        async move {
            for n in 20..60 {
                say(&*shard, &format!("{n}")).await.unwrap();
            }
        }
    });
    home.store().backup(&folder, |done, all| assert!(done <= all)).await.unwrap();
    writing.await.unwrap();
    let taken = home.store().backup(&folder, |_, _| ()).await.unwrap_err();
    assert!(taken.to_string().contains("is not empty"), "{taken}");
    assert_eq!(texts(&*shard).await.len(), 60);

    let dir = DataDir::open(&folder).unwrap();
    assert_eq!(applied_position(&dir).unwrap(), 0);
    let mut next = 1_000;
    let mut new_history = || {
        next += 1;
        History(next)
    };
    rehistory(&dir, &mut new_history, &|_| ()).unwrap();
    drop(dir);

    let store = EmbeddedStore::open(options(&folder, &home.ids)).unwrap();
    let copy = store.shard(SHARD).unwrap();
    let found = texts(&*copy).await;
    let expected: Vec<String> = (0..found.len()).map(|n| n.to_string()).collect();
    assert!(found.len() >= 20);
    assert_eq!(found, expected);
    let page = newest(&*copy, 1).await.unwrap();
    assert!(page.conversation.history.0 > 1_000);
    // Every message of before is there as it was.
    let copied: Vec<Row> = rows(&*copy, unit).await;
    let messages = |rows: &[Row]| -> Vec<Row> {
        let rows = rows.iter().filter(|row| matches!(row, Row::Message(_)));
        rows.take(20).cloned().collect()
    };
    assert_eq!(messages(&copied), messages(&before));

    // No dispatcher ever wrote a list; after a restore both are level all the same.
    let mut histories = HashSet::new();
    for user in [ALICE, BOB] {
        let at =
            ostracon_domain::UnitAt { unit: user.slot().unit(), epoch: ostracon_domain::Epoch(1) };
        let page = InboxPage { after: None, limit: 9 };
        let Read::Rows(list) = copy.inbox(at, user, page).await.unwrap() else {
            panic!("no list");
        };
        let entry = &list.entries[0];
        assert_eq!(entry.conversation, direct());
        assert_eq!(entry.applied.history, page_history(&*copy).await);
        assert_eq!(entry.last_seq, found.len() as u64);
        assert_eq!(list.state.as_ref().map(|state| state.user_rev), Some(1));
        histories.insert(list.state.unwrap().history);
    }
    assert_eq!(histories.len(), 2);
    // And it goes on.
    assert_eq!(say(&*copy, "0").await, Ok((1, true)));
    assert_eq!(say(&*copy, "next").await, Ok((found.len() as u64 + 1, false)));
}

async fn page_history(shard: &dyn Shard) -> History {
    newest(shard, 1).await.unwrap().conversation.history
}
