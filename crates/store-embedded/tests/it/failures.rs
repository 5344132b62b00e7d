//! A disk that fails: what was acked stays, what was not is never seen, and nobody has to restart anything.

use std::sync::Arc;

use ostracon_store::{Shard, ShardError};
use ostracon_store_embedded::{
    EmbeddedStore, OpenError,
    journal::fault::{Fault, FaultFs},
};
use rusqlite::Connection;

use crate::fixture::{CLUSTER, Home, NOW, SHARD, commit, newest, options, say, send, texts};

fn unavailable<T: std::fmt::Debug>(answer: Result<T, ShardError>) -> String {
    match answer {
        Err(ShardError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failed_sync_is_forgotten_and_retried_by_the_client() {
    for fault in [Fault::SyncKeepsCache, Fault::SyncLosesCache, Fault::Write(100)] {
        let disk = FaultFs::new();
        let mut home = Home::of_pair(Some(disk.as_fs())).await;
        let shard = home.shard();
        assert_eq!(say(&*shard, "one").await, Ok((1, false)));
        disk.fail(0, fault);
        unavailable(say(&*shard, "two").await);
        assert_eq!(texts(&*shard).await, ["one"]);
        // The client tries again; the number was never given to anybody.
        assert_eq!(say(&*shard, "two").await, Ok((2, false)), "{fault:?}");
        assert_eq!(say(&*shard, "one").await, Ok((1, true)));
        drop(shard);
        home.reopen();
        assert_eq!(texts(&*home.shard()).await, ["one", "two"]);
        assert_eq!(say(&*home.shard(), "two").await, Ok((2, true)));
    }
}

#[tokio::test]
async fn of_a_batch_of_several_frames_the_durable_ones_are_answered() {
    let text = "x".repeat(7_000);
    let orders: Vec<_> = (0..2_000).map(|n| send(&format!("c{n}"), &text)).collect();
    let mut halfway = 0;
    for later in 1..4 {
        let disk = FaultFs::new();
        let mut home = Home::of_pair(Some(disk.as_fs())).await;
        let shard = home.shard();
        disk.fail(later, Fault::SyncLosesCache);
        let done = commit(&*shard, orders.clone()).await;
        let durable = done.as_ref().map_or(0, |done| done.answers.len());
        if let Ok(done) = done {
            let last = shard.undispatched(None, 99).await.unwrap().pop().unwrap();
            assert_eq!(last.position, done.position, "a dispatcher passes all of them");
        }
        halfway += u32::from(durable > 0 && durable < orders.len());
        let rest: Vec<_> = orders[durable..].to_vec();
        while !rest.is_empty() && commit(&*shard, rest.clone()).await.is_err() {}
        drop(shard);
        home.reopen();
        let head = newest(&*home.shard(), 1).await.unwrap().conversation.head_seq;
        assert_eq!(head, 2_000, "{later}");
    }
    assert!(halfway > 0);
}

#[tokio::test]
async fn nothing_unsynced_is_ever_read() {
    let disk = FaultFs::new();
    let home = Home::of_pair(Some(disk.as_fs())).await;
    let shard = home.shard();
    say(&*shard, "one").await.unwrap();
    disk.hold_syncs();
    let calls = disk.sync_calls();
    let waiting = tokio::spawn({
        let shard = Arc::clone(&shard);
        async move { say(&*shard, "two").await }
    });
    tokio::task::spawn_blocking({
        let disk = disk.clone();
        move || disk.wait_for_sync_calls(calls + 1)
    })
    .await
    .unwrap();
    let page = newest(&*shard, 9).await.unwrap();
    assert_eq!((page.messages.len(), page.conversation.head_seq), (1, 1));
    assert!(!waiting.is_finished());
    disk.release_syncs();
    assert_eq!(waiting.await.unwrap(), Ok((2, false)));
    assert_eq!(texts(&*shard).await, ["one", "two"]);
}

#[tokio::test]
async fn an_abandoned_batch_is_finished_by_the_next() {
    let disk = FaultFs::new();
    let home = Home::of_pair(Some(disk.as_fs())).await;
    let shard = home.shard();
    say(&*shard, "one").await.unwrap();
    disk.hold_syncs();
    {
        let batch = say(&*shard, "two");
        tokio::pin!(batch);
        // Polled far enough to append, then dropped.
        assert!(futures_now(batch.as_mut()).is_none());
    }
    disk.release_syncs();
    assert_eq!(say(&*shard, "three").await, Ok((3, false)));
    assert_eq!(texts(&*shard).await, ["one", "two", "three"]);
    assert_eq!(say(&*shard, "two").await, Ok((2, true)));
}

/// Polls once.
pub(crate) fn futures_now<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_power_cut_keeps_what_was_acked() {
    for seed in 0..20 {
        let disk = FaultFs::new();
        let mut home = Home::of_pair(Some(disk.as_fs())).await;
        let shard = home.shard();
        // The tables are not under the power cut: they must not know more than the journal either.
        shard.pause_applier(true);
        for n in 0..5 {
            say(&*shard, &format!("{n}")).await.unwrap();
        }
        disk.hold_syncs();
        {
            let batch = say(&*shard, "unsynced");
            tokio::pin!(batch);
            assert!(futures_now(batch.as_mut()).is_none());
        }
        let cut = disk.power_cut_by(seed);
        disk.release_syncs();
        drop(shard);
        home.journal = Some(cut.as_fs());
        home.reopen();
        let shard = home.shard();
        let found = texts(&*shard).await;
        assert_eq!(found[..5], ["0", "1", "2", "3", "4"], "seed {seed}");
        let (seq, again) = say(&*shard, "unsynced").await.unwrap();
        assert_eq!((seq, again), (6, found.len() == 6), "seed {seed}");
    }
}

#[tokio::test]
async fn tables_that_cannot_be_written_refuse_writes_and_recover() {
    let home = Home::of_pair(None).await;
    let shard = home.shard();
    say(&*shard, "one").await.unwrap();
    shard.flush().await.unwrap();
    // Somebody holds the tables: to the applier that is an error like a full disk.
    let stranger = Connection::open(shard.path()).unwrap();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    say(&*shard, "two").await.unwrap();
    let why = unavailable(shard.flush().await);
    assert_eq!(unavailable(say(&*shard, "three").await), why);
    assert_eq!(home.store().failure(), Some(why));
    assert_eq!(texts(&*shard).await, ["one", "two"]);
    stranger.execute_batch("ROLLBACK").unwrap();
    shard.writable().await;
    assert_eq!(say(&*shard, "three").await, Ok((3, false)));
    assert_eq!(home.store().failure(), None);
}

#[tokio::test]
async fn a_full_overlay_is_busy_and_takes_more_once_it_is_emptied() {
    let mut home = Home::of_pair(None).await;
    drop(home.take_store());
    let mut options = options(home.dir.path(), &home.ids);
    options.overlay_bytes_max = 20_000;
    let store = EmbeddedStore::open(options).unwrap();
    let shard = store.shard(SHARD).unwrap();
    shard.pause_applier(true);
    let mut sent = 0;
    let busy = loop {
        match say(&*shard, &format!("{sent}")).await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(busy, ShardError::Busy);
    assert!((5..100).contains(&sent), "{sent}");
    assert_eq!(texts(&*shard).await.len(), sent);
    shard.pause_applier(false);
    shard.flush().await.unwrap();
    // Evicting comes right after the tables are written.
    let mut tries = 0;
    while say(&*shard, "more").await == Err(ShardError::Busy) {
        tries += 1;
        assert!(tries < 1_000);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_batch_larger_than_a_frame_is_taken() {
    let home = Home::of_pair(None).await;
    let shard = home.shard();
    let text = "ü".repeat(10_000);
    let orders = (0..900).map(|n| send(&n.to_string(), &text)).collect();
    let done = commit(&*shard, orders).await.unwrap();
    assert_eq!(done.answers.len(), 900);
    assert_eq!(newest(&*shard, 1).await.unwrap().conversation.head_seq, 900);
    let dispatched = shard.undispatched(None, 100).await.unwrap();
    assert!(dispatched.len() > 1);
    assert_eq!(dispatched.last().map(|batch| batch.position), Some(done.position));
}

#[tokio::test]
async fn tables_and_journal_that_do_not_meet_are_refused() {
    let mut home = Home::of_pair(None).await;
    say(&*home.shard(), "one").await.unwrap();
    home.shard().flush().await.unwrap();
    let path = home.dir.path().to_owned();
    let ids = home.ids.clone();
    home.take_store().close().await.unwrap();
    let refused = |options| match EmbeddedStore::open(options) {
        Err(error @ (OpenError::Refused(_) | OpenError::Journal(_))) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("opened"),
    };

    let mut foreign = options(&path, &ids);
    foreign.cluster_id = CLUSTER + 1;
    let why = refused(foreign);
    assert!(why.contains("belongs to another cluster"), "{why}");

    std::fs::rename(path.join("journal"), path.join("away")).unwrap();
    let why = refused(options(&path, &ids));
    assert!(why.contains("put back the journal folder"), "{why}");
    std::fs::remove_dir_all(path.join("journal")).unwrap();
    std::fs::rename(path.join("away"), path.join("journal")).unwrap();

    std::fs::rename(path.join("shards/0.db"), path.join("shards/1.db")).unwrap();
    let mut wrong = options(&path, &ids);
    wrong.shards = vec![ostracon_domain::ShardId(1)];
    let why = refused(wrong);
    assert!(why.contains("is shard 0"), "{why}");
    std::fs::rename(path.join("shards/1.db"), path.join("shards/0.db")).unwrap();

    let store = EmbeddedStore::open(options(&path, &ids)).unwrap();
    assert_eq!(texts(&*store.shard(SHARD).unwrap()).await, ["one"]);
}

#[tokio::test]
async fn segments_go_when_tables_and_dispatcher_have_passed_them() {
    let mut home = Home::of_pair(None).await;
    drop(home.take_store());
    let mut small = options(home.dir.path(), &home.ids);
    small.segment_bytes = 64 << 10;
    let store = EmbeddedStore::open(small).unwrap();
    let shard = store.shard(SHARD).unwrap();
    let text = "x".repeat(5_000);
    let mut last = 0;
    for n in 0..100 {
        let done = commit(&*shard, vec![send(&n.to_string(), &text)]).await;
        last = done.unwrap().position;
    }
    shard.flush().await.unwrap();
    let segments = store.journal().segments().len();
    assert!(segments > 3, "{segments}");
    // Nobody has dispatched anything.
    shard.settle().await.unwrap();
    store.maintain(NOW).await.unwrap();
    assert_eq!(store.journal().segments().len(), segments);
    shard.dispatched(last).await.unwrap();
    shard.settle().await.unwrap();
    store.maintain(NOW).await.unwrap();
    assert_eq!(store.journal().segments().len(), 1);
    assert!(shard.undispatched(None, 9).await.unwrap().is_empty());
    drop((shard, store));
    home.reopen();
    assert_eq!(newest(&*home.shard(), 1).await.unwrap().conversation.head_seq, 100);
}
