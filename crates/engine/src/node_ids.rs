//! This node's ids: unique in the cluster because the time they lie in was reserved before.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use ostracon_domain::{History, MessageId, MessageIds, Millis};
use ostracon_store::{Directory, DirectoryError, Ids, directory::NodeLease};
use parking_lot::Mutex;

use crate::limits::ID_RESERVE_MS;

/// Ids of one node, shared by its shards.
///
/// A crash forgets which ids were made, and the clock may go back: so ids begin where the last reservation ended,
/// and [`ready`](Self::ready) moves the reservation ahead of use. Nothing is reserved while nothing is sent.
pub struct NodeIds {
    node: u16,
    ids: Mutex<MessageIds>,
    reserved: AtomicI64,
    directory: Arc<dyn Directory>,
    reserving: tokio::sync::Mutex<()>,
}

impl NodeIds {
    /// Takes over a lease.
    pub fn new(directory: Arc<dyn Directory>, lease: NodeLease) -> Self {
        Self {
            node: lease.number,
            ids: Mutex::new(MessageIds::new(lease.number, lease.ids_from)),
            reserved: AtomicI64::new(lease.ids_from),
            directory,
            reserving: tokio::sync::Mutex::new(()),
        }
    }

    /// The number that was leased.
    pub const fn node(&self) -> u16 {
        self.node
    }

    /// Reserves time for the ids of a batch that begins now. Usually returns at once.
    ///
    /// # Errors
    /// When the directory cannot note it: then nothing may be committed.
    pub async fn ready(&self, now: Millis) -> Result<(), DirectoryError> {
        // Half a reservation is more than one batch can use: 4,096 ids fit in a millisecond.
        let used = now.max(self.ids.lock().time());
        if used + ID_RESERVE_MS / 2 <= self.reserved.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.reserving.lock().await;
        if used + ID_RESERVE_MS / 2 <= self.reserved.load(Ordering::Acquire) {
            return Ok(());
        }
        let until = used + ID_RESERVE_MS;
        self.directory.reserve_ids(self.node, until).await?;
        self.reserved.store(until, Ordering::Release);
        Ok(())
    }
}

impl Ids for NodeIds {
    fn message_id(&self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId> {
        self.ids.lock().next(now, later_than)
    }

    fn history(&self) -> History {
        // An operating system without randomness cannot run a server; 0 would only mean a needless reload.
        History(getrandom::u64().unwrap_or_default())
    }
}
