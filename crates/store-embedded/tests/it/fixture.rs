//! Stores in throw-away folders, and what the tests say to them.

use std::{path::Path, sync::Arc};

use ostracon_domain::{Epoch, ShardId, UnitId};
use ostracon_store::Ids;
use ostracon_store_embedded::{DataDir, EmbeddedOptions, EmbeddedShard, EmbeddedStore};
use tempfile::TempDir;

/// One shard in a folder of its own.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) ids: Arc<dyn Ids>,
    store: Option<EmbeddedStore>,
}

pub(crate) const SHARD: ShardId = ShardId(0);
pub(crate) const CLUSTER: u128 = 77;

pub(crate) fn options(path: &Path, ids: &Arc<dyn Ids>) -> EmbeddedOptions {
    let dir = Arc::new(DataDir::open(path).unwrap());
    EmbeddedOptions::new(dir, CLUSTER, vec![SHARD], Arc::clone(ids))
}

impl Home {
    /// An empty shard that serves these units at epoch 1.
    pub(crate) async fn new(units: &[UnitId], ids: Arc<dyn Ids>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(options(dir.path(), &ids)).unwrap();
        store
            .format(SHARD, units.iter().map(|unit| (*unit, Epoch(1))))
            .await
            .unwrap();
        Self {
            dir,
            ids,
            store: Some(store),
        }
    }

    pub(crate) fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().unwrap()
    }

    pub(crate) fn shard(&self) -> Arc<EmbeddedShard> {
        self.store().shard(SHARD).unwrap()
    }

    /// Dies without a word and starts again.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(EmbeddedStore::open(options(self.dir.path(), &self.ids)).unwrap());
    }
}
