//! A small router: one line of parked commands for each slot, first in first out, and one committer for each shard.
//!
//! It is a model of the real one, with the same rules and nothing else: a fenced command is parked with every later
//! command of its unit that stands in the committer's queue; what comes later for that slot waits behind it; a command
//! goes out under a new unit or epoch only when every earlier one of its subject has been answered under the old one.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use ostracon_domain::{
    Command, ConversationId, Limits, Outcome, PlacementMap, Refusal, ShardId, Slot, Subject,
    UnitAt, UnitId, UserId,
};
use ostracon_store::{
    Answer, Batch, InboxPage, InboxRows, MessagePage, Messages, Order, Read, Shard, ShardError,
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep},
};

use crate::{faulty_shard::FaultyShard, ground::Ground, link::Running, node::Node};

/// Commands of one batch.
const BATCH: usize = 8;
/// How often parked commands are tried again.
const LOOK: Duration = Duration::from_millis(5);

/// What a sender is told.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Done(Outcome),
    #[expect(dead_code, reason = "shown with a failure")]
    Refused(Refusal),
    /// Whether it ran is not known.
    Unknown,
}

pub(crate) struct Router {
    ground: Arc<Ground>,
    pub(crate) node: Arc<Node>,
    shards: BTreeMap<ShardId, Arc<FaultyShard>>,
    state: Mutex<State>,
    work: BTreeMap<ShardId, Notify>,
    look: Notify,
}

/// Locked for a few instructions, never over an await.
struct State {
    map: Arc<PlacementMap>,
    next: u64,
    lots: BTreeMap<Slot, BTreeMap<u64, Pending>>,
    queues: BTreeMap<ShardId, VecDeque<Routed>>,
    /// Commands that are queued or sent, by subject and what they name.
    under_way: BTreeMap<Subject, Vec<(UnitId, u64, usize)>>,
    parked: u64,
    longest: Duration,
}

struct Pending {
    number: u64,
    command: Command,
    give: oneshot::Sender<Reply>,
    since: Instant,
}

struct Routed {
    at: UnitAt,
    pending: Pending,
}

fn slot(command: &Command) -> Slot {
    match command.subject() {
        Subject::Conversation(id) => id.slot(),
        Subject::User(user) => user.slot(),
    }
}

impl State {
    fn leave(&mut self, subject: Subject, at: UnitAt) {
        if let Some(of) = self.under_way.get_mut(&subject) {
            for (unit, epoch, count) in of.iter_mut() {
                if (*unit, *epoch) == (at.unit, at.epoch.0) {
                    *count -= 1;
                }
            }
            of.retain(|(_, _, count)| *count > 0);
            if of.is_empty() {
                self.under_way.remove(&subject);
            }
        }
    }

    /// Where it goes now; none while an earlier one is under way elsewhere.
    fn place(&self, command: &Command) -> Option<(ShardId, UnitAt)> {
        let subject = command.subject();
        let unit = match subject {
            Subject::Conversation(id) => self.map.unit_of(id),
            Subject::User(user) => self.map.unit_of_user(user),
        };
        let home = self.map.home(unit)?;
        let at = UnitAt { unit, epoch: home.epoch };
        let stragglers = self.under_way.get(&subject).is_some_and(|of| {
            of.iter().any(|(unit, epoch, _)| (*unit, *epoch) != (at.unit, at.epoch.0))
        });
        (!stragglers).then_some((home.shard, at))
    }

    fn enqueue(&mut self, shard: ShardId, at: UnitAt, pending: Pending) {
        let of = self.under_way.entry(pending.command.subject()).or_default();
        match of.iter_mut().find(|(unit, epoch, _)| (*unit, *epoch) == (at.unit, at.epoch.0)) {
            Some((_, _, count)) => *count += 1,
            None => of.push((at.unit, at.epoch.0, 1)),
        }
        self.queues.entry(shard).or_default().push_back(Routed { at, pending });
    }

    fn park(&mut self, pending: Pending) {
        self.parked += 1;
        self.lots.entry(slot(&pending.command)).or_default().insert(pending.number, pending);
    }
}

impl Router {
    pub(crate) fn new(
        ground: &Arc<Ground>,
        node: &Arc<Node>,
        shards: BTreeMap<ShardId, Arc<FaultyShard>>,
    ) -> Arc<Self> {
        let work = shards.keys().map(|id| (*id, Notify::new())).collect();
        let state = State {
            map: ground.map(),
            next: 0,
            lots: BTreeMap::new(),
            queues: BTreeMap::new(),
            under_way: BTreeMap::new(),
            parked: 0,
            longest: Duration::ZERO,
        };
        Arc::new(Self {
            ground: Arc::clone(ground),
            node: Arc::clone(node),
            shards,
            state: Mutex::new(state),
            work,
            look: Notify::new(),
        })
    }

    /// Starts its tasks.
    pub(crate) fn start(self: &Arc<Self>) {
        for (id, shard) in &self.shards {
            let (router, id, shard) = (Arc::clone(self), *id, Arc::clone(shard));
            tokio::spawn(async move { router.commit(id, &shard).await });
        }
        let router = Arc::clone(self);
        tokio::spawn(async move { router.drain().await });
    }

    /// Takes a command in; commands of one caller keep the order of these calls.
    pub(crate) fn submit(&self, command: Command) -> oneshot::Receiver<Reply> {
        let (give, reply) = oneshot::channel();
        let mut state = self.state.lock();
        state.next += 1;
        let pending = Pending { number: state.next, command, give, since: Instant::now() };
        let waits = state.lots.contains_key(&slot(&pending.command));
        match state.place(&pending.command).filter(|_| !waits) {
            Some((shard, at)) => {
                state.enqueue(shard, at, pending);
                self.wake(shard);
            }
            None => {
                state.park(pending);
                self.look.notify_one();
            }
        }
        reply
    }

