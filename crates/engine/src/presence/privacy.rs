//! What users let others know: all who have set something, in memory, so that nobody waits for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ostracon_domain::{Privacy, UserId};
use ostracon_store::{Directory, DirectoryError};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::limits::PRIVATE_PER_READ;

/// Safe from any task. Who is not in it is as at first; so it is bounded by the accounts that have set something.
#[derive(Default)]
pub(crate) struct PrivacyBook {
    private: RwLock<FxHashMap<UserId, Privacy>>,
    count: AtomicUsize,
    version: AtomicU64,
}

impl PrivacyBook {
    /// Reads everything.
    pub(crate) async fn load(directory: &dyn Directory) -> Result<Self, DirectoryError> {
        let mut private = FxHashMap::default();
        let mut after = None;
        loop {
            let page = directory.private_people(after, PRIVATE_PER_READ).await?;
            after = page.last().map(|person| person.user);
            private.extend(page.into_iter().map(|person| (person.user, person.privacy)));
            if after.is_none() {
                break;
            }
        }
        let count = AtomicUsize::new(private.len());
        Ok(Self { private: RwLock::new(private), count, version: AtomicU64::new(0) })
    }

    /// What a user lets others know.
    pub(crate) fn of(&self, user: UserId) -> Privacy {
        if self.count.load(Ordering::Acquire) == 0 {
            return Privacy::default();
        }
        self.private.read().get(&user).copied().unwrap_or_default()
    }

    pub(crate) fn put(&self, user: UserId, privacy: Privacy) {
        let mut private = self.private.write();
        if privacy == Privacy::default() {
            private.remove(&user);
        } else {
            private.insert(user, privacy);
        }
        self.count.store(private.len(), Ordering::Release);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Rises with every change: what was decided under another one has to be decided again.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether this viewer does not see how far that user has read.
    pub(crate) fn hides_reads(&self, viewer: UserId, user: UserId) -> bool {
        viewer != user && !(self.of(viewer).read_receipts && self.of(user).read_receipts)
    }
}
