//! What has happened: the newest events for people, all of them as one hash for the comparison of two runs.

use std::{
    collections::VecDeque,
    fmt::{Arguments, Write},
    hash::Hasher,
};

use parking_lot::Mutex;
use rustc_hash::FxHasher;
use tokio::time::Instant;

/// Events that are kept to be shown with a failure.
const KEPT: usize = 300;

/// Its lock is never held over an await.
pub(crate) struct Journal {
    began: Instant,
    state: Mutex<State>,
}

struct State {
    hash: FxHasher,
    events: u64,
    newest: VecDeque<String>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        let state =
            State { hash: FxHasher::default(), events: 0, newest: VecDeque::with_capacity(KEPT) };
        Self { began: Instant::now(), state: Mutex::new(state) }
    }

    pub(crate) fn note(&self, what: Arguments<'_>) {
        let mut state = self.state.lock();
        let mut line = if state.newest.len() >= KEPT {
            state.newest.pop_front().unwrap_or_default()
        } else {
            String::with_capacity(96)
        };
        line.clear();
        // Writing to a string does not fail.
        let _ = write!(line, "{:>8} {what}", self.began.elapsed().as_millis());
        state.hash.write(line.as_bytes());
        state.events += 1;
        state.newest.push_back(line);
    }

    /// Events so far, and the hash over all of them.
    pub(crate) fn sum(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.events, state.hash.finish())
    }

    pub(crate) fn newest(&self) -> Vec<String> {
        self.state.lock().newest.iter().cloned().collect()
    }
}
