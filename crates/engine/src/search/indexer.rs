//! Keeps the index of one shard where the shard is.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{ConversationId, Epoch, Rev, Subject, UnitId};
use ostracon_store::{SearchIndex, Shard, ShardError, Update};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Feed, Search, reader::Reader};
use crate::{
    engine::Core,
    limits::{
        INDEX_AT_ONCE, INDEX_COMPARE_PERIOD, INDEX_FORGET_PERIOD, INDEX_PERIOD, INDEX_RETRY,
        INDEX_TEND_PERIOD,
    },
};

pub(crate) struct Indexer {
    core: Arc<Core>,
    search: Arc<Search>,
    shard: Arc<dyn Shard>,
    index: Arc<dyn SearchIndex>,
    feed: Arc<Feed>,
    stop: CancellationToken,
    /// Units whose positions were compared, at which epoch.
    compared: BTreeMap<UnitId, Epoch>,
    /// The map by which that was last looked at.
    map_version: Option<u64>,
    /// When everything was compared last.
    compared_at: Instant,
    tended_at: Instant,
    /// Units have gone elsewhere since conversations of others were forgotten last.
    has_strangers: bool,
    forgot_at: Instant,
}

impl Indexer {
    /// `None` for a shard without an index.
    pub(crate) fn of(
        core: &Arc<Core>,
        shard: &Arc<dyn Shard>,
        stop: CancellationToken,
    ) -> Option<Self> {
        let search = Arc::clone(core.search.as_ref()?);
        Some(Self {
            core: Arc::clone(core),
            index: shard.search_index()?,
            feed: search.feed(shard.id()),
            search,
            shard: Arc::clone(shard),
            stop,
            compared: BTreeMap::new(),
            map_version: None,
            compared_at: Instant::now(),
            tended_at: Instant::now(),
            has_strangers: false,
            forgot_at: Instant::now(),
        })
    }

