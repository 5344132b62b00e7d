//! The way of changes of users' lists: from dispatchers into the shards of these users.
//!
//! One lane for each shard. Changes merge, one for each user and conversation, and are committed now and then through
//! the shard's committer. A dispatcher only ever puts changes in; it never waits here. What is still in a lane is
//! committed first when its user reads the list, so that a read misses nothing that was dispatched.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
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

use crate::{
    committer::Job,
    engine::Core,
    error::EngineError,
    limits::{LANE_PERIOD, LANE_PERIOD_OFFLINE, LANE_RETRY, LANE_USERS_PER_FLUSH},
    reply::{Done, Reply},
};

type Changes = BTreeMap<ConversationId, InboxChange>;
type Users = FxHashMap<UserId, Changes>;

/// How far each source shard's stream has gone into a lane: everything up to there.
type Marks = BTreeMap<ShardId, Position>;

pub(crate) struct Lane {
    state: Mutex<State>,
    /// Changes that may wait, those in flight included.
    entries_max: usize,
    entries: AtomicUsize,
    wake: Notify,
    /// Rises when a user's commit has ended.
    settled: watch::Sender<u64>,
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
    /// How often changes were put back; rises.
    put_backs: u64,
}

/// What will be true when a flush has committed all that was due at its beginning.
struct Promise {
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

    fn take(&mut self, user: UserId) -> Option<Changes> {
        let Self { due, online, offline, .. } = self;
        let changes = [due, online, offline].into_iter().find_map(|users| users.remove(&user))?;
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
        self.offline.is_empty().then(|| Promise {
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

    /// Keeps a promise, unless something of it failed or is not finished.
    fn keep(&mut self, promise: Promise) {
        let finished = self.due.is_empty() && self.in_flight.is_disjoint(&promise.unfinished);
        if finished && self.put_backs == promise.put_backs {
            for (source, position) in promise.marks {
                let done = self.done.entry(source).or_default();
                *done = position.max(*done);
            }
        }
    }
}

impl Lane {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            entries_max,
            entries: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: watch::Sender::new(0),
        }
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
        loop {
            if let Some(taken) = self.take_user(user) {
                let nothing = taken.users.is_empty();
                let all = nothing || taken.commit(core).await;
                return if all { Ok(()) } else { Err(EngineError::Unavailable) };
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
    pub(crate) async fn run(self: Arc<Self>, core: Arc<Core>) {
        let mut next = Instant::now();
        let mut next_offline = next + LANE_PERIOD_OFFLINE;
        while !core.stop_lanes.is_cancelled() {
            if self.state.lock().is_empty() {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = core.stop_lanes.cancelled() => break,
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = core.stop_lanes.cancelled() => break,
            }
            let now = Instant::now();
            let crowded = self.entries.load(Ordering::Relaxed) >= self.entries_max / 4;
            let offline_too = crowded || now >= next_offline;
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
            if !(Taken { lane: self, users }).commit(core).await {
                return false;
            }
        }
        if let Some(promise) = promise {
            self.state.lock().keep(promise);
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

impl Taken<'_> {
    /// Whether all of them are committed.
    async fn commit(mut self, core: &Core) -> bool {
        let mut waiting = Vec::with_capacity(self.users.len());
        for (user, changes) in &self.users {
            waiting.push(send(core, *user, changes).await);
        }
        let mut all = true;
        for sent in waiting {
            let committed = match sent {
                Some(answer) => matches!(answer.await, Ok(Ok(_))),
                None => false,
            };
            all &= committed;
            if let Some((user, changes)) = self.users.pop_front() {
                self.lane.settle(user, changes, committed);
            }
        }
        all
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
) -> Option<oneshot::Receiver<Result<Done, EngineError>>> {
    let (at, shard) = core.place_user(user).ok()?;
    let command = Command::Inbox(InboxCommand {
        user,
        action: InboxAction::Apply(changes.values().cloned().collect()),
    });
    let (answer, waiting) = oneshot::channel();
    let job = Job { order: Order { at, command }, reply: Reply::Call(answer), private: true };
    core.committers.get(&shard)?.send_inbox(job).await.ok()?;
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
