//! The way of changes of users' lists: from dispatchers into the shards of these users.
//!
//! One lane for each shard. Changes merge, one for each user and conversation, and are committed now and then through
//! the shard's committer. A dispatcher only ever puts changes in; it never waits here. What is still in a lane is
//! committed first when its user reads the list, so that a read misses nothing that was dispatched.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use ostracon_domain::{
    Command, ConversationId, InboxAction, InboxChange, InboxCommand, ShardId, UserId,
};
use ostracon_store::{Order, Position};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    committer::Job,
    engine::Core,
    error::EngineError,
    event::Told,
    limits::{LANE_PERIOD, LANE_PERIOD_OFFLINE, LANE_RETRY, LANE_USERS_PER_FLUSH},
    reply::{ListAnswer, Reply},
    router::Patience,
};

type Changes = BTreeMap<ConversationId, InboxChange>;
type Users = FxHashMap<UserId, Changes>;

/// How far each source shard's stream has gone into a lane: everything up to there.
type Marks = BTreeMap<ShardId, Position>;

pub(crate) struct Lane {
    shard: ShardId,
    state: Mutex<State>,
    /// Changes that may wait, those in flight included.
    entries_max: usize,
    entries: AtomicUsize,
    wake: Notify,
    /// Rises when a user's commit has ended.
    settled: watch::Sender<u64>,
    /// The last flush of everything that kept its promise.
    flushed: AtomicU64,
    /// Its shard goes: nobody's changes wait long.
    hurries: AtomicBool,
}

/// A user's changes wait in one of three places, so that they are committed together.
#[derive(Default)]
struct State {
    /// Of users with a connection here: for the next flush.
    online: Users,
    /// Of everybody else: for a flush now and then.
    offline: Users,
    /// What the present flush has not taken yet.
    due: Users,
    /// Users whose changes are being committed. What is put in meanwhile waits for the next flush.
    in_flight: FxHashSet<UserId>,
    /// Source positions whose changes were all put in.
    put: Marks,
    /// Source positions whose changes are all committed.
    done: Marks,
    /// How often changes were put back, or came from another lane; rises.
    put_backs: u64,
    /// Flushes of everything that have begun.
    flushes: u64,
}

/// What will be true when a flush has committed all that was due at its beginning.
struct Promise {
    /// Its number among the flushes.
    flush: u64,
    marks: Marks,
    put_backs: u64,
    /// Users of whom something was due or under way.
    unfinished: FxHashSet<UserId>,
}

impl State {
    fn is_empty(&self) -> bool {
        self.online.is_empty() && self.offline.is_empty() && self.due.is_empty()
    }

    /// Where a user's changes wait or are to wait.
    fn place(&mut self, user: UserId, online: bool) -> &mut Changes {
        if self.due.contains_key(&user) {
            return self.due.entry(user).or_default();
        }
        if !online && !self.online.contains_key(&user) {
            return self.offline.entry(user).or_default();
        }
        let waiting = self.offline.remove(&user).unwrap_or_default();
        self.online.entry(user).or_insert(waiting)
    }

    fn remove(&mut self, user: UserId) -> Option<Changes> {
        let Self { due, online, offline, .. } = self;
        [due, online, offline].into_iter().find_map(|users| users.remove(&user))
    }

    fn take(&mut self, user: UserId) -> Option<Changes> {
        let changes = self.remove(user)?;
        self.in_flight.insert(user);
        Some(changes)
    }

    fn take_due(&mut self) -> VecDeque<(UserId, Changes)> {
        let free = self.due.keys().filter(|user| !self.in_flight.contains(user));
        let chosen: Vec<UserId> = free.take(LANE_USERS_PER_FLUSH).copied().collect();
        chosen.into_iter().filter_map(|user| Some((user, self.take(user)?))).collect()
    }

    /// Makes due what waits; what it promises then, if it is everything.
    fn begin(&mut self, offline_too: bool) -> Option<Promise> {
        self.due.extend(self.online.drain());
        if offline_too {
            self.due.extend(self.offline.drain());
        }
        self.flushes += 1;
        self.offline.is_empty().then(|| Promise {
            flush: self.flushes,
            marks: self.put.clone(),
            put_backs: self.put_backs,
            // Those who are due may be taken by others before this flush gets to them.
            unfinished: self.in_flight.iter().chain(self.due.keys()).copied().collect(),
        })
    }

    /// Where nothing waits and nothing is under way, all that was put in is committed.
    fn note_if_empty(&mut self) {
        if self.is_empty() && self.in_flight.is_empty() {
            self.done.clone_from(&self.put);
        }
    }

    /// Keeps a promise, unless something of it failed or is not finished; its number if it is kept.
    fn keep(&mut self, promise: Promise) -> Option<u64> {
        let finished = self.due.is_empty() && self.in_flight.is_disjoint(&promise.unfinished);
        if finished && self.put_backs == promise.put_backs {
            for (source, position) in promise.marks {
                let done = self.done.entry(source).or_default();
                *done = position.max(*done);
            }
            return Some(promise.flush);
        }
        None
    }

