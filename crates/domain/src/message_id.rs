//! Makes message ids: later than the last one, also when the clock goes back.

#[cfg(test)]
mod tests;

use crate::id::{MessageId, Millis};

const COUNTERS: u16 = 4_096;

/// Generator of one node. Its ids rise; they lie in time that the node has reserved before using it.
#[derive(Debug)]
pub struct MessageIds {
    node: u16,
    ms: Millis,
    counter: u16,
}

impl MessageIds {
    /// `node` is the leased node number, 0 … 1023; ids begin at `from`, the end of the time reserved before.
    pub const fn new(node: u16, from: Millis) -> Self {
        Self { node, ms: from, counter: 0 }
    }

    /// The next id: not before `now`, later than every id made here and than `later_than`.
    ///
    /// `None` when the 41 bits of time are used up (in 2084) or the clock stands before 2015.
    pub fn next(&mut self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId> {
        self.not_before(now);
        if let Some(last) = later_than {
            self.not_before(last.unix_ms());
        }
        loop {
            if self.counter == COUNTERS {
                self.not_before(self.ms + 1);
            }
            let id = MessageId::from_parts(self.ms, self.node, self.counter)?;
            self.counter += 1;
            if later_than.is_none_or(|last| id > last) {
                return Some(id);
            }
            // Another node's id in the same millisecond is larger: the next millisecond is later than any of them.
            self.not_before(self.ms + 1);
        }
    }

    /// The time of the newest id; a reservation must lie beyond it.
    pub const fn time(&self) -> Millis {
        self.ms
    }

    const fn not_before(&mut self, ms: Millis) {
        if ms > self.ms {
            self.ms = ms;
            self.counter = 0;
        }
    }
}
