//! The way of changes of users' lists: from dispatchers into the shards of these users.
//!
//! One lane for each shard. Changes merge, one for each user and conversation, and are committed now and then through
//! the shard's committer. A dispatcher only ever puts changes in; it never waits here. What is still in a lane is
//! committed first when its user reads the list, so that a read misses nothing that was dispatched.

use std::{
    collections::BTreeMap,
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
    limits::{
        LANE_ENTRIES_MAX, LANE_PERIOD, LANE_PERIOD_OFFLINE, LANE_RETRY, LANE_USERS_PER_FLUSH,
    },
    reply::Reply,
};

type Changes = BTreeMap<ConversationId, InboxChange>;

/// How far each source shard's stream has gone into a lane: everything up to there.
type Marks = BTreeMap<ShardId, Position>;

pub(crate) struct Lane {
    state: Mutex<State>,
    wake: Notify,
    /// Rises when a flush has ended.
    flushed: watch::Sender<u64>,
    entries: AtomicUsize,
}

#[derive(Default)]
struct State {
    online: FxHashMap<UserId, Changes>,
    offline: FxHashMap<UserId, Changes>,
    /// Users whose changes are being committed.
    in_flight: FxHashSet<UserId>,
    /// Source positions whose changes were all put in.
    put: Marks,
    /// Source positions whose changes are all committed.
    done: Marks,
    /// How often changes were put back; rises.
    put_backs: u64,
}