    /// Takes over what waited for a user in another lane. What that one does not vouch for is not done here either.
    fn take_over(&mut self, user: UserId, older: Changes, done: &Marks) -> usize {
        self.put_backs += 1;
        for (source, here) in &mut self.done {
            *here = done.get(source).copied().unwrap_or(0).min(*here);
        }
        let place = self.place(user, true);
        let mut gone = 0;
        for (conversation, newer) in std::mem::replace(place, older) {
            match place.get_mut(&conversation) {
                Some(older) => {
                    older.merge(newer);
                    gone += 1;
                }
                None => {
                    place.insert(conversation, newer);
                }
            }
        }
        gone
    }
}

impl Lane {
    pub(crate) fn new(shard: ShardId, entries_max: usize) -> Self {
        Self {
            shard,
            state: Mutex::default(),
            entries_max,
            entries: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: watch::Sender::new(0),
            flushed: AtomicU64::new(0),
            hurries: AtomicBool::new(false),
        }
    }

    /// Flushes of everything that have begun.
    pub(crate) fn flushes(&self) -> u64 {
        self.state.lock().flushes
    }

    /// Everything that was put in before this flush began is committed.
    pub(crate) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// Nobody's changes wait long from now on, or again as long as usual.
    pub(crate) fn hurry(&self, hurries: bool) {
        self.hurries.store(hurries, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Its shard is gone, and it holds nothing.
    pub(crate) fn end(&self) {
        self.flushed.store(u64::MAX, Ordering::Release);
    }

    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.is_empty() && state.in_flight.is_empty()
    }

    /// Whether everything of a source that was put in is committed.
    pub(crate) fn is_done_with(&self, source: ShardId) -> bool {
        let state = self.state.lock();
        state.put.get(&source) == state.done.get(&source)
    }

    /// Makes a new lane vouch for what the others were given before it was there.
    pub(crate) fn begin_like(&self, other: &Self) {
        let marks = other.state.lock().put.clone();
        let mut state = self.state.lock();
        state.put.clone_from(&marks);
        state.done = marks;
    }

    /// Gives what waits for a user to another lane; `false` while some of it is being committed here.
    pub(crate) fn hand_over(&self, to: &Self, user: UserId) -> bool {
        let (mut from_state, mut to_state);
        if self.shard < to.shard {
            from_state = self.state.lock();
            to_state = to.state.lock();
        } else {
            to_state = to.state.lock();
            from_state = self.state.lock();
        }
        if from_state.in_flight.contains(&user) {
            return false;
        }
        let Some(changes) = from_state.remove(user) else { return true };
        let moved = changes.len();
        let merged = to_state.take_over(user, changes, &from_state.done);
        self.entries.fetch_sub(moved, Ordering::Relaxed);
        to.entries.fetch_add(moved - merged, Ordering::Relaxed);
        from_state.note_if_empty();
        drop((from_state, to_state));
        to.wake.notify_one();
        true
    }

    /// Whether no more may be put in until something is committed.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.load(Ordering::Relaxed) >= self.entries_max
    }

