//! Where a command waits while its unit is between two shards, so that no client sees a fence.
//!
//! Each slot has at most one parking lot, outside the committers' queues. By slot, because a carve changes the unit of
//! what is parked already. Three rules keep the order of a connection's commands on one conversation:
//! 1. Commands of a slot are numbered as they come in; a lot is left in the order of these numbers, new ones behind.
//! 2. What stands in a committer's queue behind a parked command goes into the lot too.
//! 3. A lot is left only when everything of its slot that was sent before is answered: nothing goes out under a new
//!    place while something may still be done under the old one. A new map opens the lots of all slots it changes.
//!
//! Locks: a slot's, then that of the set of lots; for a few instructions, never over an await.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ostracon_domain::{
    Action, Command, ConversationCommand, MapChange, PlacementMap, Subject, UnitId,
    id::{SLOTS, Slot},
};
use ostracon_store::{DirectoryError, Order};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    committer::{Asker, Job, Unsent},
    engine::Core,
    error::EngineError,
    event::Told,
    limits::{PARKING_MAX, ROUTER_PERIOD},
    reply::Reply,
};

/// A command's place in the order of its slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    slot: u16,
    number: u64,
    /// When it was parked first.
    since: Option<Instant>,
}

pub(crate) struct Router {
    slots: Box<[Mutex<SlotState>]>,
    /// Slots with a lot, and how many they are: 0 almost always.
    open: Mutex<BTreeSet<u16>>,
    lots: AtomicUsize,
    parked: AtomicUsize,
    parked_bytes: AtomicUsize,
    parked_bytes_max: usize,
    /// Reads that wait for news.
    readers: AtomicUsize,
    /// Something waits: for those who look after lots, and for those who read the map.
    waiting: [Notify; 2],
    /// Rises when the map or a unit's state may have changed.
    news: watch::Sender<u64>,
    refreshing: tokio::sync::Mutex<()>,
    closed: AtomicBool,
}

#[derive(Default)]
struct SlotState {
    last_number: u64,
    /// Commands in committers' queues and batches that are not answered.
    pending: u32,
    lot: Option<Box<Lot>>,
}

#[derive(Default)]
struct Lot {
    jobs: BTreeMap<u64, Job>,
    /// Whether it is left as soon as nothing is pending. Otherwise what is parked here was refused under the newest
    /// knowledge: it waits for news, and now and then one command is sent ahead.
    due: bool,
}

impl Lot {
    /// Whether something parked here comes before this number.
    fn precedes(&self, number: u64) -> bool {
        self.jobs.first_key_value().is_some_and(|(first, _)| *first < number)
    }
}

impl Router {
    pub(crate) fn new(parked_bytes_max: usize) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            open: Mutex::default(),
            lots: AtomicUsize::new(0),
            parked: AtomicUsize::new(0),
            parked_bytes: AtomicUsize::new(0),
            parked_bytes_max,
            readers: AtomicUsize::new(0),
            waiting: [Notify::new(), Notify::new()],
            news: watch::Sender::new(0),
            refreshing: tokio::sync::Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Sends a command to its shard, or parks it. An answer goes to `reply`, also a refusal.
    pub(crate) fn submit(&self, core: &Core, command: Command, reply: Reply) {
        let told = match &command {
            Command::Conversation(ConversationCommand {
                action: Action::ChangeView(_), ..
            }) => Told::Nobody,
            Command::Conversation(ConversationCommand {
                action: Action::MarkRead { .. },
                actor,
                ..
            }) if !core.privacy.of(*actor).read_receipts => Told::Oneself,
            _ => Told::Everybody,
        };
        let slot = slot_of(&command);
        let mut state = self.slot(slot).lock();
        // The map is read under the lock: whoever changes it opens this slot's lot first.
        let at = match core.place_command(&command) {
            Ok((at, _)) => at,
            Err(error) => return reply.fail(error),
        };
        core.count_override(at.unit, subject_of(&command));
        state.last_number += 1;
        let ticket = Some(Ticket { slot, number: state.last_number, since: None });
        let job = Job { order: Order { at, command }, reply, told, ticket };
        if state.lot.is_some() {
            if self.closed.load(Ordering::Acquire) {
                return job.reply.fail(EngineError::Unavailable);
            }
            let bytes = self.parked_bytes.load(Ordering::Relaxed) + weight(&job);
            if bytes > self.parked_bytes_max {
                return busy(job.reply);
            }
            return self.park(&mut state, job);
        }
        match core.send(job).map_err(|unsent| *unsent) {
            Ok(()) => state.pending += 1,
            Err(Unsent::Full(job)) => busy(job.reply),
            Err(Unsent::Never(job, error)) => job.reply.fail(error),
        }
    }

