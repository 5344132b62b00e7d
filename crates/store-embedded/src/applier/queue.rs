//! What waits for an applier, and how far it has come. The committer puts, the applier takes, everybody may watch.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use ostracon_domain::{Row, UnitId};
use ostracon_store::{Purged, ShardError, UnitState};
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;
use tokio::sync::{oneshot, watch};

use super::direct::{Direct, Page};
use crate::journal::Position;

/// Rows that are worth a transaction at once.
const ROWS_NOW: usize = 20_000;
/// Rows that one transaction takes at most, the last batch excepted.
const ROWS_MAX: usize = 80_000;
/// The same while a mover is at work here: its pages, and the pause that a move ends with, wait for one such transaction.
const ROWS_MAX_MOVING: usize = 10_000;
/// How long after a page a mover is still at work.
const MOVING: Duration = Duration::from_secs(1);
/// How long a batch waits for others.
const WAIT: Duration = Duration::from_millis(200);
/// How long nothing must have come before the logs are brought to an end.
const IDLE: Duration = Duration::from_secs(3);

/// A synced record.
pub(crate) struct Taken {
    pub(crate) at: Position,
    pub(crate) rows: Vec<Row>,
    pub(crate) units: Vec<UnitState>,
}

/// What to do next.
pub(crate) enum Work {
    /// Write these, oldest first.
    Apply(Vec<Taken>),
    /// Write this page of a mover.
    Direct(Direct),
    /// Nothing waits: note how far that is true, so that journal and write-ahead log can go.
    Settle,
    /// Empty the write-ahead log.
    Truncate,
}

/// How far an applier has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything of this shard up to here is in the tables.
    pub(crate) applied: Position,
    /// The dispatch cursor in the tables.
    pub(crate) dispatched: Position,
    /// As `applied`, and synced in the file.
    pub(crate) checkpointed: Position,
    /// As `dispatched`, and synced in the file.
    pub(crate) dispatched_checkpointed: Position,
    /// As `applied`, and the write-ahead log was empty then.
    pub(crate) truncated: Position,
    /// Counts pages of movers that were written, or failed.
    pub(crate) direct: u64,
    /// Counts how often the logs were brought to an end.
    pub(crate) settled: u64,
    /// Why it cannot write, while it cannot.
    pub(crate) failure: Option<String>,
}

/// The queue. Its bound is that of the overlay, which holds the same rows.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Taken>,
    rows: usize,
    direct: VecDeque<Direct>,
    /// Pages of a unit that wait or are being written.
    direct_of: FxHashMap<UnitId, usize>,
    /// The work before was a page: rows that are due come first now.
    after_direct: bool,
    /// When the newest page came.
    direct_at: Option<Instant>,
    /// When the oldest batch came.
    since: Option<Instant>,
    /// Write at once up to here.
    flush: Position,
    /// When to settle, if nothing comes before.
    settle_at: Option<Instant>,
    truncate: bool,
    paused: bool,
    retry_at: Option<Instant>,
    stop: bool,
    sleeps: bool,
}

impl State {
    /// What is due now, or how long to wait for it.
    fn due(&mut self, now: Instant) -> Result<Work, Option<Duration>> {
        if let Some(retry_at) = self.retry_at {
            if now < retry_at {
                return Err(Some(retry_at - now));
            }
            self.retry_at = None;
        }
        if self.paused {
            return Err(None);
        }
        let age = self.since.map(|since| now - since);
        let (first, page) = (self.waiting.front(), self.direct.front());
        let is_due = first.zip(age).is_some_and(|(first, age)| {
            self.rows >= ROWS_NOW || first.at <= self.flush || age >= WAIT
        });
        let is_before_page = first
            .zip(page)
            .is_some_and(|(first, page)| first.at <= page.after || (is_due && self.after_direct));
        if is_before_page || (is_due && page.is_none()) {
            self.after_direct = false;
            return Ok(Work::Apply(self.take(now)));
        }
        if let Some(page) = self.direct.pop_front() {
            self.after_direct = true;
            self.settle_at = Some(now + IDLE);
            return Ok(Work::Direct(page));
        }
        if let Some(age) = age {
            return Err(Some(WAIT.saturating_sub(age)));
        }
        if std::mem::take(&mut self.truncate) {
            return Ok(Work::Truncate);
        }
        match self.settle_at {
            Some(at) if at <= now => {
                self.settle_at = None;
                Ok(Work::Settle)
            }
            at => Err(at.map(|at| at - now)),
        }
    }

    fn take(&mut self, now: Instant) -> Vec<Taken> {
        let mut taken = Vec::new();
        let mut rows = 0;
        let is_moving = self.direct_at.is_some_and(|at| now - at < MOVING);
        let rows_max = if is_moving { ROWS_MAX_MOVING } else { ROWS_MAX };
        while rows < rows_max
            && let Some(batch) = self.waiting.pop_front()
        {
            rows += batch.rows.len();
            taken.push(batch);
        }
        self.rows -= rows;
        self.since = (!self.waiting.is_empty()).then_some(now);
        self.settle_at = Some(now + IDLE);
        taken
    }
}