    /// Commands that were parked, the longest that one waited, and how many are parked now.
    pub(crate) fn parked(&self) -> (u64, Duration, usize) {
        let state = self.state.lock();
        let now = state.lots.values().map(BTreeMap::len).sum::<usize>();
        let queued = state.queues.values().map(VecDeque::len).sum::<usize>();
        (state.parked, state.longest, now + queued)
    }

    /// The map or the state of a unit has changed.
    pub(crate) fn look_again(&self) {
        self.refresh();
        self.look.notify_one();
    }

    fn refresh(&self) {
        if !self.node.is_deaf() {
            self.state.lock().map = self.ground.map();
        }
    }

    fn wake(&self, shard: ShardId) {
        if let Some(work) = self.work.get(&shard) {
            work.notify_one();
        }
    }

    async fn drain(&self) {
        loop {
            if self.state.lock().lots.is_empty() {
                self.look.notified().await;
            } else {
                // The event of a change, or the pause, whichever is first.
                let _ = tokio::time::timeout(LOOK, self.look.notified()).await;
            }
            self.node.awake().await;
            self.refresh();
            let mut state = self.state.lock();
            let state = &mut *state;
            let slots: Vec<Slot> = state.lots.keys().copied().collect();
            for slot in slots {
                let Some(mut lot) = state.lots.remove(&slot) else { continue };
                // Of one subject in order, and of different ones too: whoever waits keeps those behind it.
                while let Some(first) = lot.first_entry() {
                    let Some((shard, at)) = state.place(&first.get().command) else { break };
                    state.enqueue(shard, at, first.remove());
                    self.wake(shard);
                }
                if !lot.is_empty() {
                    state.lots.insert(slot, lot);
                }
            }
        }
    }

    async fn commit(&self, id: ShardId, shard: &FaultyShard) {
        let Some(work) = self.work.get(&id) else { return };
        loop {
            let batch: Vec<Routed> = {
                let mut state = self.state.lock();
                let queue = state.queues.entry(id).or_default();
                let count = queue.len().min(BATCH);
                queue.drain(..count).collect()
            };
            if batch.is_empty() {
                work.notified().await;
                continue;
            }
            let order = |of: &Routed| Order { at: of.at, command: of.pending.command.clone() };
            let orders = Arc::new(batch.iter().map(order).collect());
            let (now, limits) = (self.node.now(), Limits::default());
            let answers = match shard.commit(Batch { now, limits, orders }).await {
                Ok(commit) => commit.answers,
                Err(_) => Vec::new(),
            };
            self.answered(id, batch, answers);
        }
    }

    fn answered(&self, id: ShardId, batch: Vec<Routed>, answers: Vec<Answer>) {
        let mut state = self.state.lock();
        let mut answers = answers.into_iter();
        let mut fenced = false;
        for Routed { at, pending } in batch {
            state.leave(pending.command.subject(), at);
            let reply = match answers.next() {
                Some(Answer::Done { outcome, .. }) => Reply::Done(outcome),
                Some(Answer::Refused(refusal)) => Reply::Refused(refusal),
                None => Reply::Unknown,
                Some(Answer::Fenced(_)) => {
                    fenced = true;
                    state.park(pending);
                    // Every later command of that unit that stands in the queue.
                    let queue = state.queues.entry(id).or_default();
                    let (pulled, stay) =
                        std::mem::take(queue).into_iter().partition(|of| of.at.unit == at.unit);
                    *queue = stay;
                    let pulled: VecDeque<Routed> = pulled;
                    for Routed { at, pending } in pulled {
                        state.leave(pending.command.subject(), at);
                        state.park(pending);
                    }
                    continue;
                }
            };
            state.longest = state.longest.max(pending.since.elapsed());
            // Who asked may be gone.
            drop(pending.give.send(reply));
        }
        drop(state);
        if fenced {
            self.look.notify_one();
        }
    }

    /// The newest messages of a conversation, at most 30.
    pub(crate) async fn messages(
        &self,
        id: ConversationId,
        reader: UserId,
    ) -> Option<Result<Messages, ()>> {
        self.read(
            |map| map.unit_of(id),
            |shard, at| {
                let page = MessagePage::Newest { limit: 30 };
                Box::pin(async move { shard.messages(at, id, reader, page).await })
            },
        )
        .await
    }

    /// The first entries of a user's list.
    pub(crate) async fn inbox(&self, user: UserId) -> Option<Result<InboxRows, ()>> {
        self.read(
            |map| map.unit_of_user(user),
            |shard, at| {
                let page = InboxPage { after: None, limit: 50 };
                Box::pin(async move { shard.inbox(at, user, page).await })
            },
        )
        .await
    }

    /// `None`: no answer. `Err`: there is no such row.
    async fn read<T>(
        &self,
        unit: impl Fn(&PlacementMap) -> UnitId + Send,
        read: impl Fn(Arc<FaultyShard>, UnitAt) -> Running<Result<Read<T>, ShardError>> + Send,
    ) -> Option<Result<T, ()>> {
        loop {
            let map = Arc::clone(&self.state.lock().map);
            let unit = unit(&map);
            let home = map.home(unit)?;
            let shard = Arc::clone(self.shards.get(&home.shard)?);
            match read(shard, UnitAt { unit, epoch: home.epoch }).await {
                Ok(Read::Rows(rows)) => return Some(Ok(rows)),
                Ok(Read::Absent) => return Some(Err(())),
                Ok(Read::Fenced(_)) => {
                    sleep(LOOK).await;
                    self.refresh();
                }
                Err(_) => return None,
            }
        }
    }
}