    /// Whether a command that a committer takes from its queue may go out: it is given back, or parked if something
    /// before it is.
    pub(crate) fn admit(&self, core: &Core, job: Job) -> Option<Job> {
        if self.lots.load(Ordering::Acquire) == 0 {
            return Some(job);
        }
        let Some(ticket) = job.ticket else { return Some(job) };
        let mut state = self.slot(ticket.slot).lock();
        if !state.lot.as_ref().is_some_and(|lot| lot.precedes(ticket.number)) {
            return Some(job);
        }
        state.pending = state.pending.saturating_sub(1);
        self.park(&mut state, job);
        self.settle(core, &mut state, ticket.slot);
        None
    }

    /// A command was answered, or failed.
    pub(crate) fn answered(&self, core: &Core, ticket: Ticket) {
        let mut state = self.slot(ticket.slot).lock();
        state.pending = state.pending.saturating_sub(1);
        self.settle(core, &mut state, ticket.slot);
    }

    /// A shard does not serve the unit that a command names: it is parked. All fenced ones of a batch must come here
    /// before the others are [answered](Self::answered).
    pub(crate) fn fenced(&self, core: &Core, order: Order, asker: Asker) {
        metrics::counter!("fenced_commands_total").increment(1);
        let Asker { at, reply, told, ticket, .. } = asker;
        let Some(ticket) = ticket else { return reply.fenced() };
        let mut state = self.slot(ticket.slot).lock();
        state.pending = state.pending.saturating_sub(1);
        let stale = core.place_command(&order.command).is_ok_and(|(now, _)| now != at);
        self.park(&mut state, Job { order, reply, told, ticket: Some(ticket) });
        if let Some(lot) = &mut state.lot {
            lot.due = stale;
        }
        self.settle(core, &mut state, ticket.slot);
    }

    fn slot(&self, slot: u16) -> &Mutex<SlotState> {
        &self.slots[usize::from(slot)]
    }

    /// The lot of a slot; opened if there is none.
    fn lot<'a>(&self, state: &'a mut SlotState, slot: u16) -> &'a mut Lot {
        state.lot.get_or_insert_with(|| {
            self.open.lock().insert(slot);
            self.lots.fetch_add(1, Ordering::Release);
            self.wake();
            Box::default()
        })
    }

    fn park(&self, state: &mut SlotState, mut job: Job) {
        let Some(ticket) = &mut job.ticket else { return };
        if self.closed.load(Ordering::Acquire) {
            return job.reply.fail(EngineError::Unavailable);
        }
        ticket.since.get_or_insert_with(Instant::now);
        let Ticket { slot, number, .. } = *ticket;
        self.count(1, weight(&job));
        self.lot(state, slot).jobs.insert(number, job);
    }

    fn count(&self, jobs: usize, bytes: usize) {
        self.parked_bytes.fetch_add(bytes, Ordering::Relaxed);
        let parked = self.parked.fetch_add(jobs, Ordering::Relaxed) + jobs;
        metrics::gauge!("parked_commands").set(parked as f64);
    }

    fn uncount(&self, jobs: usize, bytes: usize) {
        self.parked_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let parked = self.parked.fetch_sub(jobs, Ordering::Relaxed) - jobs;
        metrics::gauge!("parked_commands").set(parked as f64);
    }

    /// Empties a lot that is due, when nothing is pending any more.
    fn settle(&self, core: &Core, state: &mut SlotState, slot: u16) {
        if state.pending == 0 && state.lot.as_ref().is_some_and(|lot| lot.due) {
            self.leave(core, state, slot, usize::MAX);
        }
    }

    /// Sends parked commands by the newest map, in order, at most so many; the last one closes the lot. Nothing may be
    /// pending.
    fn leave(&self, core: &Core, state: &mut SlotState, slot: u16, at_most: usize) {
        let Some(lot) = &mut state.lot else { return };
        lot.due = true;
        for _ in 0..at_most {
            let Some((number, job)) = lot.jobs.pop_first() else { break };
            let bytes = weight(&job);
            match core.send(job).map_err(|unsent| *unsent) {
                Ok(()) => state.pending += 1,
                Err(Unsent::Full(job)) => {
                    // The rest goes when there is room; what went is before it and will not be pulled back.
                    lot.jobs.insert(number, job);
                    return;
                }
                Err(Unsent::Never(job, error)) => job.reply.fail(error),
            }
            self.uncount(1, bytes);
        }
        if lot.jobs.is_empty() {
            state.lot = None;
            self.open.lock().remove(&slot);
            self.lots.fetch_sub(1, Ordering::Release);
        }
    }

    /// Installs a map that is newer. Lots of all slots whose place it changes are opened first.
    fn install(&self, core: &Core, map: PlacementMap) {
        let known = core.map.load_full();
        if map.version <= known.version {
            return;
        }
        let changed = changed_slots(&known, &map);
        for slot in &changed {
            let mut state = self.slot(*slot).lock();
            self.lot(&mut state, *slot).due = true;
        }
        core.map.store(Arc::new(map));
        core.lists.moved(core, &changed);
    }

    fn open_slots(&self) -> Vec<u16> {
        self.open.lock().iter().copied().collect()
    }

    /// Something may have changed: every lot is left as soon as nothing of its slot is pending, reads try again.
    pub(crate) fn tell(&self, core: &Core) {
        for slot in self.open_slots() {
            let mut state = self.slot(slot).lock();
            if let Some(lot) = &mut state.lot {
                lot.due = true;
            }
            self.settle(core, &mut state, slot);
        }
        self.news.send_modify(|news| *news += 1);
    }

    /// Nothing is known to have changed: refuses what waited too long, and asks by one command of each lot.
    fn look(&self, core: &Core) {
        let now = Instant::now();
        for slot in self.open_slots() {
            let mut state = self.slot(slot).lock();
            let Some(lot) = &mut state.lot else { continue };
            let expired = expire(lot, now);
            let at_most = if lot.due || lot.jobs.is_empty() { usize::MAX } else { 1 };
            lot.due = true;
            if state.pending == 0 {
                self.leave(core, &mut state, slot, at_most);
            }
            drop(state);
            self.uncount(expired.len(), expired.iter().map(weight).sum());
            expired.into_iter().for_each(|job| busy(job.reply));
        }
    }

    /// Refuses what is parked, and what would be from now on.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for slot in self.open_slots() {
            let Some(lot) = self.slot(slot).lock().lot.as_mut().map(std::mem::take) else {
                continue;
            };
            self.uncount(lot.jobs.len(), lot.jobs.values().map(weight).sum());
            lot.jobs.into_values().for_each(|job| job.reply.fail(EngineError::Unavailable));
        }
    }

    fn is_idle(&self) -> bool {
        self.lots.load(Ordering::Acquire) == 0 && self.readers.load(Ordering::Acquire) == 0
    }

    fn wake(&self) {
        self.waiting.iter().for_each(Notify::notify_one);
    }

    /// Returns when something waits.
    async fn until_waiting(&self, who: usize) {
        while self.is_idle() {
            self.waiting[who].notified().await;
        }
    }

    /// Waits for the next news, at most a short while.
    async fn news(&self) {
        let mut news = self.news.subscribe();
        let _reader = Reader::new(self);
        tokio::select! {
            _ = news.changed() => {}
            () = tokio::time::sleep(ROUTER_PERIOD) => {}
        }
    }
}

