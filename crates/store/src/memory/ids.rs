//! Ids without chance: the same calls in the same order give the same ids.

use ostracon_domain::{History, MessageId, MessageIds, Millis};
use parking_lot::Mutex;

use crate::shard::Ids;

/// Message ids of one node, and histories that count from a seed.
#[derive(Debug)]
pub struct CountingIds {
    messages: Mutex<MessageIds>,
    history: Mutex<u64>,
}

impl CountingIds {
    /// Ids of a node, 0 … 1023; its histories are `first_history`, the next number, and so on.
    pub const fn new(node: u16, first_history: u64) -> Self {
        Self { messages: Mutex::new(MessageIds::new(node, 0)), history: Mutex::new(first_history) }
    }
}

impl Ids for CountingIds {
    fn message_id(&self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId> {
        self.messages.lock().next(now, later_than)
    }

    fn history(&self) -> History {
        let mut next = self.history.lock();
        let history = History(*next);
        *next = next.wrapping_add(1);
        history
    }
}
