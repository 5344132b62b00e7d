//! Search: an index beside each shard, fed by position, and questions to all shards of a user at once.
//!
//! A dispatcher says which conversations moved on; that may be forgotten. The **indexer** (one task a shard) reads what became of
//! them and takes it in; it compares the positions of shard and index at its start, after each change of the map, and now and
//! then, so that whatever was missed heals. All indexers of a node take turns and rest longer than they have worked while
//! anybody else does something: together they never take more than half a core beside traffic, and a seventh of one while
//! there is very much of it.

mod ask;
mod feed;
mod indexer;
mod names;
mod reader;
mod traffic;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use ostracon_domain::{Message, ShardId};
use ostracon_store::ShardError;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use ask::{SearchFilter, SearchHit, SearchOrder, SearchPage, SearchStart};
pub(crate) use feed::Feed;
pub(crate) use indexer::Indexer;
pub use names::Named;

use crate::limits::{INDEX_REST_AFTER, INDEX_STEP_MAX};
use traffic::Traffic;

/// What the indexers of a node share.
pub(crate) struct Search {
    feeds: Mutex<BTreeMap<ShardId, Arc<Feed>>>,
    /// Whose turn it is to work, and how long it was worked since the last rest.
    turn: tokio::sync::Mutex<Duration>,
    traffic: Mutex<Traffic>,
}

impl Search {
    pub(crate) fn new() -> Self {
        Self {
            feeds: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            traffic: Mutex::default(),
        }
    }

    /// The feed of a shard, made at its first use.
    pub(crate) fn feed(&self, shard: ShardId) -> Arc<Feed> {
        Arc::clone(self.feeds.lock().entry(shard).or_default())
    }

    pub(crate) fn known_feed(&self, shard: ShardId) -> Option<Arc<Feed>> {
        self.feeds.lock().get(&shard).cloned()
    }

    pub(crate) fn forget(&self, shard: ShardId) {
        self.feeds.lock().remove(&shard);
    }

    /// Somebody committed so many commands: indexers hold back.
    pub(crate) fn traffic(&self, commands: usize) {
        self.traffic.lock().note(Instant::now(), commands);
    }

    /// Does a piece of work when its turn comes; rests longer than was worked while there is traffic, before the next one
    /// begins.
    pub(crate) async fn work<T>(&self, work: impl Future<Output = T>) -> T {
        let mut worked = self.turn.lock().await;
        let began = Instant::now();
        let done = work.await;
        *worked += began.elapsed();
        let rest = self.traffic.lock().rest(Instant::now(), *worked);
        if rest.is_zero() {
            *worked = Duration::ZERO;
        } else if *worked >= INDEX_REST_AFTER {
            tokio::time::sleep(rest).await;
            *worked = Duration::ZERO;
        }
        done
    }

    /// The same for a question to a shard or an index. One that takes too long does not hold the others up.
    pub(crate) async fn turn<T>(
        &self,
        work: impl Future<Output = Result<T, ShardError>>,
    ) -> Result<T, ShardError> {
        let late = |_| Err(ShardError::Unavailable("the shard takes too long".to_owned()));
        self.work(async { tokio::time::timeout(INDEX_STEP_MAX, work).await.unwrap_or_else(late) })
            .await
    }
}

/// What of a message is searched: its text, and behind it the names of its files.
fn searchable(message: &Message) -> Cow<'_, str> {
    let names = message.extra.iter().flat_map(|extra| &extra.attachments);
    let mut text = Cow::Borrowed(message.content.as_str());
    for name in names.filter_map(|file| file.name.as_deref()) {
        let text = text.to_mut();
        text.push('\n');
        text.push_str(name);
    }
    text
}
