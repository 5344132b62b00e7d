//! Who may have to be told elsewhere, because nobody of his is here: a feed of each dispatcher into the queue of the
//! directory, with its own position, and the question whether it still holds when it is to be told.
//!
//! A dispatcher notes in memory whom a new message concerns; one task puts that into the queue, many at once. A send never
//! waits for it: only the dispatch cursor does, so that a crash repeats what was not put yet. What is put twice is one there.

mod feed;
mod feeder;
mod look;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ostracon_domain::{Conversation, Message, MessageKind, Row, ShardId, UserId};
use ostracon_store::{Directory, DirectoryError, Position};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashSet;
use tokio::sync::Notify;

use self::feed::{Feed, Said};
pub(crate) use self::feeder::{drain_last, run};
pub use self::look::{AwayLook, AwayNews, AwayQuestion};
use crate::{audience::Audience, limits::SUBSCRIBED_PER_READ};

/// What is to be told outside.
#[derive(Debug, Clone, Default)]
pub struct AwayOptions {
    /// How long a device that is online gets to take a message itself.
    pub delay: Duration,
    /// Whether it concerns users without a device too: another system is told of them.
    pub everybody: bool,
    /// Names of other systems that are told of every message.
    pub created: Vec<String>,
}

/// What the dispatchers of a node share. Locks are held for a look-up or an insert.
pub(crate) struct Away {
    options: AwayOptions,
    feeds: Mutex<BTreeMap<ShardId, Arc<Feed>>>,
    /// Users with a device; who had one once may stay in it.
    subscribed: RwLock<FxHashSet<UserId>>,
    /// Nobody has to be told of anything.
    idle: AtomicBool,
    wake: Notify,
}

impl Away {
    /// Reads who has a device.
    pub(crate) async fn load(
        options: AwayOptions,
        directory: &dyn Directory,
    ) -> Result<Self, DirectoryError> {
        let mut subscribed = FxHashSet::default();
        let mut after = None;
        loop {
            let page = directory.subscribed_users(after, SUBSCRIBED_PER_READ).await?;
            after = page.last().copied();
            let is_last = page.len() < SUBSCRIBED_PER_READ as usize;
            subscribed.extend(page);
            if is_last || after.is_none() {
                break;
            }
        }
        let idle = subscribed.is_empty() && !options.everybody && options.created.is_empty();
        Ok(Self {
            options,
            feeds: Mutex::default(),
            subscribed: RwLock::new(subscribed),
            idle: AtomicBool::new(idle),
            wake: Notify::new(),
        })
    }

    /// A user has a device now.
    pub(crate) fn subscribed(&self, user: UserId) {
        self.subscribed.write().insert(user);
        self.idle.store(false, Ordering::Release);
    }

    fn feed(&self, shard: ShardId) -> Arc<Feed> {
        Arc::clone(self.feeds.lock().entry(shard).or_default())
    }

    pub(crate) fn forget(&self, shard: ShardId) {
        self.feeds.lock().remove(&shard);
    }

    /// A dispatcher noted everything up to here.
    pub(crate) fn mark(&self, shard: ShardId, position: Position) {
        self.feed(shard).mark(position);
    }

    /// Everything of a shard up to here is in the queue.
    pub(crate) fn done(&self, shard: ShardId) -> Position {
        self.feed(shard).done()
    }

    /// Whether nothing that was noted waits for the queue.
    pub(crate) fn is_done_with(&self, shard: ShardId) -> bool {
        self.feed(shard).is_done()
    }

    /// A message that its members are told of right now.
    pub(crate) fn note(
        &self,
        shard: ShardId,
        conversation: &Conversation,
        message: &Message,
        audience: Option<&Audience>,
    ) {
        if self.idle.load(Ordering::Acquire) || message.kind == MessageKind::System {
            return;
        }
        let feed = self.feed(shard);
        if !self.options.created.is_empty() {
            feed.created(conversation.id, message.seq, message.sender);
        }
        let subscribed = self.subscribed.read();
        let everybody = self.options.everybody;
        if !everybody && subscribed.is_empty() {
            drop(subscribed);
            return self.wake.notify_one();
        }
        let wanted =
            |user: &UserId| *user != message.sender && (everybody || subscribed.contains(user));
        let mentioned = |user: UserId| message.mentions.iter().any(|one| one.user_id == user);
        match audience {
            // Of a large group only those whom the message mentions are told.
            _ if conversation.large => feed.tell(
                conversation.id,
                message.seq,
                message
                    .mentions
                    .iter()
                    .map(|one| one.user_id)
                    .filter(wanted)
                    .map(|user| (user, true)),
            ),
            Some(audience) => feed.tell(
                conversation.id,
                message.seq,
                audience
                    .present_at(conversation, Some(message.seq))
                    .map(|(user, _)| user)
                    .filter(wanted)
                    .map(|user| (user, mentioned(user))),
            ),
            None => feed.whole(conversation.id, Said::of(message)),
        }
        drop(subscribed);
        self.wake.notify_one();
    }

    /// Messages that were committed and maybe never told, as a crash or a lost answer leaves them: whom they concern is
    /// looked up later.
    pub(crate) fn note_rows(&self, shard: ShardId, rows: &[Row]) {
        if self.idle.load(Ordering::Acquire) {
            return;
        }
        let feed = self.feed(shard);
        for row in rows {
            let Row::Message(message) = row else { continue };
            let is_new = message.created_rev == message.rev && message.deleted.is_none();
            if !is_new || message.kind == MessageKind::System {
                continue;
            }
            if !self.options.created.is_empty() {
                feed.created(message.conversation, message.seq, message.sender);
            }
            feed.whole(message.conversation, Said::of(message));
        }
        self.wake.notify_one();
    }

    fn wants(&self, user: UserId) -> bool {
        self.options.everybody || self.subscribed.read().contains(&user)
    }
}
