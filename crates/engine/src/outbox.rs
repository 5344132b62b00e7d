//! What waits to be written to one socket: answers and events in one queue, in rev order.
//!
//! Safe from any task; the lock is held for a few instructions. Answers are never dropped: how many there can be is
//! bounded by the commands in flight. Events are, beyond a bound; then `sync_required` follows what was kept.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::OUTBOX_BYTES_MAX;

#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    wake: Notify,
    /// Events that may wait.
    events_max: u32,
}

#[derive(Debug, Default)]
struct State {
    frames: Vec<Bytes>,
    events: u32,
    bytes: usize,
    /// Events were dropped since the last drain.
    lossy: bool,
}

/// What was taken out of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Frames were moved out.
    Frames,
    /// Frames were moved out, and events after them were dropped: the last frame is `sync_required`.
    SyncRequired,
    /// Nothing waited.
    Empty,
}

impl Outbox {
    pub(crate) fn new(events_max: u32) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), events_max }
    }

    /// Puts a frame before all others.
    pub(crate) fn first(&self, frame: Bytes) {
        let mut state = self.state.lock();
        state.bytes += frame.len();
        state.frames.insert(0, frame);
        drop(state);
        self.wake.notify_one();
    }

    pub(crate) fn answer(&self, frame: Bytes) {
        let mut state = self.state.lock();
        state.bytes += frame.len();
        let was_empty = state.frames.is_empty();
        state.frames.push(frame);
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
    }

    pub(crate) fn events<'a>(&self, frames: impl IntoIterator<Item = &'a Bytes>) {
        let mut state = self.state.lock();
        let was_empty = state.frames.is_empty();
        for frame in frames {
            // Once lossy, all is dropped: what came after a gap would only be asked for again.
            if state.lossy {
                break;
            }
            if state.events >= self.events_max || state.bytes >= OUTBOX_BYTES_MAX {
                metrics::counter!("outbox_overflows_total").increment(1);
                state.lossy = true;
                break;
            }
            state.events += 1;
            state.bytes += frame.len();
            state.frames.push(frame.clone());
        }
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Puts an event in that may be lost without a word: there must be room for twice as many.
    pub(crate) fn hint(&self, frame: &Bytes) {
        let mut state = self.state.lock();
        if state.lossy || state.events >= self.events_max / 2 || state.bytes >= OUTBOX_BYTES_MAX / 2
        {
            return;
        }
        let was_empty = state.frames.is_empty();
        state.events += 1;
        state.bytes += frame.len();
        state.frames.push(frame.clone());
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Something happened that there is no event for: `sync_required` follows what waits.
    pub(crate) fn missed(&self) {
        self.state.lock().lossy = true;
        self.wake.notify_one();
    }

    /// Moves everything that waits to the end of `out`; after [`Drained::SyncRequired`] events are kept again.
    pub(crate) fn drain(&self, out: &mut Vec<Bytes>) -> Drained {
        let mut state = self.state.lock();
        let lossy = std::mem::take(&mut state.lossy);
        if state.frames.is_empty() && !lossy {
            // A burst must not keep its memory for as long as the socket is idle.
            if state.frames.capacity() > 64 {
                state.frames = Vec::new();
            }
            return Drained::Empty;
        }
        out.append(&mut state.frames);
        state.events = 0;
        state.bytes = 0;
        if lossy { Drained::SyncRequired } else { Drained::Frames }
    }

    /// Waits until something may have been put in since the last drain.
    pub(crate) async fn filled(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}
