//! A gate that commits pass one after another; a test shuts it to see what happens while a commit takes long.
//! Not a lock: the shard's own lock is taken after it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};

use parking_lot::Mutex;

/// Any task may use it; its lock is never held over an await.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    holds: usize,
    passes: usize,
    next_ticket: u64,
    queue: VecDeque<u64>,
    wakers: Vec<Waker>,
}

impl State {
    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

/// Takes its place in the queue back when a waiting commit is dropped.
struct Ticket<'a>(&'a Gate, u64);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.queue.retain(|ticket| *ticket != self.1);
        state.wake();
    }
}

impl Gate {
    pub(super) async fn pass(&self) {
        let ticket = {
            let mut state = self.0.lock();
            let number = state.next_ticket;
            state.next_ticket += 1;
            state.queue.push_back(number);
            state.wake();
            Ticket(self, number)
        };
        poll_fn(|context| {
            let mut state = self.0.lock();
            let first = state.queue.front() == Some(&ticket.1);
            if first && (state.holds == 0 || state.passes > 0) {
                state.passes = state.passes.saturating_sub(1);
                return Poll::Ready(());
            }
            state.wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// As long as one of these lives, commits of the shard wait, in the order of their calls.
#[derive(Debug)]
pub struct Hold(Arc<Gate>);

impl Hold {
    pub(super) fn new(gate: &Arc<Gate>) -> Self {
        gate.0.lock().holds += 1;
        Self(Arc::clone(gate))
    }

    /// Lets this many commits through, now or when they come.
    pub fn let_through(&self, commits: usize) {
        let mut state = self.0.0.lock();
        state.passes += commits;
        state.wake();
    }

    /// Commits that wait now.
    pub fn waiting(&self) -> usize {
        self.0.0.lock().queue.len()
    }

    /// Returns when at least this many commits wait.
    pub async fn until_waiting(&self, commits: usize) {
        poll_fn(|context| {
            let mut state = self.0.0.lock();
            if state.queue.len() >= commits {
                return Poll::Ready(());
            }
            state.wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.holds -= 1;
        if state.holds == 0 {
            state.passes = 0;
        }
        state.wake();
    }
}
