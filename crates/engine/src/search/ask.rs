//! A user's question to the indexes: candidates come from them, what is shown from the shards, as the user may read it now.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, future::join_all, stream};
use ostracon_domain::{Access, ConversationId, MessageView, Seq, ShardId, Subject, UserId, access};
use ostracon_search::Query;
use ostracon_store::{
    Hit, InboxChanges, MessagePage, PagePosition, SearchFor, Shard, Span, Wanted,
};

use super::searchable;
use crate::{
    engine::{Core, Engine},
    error::EngineError,
    limits::{SEARCH_EXAMINED_MAX, SEARCH_PATIENCE, SEARCH_RANKED_MAX, SEARCH_READS},
};

/// In which order messages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The best of the newest [`SEARCH_RANKED_MAX`] that match.
    Best,
}

/// Which messages are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchFilter {
    /// Only in this conversation.
    pub conversation: Option<ConversationId>,
    /// Only of this sender.
    pub sender: Option<UserId>,
    /// Only with something attached.
    pub has_attachment: bool,
    /// Only message ids from here on.
    pub from: u64,
    /// Only message ids below this.
    pub below: u64,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchStart {
    /// Only message ids below this.
    pub below: u64,
    /// So many of the best ones were shown already; 0 where the newest come first.
    pub shown: u32,
}

/// A message that matches.
#[derive(Debug, Clone)]
pub struct SearchHit {
    /// The message as it is now.
    pub view: MessageView,
    /// What the reader may see of its conversation.
    pub access: Access,
    /// Where the words stand in its text, UTF-16 units.
    pub highlights: Vec<(u32, u32)>,
    score: u32,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// The messages.
    pub hits: Vec<SearchHit>,
    /// Where to go on, if there may be more.
    pub next: Option<SearchStart>,
    /// Shards that hold conversations of the user and did not answer.
    pub unavailable: Vec<ShardId>,
    /// Whether all the others have taken in everything that they hold.
    pub complete: bool,
}

/// A conversation of the user, and what was learnt of it.
struct Place {
    from: Seq,
    to: Seq,
    shard: ShardId,
}

struct Asking<'a> {
    core: &'a Core,
    user: UserId,
    query: &'a Query,
    filter: SearchFilter,
    places: BTreeMap<ConversationId, Place>,
    unavailable: Vec<ShardId>,
    complete: bool,
}

impl Engine {
    /// Looks for messages that this user may read.
    ///
    /// # Errors
    /// `Refused` where search is switched off, `NotFound` for a stranger's conversation, `Unavailable` when the shard of the
    /// user's own list does not answer.
    pub async fn search(
        &self,
        user: UserId,
        query: &Query,
        filter: SearchFilter,
        order: SearchOrder,
        start: Option<SearchStart>,
        limit: u32,
    ) -> Result<SearchPage, EngineError> {
        let core = self.core();
        if core.search.is_none() {
            return Err(EngineError::Unavailable);
        }
        let places = match filter.conversation {
            Some(id) => one_place(core, user, id).await?,
            None => all_places(core, user).await?,
        };
        let mut asking =
            Asking { core, user, query, filter, places, unavailable: Vec::new(), complete: true };
        asking.note_incomplete();
        let below = start.map_or(filter.below, |start| start.below.min(filter.below));
        let (hits, next) = match order {
            SearchOrder::Newest => {
                let (mut hits, more) = asking.newest(below, limit as usize).await;
                hits.truncate(limit as usize);
                (hits, more.map(|below| SearchStart { below, shown: 0 }))
            }
            SearchOrder::Best => {
                let (mut hits, _) = asking.newest(below, SEARCH_RANKED_MAX).await;
                hits.truncate(SEARCH_RANKED_MAX);
                let id = |hit: &SearchHit| hit.view.message.message_id;
                hits.sort_by(|a, b| b.score.cmp(&a.score).then(id(b).cmp(&id(a))));
                let shown = start.map_or(0, |start| start.shown);
                let end = shown.saturating_add(limit);
                // Pages of one question rest on the same messages, also when new ones come meanwhile.
                let top =
                    hits.iter().map(|hit| id(hit).get() + 1).max().unwrap_or(below).min(below);
                let more = (end as usize) < hits.len();
                let page = hits.into_iter().skip(shown as usize).take(limit as usize).collect();
                (page, more.then_some(SearchStart { below: top, shown: end }))
            }
        };
        let Asking { mut unavailable, complete, .. } = asking;
        unavailable.sort_unstable();
        unavailable.dedup();
        Ok(SearchPage { hits, next, unavailable, complete })
    }

