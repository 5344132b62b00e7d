//! Tells users that entries of their lists moved on, with what is unread. Beside the dispatchers: what is unread is asked
//! of the shard of each conversation, which may be another one than the dispatcher's, and may hang.
//!
//! One task for each shard that is asked, while something waits for it; one question at a time. A shard that does not
//! answer holds up nothing but what is asked of it. What is left out is made up for: the heartbeat tells the user rev.
//!
//! Safe from any task; the lock is held for a few instructions.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use ostracon_domain::{ConversationId, InboxEntry, ShardId, UserId};
use ostracon_proto::frame::InboxUpdated;
use ostracon_store::Overview;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::{
    engine::Core,
    error::EngineError,
    event,
    limits::{TELLING_ENTRIES_MAX, TELLING_WAIT},
    view,
};

#[derive(Default)]
pub(crate) struct Telling {
    /// What waits for each shard; while there is a queue, a task takes from it.
    shards: Mutex<BTreeMap<ShardId, Queue>>,
}

#[derive(Default)]
struct Queue {
    order: VecDeque<UserId>,
    users: FxHashMap<UserId, Vec<Arc<InboxEntry>>>,
    entries: usize,
}

impl Queue {
    /// The newest entry of a conversation stands for the older ones that nobody was told of.
    fn put(&mut self, entry: &Arc<InboxEntry>) {
        if self.entries >= TELLING_ENTRIES_MAX {
            return;
        }
        let of_user = self.users.entry(entry.user).or_insert_with(|| {
            self.order.push_back(entry.user);
            Vec::new()
        });
        match of_user.iter_mut().find(|other| other.conversation == entry.conversation) {
            Some(older) => *older = Arc::clone(entry),
            None => {
                of_user.push(Arc::clone(entry));
                self.entries += 1;
            }
        }
    }

    fn take(&mut self) -> Option<(UserId, Vec<Arc<InboxEntry>>)> {
        let user = self.order.pop_front()?;
        let entries = self.users.remove(&user).unwrap_or_default();
        self.entries -= entries.len();
        Some((user, entries))
    }
}

/// Entries of one user's list were committed. Never waits.
pub(crate) fn tell_user(core: &Arc<Core>, entries: &[Arc<InboxEntry>]) {
    let Some(first) = entries.first() else { return };
    let user = first.user;
    let newest = entries.iter().map(|entry| entry.user_rev).max().unwrap_or(0);
    core.hub.heard_of(user, newest);
    if !core.hub.is_online(user) {
        return;
    }
    let mut shards = core.telling.shards.lock();
    for entry in entries {
        let Ok((_, shard)) = core.place(entry.conversation) else { continue };
        let queue = shards.entry(shard).or_insert_with(|| {
            tokio::spawn(tell_of(Arc::clone(core), shard));
            Queue::default()
        });
        queue.put(entry);
    }
}

/// Tells what waits for one shard, until nothing does.
async fn tell_of(core: Arc<Core>, shard: ShardId) {
    loop {
        let next = {
            let mut shards = core.telling.shards.lock();
            let next = shards.get_mut(&shard).and_then(Queue::take);
            if next.is_none() {
                shards.remove(&shard);
            }
            next
        };
        let Some((user, entries)) = next else { return };
        if core.hub.is_online(user) {
            tell(&core, user, &entries).await;
        }
    }
}

async fn tell(core: &Arc<Core>, user: UserId, entries: &[Arc<InboxEntry>]) {
    let ids: Vec<ConversationId> = entries.iter().map(|entry| entry.conversation).collect();
    let seen = tokio::time::timeout(TELLING_WAIT, core.overviews_now(user, &ids)).await;
    let seen = match seen.unwrap_or(Err(EngineError::Unavailable)) {
        Ok(seen) => seen,
        Err(error) => return tracing::debug!(%error, "unread could not be counted"),
    };
    let mut later = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if seen.fenced.contains(&index) {
            later.push(Arc::clone(entry));
        } else {
            tell_entry(core, entry, seen.found.get(index).and_then(Option::as_ref));
        }
    }
    if later.is_empty() {
        return;
    }
    // Those between two shards are told when they have arrived; the others do not wait for them.
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let ids: Vec<ConversationId> = later.iter().map(|entry| entry.conversation).collect();
        match core.overviews(user, &ids).await {
            Ok(found) => {
                for (entry, overview) in later.iter().zip(found) {
                    tell_entry(&core, entry, overview.as_ref());
                }
            }
            Err(error) => tracing::debug!(%error, "unread could not be counted"),
        }
    });
}

fn tell_entry(core: &Core, entry: &InboxEntry, overview: Option<&Overview>) {
    let unread = overview.and_then(|rows| {
        let member = rows.member.as_deref()?;
        Some(ostracon_domain::unread(&rows.conversation, member, rows.uncounted))
    });
    let member = overview.and_then(|rows| rows.member.as_deref());
    let updated = InboxUpdated {
        conversation_id: entry.conversation,
        history: entry.applied.history,
        rev: entry.applied.rev,
        mark_rev: entry.applied.mark_rev,
        user_rev: entry.user_rev,
        unread: unread.unwrap_or(0),
        inbox: Some(view::inbox(Some(entry), member)),
    };
    core.hub.each(entry.user, |connection| {
        connection.events([&event::plain(connection.encoding, &updated)]);
    });
}
