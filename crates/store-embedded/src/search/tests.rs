//! The contract, and what only a file can go through: being foreign, damaged, joined, wiped.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use ostracon_domain::{ConversationId, History, MessageId, ShardId, UserId};
use ostracon_store::{
    Document, Indexed, SearchFor, SearchIndex, Span, Update, Wanted,
    contract::search::{SearchFixture, run_all},
};

use super::EmbeddedSearch;

fn open(dir: &Path) -> EmbeddedSearch {
    EmbeddedSearch::open_with(&dir.join("0.db"), 7, ShardId(0), Duration::ZERO).unwrap()
}

struct Fixture(parking_lot::Mutex<Vec<tempfile::TempDir>>);

#[async_trait]
impl SearchFixture for Fixture {
    async fn fresh(&self) -> Arc<dyn SearchIndex> {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path());
        self.0.lock().push(dir);
        Arc::new(index)
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    run_all(&Fixture(parking_lot::Mutex::default())).await;
}

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn conversation(number: u64) -> ConversationId {
    ConversationId::direct(user(1), user(number + 2))
}

fn update(number: u64, rev: u64, seqs: std::ops::RangeInclusive<u64>, token: &str) -> Update {
    let documents = seqs.map(|seq| Document {
        seq,
        message_id: MessageId::from_parts(1_700_000_000_000 + seq.cast_signed(), 0, 0).unwrap(),
        sender: user(1),
        has_attachment: false,
        tokens: vec![token.to_owned()],
    });
    let indexed = Some(Indexed { history: History(1), rev });
    Update { documents: documents.collect(), indexed, ..Update::of(conversation(number)) }
}

async fn count(index: &EmbeddedSearch, number: u64, token: &str) -> usize {
    let wanted = SearchFor {
        tokens: vec![Wanted { token: token.to_owned(), prefix: false }],
        spans: vec![Span { conversation: conversation(number), from: 1, to: 1 << 40 }],
        sender: None,
        has_attachment: false,
        from: 0,
        below: u64::MAX >> 1,
        limit: 1_000_000,
    };
    index.search(wanted).await.unwrap().len()
}

fn bytes_of(dir: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(dir).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn what_is_removed_leaves_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    index
        .update(vec![update(1, 2, 1..=1, "zanzibar"), update(2, 2, 1..=1, "timbuktu")])
        .await
        .unwrap();
    index.update(vec![update(1, 3, 2..=9, "other")]).await.unwrap();
    assert!(holds(&bytes_of(dir.path()), "zanzibar"));
    let indexed = Some(Indexed { history: History(1), rev: 4 });
    let removal = Update { removed: vec![1], indexed, ..Update::of(conversation(1)) };
    index.update(vec![removal, Update::forget(conversation(2))]).await.unwrap();
    assert_eq!(count(&index, 1, "zanzibar").await, 0);
    while index.tend().await.unwrap() {}
    let left = bytes_of(dir.path());
    assert!(!holds(&left, "zanzibar") && !holds(&left, "timbuktu"));
    assert_eq!(count(&index, 1, "other").await, 8);
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).update(vec![update(1, 2, 1..=3, "a")]).await.unwrap();
    assert_eq!(count(&open(dir.path()), 1, "a").await, 3);
    let path = dir.path().join("0.db");
    let other = EmbeddedSearch::open(&path, 8, ShardId(0)).unwrap();
    assert_eq!(count(&other, 1, "a").await, 0);
    drop(other);
    std::fs::write(&path, "a letter").unwrap();
    assert_eq!(count(&open(dir.path()), 1, "a").await, 0);
}

#[tokio::test]
async fn a_file_that_turns_out_damaged_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    index.update(vec![update(1, 2, 1..=3, "a")]).await.unwrap();
    {
        let writer = index.shared.writer.lock();
        writer.conn.execute("UPDATE block SET data = x'ffffffffff'", []).unwrap();
    }
    let wanted = SearchFor {
        tokens: vec![Wanted { token: "a".to_owned(), prefix: false }],
        spans: vec![Span { conversation: conversation(1), from: 1, to: 9 }],
        sender: None,
        has_attachment: false,
        from: 0,
        below: u64::MAX >> 1,
        limit: 9,
    };
    assert!(index.search(wanted).await.is_err());
    assert_eq!(index.conversations(None, 10).await.unwrap(), []);
    index.update(vec![update(1, 2, 1..=3, "a")]).await.unwrap();
    assert_eq!(count(&index, 1, "a").await, 3);
}

#[tokio::test]
async fn small_segments_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    for step in 0..100 {
        let first = step * 10 + 1;
        index.update(vec![update(step % 3, 10 + step, first..=first + 9, "a")]).await.unwrap();
        while index.tend().await.unwrap() {}
    }
    let segments: i64 = {
        let writer = index.shared.writer.lock();
        writer.conn.query_row("SELECT count(*) FROM segment", [], |row| row.get(0)).unwrap()
    };
    assert!(segments < 16, "{segments}");
    let all =
        count(&index, 0, "a").await + count(&index, 1, "a").await + count(&index, 2, "a").await;
    assert_eq!(all, 1_000);
}