    /// Compares every index of this node with its shard; with `anew`, after forgetting everything in it.
    ///
    /// # Errors
    /// When search is switched off, or an index does not answer.
    pub async fn reindex(&self, anew: bool) -> Result<(), EngineError> {
        let core = self.core();
        let Some(search) = &core.search else { return Err(EngineError::Unavailable) };
        let shards = core.topology.load().shards.clone();
        for (id, shard) in shards {
            if let Some(index) = shard.search_index() {
                if anew {
                    search.feed(id).set_complete(false);
                    index.clear().await?;
                }
                search.feed(id).compare();
            }
        }
        Ok(())
    }

    /// What each index of this node holds, and whether it has everything; `None` where it does not answer.
    pub async fn search_stats(
        &self,
    ) -> BTreeMap<ShardId, Option<(ostracon_store::SearchStats, bool)>> {
        let core = self.core();
        let mut found = BTreeMap::new();
        let Some(search) = &core.search else { return found };
        for (id, shard) in core.topology.load().shards.clone() {
            if let Some(index) = shard.search_index() {
                let stats = index.stats().await.ok();
                let feed = search.feed(id);
                let complete = feed.is_complete() && feed.waiting() == 0;
                found.insert(id, stats.map(|stats| (stats, complete)));
            }
        }
        found
    }
}

async fn one_place(
    core: &Core,
    user: UserId,
    id: ConversationId,
) -> Result<BTreeMap<ConversationId, Place>, EngineError> {
    let overview = core.overviews(user, &[id]).await?.pop().flatten();
    let row = overview.as_ref().map(|overview| &*overview.conversation);
    let member = overview.as_ref().and_then(|overview| overview.member.as_deref());
    let access = access(row, member)?;
    let hidden_to = member.map_or(0, |member| member.hidden_to);
    let (_, shard) = core.place(id)?;
    Ok(BTreeMap::from([(id, Place { from: access.from.max(hidden_to + 1), to: access.to, shard })]))
}

/// Every conversation in the user's list, those one has left included.
async fn all_places(
    core: &Core,
    user: UserId,
) -> Result<BTreeMap<ConversationId, Place>, EngineError> {
    const AT_ONCE: u32 = 1_000;
    core.flush(user).await?;
    let mut places = BTreeMap::new();
    let mut since = 0;
    loop {
        let ask = |shard: Arc<dyn Shard>, at| async move {
            shard.inbox_changes(at, user, since, AT_ONCE).await
        };
        let InboxChanges { entries, user_rev, more, .. } =
            core.ask(Subject::User(user), ask).await?;
        for entry in entries.iter().filter(|entry| !entry.removed) {
            let Ok((_, shard)) = core.place(entry.conversation) else { continue };
            let place = Place { from: entry.hidden_to + 1, to: i64::MAX as u64, shard };
            places.insert(entry.conversation, place);
        }
        if !more {
            return Ok(places);
        }
        since = user_rev;
    }
}

