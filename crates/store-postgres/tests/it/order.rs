//! Positions become visible in their order: whoever follows the outbox while many write misses nothing.

use std::sync::Arc;

use ostracon_domain::{ConversationId, Row, UnitId, UserId};
use ostracon_store::Shard;
use tokio_postgres::NoTls;

use crate::fixture::{
    ALICE, commit, direct, formatted, ids, open, options, say, send_in, shared_url, units, user,
};

const WRITERS: u64 = 4;
const BATCHES: u64 = 60;

fn talk(writer: u64) -> (UserId, ConversationId) {
    (user(100 + writer), ConversationId::direct(user(100 + writer), ALICE))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_no_batch_of_many_writers() {
    let mut options = options();
    let all: Vec<UnitId> = (0..WRITERS).map(|n| talk(n).1.slot().unit()).collect();
    let follower = formatted(&options, &all).await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        options.ids = ids(writer as u16 + 2);
        let shard = open(&options).await;
        writers.push(tokio::spawn(async move {
            let (actor, id) = talk(writer);
            let mut positions = Vec::new();
            for n in 0..BATCHES {
                let commit = commit(&*shard, vec![send_in(id, actor, &format!("m-{n}"))]).await;
                positions.push(commit.unwrap().position);
            }
            assert!(positions.is_sorted_by(|a, b| a < b));
            positions
        }));
    }
    let mut seen = Vec::new();
    while seen.len() < (WRITERS * BATCHES) as usize {
        let after = seen.last().copied();
        for batch in follower.undispatched(after, 7).await.unwrap() {
            assert!(matches!(
                batch.rows.last(),
                Some(Row::Message(_) | Row::Member(_) | Row::Conversation(_))
            ));
            // No gap at any moment: none below it can come later.
            assert_eq!(batch.position, seen.last().copied().unwrap_or(0) + 1);
            seen.push(batch.position);
        }
        if let Some(last) = seen.last().filter(|last| **last % 5 == 0) {
            follower.dispatched(*last).await.unwrap();
        }
    }
    let mut told = Vec::new();
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    told.sort_unstable();
    assert_eq!(told, seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_lingers_before_its_commit_holds_later_positions_back() {
    let mut options = options();
    let shard = formatted(&options, &units()).await;
    say(&*shard, "one").await.unwrap();
    // A writer of another process that has its position and does not commit yet.
    let (mut slow, connection) = tokio_postgres::connect(shared_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    slow.batch_execute(&format!("SET search_path = {}", options.schema())).await.unwrap();
    let transaction = slow.transaction().await.unwrap();
    transaction
        .batch_execute(
            "WITH head AS (UPDATE log_head SET position = position + 1 RETURNING position) \
             INSERT INTO outbox (position, rows) SELECT position, '' FROM head",
        )
        .await
        .unwrap();
    let later = {
        let shard = Arc::clone(&shard);
        tokio::spawn(async move { commit(&*shard, vec![send_in(direct(), ALICE, "two")]).await })
    };
    options.ids = ids(2);
    let follower = open(&options).await;
    // The later one waits in the database for as long as the first has not committed.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ostracon' \
         AND wait_event_type = 'Lock' AND query LIKE '%log_head%'";
    let (watcher, connection) = tokio_postgres::connect(shared_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    while watcher.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    let positions = async || {
        let batches = follower.undispatched(None, 10).await.unwrap();
        batches.into_iter().map(|batch| batch.position).collect::<Vec<_>>()
    };
    assert_eq!(positions().await, [1]);
    transaction.commit().await.unwrap();
    assert_eq!(later.await.unwrap().unwrap().position, 3);
    assert_eq!(positions().await, [1, 2, 3]);
}
