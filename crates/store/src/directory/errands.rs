//! The queue of what is to be told outside: to push services and to other systems. It survives a restart.
//!
//! An errand has a key; what is put under a key that is there is joined with it. Whoever takes errands holds them for a while;
//! what was not ended by then is given to somebody else. So each is done at least once, and what is put again after it was
//! done is not done again.

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Millis, Seq, UserId};

use super::Result;

/// What an errand is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrandKind {
    /// A user is to be told of a conversation, wherever he is away.
    Tell {
        /// Whom.
        user: UserId,
        /// Of what.
        conversation: ConversationId,
    },
    /// The same for one device, which could not be reached.
    Device {
        /// Whom.
        user: UserId,
        /// Of what.
        conversation: ConversationId,
        /// Which device.
        subscription: u64,
    },
    /// Another system is to be told.
    Event {
        /// Under which name it is configured.
        hook: String,
        /// Of which kind the event is.
        event: String,
        /// Whom it is about, if of anybody.
        user: Option<UserId>,
        /// Where it happened, if in a conversation.
        conversation: Option<ConversationId>,
    },
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewErrand {
    /// What is joined: text of at most 200 bytes.
    pub key: String,
    /// What it is for. Of two under one key the kinds are the same.
    pub kind: ErrandKind,
    /// The newest message it is about, or another rising number. Under a key only a higher one changes anything.
    pub seq: Seq,
    /// The newest message that mentions the user; 0 for none.
    pub mention_seq: Seq,
    /// How many messages.
    pub count: u32,
    /// When it is to be done, at the earliest.
    pub due_at: Millis,
}

/// What became of an errand so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrandState {
    /// It is to be done.
    Waiting,
    /// It was done, or there was nothing to do. It stays for a while, so that it is not done again.
    Done,
    /// It was given up. It stays until it is done again by hand, or for long.
    Dead,
}

/// Something to tell, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Its number; rising.
    pub id: u64,
    /// What is joined.
    pub key: String,
    /// What it is for.
    pub kind: ErrandKind,
    /// The newest message it is about.
    pub seq: Seq,
    /// The newest message that mentions the user; 0 for none.
    pub mention_seq: Seq,
    /// How many messages, since it was last done.
    pub count: u32,
    /// What became of it.
    pub state: ErrandState,
    /// How often it failed.
    pub attempts: u32,
    /// Since when it waits.
    pub created_at: Millis,
    /// When it is to be done, at the earliest; of one that is done or dead when that was.
    pub due_at: Millis,
    /// Until when somebody holds it; 0 for nobody.
    pub held_until: Millis,
    /// Why it failed last.
    pub error: Option<String>,
}

/// How an errand that was held ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrandEnd {
    /// It is done up to this seq; what came meanwhile waits. What follows from it is put in the same step.
    Done {
        /// The newest message that was told, or that need not be.
        seq: Seq,
        /// What follows.
        then: Vec<NewErrand>,
    },
    /// It is done later.
    Later {
        /// When.
        due_at: Millis,
        /// Why, if it failed: then it counts.
        error: Option<String>,
    },
    /// It is given up.
    Dead {
        /// Why.
        error: String,
    },
}

/// Which errands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrandSort {
    /// Those of push: `Tell` and `Device`.
    Push,
    /// Those of other systems: `Event`.
    Events,
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrandStats {
    /// How many wait.
    pub waiting: u64,
    /// How many of these have failed at least once.
    pub failing: u64,
    /// How many were given up.
    pub dead: u64,
    /// When the one that waits for longest was to be done; none when none waits.
    pub oldest_due_at: Option<Millis>,
}

/// The queue. Several processes may take from it.
#[async_trait]
pub trait Errands: Send + Sync {
    /// Puts errands, all or none. Under a key that is there a higher seq is joined: one that waits gets the seq and counts on,
    /// and is done when it was to be, or if somebody holds it, when the new one is to be; one that is done or dead waits
    /// again as a new one would. A seq that is not higher changes nothing.
    async fn put_errands(&self, new: Vec<NewErrand>, now: Millis) -> Result<()>;
    /// Takes errands that wait, are due and held by nobody, those first that have been due for longest. They are held
    /// until then.
    async fn take_errands(&self, now: Millis, until: Millis, limit: u32) -> Result<Vec<Errand>>;
    /// Ends an errand that was taken and is still held until the same time; whether it was.
    async fn end_errand(&self, held: &Errand, end: ErrandEnd, now: Millis) -> Result<bool>;
    /// How full the queue is, of a sort.
    async fn errand_stats(&self, sort: ErrandSort) -> Result<ErrandStats>;
    /// Those of a sort that were given up, the newest first, below a number, at most `limit`.
    async fn dead_errands(
        &self,
        sort: ErrandSort,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Errand>>;
    /// Lets what was given up wait again, as if it had never failed: one by its number, or all of a sort. How many.
    async fn replay_errands(&self, sort: ErrandSort, id: Option<u64>, now: Millis) -> Result<u64>;
    /// Forgets what was done before a time, and given up before another; at most `limit`. How many.
    async fn forget_errands(
        &self,
        done_before: Millis,
        dead_before: Millis,
        limit: u32,
    ) -> Result<u64>;
}