impl Lane {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            flushed: watch::Sender::new(0),
            entries: AtomicUsize::new(0),
        }
    }

    /// Whether no more may be put in until something is committed.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.load(Ordering::Relaxed) >= LANE_ENTRIES_MAX
    }

    /// Puts a change in.
    pub(crate) fn put(&self, user: UserId, change: InboxChange, online: bool) {
        let mut state = self.state.lock();
        // A user's changes wait in one place only, so that they are committed together.
        let users = if online || state.online.contains_key(&user) {
            if let Some(waiting) = state.offline.remove(&user) {
                state.online.insert(user, waiting);
            }
            &mut state.online
        } else {
            &mut state.offline
        };
        let was_empty = users.is_empty();
        match users.entry(user).or_default().entry(change.conversation) {
            std::collections::btree_map::Entry::Occupied(mut known) => {
                known.get_mut().merge(change);
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(change);
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
        if state.online.is_empty() && state.offline.is_empty() && state.in_flight.is_empty() {
            state.done.insert(source, position);
        }
    }

    /// Everything of a source up to here is committed.
    pub(crate) fn done(&self, source: ShardId) -> Position {
        self.state.lock().done.get(&source).copied().unwrap_or(0)
    }

    /// Commits what waits for one user, also what is being committed right now.
    pub(crate) async fn flush_user(&self, core: &Core, user: UserId) -> Result<(), EngineError> {
        let mut flushed = self.flushed.subscribe();
        loop {
            let taken = {
                let mut state = self.state.lock();
                if state.in_flight.contains(&user) {
                    None
                } else {
                    let State { online, offline, .. } = &mut *state;
                    let changes = online.remove(&user).or_else(|| offline.remove(&user));
                    let Some(changes) = changes else {
                        return Ok(());
                    };
                    state.in_flight.insert(user);
                    Some(changes)
                }
            };
            match taken {
                Some(changes) => {
                    let result = self.commit(core, vec![(user, changes)]).await;
                    return if result { Ok(()) } else { Err(EngineError::Unavailable) };
                }
                // Its flush ends with a change of `flushed`; a lost sender means the engine has stopped.
                None => flushed.changed().await.map_err(|_| EngineError::Unavailable)?,
            }
        }
    }

    /// The lane's task.
    pub(crate) async fn run(self: Arc<Self>, core: Arc<Core>) {
        let mut next_offline = Instant::now() + LANE_PERIOD_OFFLINE;
        let mut next = Instant::now();
        while !core.stop_lanes.is_cancelled() {
            let idle = {
                let state = self.state.lock();
                state.online.is_empty() && state.offline.is_empty()
            };
            if idle {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = core.stop_lanes.cancelled() => break,
                }
            }
            self.pause_until(&core, next).await;
            next = Instant::now() + LANE_PERIOD;
            let offline_too = Instant::now() >= next_offline
                || self.entries.load(Ordering::Relaxed) >= LANE_ENTRIES_MAX / 4;
            if offline_too {
                next_offline = Instant::now() + LANE_PERIOD_OFFLINE;
            }
            if !self.flush(&core, offline_too).await {
                next = Instant::now() + LANE_RETRY;
            }
        }
        // A stop leaves nothing behind that a start would have to repeat.
        self.flush(&core, true).await;
    }

    async fn pause_until(&self, core: &Core, moment: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(moment) => {}
            () = core.stop_lanes.cancelled() => {}
        }
    }

    /// Commits what waits, in portions; `false` when some of it has to wait longer.
    async fn flush(&self, core: &Core, offline_too: bool) -> bool {
        let (marks, put_backs) = {
            let state = self.state.lock();
            (state.put.clone(), state.put_backs)
        };
        loop {
            let portion = self.take(offline_too);
            if portion.is_empty() {
                break;
            }
            if !self.commit(core, portion).await {
                return false;
            }
        }
        // What a reader is committing right now may still fail and come back.
        let mut state = self.state.lock();
        if offline_too && state.in_flight.is_empty() && state.put_backs == put_backs {
            state.done = marks;
        }
        true
    }

    fn take(&self, offline_too: bool) -> Vec<(UserId, Changes)> {
        let mut state = self.state.lock();
        let State { online, offline, in_flight, .. } = &mut *state;
        let mut portion = Vec::new();
        for users in [online, offline].into_iter().take(1 + usize::from(offline_too)) {
            let room = LANE_USERS_PER_FLUSH - portion.len();
            let chosen: Vec<UserId> =
                users.keys().filter(|user| !in_flight.contains(user)).take(room).copied().collect();
            for user in chosen {
                if let Some(changes) = users.remove(&user) {
                    in_flight.insert(user);
                    portion.push((user, changes));
                }
            }
        }
        portion
    }

    /// Commits the changes of users that are noted as in flight; puts back what did not commit.
    async fn commit(&self, core: &Core, users: Vec<(UserId, Changes)>) -> bool {
        let mut waiting = Vec::with_capacity(users.len());
        for (user, changes) in users {
            let sent = send(core, user, &changes).await;
            waiting.push((user, changes, sent));
        }
        let mut all = true;
        for (user, changes, sent) in waiting {
            let committed = match sent {
                Some(answer) => matches!(answer.await, Ok(Ok(_))),
                None => false,
            };
            let mut state = self.state.lock();
            state.in_flight.remove(&user);
            if committed {
                self.entries.fetch_sub(changes.len(), Ordering::Relaxed);
            } else {
                all = false;
                self.put_back(&mut state, user, changes);
            }
        }
        self.flushed.send_modify(|flushes| *flushes += 1);
        all
    }

    fn put_back(&self, state: &mut State, user: UserId, changes: Changes) {
        state.put_backs += 1;
        let State { online, offline, .. } = state;
        let users = if online.contains_key(&user) { online } else { offline };
        let newer = std::mem::replace(users.entry(user).or_default(), changes);
        let place = users.entry(user).or_default();
        for (conversation, change) in newer {
            match place.get_mut(&conversation) {
                Some(known) => {
                    known.merge(change);
                    self.entries.fetch_sub(1, Ordering::Relaxed);
                }
                None => {
                    place.insert(conversation, change);
                }
            }
        }
    }
}

async fn send(
    core: &Core,
    user: UserId,
    changes: &Changes,
) -> Option<oneshot::Receiver<Result<crate::reply::Done, EngineError>>> {
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