impl Queue {
    pub(crate) fn new(progress: Progress) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            progress: watch::Sender::new(progress),
        }
    }

    /// Tells of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// How far the applier is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Why the applier cannot write, while it cannot.
    pub(crate) fn failure(&self) -> Option<String> {
        self.progress.borrow().failure.clone()
    }

    /// Writes a page of a mover as soon as everything up to `after` is in the tables.
    pub(crate) fn put_direct(
        &self,
        unit: UnitId,
        page: Page,
        after: Position,
    ) -> oneshot::Receiver<Result<Purged, ShardError>> {
        let (answer, waiting) = oneshot::channel();
        self.change(|state| {
            state.direct.push_back(Direct { unit, page, after, answer });
            *state.direct_of.entry(unit).or_insert(0) += 1;
            state.direct_at = Some(Instant::now());
            true
        });
        waiting
    }

    /// Pages of a unit that wait or are being written.
    pub(crate) fn direct_of(&self, unit: UnitId) -> usize {
        self.state.lock().direct_of.get(&unit).copied().unwrap_or(0)
    }

    /// A page of a unit was written, or failed.
    pub(super) fn direct_done(&self, unit: UnitId) {
        self.change(|state| {
            if let Some(pages) = state.direct_of.get_mut(&unit) {
                *pages -= 1;
                if *pages == 0 {
                    state.direct_of.remove(&unit);
                }
            }
            false
        });
        self.progress.send_modify(|progress| progress.direct += 1);
    }

    /// Takes a record that is synced.
    pub(crate) fn put(&self, at: Position, rows: Vec<Row>, units: Vec<UnitState>) {
        let batch = Taken { at, rows, units };
        self.change(|state| {
            state.rows += batch.rows.len();
            state.waiting.push_back(batch);
            // A sleeper has a timer for the oldest batch; only the first one and a full transaction need to wake it.
            let first = state.since.is_none();
            if first {
                state.since = Some(Instant::now());
            }
            first || state.rows >= ROWS_NOW
        });
    }

    /// Writes everything up to a position at once instead of waiting for more.
    pub(crate) fn flush(&self, up_to: Position) {
        self.change(|state| {
            state.flush = state.flush.max(up_to);
            true
        });
    }

    /// Settles as soon as nothing waits.
    pub(crate) fn settle(&self) {
        self.change(|state| {
            state.settle_at = Some(Instant::now());
            true
        });
    }

    /// Settles again some time later.
    pub(super) fn settle_later(&self) {
        self.change(|state| {
            state.settle_at = Some(Instant::now() + IDLE);
            true
        });
    }

    /// Empties the write-ahead log when there is nothing else to do.
    pub(crate) fn truncate(&self) {
        self.change(|state| {
            state.truncate = true;
            true
        });
    }

    /// Holds the applier before its next transaction, or lets it go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.change(|state| {
            state.paused = paused;
            true
        });
    }

    /// Ends the applier; what waits stays in the journal.
    pub(crate) fn stop(&self) {
        self.change(|state| {
            state.stop = true;
            true
        });
    }

    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.state.lock();
        let wake = change(&mut state) && state.sleeps;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Waits for work; `None` to stop. For the applier.
    pub(super) fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return None;
            }
            match state.due(Instant::now()) {
                Ok(work) => return Some(work),
                Err(wait) => {
                    state.sleeps = true;
                    match wait {
                        Some(wait) => {
                            self.wake.wait_for(&mut state, wait);
                        }
                        None => self.wake.wait(&mut state),
                    }
                    state.sleeps = false;
                }
            }
        }
    }

    /// Puts back what failed, to be tried again after a pause.
    pub(super) fn failed(&self, work: Work, why: String, pause: Duration) {
        self.change(|state| {
            match work {
                Work::Apply(taken) => {
                    let now = Instant::now();
                    state.rows += taken.iter().map(|batch| batch.rows.len()).sum::<usize>();
                    for batch in taken.into_iter().rev() {
                        state.waiting.push_front(batch);
                    }
                    state.since.get_or_insert(now);
                }
                // It answers for itself and never comes back.
                Work::Direct(_) => {}
                Work::Settle => state.settle_at = Some(Instant::now()),
                Work::Truncate => state.truncate = true,
            }
            state.retry_at = Some(Instant::now() + pause);
            false
        });
        self.progress.send_modify(|progress| progress.failure = Some(why));
    }

    pub(super) fn done(&self) {
        self.progress.send_if_modified(|progress| progress.failure.take().is_some());
    }

    pub(super) fn applied(&self, applied: Position, dispatched: Position) {
        self.progress.send_modify(|progress| {
            progress.applied = applied;
            progress.dispatched = dispatched;
        });
    }

    pub(super) fn checkpointed(&self, applied: Position, dispatched: Position) {
        self.progress.send_modify(|progress| {
            progress.checkpointed = applied;
            progress.dispatched_checkpointed = dispatched;
        });
    }

    pub(super) fn settled(&self) {
        self.progress.send_modify(|progress| progress.settled += 1);
    }

    pub(super) fn truncated(&self, applied: Position) {
        self.progress.send_modify(|progress| progress.truncated = applied);
    }
}
