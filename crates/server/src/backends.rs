//! The only module that names a backend: opens the directory and the shards that the configuration says.

use std::{fs::File, path::Path, sync::Arc};

use ostracon_domain::{ConversationId, Millis, PlacementMap, ShardId, UnitAt, UserId};
use ostracon_engine::{Clock, NodeIds, lease};
use ostracon_store::{
    Cluster as _, Directory, MessagePage, Messages, Read, Shards, directory::ShardRow,
};
use ostracon_store_embedded::{
    DataDir, EmbeddedOptions, EmbeddedStore, OpenError, Preflight, SqliteDirectory, make_shard,
};
use parking_lot::Mutex;

mod adding;
mod directory;
mod files;
mod home;
mod node_file;
mod postgres;

pub(crate) use node_file::NodeFile;
pub(crate) use ostracon_store::redacted;
pub(crate) use ostracon_store_postgres::{check_url, is_url};

use directory::OpenedDirectory;
use home::Homes;
use postgres::{PostgresShards, Replicas};

use crate::{
    config::{Config, ShardUrl},
    server::StartError,
};

/// Shards of a new cluster, where the configuration names none.
const SHARDS: u32 = 4;
/// The file of accounts, sessions and the map.
const DIRECTORY: &str = "directory.db";

/// What is open, until it is closed.
pub(crate) struct Backends {
    store: Mutex<Option<Arc<EmbeddedStore>>>,
    /// The directory, if it is in the data directory.
    file: Option<Arc<SqliteDirectory>>,
    cluster: u128,
    ids: Arc<NodeIds>,
    replicas: Replicas,
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

    let OpenedDirectory { directory, file, found } =
        Box::pin(directory::open(config, &data_dir)).await?;
    let known = directory.shards().await?;
    let map = directory.map().await?;
    let known_homes = known_shards(config, &known, &map, &data_dir, &found)?;
    let ids = lease(&directory, clock).await?;
    let cluster = directory.cluster_id().await?;
    let homes = match known_homes {
        Some(homes) => homes,
        None => make_shards(config, &*directory, &data_dir, &ids).await?,
    };
    let map = directory.map().await?;

    let (mut shards, replicas) = PostgresShards::new(&homes, cluster, &ids)?.open(&map).await?;
    let embedded = homes.embedded;
    let mut options =
        EmbeddedOptions::new(data_dir, cluster, embedded.clone(), Arc::clone(&ids) as _);
    options.journal = found.journal;
    options.overlay_bytes_max = ostracon_store_embedded::OVERLAY_BYTES_MAX;
    let store = blocking(move || EmbeddedStore::open(options)).await?;
    let store = store.map_err(refused)?;
    format(&store, &embedded, &map).await?;
    shards.extend(store.shards());
    let store = Mutex::new(Some(Arc::new(store)));
    let backends = Backends { store, file, cluster, ids: Arc::clone(&ids), replicas };
    Ok(Opened { backends, directory, shards, ids })
}

/// The shards of a new cluster, made as the configuration names them.
async fn make_shards(
    config: &Config,
    directory: &dyn Directory,
    data_dir: &Arc<DataDir>,
    ids: &Arc<NodeIds>,
) -> Result<Homes, StartError> {
    let row = |number, url: &str| ShardRow::new(ShardId(number), url);
    let new: Vec<_> = match config.shards.as_slice() {
        [] => (0..SHARDS).map(|number| row(number, ShardUrl::EMBEDDED)).collect(),
        named => named.iter().map(|shard| row(u32::from(shard.id), shard.url.as_str())).collect(),
    };
    let homes = Homes::of(&new, config).map_err(StartError::Store)?;
    let cluster = directory.cluster_id().await?;
    // First the tables, then the word of them: a shard that is known has tables, or it was lost.
    PostgresShards::new(&homes, cluster, ids)?.make().await?;
    let (dir, embedded) = (Arc::clone(data_dir), homes.embedded.clone());
    let make = move || embedded.into_iter().try_for_each(|id| make_shard(&dir, cluster, id));
    blocking(make).await?.map_err(refused)?;
    directory.found(&new).await?;
    if directory.shards().await? != new {
        let why = "another process has founded the cluster with other shards at the same moment: start again";
        return Err(StartError::Store(why.to_owned()));
    }
    Ok(homes)
}

/// The shards that the directory knows, if it knows any.
fn known_shards(
    config: &Config,
    known: &[ShardRow],
    map: &PlacementMap,
    data_dir: &DataDir,
    found: &Preflight,
) -> Result<Option<Homes>, StartError> {
    if known.is_empty() {
        return Ok(None);
    }
    let homes = Homes::of(known, config).map_err(StartError::Store)?;
    // One without units was added just before a crash: it is made now.
    let holds = |id: &ShardId| map.units().any(|(_, home)| home.shard == *id);
    match homes.embedded.iter().find(|id| !found.shards.contains(id) && holds(id)) {
        None => Ok(Some(homes)),
        Some(id) => Err(StartError::Store(format!(
            "{} is missing or empty: put the file back, or restore a backup",
            data_dir.shard_path(*id).display()
        ))),
    }
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

    /// A page from the replica of a conversation's shard, if it has one: as of some moment in the past.
    pub(crate) async fn older_page(
        &self,
        map: &PlacementMap,
        reader: UserId,
        id: ConversationId,
        page: MessagePage,
    ) -> Option<Read<Messages>> {
        let unit = map.unit_of(id);
        let home = map.home(unit)?;
        let at = UnitAt { unit, epoch: home.epoch };
        match self.replicas.get(&home.shard)?.messages(at, id, reader, page).await {
            Ok(read) => Some(read),
            Err(error) => {
                tracing::debug!(shard = %home.shard, %error, "a replica does not serve");
                None
            }
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

    /// Copies everything to a new folder: the shards as of one moment, then the directory, which knows all their users, then
    /// objects of files, among which are all that the directory knows.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) async fn backup(
        &self,
        to: &Path,
        objects: Option<&Path>,
        copied: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<(), String> {
        let Some(directory) = &self.file else {
            let why = "the directory is on PostgreSQL, of which this makes no copy: use that server's own backup; for \
                       shards in the data directory stop the server and copy that too";
            return Err(why.to_owned());
        };
        let known = directory.shards().await.map_err(|error| error.to_string())?;
        if known.iter().any(|row| !ShardUrl::from(row.url.as_str()).is_embedded()) {
            let why = "some shards are on PostgreSQL, of which this makes no copy: use that server's own backup";
            return Err(why.to_owned());
        }
        let store = self.store().ok_or("the server stops")?;
        store.backup(to, copied).await.map_err(|error| error.to_string())?;
        // What has this name is whole.
        let (part, whole) = (to.join("directory.db.part"), to.join(DIRECTORY));
        directory.copy_to(&part).await.map_err(|error| error.to_string())?;
        if let Some(objects) = objects.map(Path::to_owned) {
            let to = to.join("media").join("objects");
            let copied = tokio::task::spawn_blocking(move || files::copy_all(&objects, &to)).await;
            copied.map_err(|e| e.to_string())?.map_err(|error| format!("media: {error}"))?;
        }
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
