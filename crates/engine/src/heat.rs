//! What is busy: the units, conversations and users that cost most, for an operator who looks for the hot ones.
//!
//! A sketch, not an account: of each kind a few counters are kept (space saving), so that whatever costs more than a
//! small share of everything is among them; what is told is never too much. Costs are collected for a window, then
//! smoothed: what stops fades away. Nothing happens by itself.
//!
//! Safe from any task; one lock, taken once for each batch that is dispatched and once for each read.

#[cfg(test)]
mod tests;

use std::hash::Hash;

use ostracon_domain::{Conversation, ConversationId, Outcome, Party, Subject, UnitId, UserId};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::limits::{HEAT_COUNTERS, HEAT_FADES_BY, HEAT_WINDOW};

/// Something busy and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hot<T> {
    /// What.
    pub what: T,
    /// A second, smoothed over some windows; at least so much. Of units and conversations: writes, reads, and members who
    /// are told. Of users: what they do and read, and what happens in their direct conversations.
    pub cost: f64,
}

/// The busiest of each kind, the most costly first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hottest {
    /// Units.
    pub units: Vec<Hot<UnitId>>,
    /// Conversations.
    pub conversations: Vec<Hot<ConversationId>>,
    /// Users.
    pub users: Vec<Hot<UserId>>,
}

/// Something that was done or read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) unit: UnitId,
    pub(crate) conversation: Option<ConversationId>,
    /// Who did it or is told of it, as far as that is about these users more than about others.
    pub(crate) users: [Option<UserId>; 2],
    /// 1 for the work itself, and 1 for each who is told.
    pub(crate) cost: u64,
}

impl Cost {
    /// A command on a conversation that was committed in this unit.
    pub(crate) fn of_write(unit: UnitId, conversation: &Conversation, outcome: &Outcome) -> Self {
        let users = match (conversation.id.party(), outcome) {
            (Party::Direct { lo, hi }, _) => [Some(lo), Some(hi)],
            (Party::Group, Outcome::Sent { message, .. }) => [Some(message.message.sender), None],
            (Party::Group, _) => [None, None],
        };
        let cost = 1 + u64::from(conversation.member_count);
        Self { unit, conversation: Some(conversation.id), users, cost }
    }

    /// Changes of a user's list.
    pub(crate) const fn of_list(unit: UnitId, user: UserId) -> Self {
        Self { unit, conversation: None, users: [Some(user), None], cost: 1 }
    }

    /// A read.
    pub(crate) const fn of_read(unit: UnitId, subject: Subject) -> Self {
        match subject {
            Subject::User(user) => Self::of_list(unit, user),
            Subject::Conversation(id) => {
                Self { unit, conversation: Some(id), users: [None, None], cost: 1 }
            }
        }
    }
}

/// The sketch of a node.
pub(crate) struct Heat(Mutex<State>);

struct State {
    /// When the present window began.
    since: Instant,
    units: Sketch<UnitId>,
    conversations: Sketch<ConversationId>,
    users: Sketch<UserId>,
}

impl Heat {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            since: Instant::now(),
            units: Sketch::new(),
            conversations: Sketch::new(),
            users: Sketch::new(),
        }))
    }

    /// Counts what was done and read.
    pub(crate) fn add(&self, costs: impl IntoIterator<Item = Cost>) {
        let mut state = self.0.lock();
        state.roll(Instant::now());
        for Cost { unit, conversation, users, cost } in costs {
            state.units.add(unit, cost);
            conversation.into_iter().for_each(|id| state.conversations.add(id, cost));
            users.into_iter().flatten().for_each(|user| state.users.add(user, 1));
        }
    }

    /// The busiest, at most so many of each kind.
    pub(crate) fn hottest(&self, count: usize) -> Hottest {
        let mut state = self.0.lock();
        state.roll(Instant::now());
        Hottest {
            units: state.units.hottest(count),
            conversations: state.conversations.hottest(count),
            users: state.users.hottest(count),
        }
    }
}

impl State {
    /// Ends windows that are over.
    fn roll(&mut self, now: Instant) {
        // After so many idle windows nothing is left anyway.
        for _ in 0..64 {
            if now.duration_since(self.since) < HEAT_WINDOW {
                return;
            }
            self.since += HEAT_WINDOW;
            self.units.end_window();
            self.conversations.end_window();
            self.users.end_window();
        }
        self.since = now;
    }
}

/// Counters of the most costly of one kind.
struct Sketch<T> {
    counters: FxHashMap<T, Counter>,
    /// What somebody without a counter may have cost at most.
    missed: Rate,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    count: Rate,
    /// What it took over when it came in, and may not have cost.
    foreign: Rate,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    /// In this window.
    now: u64,
    /// A second, of the windows before.
    smoothed: f64,
}

impl Rate {
    fn weight(self) -> f64 {
        self.now as f64 / HEAT_WINDOW.as_secs_f64() + self.smoothed
    }

    fn end_window(&mut self) {
        let rate = self.now as f64 / HEAT_WINDOW.as_secs_f64();
        self.smoothed += (rate - self.smoothed) * HEAT_FADES_BY;
        self.now = 0;
    }
}

impl<T: Copy + Eq + Hash + Ord> Sketch<T> {
    fn new() -> Self {
        Self { counters: FxHashMap::default(), missed: Rate::default() }
    }

    fn add(&mut self, what: T, cost: u64) {
        if self.counters.len() >= HEAT_COUNTERS && !self.counters.contains_key(&what) {
            self.drop_smaller_half();
        }
        let missed = self.missed;
        let new = Counter { count: missed, foreign: missed };
        self.counters.entry(what).or_insert(new).count.now += cost;
    }

    /// Whoever comes in later begins with what the largest of those has: nobody who is busy stays unseen.
    fn drop_smaller_half(&mut self) {
        let mut rates: Vec<Rate> = self.counters.values().map(|counter| counter.count).collect();
        let half = rates.len() / 2;
        let (_, border, _) =
            rates.select_nth_unstable_by(half, |a, b| a.weight().total_cmp(&b.weight()));
        self.missed = *border;
        let border = border.weight();
        self.counters.retain(|_, counter| counter.count.weight() > border);
    }

    fn end_window(&mut self) {
        self.missed.end_window();
        for counter in self.counters.values_mut() {
            counter.count.end_window();
            counter.foreign.end_window();
        }
        // What costs less than one in a hundred seconds is not busy.
        self.counters.retain(|_, counter| counter.count.smoothed >= 0.01);
    }

    fn hottest(&self, count: usize) -> Vec<Hot<T>> {
        let mut all: Vec<Hot<T>> = self
            .counters
            .iter()
            .map(|(what, counter)| Hot {
                what: *what,
                cost: counter.count.smoothed - counter.foreign.smoothed,
            })
            .filter(|hot| hot.cost > 0.0)
            .collect();
        all.sort_by(|a, b| b.cost.total_cmp(&a.cost).then(a.what.cmp(&b.what)));
        all.truncate(count);
        all
    }
}