    /// Puts a change in.
    pub(crate) fn put(&self, user: UserId, change: InboxChange, online: bool) {
        let mut state = self.state.lock();
        let was_empty = state.is_empty();
        let place = state.place(user, online);
        match place.get_mut(&change.conversation) {
            Some(known) => known.merge(change),
            None => {
                place.insert(change.conversation, change);
                self.entries.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Notes that everything of a source up to a position was put in.
    pub(crate) fn mark(&self, source: ShardId, position: Position) {
        let mut state = self.state.lock();
        state.put.insert(source, position);
        state.note_if_empty();
    }

    /// Everything of a source up to here is committed.
    pub(crate) fn done(&self, source: ShardId) -> Position {
        self.state.lock().done.get(&source).copied().unwrap_or(0)
    }

    /// Commits what waits for one user, also what is being committed right now.
    pub(crate) async fn flush_user(&self, core: &Core, user: UserId) -> Result<(), EngineError> {
        let mut settled = self.settled.subscribe();
        let mut patience = Patience::default();
        loop {
            if let Some(taken) = self.take_user(user) {
                if taken.users.is_empty() {
                    return Ok(());
                }
                match taken.commit(core).await {
                    Flushed::All => return Ok(()),
                    Flushed::NotFenced => patience.wait(core).await?,
                    Flushed::Failed => return Err(EngineError::Unavailable),
                }
                continue;
            }
            // A lost sender means that the engine has stopped.
            settled.changed().await.map_err(|_| EngineError::Unavailable)?;
        }
    }

    /// What waits for a user, maybe nothing; none while some of it is in flight.
    fn take_user(&self, user: UserId) -> Option<Taken<'_>> {
        let mut state = self.state.lock();
        if state.in_flight.contains(&user) {
            return None;
        }
        let users = state.take(user).map(|changes| (user, changes)).into_iter().collect();
        Some(Taken { lane: self, users })
    }

    /// The lane's task.
    pub(crate) async fn run(self: Arc<Self>, core: Arc<Core>, stop: CancellationToken) {
        let mut next = Instant::now();
        let mut next_offline = next + LANE_PERIOD_OFFLINE;
        while !stop.is_cancelled() {
            if self.state.lock().is_empty() {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = stop.cancelled() => break,
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = stop.cancelled() => break,
            }
            let now = Instant::now();
            let crowded = self.entries.load(Ordering::Relaxed) >= self.entries_max / 4;
            let hurries = self.hurries.load(Ordering::Relaxed);
            let offline_too = crowded || hurries || now >= next_offline;
            if offline_too {
                next_offline = now + LANE_PERIOD_OFFLINE;
            }
            let all = self.flush(&core, offline_too).await;
            next = now + if all { LANE_PERIOD } else { LANE_RETRY };
        }
        // A stop leaves nothing behind that a start would have to repeat.
        self.flush(&core, true).await;
    }

    /// Commits what waits at its beginning, in portions; `false` when some of it has to wait longer.
    async fn flush(&self, core: &Core, offline_too: bool) -> bool {
        let promise = self.state.lock().begin(offline_too);
        loop {
            let users = self.state.lock().take_due();
            if users.is_empty() {
                break;
            }
            // Whose unit is fenced waits for the next flush, and holds nobody else up.
            if (Taken { lane: self, users }).commit(core).await == Flushed::Failed {
                return false;
            }
        }
        if let Some(promise) = promise
            && let Some(flush) = self.state.lock().keep(promise)
        {
            self.flushed.fetch_max(flush, Ordering::Release);
        }
        true
    }

    /// Notes that a user's changes are committed, or puts them back.
    fn settle(&self, user: UserId, changes: Changes, committed: bool) {
        let mut state = self.state.lock();
        state.in_flight.remove(&user);
        let mut gone = 0;
        if committed {
            gone = changes.len();
        } else {
            state.put_backs += 1;
            let place = state.place(user, true);
            for (conversation, change) in std::mem::replace(place, changes) {
                match place.get_mut(&conversation) {
                    // Two that waited apart wait as one.
                    Some(older) => {
                        older.merge(change);
                        gone += 1;
                    }
                    None => {
                        place.insert(conversation, change);
                    }
                }
            }
        }
        self.entries.fetch_sub(gone, Ordering::Relaxed);
        state.note_if_empty();
        drop(state);
        if !committed {
            self.wake.notify_one();
        }
        self.settled.send_modify(|settled| *settled += 1);
    }
}

/// Changes on their way to a commit. Whatever ends that way, also a caller who went away, they are put back unless they
/// are known to be committed; they may be committed twice.
struct Taken<'a> {
    lane: &'a Lane,
    users: VecDeque<(UserId, Changes)>,
}

/// What became of a portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Flushed {
    /// All of it is committed.
    All,
    /// All but what is fenced.
    NotFenced,
    /// Some of it failed.
    Failed,
}

impl Taken<'_> {
    async fn commit(mut self, core: &Core) -> Flushed {
        let mut waiting = Vec::with_capacity(self.users.len());
        for (user, changes) in &self.users {
            waiting.push(send(core, *user, changes).await);
        }
        let mut flushed = Flushed::All;
        for sent in waiting {
            let answer = match sent {
                Some(answer) => answer.await.unwrap_or(ListAnswer::Failed),
                None => ListAnswer::Failed,
            };
            flushed = flushed.max(match answer {
                ListAnswer::Committed => Flushed::All,
                ListAnswer::Fenced => Flushed::NotFenced,
                ListAnswer::Failed => Flushed::Failed,
            });
            if let Some((user, changes)) = self.users.pop_front() {
                self.lane.settle(user, changes, answer == ListAnswer::Committed);
            }
        }
        flushed
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for (user, changes) in self.users.drain(..) {
            self.lane.settle(user, changes, false);
        }
    }
}

async fn send(
    core: &Core,
    user: UserId,
    changes: &Changes,
) -> Option<oneshot::Receiver<ListAnswer>> {
    let (at, shard) = core.place_user(user).ok()?;
    let topology = core.topology.load_full();
    let command = Command::Inbox(InboxCommand {
        user,
        action: InboxAction::Apply(changes.values().cloned().collect()),
    });
    let (answer, waiting) = oneshot::channel();
    // Without a ticket: it is never parked, but comes back.
    let order = Order { at, command };
    let job = Job { order, reply: Reply::Lane(answer), told: Told::Nobody, ticket: None };
    topology.committers.get(&shard)?.send_inbox(job).await.ok()?;
    Some(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_took_from_a_flush_is_not_done_with_it() {
        let user = UserId::new(1).unwrap();
        let mut state = State::default();
        state.online.insert(user, Changes::default());
        state.put.insert(ShardId(0), 7);
        let promise = state.begin(true).unwrap();
        // A reader takes the user's changes before the flush does, and is still committing them.
        state.take(user).unwrap();
        state.keep(promise);
        assert_eq!(state.done.get(&ShardId(0)), None);
        state.in_flight.remove(&user);
        let promise = state.begin(true).unwrap();
        state.keep(promise);
        assert_eq!(state.done.get(&ShardId(0)), Some(&7));
    }
}