impl Asking<'_> {
    fn note_incomplete(&mut self) {
        let Some(search) = &self.core.search else { return };
        let shards: std::collections::BTreeSet<ShardId> =
            self.places.values().map(|place| place.shard).collect();
        self.complete = shards
            .into_iter()
            .all(|shard| search.known_feed(shard).is_some_and(|feed| feed.is_complete()));
    }

    /// The newest messages that match below an id: more than `wanted` only by what was read with them. Also where to go on,
    /// if there may be more than these.
    async fn newest(&mut self, below: u64, wanted: usize) -> (Vec<SearchHit>, Option<u64>) {
        let mut below = below;
        let mut hits: Vec<SearchHit> = Vec::new();
        let mut examined = 0;
        let at_once = (wanted + wanted / 2 + 8).min(SEARCH_EXAMINED_MAX);
        loop {
            let candidates = self.candidates(below, at_once).await;
            let Some(last) = candidates.last().map(|hit| hit.message_id.get()) else {
                return (hits, None);
            };
            let is_last = candidates.len() < at_once;
            examined += candidates.len();
            for hit in self.look(&candidates, wanted.saturating_sub(hits.len())).await {
                hits.push(hit);
            }
            if hits.len() >= wanted {
                let next = hits.get(wanted - 1).map(|hit| hit.view.message.message_id.get());
                let all_shown = hits.len() == wanted && is_last && next == Some(last);
                return (hits, next.filter(|_| !all_shown));
            }
            if is_last {
                return (hits, None);
            }
            if examined >= SEARCH_EXAMINED_MAX {
                return (hits, Some(last));
            }
            below = last;
        }
    }

    /// Asks every index that may know something, all at once; the newest answers of all.
    async fn candidates(&mut self, below: u64, limit: usize) -> Vec<Hit> {
        let mut spans: BTreeMap<ShardId, Vec<Span>> = BTreeMap::new();
        for (id, place) in &self.places {
            if place.from <= place.to && !self.unavailable.contains(&place.shard) {
                let span = Span { conversation: *id, from: place.from, to: place.to };
                spans.entry(place.shard).or_default().push(span);
            }
        }
        let terms = self.query.terms().into_iter();
        let tokens: Vec<Wanted> =
            terms.map(|term| Wanted { token: term.text, prefix: term.prefix }).collect();
        let asked = spans.into_iter().map(|(shard, spans)| {
            let wanted = SearchFor {
                tokens: tokens.clone(),
                spans,
                sender: self.filter.sender,
                has_attachment: self.filter.has_attachment,
                from: self.filter.from,
                below,
                limit: u32::try_from(limit).unwrap_or(u32::MAX),
            };
            let index = self.core.shard(shard).ok().and_then(|shard| shard.search_index());
            async move {
                let Some(index) = index else { return (shard, None) };
                match tokio::time::timeout(SEARCH_PATIENCE, index.search(wanted)).await {
                    Ok(Ok(hits)) => (shard, Some(hits)),
                    Ok(Err(error)) => {
                        tracing::warn!(%shard, %error, "a search index does not answer");
                        (shard, None)
                    }
                    Err(_) => (shard, None),
                }
            }
        });
        let mut all = Vec::new();
        for (shard, hits) in join_all(asked).await {
            match hits {
                Some(hits) => all.extend(hits),
                None => {
                    self.unavailable.push(shard);
                    // It may have been lost: what it does not have is found by comparing.
                    if let Some(feed) =
                        self.core.search.as_ref().and_then(|search| search.known_feed(shard))
                    {
                        feed.compare();
                    }
                }
            }
        }
        all.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.message_id));
        all.truncate(limit);
        all
    }

    /// Reads candidates as the user may read them now, and keeps those that match, at most a little more than wanted.
    async fn look(&mut self, candidates: &[Hit], wanted: usize) -> Vec<SearchHit> {
        let mut hits = Vec::new();
        for some in candidates.chunks(SEARCH_READS * 4) {
            let worth = some.iter().filter(|hit| {
                self.places
                    .get(&hit.conversation)
                    .is_some_and(|place| place.from <= hit.seq && hit.seq <= place.to)
            });
            let reads = worth.map(|hit| {
                let (core, user, hit) = (self.core, self.user, *hit);
                async move { (hit, read(core, user, hit).await) }
            });
            let reads: Vec<_> =
                stream::iter(reads.collect::<Vec<_>>()).buffered(SEARCH_READS).collect().await;
            for (hit, found) in reads {
                match found {
                    Ok(found) => hits.extend(self.judge(hit, found)),
                    Err(EngineError::Refused(_)) => {
                        self.places.remove(&hit.conversation);
                    }
                    Err(_) => self
                        .unavailable
                        .extend(self.places.get(&hit.conversation).map(|place| place.shard)),
                }
            }
            if hits.len() >= wanted {
                break;
            }
        }
        hits
    }

    fn judge(&mut self, hit: Hit, found: Readable) -> Option<SearchHit> {
        let Readable { view, access, hidden_to } = found;
        if let Some(place) = self.places.get_mut(&hit.conversation) {
            place.from = place.from.max(access.from).max(hidden_to + 1);
            place.to = place.to.min(access.to);
        }
        let view = view?;
        let row = &*view.message;
        let readable = access.covers(row.seq)
            && row.seq > hidden_to
            && row.deleted.is_none()
            && !access.withholds(row);
        let mut found = self.query.find(&searchable(row)).filter(|_| readable)?;
        // What stands in the name of a file is not in the text.
        let units = row.content.encode_utf16().count() as u32;
        found.highlights.retain(|(_, end)| *end <= units);
        Some(SearchHit { highlights: found.highlights, score: found.score, view, access })
    }
}

/// What a reader finds at the place of a hit.
struct Readable {
    view: Option<MessageView>,
    access: Access,
    hidden_to: Seq,
}

async fn read(core: &Core, user: UserId, hit: Hit) -> Result<Readable, EngineError> {
    let page = MessagePage::Around { position: PagePosition::Seq(hit.seq), limit: 1 };
    let ask = |shard: Arc<dyn Shard>, at| async move {
        shard.messages(at, hit.conversation, user, page).await
    };
    let found = core.ask(Subject::Conversation(hit.conversation), ask).await?;
    let access = access(Some(&found.conversation), found.member.as_deref())?;
    let hidden_to = found.member.as_ref().map_or(0, |member| member.hidden_to);
    let is_hidden = found.hidden.contains(&hit.seq);
    let view = found.messages.into_iter().find(|view| view.message.seq == hit.seq && !is_hidden);
    Ok(Readable { view, access, hidden_to })
}