/// A read that waits for news; while there is one the map is read again and again.
struct Reader<'a>(&'a Router);

impl<'a> Reader<'a> {
    fn new(router: &'a Router) -> Self {
        router.readers.fetch_add(1, Ordering::AcqRel);
        router.wake();
        Self(router)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How long a read that is fenced may wait: as long as a command may be parked.
#[derive(Debug, Default)]
pub(crate) struct Patience(Option<Instant>);

impl Patience {
    /// Waits until it is worth asking again.
    ///
    /// # Errors
    /// `Busy` when it has waited too long.
    pub(crate) async fn wait(&mut self, core: &Core) -> Result<(), EngineError> {
        let now = Instant::now();
        if now >= *self.0.get_or_insert(now + PARKING_MAX) {
            return Err(EngineError::Busy);
        }
        core.router.news().await;
        Ok(())
    }
}

/// Reads the map and sends what is parked by it; the newest one is known when this returns.
pub(crate) async fn refresh(core: &Core) -> Result<(), EngineError> {
    let _one = core.router.refreshing.lock().await;
    let map = core.directory.map().await;
    metrics::counter!("map_refresh_total").increment(1);
    let map = map.map(|map| core.router.install(core, map));
    core.router.tell(core);
    Ok(map?)
}

/// Installs what a change makes of the map that is known here; reads the map where that is another one than the change
/// was made to.
pub(crate) async fn map_changed(
    core: &Core,
    version: u64,
    change: &MapChange,
) -> Result<(), EngineError> {
    {
        let _one = core.router.refreshing.lock().await;
        let known = core.map.load_full();
        if known.version + 1 == version
            && let Ok(map) = known.apply(change)
        {
            core.router.install(core, map);
            core.router.tell(core);
            return Ok(());
        }
    }
    refresh(core).await
}

/// Reads the map; what waits hears of it only if it is newer.
async fn follow(core: &Core) -> Result<(), DirectoryError> {
    let _one = core.router.refreshing.lock().await;
    let version = core.map.load().version;
    let map = core.directory.map().await?;
    metrics::counter!("map_refresh_total").increment(1);
    if map.version > version {
        core.router.install(core, map);
        core.router.tell(core);
    }
    Ok(())
}

/// Looks after lots while there are some. One task a node.
pub(crate) async fn look_after_lots(core: Arc<Core>) {
    let looking = async {
        loop {
            core.router.until_waiting(0).await;
            tokio::time::sleep(ROUTER_PERIOD).await;
            core.router.look(&core);
        }
    };
    tokio::select! {
        () = looking => {}
        () = core.stop_committers.cancelled() => {}
    }
    core.router.close();
}

/// Reads the map again and again while something waits for a newer one. One task a node: a directory that does not
/// answer holds up nothing else.
pub(crate) async fn follow_map(core: Arc<Core>) {
    let following = async {
        loop {
            core.router.until_waiting(1).await;
            tokio::time::sleep(ROUTER_PERIOD).await;
            let begun = Instant::now();
            if let Err(error) = follow(&core).await {
                tracing::debug!(%error, "the map could not be read");
            }
            // A large map must not keep a core busy.
            tokio::time::sleep(begun.elapsed() * 4).await;
        }
    };
    tokio::select! {
        () = following => {}
        () = core.stop_committers.cancelled() => {}
    }
}

/// Takes out what has been parked for too long.
fn expire(lot: &mut Lot, now: Instant) -> Vec<Job> {
    let mut expired = Vec::new();
    while let Some(first) = lot.jobs.first_entry() {
        let since = first.get().ticket.and_then(|ticket| ticket.since);
        if since.is_some_and(|since| now < since + PARKING_MAX) {
            break;
        }
        expired.push(first.remove());
    }
    expired
}

fn busy(reply: Reply) {
    metrics::counter!("commands_refused_busy_total").increment(1);
    reply.fail(EngineError::Busy);
}

const fn slot_of(command: &Command) -> u16 {
    match command {
        Command::Conversation(command) => command.conversation.slot().get(),
        Command::Inbox(command) => command.user.slot().get(),
    }
}

const fn subject_of(command: &Command) -> Subject {
    match command {
        Command::Conversation(command) => Subject::Conversation(command.conversation),
        Command::Inbox(command) => Subject::User(command.user),
    }
}

/// About how many bytes a job takes.
fn weight(job: &Job) -> usize {
    let more = match &job.order.command {
        Command::Conversation(command) => match &command.action {
            Action::Send(new) => new.content.len() + size_of_val(&*new.mentions),
            Action::Edit(edit) => edit.content.len(),
            Action::CreateGroup(new) => new.name.len() + size_of_val(&*new.members),
            Action::AddMembers { users } => size_of_val(&**users),
            _ => 0,
        },
        Command::Inbox(command) => match &command.action {
            ostracon_domain::InboxAction::Apply(changes) => size_of_val(&**changes),
            ostracon_domain::InboxAction::Set { draft, .. } => {
                draft.as_ref().and_then(Option::as_ref).map_or(0, String::len)
            }
        },
    };
    size_of::<Job>() + more
}

/// Slots of which something is placed elsewhere, or under another epoch, by the newer map; rather one too many.
fn changed_slots(old: &PlacementMap, new: &PlacementMap) -> BTreeSet<u16> {
    let is_moved = |unit: UnitId| old.home(unit) != new.home(unit);
    let mut changed: BTreeSet<u16> =
        (0..SLOTS).filter(|slot| is_moved(UnitId(u32::from(*slot)))).collect();
    for (id, _) in old.overrides().chain(new.overrides()) {
        let (before, after) = (old.unit_of(id), new.unit_of(id));
        if before != after || is_moved(after) {
            changed.insert(id.slot().get());
        }
    }
    let ranks = |map: &PlacementMap| -> Vec<_> {
        map.user_overrides().map(|hot| (hot.user, hot.rank)).collect()
    };
    // Who is hot decides whose table counts, also where that one is empty.
    let others_count = ranks(old) != ranks(new);
    for (hot, other) in old
        .user_overrides()
        .map(|hot| (hot, new.user_override(hot.user)))
        .chain(new.user_overrides().map(|hot| (hot, old.user_override(hot.user))))
    {
        let own = other.and_then(|other| other.own);
        if hot.own != own || hot.own.is_some_and(is_moved) {
            changed.insert(hot.user.slot().get());
        }
        let is_changed = |slot: &Slot, unit: UnitId| {
            let same = other.and_then(|other| other.table.get(slot)) == Some(&unit);
            others_count || !same || is_moved(unit)
        };
        let slots = hot.table.iter().filter(|(slot, unit)| is_changed(slot, **unit));
        changed.extend(slots.map(|(slot, _)| slot.get()));
    }
    changed
}