    /// Runs until it is stopped.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let mut failing = false;
        let shard = self.shard.id();
        let waiting = metrics::gauge!("search_waiting_conversations", "shard" => shard.to_string());
        let complete = metrics::gauge!("search_complete", "shard" => shard.to_string());
        loop {
            match self.round().await {
                Ok(()) => failing = false,
                Err(error) => {
                    // What was taken from the feed is lost; comparing finds it again.
                    self.compared.clear();
                    self.map_version = None;
                    self.feed.set_complete(false);
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%shard, %error, "the search index falls behind; it is tried again");
                    }
                    tokio::time::sleep(INDEX_RETRY).await;
                }
            }
            waiting.set(self.feed.waiting() as f64);
            complete.set(f64::from(u8::from(self.feed.is_complete())));
            // What comes in a burst is taken in together.
            tokio::time::sleep(INDEX_PERIOD).await;
            tokio::select! {
                () = self.feed.wake.notified() => {}
                () = tokio::time::sleep(INDEX_TEND_PERIOD) => {}
            }
        }
    }

    async fn round(&mut self) -> Result<(), ShardError> {
        self.follow().await?;
        if self.compared_at.elapsed() >= INDEX_COMPARE_PERIOD || self.feed.must_compare() {
            self.compared.clear();
            self.map_version = None;
        }
        if self.map_version != Some(self.core.map.load().version) {
            self.compare().await?;
        }
        self.feed.set_complete(true);
        if self.has_strangers && self.forgot_at.elapsed() >= INDEX_FORGET_PERIOD {
            self.has_strangers = false;
            self.forgot_at = Instant::now();
            self.forget_strangers().await?;
        }
        if self.tended_at.elapsed() >= INDEX_TEND_PERIOD {
            let index = Arc::clone(&self.index);
            while self.turn(async { index.tend().await }).await? {
                self.follow().await?;
            }
            self.tended_at = Instant::now();
        }
        Ok(())
    }

    async fn turn<T>(
        &self,
        work: impl Future<Output = Result<T, ShardError>>,
    ) -> Result<T, ShardError> {
        self.search.turn(work).await
    }

    /// Takes in what the dispatcher named.
    async fn follow(&self) -> Result<(), ShardError> {
        loop {
            let moved = self.feed.take(INDEX_AT_ONCE);
            if moved.is_empty() {
                return Ok(());
            }
            let step = moved.iter().map(|(id, rev)| (*id, Some(*rev))).collect();
            self.catch_up(step, false).await?;
        }
    }

    /// Brings conversations to where the shard is, those that live here. `anyway`: also those that seem to be there already.
    async fn catch_up(
        &self,
        moved: Vec<(ConversationId, Option<Rev>)>,
        anyway: bool,
    ) -> Result<(), ShardError> {
        let ids: Vec<_> = moved.iter().map(|(id, _)| *id).collect();
        let indexed = self.turn(self.index.indexed(&ids)).await?;
        let mut reader = Reader::new(&self.search, &self.shard, &self.index);
        for ((id, rev), known) in moved.into_iter().zip(indexed) {
            let Ok((at, home)) = self.core.place(id) else { continue };
            let has_it = !anyway && rev.zip(known).is_some_and(|(rev, known)| known.rev == rev);
            // One that has gone elsewhere is forgotten by comparing.
            if home == self.shard.id() && !has_it {
                reader.follow(at.unit, id, known, rev).await?;
            }
        }
        reader.flush().await
    }

    /// Compares the positions of shard and index in every unit that is new here, and forgets what has gone elsewhere.
    async fn compare(&mut self) -> Result<(), ShardError> {
        let map = self.core.map.load_full();
        let here: BTreeMap<UnitId, Epoch> = map
            .units()
            .filter(|(_, home)| home.shard == self.shard.id())
            .map(|(unit, home)| (unit, home.epoch))
            .collect();
        let everything = self.compared.is_empty();
        if everything {
            self.feed.set_complete(false);
            self.forget_strangers().await?;
            self.compare_all().await?;
            self.compared_at = Instant::now();
            self.compared = here;
            self.map_version = Some(map.version);
            return Ok(());
        }
        self.has_strangers |= self.compared.keys().any(|unit| !here.contains_key(unit));
        self.compared.retain(|unit, epoch| here.get(unit) == Some(epoch));
        for (unit, epoch) in here {
            if self.compared.contains_key(&unit) {
                continue;
            }
            self.feed.set_complete(false);
            self.compare_unit(unit).await?;
            self.compared.insert(unit, epoch);
            // What happens now does not wait for all units.
            self.follow().await?;
        }
        self.map_version = Some(map.version);
        Ok(())
    }

    /// Compares all conversations of the shard, page by page.
    async fn compare_all(&self) -> Result<(), ShardError> {
        const AT_ONCE: u32 = 1_000;
        let mut after = None;
        loop {
            let heads = self.turn(self.shard.conversation_heads(after, AT_ONCE)).await?;
            let Some((last, _)) = heads.last() else { return Ok(()) };
            after = Some(*last);
            let ids: Vec<_> = heads.iter().map(|(id, _)| *id).collect();
            let indexed = self.turn(self.index.indexed(&ids)).await?;
            let behind: Vec<_> = heads
                .into_iter()
                .zip(indexed)
                .filter(|((_, head), known)| *known != Some(*head))
                .map(|((id, head), _)| (id, Some(head.rev)))
                .collect();
            for some in behind.chunks(INDEX_AT_ONCE) {
                self.catch_up(some.to_vec(), true).await?;
                // What happens now does not wait for all of them.
                self.follow().await?;
            }
        }
    }

    async fn compare_unit(&self, unit: UnitId) -> Result<(), ShardError> {
        const AT_ONCE: u32 = 500;
        let mut after = None;
        loop {
            let heads = self.turn(self.shard.heads(unit, after, AT_ONCE)).await?;
            after = heads.last().map(|head| head.subject);
            let more = heads.len() == AT_ONCE as usize;
            let conversations = heads.iter().filter_map(|head| match head.subject {
                Subject::Conversation(id) => Some((id, head.version.rev)),
                Subject::User(_) => None,
            });
            let conversations: Vec<(ConversationId, Rev)> = conversations.collect();
            let has_users = conversations.len() < heads.len();
            let ids: Vec<_> = conversations.iter().map(|(id, _)| *id).collect();
            let indexed = if ids.is_empty() {
                Vec::new()
            } else {
                self.turn(self.index.indexed(&ids)).await?
            };
            let pairs = conversations.into_iter().zip(indexed);
            let behind: Vec<(ConversationId, Option<Rev>)> = pairs
                .filter(|((_, rev), known)| known.is_none_or(|known| known.rev != *rev))
                .map(|((id, rev), _)| (id, Some(rev)))
                .collect();
            for some in behind.chunks(INDEX_AT_ONCE) {
                self.catch_up(some.to_vec(), true).await?;
            }
            // Users come behind all conversations.
            if !more || has_users {
                return Ok(());
            }
        }
    }

    async fn forget_strangers(&self) -> Result<(), ShardError> {
        const AT_ONCE: u32 = 1_000;
        let mut after = None;
        loop {
            let known = self.turn(self.index.conversations(after, AT_ONCE)).await?;
            let Some((last, _)) = known.last() else { return Ok(()) };
            after = Some(*last);
            let is_strange = |id: &ConversationId| {
                self.core.place(*id).is_ok_and(|(_, home)| home != self.shard.id())
            };
            let gone: Vec<Update> =
                known.iter().map(|(id, _)| *id).filter(is_strange).map(Update::forget).collect();
            if !gone.is_empty() {
                self.turn(self.index.update(gone)).await?;
            }
        }
    }
}
