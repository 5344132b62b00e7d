//! Tells users' connections what is unread, once their lists have moved on.
//!
//! Beside the dispatchers, which never wait for it: counts come from the shards that the conversations live in. One
//! question to each shard is under way at a time, about everybody whose list moved meanwhile; of an entry that moved
//! twice only the newest is told. It may leave somebody out: the heartbeat tells the user rev, so that nobody misses more
//! than promptness.

use std::{
    collections::{BTreeMap, hash_map::Entry},
    sync::Arc,
};

use ostracon_domain::{ConversationId, InboxEntry, ShardId, Subject, UnitAt, UserId};
use ostracon_proto::frame::InboxUpdated;
use ostracon_store::{Read, Unread};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::{
    engine::Core,
    error::EngineError,
    event,
    heat::Cost,
    limits::{TELLER_AT_ONCE, TELLER_PATIENCE, TELLER_WAITING_MAX},
    router::Patience,
    view,
};

/// Moved entries of lists, by the shard of their conversation, on their way to the connections of their users.
#[derive(Debug, Default)]
pub(crate) struct Teller(Mutex<BTreeMap<ShardId, Waiting>>);

/// What waits for one shard's answer; it is there as long as somebody asks that shard.
type Waiting = FxHashMap<(UserId, ConversationId), Arc<InboxEntry>>;

/// Has entries of one user's list told.
pub(crate) fn tell(core: &Arc<Core>, entries: &[Arc<InboxEntry>]) {
    let Some(first) = entries.first() else { return };
    let newest = entries.iter().map(|entry| entry.user_rev).max().unwrap_or(0);
    core.hub.heard_of(first.user, newest);
    if !core.hub.is_online(first.user) {
        return;
    }
    for entry in entries {
        let Ok((_, shard)) = core.place(entry.conversation) else { continue };
        if core.teller.put(shard, entry) {
            tokio::spawn(tell_all_of(Arc::clone(core), shard));
        }
    }
}

impl Teller {
    /// Puts an entry in; whether nobody asks its shard yet.
    fn put(&self, shard: ShardId, entry: &Arc<InboxEntry>) -> bool {
        let mut shards = self.0.lock();
        let begins = !shards.contains_key(&shard);
        let waiting = shards.entry(shard).or_default();
        let is_full = waiting.len() >= TELLER_WAITING_MAX;
        match waiting.entry((entry.user, entry.conversation)) {
            Entry::Occupied(mut known) if known.get().user_rev < entry.user_rev => {
                known.insert(Arc::clone(entry));
            }
            Entry::Vacant(place) if !is_full => {
                place.insert(Arc::clone(entry));
            }
            _ => {}
        }
        begins
    }

    /// Takes what waits for a shard, or at least a part of it; when nothing does, the asker has gone.
    fn take(&self, shard: ShardId) -> Vec<Arc<InboxEntry>> {
        let mut shards = self.0.lock();
        let Some(waiting) = shards.get_mut(&shard) else { return Vec::new() };
        if waiting.is_empty() {
            shards.remove(&shard);
            return Vec::new();
        }
        if waiting.len() <= TELLER_AT_ONCE {
            return waiting.drain().map(|(_, entry)| entry).collect();
        }
        let some: Vec<_> = waiting.keys().take(TELLER_AT_ONCE).copied().collect();
        some.iter().filter_map(|key| waiting.remove(key)).collect()
    }
}

async fn tell_all_of(core: Arc<Core>, shard: ShardId) {
    loop {
        let entries = core.teller.take(shard);
        if entries.is_empty() {
            return;
        }
        let fenced = ask(&core, entries).await;
        if !fenced.is_empty() {
            drop(tokio::spawn(tell_later(Arc::clone(&core), fenced)));
        }
        // Lists move many at a time, and an answer may come at once: nobody waits for all of them.
        tokio::task::yield_now().await;
    }
}

/// Those whose unit is between two shards, once it has arrived.
async fn tell_later(core: Arc<Core>, mut entries: Vec<Arc<InboxEntry>>) {
    let mut patience = Patience::default();
    while !entries.is_empty() {
        if let Err(error) = patience.wait(&core).await {
            return tracing::debug!(%error, "unread could not be counted");
        }
        entries = ask(&core, entries).await;
    }
}

/// Asks where the conversations live now and tells the answers; what is left is between two shards. A shard that does
/// not answer costs nobody the answer of another.
async fn ask(core: &Core, entries: Vec<Arc<InboxEntry>>) -> Vec<Arc<InboxEntry>> {
    let mut by_shard: BTreeMap<ShardId, Vec<(UnitAt, Arc<InboxEntry>)>> = BTreeMap::new();
    for entry in entries {
        let Ok((at, shard)) = core.place(entry.conversation) else { continue };
        by_shard.entry(shard).or_default().push((at, entry));
    }
    let mut fenced = Vec::new();
    for (shard, entries) in by_shard {
        let wanted: Vec<_> =
            entries.iter().map(|(at, entry)| (*at, entry.conversation, entry.user)).collect();
        let answers = match count(core, shard, &wanted).await {
            Ok(answers) => answers,
            Err(error) => {
                tracing::debug!(%error, %shard, "unread could not be counted");
                continue;
            }
        };
        core.heat.add(wanted.iter().map(|(at, conversation, _)| {
            Cost::of_read(at.unit, Subject::Conversation(*conversation))
        }));
        for ((_, entry), answer) in entries.into_iter().zip(answers) {
            match answer {
                Read::Rows(unread) => tell_entry(core, &entry, Some(&unread)),
                Read::Absent => tell_entry(core, &entry, None),
                Read::Fenced(_) => fenced.push(entry),
            }
        }
    }
    fenced
}

async fn count(
    core: &Core,
    shard: ShardId,
    wanted: &[(UnitAt, ConversationId, UserId)],
) -> Result<Vec<Read<Unread>>, EngineError> {
    let store = core.shard(shard)?;
    let asked = tokio::time::timeout(TELLER_PATIENCE, store.unread(wanted)).await;
    Ok(asked.map_err(|_| EngineError::Unavailable)??)
}

fn tell_entry(core: &Core, entry: &InboxEntry, unread: Option<&Unread>) {
    let member = unread.and_then(|unread| unread.member.as_deref());
    let updated = InboxUpdated {
        conversation_id: entry.conversation,
        history: entry.applied.history,
        rev: entry.applied.rev,
        mark_rev: entry.applied.mark_rev,
        user_rev: entry.user_rev,
        unread: unread.map_or(0, |unread| unread.count),
        inbox: Some(view::inbox(Some(entry), member)),
    };
    core.hub.each(entry.user, |connection| {
        connection.events([&event::plain(connection.encoding, &updated)]);
    });
}
