//! The only file that names a backend: opens the directory and the shards that the configuration says.

use std::{fs::File, path::Path, sync::Arc};

use ostracon_domain::{Millis, PlacementMap, ShardId};
use ostracon_engine::{Clock, NodeIds, lease};
use ostracon_store::{Directory, Shards, directory::ShardRow};
use ostracon_store_embedded::{
    DataDir, EmbeddedOptions, EmbeddedStore, OpenError, Preflight, SqliteDirectory, make_shard,
    preflight,
};
use parking_lot::Mutex;

use crate::{config::Config, server::StartError};

/// Shards of a new cluster, where the configuration names none.
const SHARDS: u32 = 4;
/// The file of accounts, sessions and the map.
const DIRECTORY: &str = "directory.db";
const EMBEDDED: &str = "embedded";

/// What is open, until it is closed.
pub(crate) struct Backends {
    store: Mutex<Option<Arc<EmbeddedStore>>>,
    directory: Arc<SqliteDirectory>,
}

/// Backends with what an engine is started from.
pub(crate) struct Opened {
    pub(crate) backends: Backends,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) shards: Shards,
    pub(crate) ids: Arc<NodeIds>,
}

/// Opens everything stored; makes it when the data directory is empty.
pub(crate) async fn open(config: &Config, clock: &dyn Clock) -> Result<Opened, StartError> {
    let path = config.data_dir.clone();
    let data_dir = blocking(move || DataDir::open(&path)).await?;
    let data_dir = Arc::new(data_dir.map_err(|error| StartError::DataDir(error.to_string()))?);

    let path = data_dir.directory_path();
    let looked_at = Arc::clone(&data_dir);
    let found = blocking(move || preflight(&looked_at)).await?.map_err(refused)?;
    let sqlite = blocking(move || SqliteDirectory::open(&path)).await?;
    let sqlite = Arc::new(sqlite?);
    let directory: Arc<dyn Directory> = Arc::clone(&sqlite) as _;
    let shards = known_shards(config, &*directory, &data_dir, &found).await?;
    let ids = lease(&directory, clock).await?;

    let mut options = EmbeddedOptions::new(
        Arc::clone(&data_dir),
        directory.cluster_id().await?,
        shards.clone(),
        Arc::clone(&ids) as _,
    );
    options.journal = found.journal;
    options.overlay_bytes_max = ostracon_store_embedded::OVERLAY_BYTES_MAX;
    let store = blocking(move || EmbeddedStore::open(options)).await?;
    let store = store.map_err(refused)?;
    format(&store, &shards, &directory.map().await?).await?;
    Ok(Opened {
        shards: store.shards(),
        backends: Backends { store: Mutex::new(Some(Arc::new(store))), directory: sqlite },
        directory,
        ids,
    })
}

/// The shards that the directory knows; an empty one is made to know those of the configuration.
async fn known_shards(
    config: &Config,
    directory: &dyn Directory,
    data_dir: &Arc<DataDir>,
    found: &Preflight,
) -> Result<Vec<ShardId>, StartError> {
    let mut known = directory.shards().await?;
    if known.is_empty() {
        let numbers: Vec<u32> = match config.shards.as_slice() {
            [] => (0..SHARDS).collect(),
            named => named.iter().map(|shard| u32::from(shard.id)).collect(),
        };
        let row = |number| ShardRow { id: ShardId(number), url: EMBEDDED.to_owned() };
        known = numbers.into_iter().map(row).collect();
        // First the tables, then the word of them: a shard that is known has tables, or it was lost.
        let (dir, cluster) = (Arc::clone(data_dir), directory.cluster_id().await?);
        let ids: Vec<_> = known.iter().map(|row| row.id).collect();
        let make = move || ids.into_iter().try_for_each(|id| make_shard(&dir, cluster, id));
        blocking(make).await?.map_err(refused)?;
        directory.found(&known).await?;
    } else if let Some(row) =
        known.iter().find(|row| row.url == EMBEDDED && !found.shards.contains(&row.id))
    {
        return Err(StartError::Store(format!(
            "{} is missing or empty: put the file back, or restore a backup",
            data_dir.shard_path(row.id).display()
        )));
    }
    if let Some(row) = known.iter().find(|row| row.url != EMBEDDED) {
        return Err(StartError::Store(format!(
            "shard {} is at {}, which this version cannot open: run the version that made it",
            row.id, row.url
        )));
    }
    Ok(known.into_iter().map(|row| row.id).collect())
}

fn refused(error: OpenError) -> StartError {
    StartError::Store(error.to_string())
}

/// Opens the units of shards that are new.
async fn format(
    store: &EmbeddedStore,
    shards: &[ShardId],
    map: &PlacementMap,
) -> Result<(), StartError> {
    for shard in shards {
        let units = map.units().filter(|(_, home)| home.shard == *shard);
        let formatted = store.format(*shard, units.map(|(unit, home)| (unit, home.epoch)));
        formatted.await.map_err(|error| StartError::Store(error.to_string()))?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StartError::Store(error.to_string()))
}

impl Backends {
    pub(crate) fn store(&self) -> Option<Arc<EmbeddedStore>> {
        self.store.lock().clone()
    }

    /// Upkeep, every few seconds.
    pub(crate) async fn maintain(&self, now: Millis) {
        if let Some(store) = self.store()
            && let Err(error) = store.maintain(now).await
        {
            tracing::warn!(%error, "upkeep of the store failed; it is tried again");
        }
    }

    /// Bytes that are durable but not yet in the tables.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.store().map_or(0, |store| store.overlay_bytes() as u64)
    }

    /// Why tables cannot be written now, if they cannot.
    pub(crate) fn failure(&self) -> Option<String> {
        self.store()?.failure()
    }

    /// Copies everything to a new folder: the shards as of one moment, then the directory, which knows all their users.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) async fn backup(
        &self,
        to: &Path,
        copied: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<(), String> {
        let store = self.store().ok_or("the server stops")?;
        store.backup(to, copied).await.map_err(|error| error.to_string())?;
        // What has this name is whole.
        let (part, whole) = (to.join("directory.db.part"), to.join(DIRECTORY));
        self.directory.copy_to(&part).await.map_err(|error| error.to_string())?;
        let named = std::fs::rename(part, whole).and_then(|()| File::open(to)?.sync_all());
        named.map_err(|error| error.to_string())
    }

    /// Closes in good order; what cannot be written now is in the journal.
    pub(crate) async fn close(&self) {
        let Some(store) = self.store.lock().take() else {
            return;
        };
        match Arc::try_unwrap(store) {
            Ok(store) => {
                if let Err(error) = store.close().await {
                    tracing::warn!(%error, "the store was closed early; the next start takes longer");
                }
            }
            // A backup still runs: the journal has everything.
            Err(store) => drop(store),
        }
    }
}
