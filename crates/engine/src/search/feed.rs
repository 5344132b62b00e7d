//! Which conversations of a shard have moved on since its indexer looked. Bounded; what does not fit is found by comparing.

use std::sync::atomic::{AtomicBool, Ordering};

use ostracon_domain::{ConversationId, Rev};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::limits::INDEX_WAITING_MAX;

#[derive(Default)]
pub(crate) struct Feed {
    moved: Mutex<FxHashMap<ConversationId, Rev>>,
    /// Something did not fit, or the index was lost: everything is to be compared.
    compare: AtomicBool,
    /// The index has everything that was there when its indexer last compared.
    complete: AtomicBool,
    pub(crate) wake: Notify,
}

impl Feed {
    /// These conversations have come to these revs.
    pub(crate) fn note(&self, moved: impl Iterator<Item = (ConversationId, Rev)>) {
        let mut known = self.moved.lock();
        for (id, rev) in moved {
            if known.len() >= INDEX_WAITING_MAX && !known.contains_key(&id) {
                self.compare.store(true, Ordering::Release);
                continue;
            }
            let newest = known.entry(id).or_default();
            *newest = rev.max(*newest);
        }
        let any = !known.is_empty();
        drop(known);
        if any {
            self.wake.notify_one();
        }
    }

    /// Takes some of them.
    pub(crate) fn take(&self, at_most: usize) -> Vec<(ConversationId, Rev)> {
        let mut known = self.moved.lock();
        if known.len() <= at_most {
            return known.drain().collect();
        }
        let taken: Vec<_> = known.iter().take(at_most).map(|(id, rev)| (*id, *rev)).collect();
        for (id, _) in &taken {
            known.remove(id);
        }
        taken
    }

    pub(crate) fn waiting(&self) -> usize {
        self.moved.lock().len()
    }

    /// Asks for a comparison of everything.
    pub(crate) fn compare(&self) {
        self.compare.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn must_compare(&self) -> bool {
        self.compare.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn set_complete(&self, complete: bool) {
        self.complete.store(complete, Ordering::Release);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }
}
