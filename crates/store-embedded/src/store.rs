//! All shards of a data directory behind one journal: opening, recovery, upkeep, end.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use ostracon_domain::{Epoch, Millis, ShardId, UnitId};
use ostracon_store::{Ids, Incarnation, Pair, Shard, ShardError, Shards, UnitPhase, UnitState};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;

use crate::{
    applier::{Applier, Progress, Queue},
    backup::{self, BackupError, Pinned},
    committer::Committer,
    core::Core,
    data_dir::DataDir,
    duplicate_filter::ClientKeys,
    error::TableError,
    journal::{
        self, DirFs, Inspected, Journal, JournalFs, Options, Position, ReadError, Recovered,
        StoreId,
    },
    migration::MigrationError,
    overlay::Overlay,
    payload::{self, Payload},
    readers::Readers,
    search,
    shard::EmbeddedShard,
    tables::{self, Meta, TableReader, TableWriter},
};

/// Rows that may wait for the tables, in bytes, all shards together; beyond it commands are answered `Busy`.
pub const OVERLAY_BYTES_MAX: usize = 256 << 20;
/// Journal that waits for a dispatcher, in bytes; what is older goes even if it was not dispatched.
const DISPATCH_BYTES_MAX: u64 = 1 << 30;
/// How long deleted content may stay in journal and write-ahead log before they are emptied, ms. The promise is ten minutes.
const DELETED_MS_MAX: Millis = 5 * 60 * 1_000;

/// What to open.
pub struct EmbeddedOptions {
    /// The data directory.
    pub data_dir: Arc<DataDir>,
    /// The cluster it belongs to, as its directory knows it; a shard of another cluster is refused.
    pub cluster_id: u128,
    /// Its shards. Those that are missing are made.
    pub shards: Vec<ShardId>,
    /// Where new ids come from.
    pub ids: Arc<dyn Ids>,
    /// Bytes of one segment of the journal.
    pub segment_bytes: u64,
    /// Bytes of rows that may wait for the tables.
    pub overlay_bytes_max: usize,
    /// Random; makes hashes of client ids unforeseeable. Means nothing to the next start.
    pub hash_seed: u64,
    /// Where the journal is; none: in the data directory.
    pub journal_fs: Option<Arc<dyn JournalFs>>,
    /// The journal as [`preflight`](crate::preflight) found it; none: it is read now.
    pub journal: Option<Inspected>,
}

impl EmbeddedOptions {
    /// Everything at its default.
    pub fn new(
        data_dir: Arc<DataDir>,
        cluster_id: u128,
        shards: Vec<ShardId>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            data_dir,
            cluster_id,
            shards,
            ids,
            segment_bytes: 64 << 20,
            overlay_bytes_max: OVERLAY_BYTES_MAX,
            hash_seed: RandomState::new().hash_one(0),
            journal_fs: None,
            journal: None,
        }
    }
}

/// Why a store was not opened; one sentence for people.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal is damaged, foreign or newer.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// Tables are foreign, newer, of another cluster, or do not fit the journal.
    #[error("{0}")]
    Refused(String),
    /// The disk does not let us.
    #[error("the data directory cannot be used: {0}")]
    Io(#[from] std::io::Error),
}

impl From<MigrationError> for OpenError {
    fn from(error: MigrationError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<TableError> for OpenError {
    fn from(error: TableError) -> Self {
        Self::Refused(format!("the tables of a shard cannot be read: {error}"))
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// An open data directory. Dropping it ends its threads; what waits stays in the journal, as after a crash.
pub struct EmbeddedStore {
    inner: Arc<Inner>,
    /// Locked for a few instructions only.
    shards: RwLock<BTreeMap<ShardId, Arc<EmbeddedShard>>>,
    threads: Mutex<BTreeMap<ShardId, JoinHandle<()>>>,
    birth: Birth,
}

/// What shards that come while the store is open are made of.
struct Birth {
    data_dir: Arc<DataDir>,
    cluster_id: u128,
    ids: Arc<dyn Ids>,
    incarnation: Incarnation,
    client_keys: ClientKeys,
    overlay_bytes: Arc<AtomicUsize>,
    overlay_bytes_max: usize,
}

/// What the appliers need of all shards together.
struct Inner {
    journal: Arc<Journal>,
    cores: Mutex<Vec<Arc<Core>>>,
}

/// A shard whose file is open and whose rows are not yet recovered.
struct Opened {
    id: ShardId,
    path: PathBuf,
    conn: Connection,
    meta: Meta,
}

impl EmbeddedStore {
    /// Opens the shards and brings back what was acked but not yet in the tables. Blocking.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn open(mut options: EmbeddedOptions) -> Result<Self, OpenError> {
        let mut opened = Vec::new();
        for id in &options.shards {
            opened.push(open_shard(&options.data_dir, options.cluster_id, *id)?);
        }
        let (journal, recovered) = open_journal(&mut options)?;
        for shard in &opened {
            check_position(shard, &recovered)?;
        }
        let incarnation = opened
            .iter()
            .map(|shard| shard.meta.incarnation)
            .fold(recovered.incarnation, Incarnation::max)
            + 1;

        let journal = Arc::new(journal);
        let inner = Arc::new(Inner { journal: Arc::clone(&journal), cores: Mutex::default() });
        let birth = Birth {
            data_dir: Arc::clone(&options.data_dir),
            cluster_id: options.cluster_id,
            ids: options.ids,
            incarnation,
            client_keys: ClientKeys::new(options.hash_seed),
            overlay_bytes: Arc::new(AtomicUsize::new(0)),
            overlay_bytes_max: options.overlay_bytes_max,
        };
        let mut cores = BTreeMap::new();
        for shard in &opened {
            cores.insert(shard.id, birth.core(shard, &journal)?);
        }
        replay(&birth.data_dir, &journal, &recovered, &opened, &cores)?;
        *inner.cores.lock() = cores.values().cloned().collect();

        let store = Self {
            inner: Arc::clone(&inner),
            shards: RwLock::default(),
            threads: Mutex::default(),
            birth,
        };
        for shard in opened {
            let Some(core) = cores.get(&shard.id) else {
                continue;
            };
            store.start(shard, Arc::clone(core))?;
        }
        Ok(store)
    }

    /// Makes a shard, if its tables are not there yet, and opens it beside the others. Blocking.
    ///
    /// # Errors
    /// When it is open already, or its file is foreign, newer, somebody else's or cannot be written.
    pub fn add(&self, id: ShardId) -> Result<Arc<EmbeddedShard>, OpenError> {
        if self.shard(id).is_some() {
            return Err(OpenError::Refused(format!("shard {id} is open already")));
        }
        let opened = open_shard(&self.birth.data_dir, self.birth.cluster_id, id)?;
        if opened.meta.applied > self.inner.journal.synced() {
            return Err(OpenError::Refused(format!("shard {id} belongs to another journal")));
        }
        let core = self.birth.core(&opened, &self.inner.journal)?;
        self.inner.cores.lock().push(Arc::clone(&core));
        self.start(opened, core)?;
        self.shard(id).ok_or_else(|| OpenError::Refused(format!("shard {id} did not start")))
    }

    /// Lets a shard go that nobody uses any more: everything of it is brought into its tables, and these are put aside
    /// under another name. Does nothing to one that is not open.
    ///
    /// # Errors
    /// When its tables cannot be written: then it stays.
    pub async fn remove(&self, id: ShardId) -> Result<(), ShardError> {
        let Some(shard) = self.shard(id) else { return Ok(()) };
        {
            let _committer = shard.hold().await?;
            shard.core().settled().await?;
            self.shards.write().remove(&id);
            self.inner.cores.lock().retain(|core| core.id != id);
            shard.core().queue.stop();
        }
        let thread = self.threads.lock().remove(&id);
        let path = shard.path().to_owned();
        let search = shard.search_path().to_owned();
        drop(shard);
        let put_aside = tokio::task::spawn_blocking(move || {
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("an applier panicked");
            }
            // It can be made again, and holds what its shard does not any more.
            search::remove(&search)?;
            for end in ["", "-wal", "-shm"] {
                let mut from = path.clone().into_os_string();
                from.push(end);
                let mut to = removed_path(&path).into_os_string();
                to.push(end);
                match std::fs::rename(from, to) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        match put_aside.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ShardError::Unavailable(error.to_string())),
            Err(error) => Err(ShardError::Unavailable(error.to_string())),
        }
    }

    fn all(&self) -> Vec<Arc<EmbeddedShard>> {
        self.shards.read().values().cloned().collect()
    }

    fn start(&self, shard: Opened, core: Arc<Core>) -> Result<(), OpenError> {
        let gate = Arc::new(RwLock::new(()));
        let mut wal = shard.path.clone().into_os_string();
        wal.push("-wal");
        let inner = Arc::downgrade(&self.inner);
        let reclaim = Box::new(move || {
            if let Some(inner) = inner.upgrade() {
                inner.reclaim();
            }
        });
        let thread = Applier::start(
            Arc::clone(&core),
            TableWriter::new(shard.conn),
            shard.meta,
            Arc::clone(&gate),
            wal.into(),
            reclaim,
        )?;
        self.threads.lock().insert(shard.id, thread);
        let committer = Committer::new(
            Arc::clone(&core),
            shard.path.clone(),
            Arc::clone(&gate),
            self.birth.overlay_bytes_max,
        );
        let readers = Readers::new(shard.path.clone(), gate);
        let search_at = (self.birth.data_dir.search_path(shard.id), self.birth.cluster_id);
        let embedded = EmbeddedShard::new(core, committer, readers, shard.path, search_at);
        self.shards.write().insert(shard.id, Arc::new(embedded));
        Ok(())
    }

    /// The shards, as the engine holds them.
    pub fn shards(&self) -> Shards {
        let shards = self.shards.read();
        shards.iter().map(|(id, shard)| (*id, Arc::clone(shard) as Arc<dyn Shard>)).collect()
    }

    /// A shard, for what the seam does not have.
    pub fn shard(&self, id: ShardId) -> Option<Arc<EmbeddedShard>> {
        self.shards.read().get(&id).cloned()
    }

    /// The journal, for operators.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.inner.journal
    }

    /// Bytes of rows that wait for the tables, all shards together.
    pub fn overlay_bytes(&self) -> usize {
        self.birth.overlay_bytes.load(Ordering::Relaxed)
    }

    /// Why some shard cannot write its tables now, if one cannot.
    pub fn failure(&self) -> Option<String> {
        self.shards.read().values().find_map(|shard| shard.core().queue.failure())
    }

    /// Opens the units of a shard that has never had any. Does nothing to another. To be called before the first command.
    ///
    /// # Errors
    /// When the shard is unknown or its tables cannot be written.
    pub async fn format(
        &self,
        shard: ShardId,
        units: impl IntoIterator<Item = (UnitId, Epoch)>,
    ) -> Result<(), ShardError> {
        let shard = self
            .shard(shard)
            .ok_or_else(|| ShardError::Unavailable(format!("shard {shard} is not open")))?;
        let core = shard.core();
        if !core.overlay.units().is_empty() {
            return Ok(());
        }
        let states: Vec<_> = units
            .into_iter()
            .map(|(unit, epoch)| UnitState {
                unit,
                epoch,
                phase: UnitPhase::Open,
                incarnation: core.incarnation,
                pair: Pair::default(),
            })
            .collect();
        // One that came later has none until a move brings them.
        if states.is_empty() {
            return Ok(());
        }
        let mut committer = shard.hold().await?;
        committer.put_units(states).await?;
        core.flushed().await
    }

    /// Upkeep, to be called every few seconds with the server's time: lets segments go, and what was deleted.
    ///
    /// # Errors
    /// When the journal cannot begin a new segment; it is tried again at the next call.
    pub async fn maintain(&self, now: Millis) -> Result<(), journal::ControlError> {
        let journal = &self.inner.journal;
        for shard in self.all() {
            shard.tidy().await;
            let core = shard.core();
            let overdue = {
                let mut deleted = core.deleted.lock();
                deleted.as_mut().and_then(|deleted| {
                    let since = *deleted.since.get_or_insert(now);
                    (now - since >= DELETED_MS_MAX).then_some(*deleted)
                })
            };
            if let Some(deleted) = overdue {
                self.purge(core, deleted, now).await?;
            }
            // One that has had nothing to do for long would hold up the segments of the others.
            let holds_up = journal
                .segments()
                .first()
                .is_some_and(|oldest| !oldest.active && core.holds_up(oldest.end));
            if holds_up && core.idle_through().is_some() {
                core.queue.settle();
            }
        }
        self.inner.reclaim();
        Ok(())
    }

    /// Gets rid of deleted content in two steps: a new segment and an emptied log; then, when the old ones are gone, forgets it.
    async fn purge(
        &self,
        core: &Arc<Core>,
        deleted: crate::core::Deleted,
        now: Millis,
    ) -> Result<(), journal::ControlError> {
        let journal = &self.inner.journal;
        match deleted.rotated {
            None => {
                let rotated = journal.rotate().await?;
                if let Some(known) = core.deleted.lock().as_mut() {
                    known.rotated = Some(rotated);
                }
                core.queue.truncate();
            }
            Some(rotated) => {
                let emptied = core.queue.progress().truncated >= deleted.through.min(rotated);
                if journal.oldest() >= rotated && emptied {
                    let mut known = core.deleted.lock();
                    // What was deleted since then begins its own time now.
                    *known = known.filter(|known| known.through > rotated).map(|known| {
                        crate::core::Deleted { since: Some(now), rotated: None, ..known }
                    });
                } else {
                    core.queue.truncate();
                }
            }
        }
        Ok(())
    }

    /// Copies all shards, as of one moment, into a new folder. Commits wait until the overlay is empty, reads never do.
    ///
    /// # Errors
    /// When the folder is not empty or cannot be written, or a shard cannot write its tables.
    pub async fn backup(
        &self,
        to: &Path,
        copied: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<(), BackupError> {
        backup::prepare(to)?;
        // Little is left to wait for once everything is held.
        let shards = self.all();
        for shard in &shards {
            shard.flush().await?;
        }
        let pinned = {
            let mut held = Vec::new();
            for shard in &shards {
                held.push(shard.hold().await?);
            }
            let mut pinned = Vec::new();
            for shard in &shards {
                shard.flush().await?;
                pinned.push(Pinned::new(shard)?);
            }
            pinned
        };
        let to = to.to_owned();
        tokio::task::spawn_blocking(move || backup::copy_all(pinned, &to, &copied))
            .await
            .map_err(|_| ShardError::Unavailable("the backup was interrupted".to_owned()))?
    }

    /// Ends it in good order: everything is in the tables, the journal is small, the next start is quick.
    ///
    /// # Errors
    /// When some shard cannot write its tables; nothing is lost, the journal has it.
    pub async fn close(self) -> Result<(), ShardError> {
        for shard in self.all() {
            let _committer = shard.hold().await?;
            shard.core().settled().await?;
        }
        self.inner.reclaim();
        Ok(())
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        for shard in self.shards.get_mut().values() {
            shard.core().queue.stop();
        }
        for thread in std::mem::take(self.threads.get_mut()).into_values() {
            if thread.join().is_err() {
                tracing::error!("an applier panicked");
            }
        }
    }
}

impl Inner {
    /// Removes the segments that every shard's file holds and every dispatcher has passed.
    fn reclaim(&self) {
        let cores = self.cores.lock();
        let end = self.journal.synced();
        let least = cores
            .iter()
            .map(|core| {
                let progress = core.queue.progress();
                let dispatched =
                    progress.dispatched_checkpointed.max(end.saturating_sub(DISPATCH_BYTES_MAX));
                progress.checkpointed.min(dispatched)
            })
            .min();
        if let Some(position) = least
            && let Err(error) = self.journal.remove_before(position)
        {
            tracing::error!(%error, "a segment of the journal could not be removed");
        }
    }
}

/// Starts the journal that was looked at before, if it is of this cluster; else reads it first.
fn open_journal(options: &mut EmbeddedOptions) -> Result<(Journal, Recovered), OpenError> {
    let store = StoreId(options.cluster_id.to_be_bytes());
    if let Some(inspected) = options.journal.take().filter(|journal| journal.store() == store) {
        let recovered = inspected.recovered();
        return Ok((inspected.start()?, recovered));
    }
    let fs: Arc<dyn JournalFs> = match &options.journal_fs {
        Some(fs) => Arc::clone(fs),
        None => Arc::new(DirFs::open(options.data_dir.journal_path())?),
    };
    let mut journal_options = Options::new(store);
    journal_options.segment_bytes = options.segment_bytes;
    Ok(Journal::open(fs, journal_options)?)
}

impl Birth {
    /// The middle of a shard whose file is open.
    fn core(&self, shard: &Opened, journal: &Arc<Journal>) -> Result<Arc<Core>, OpenError> {
        let overlay = Overlay::new(self.client_keys, Arc::clone(&self.overlay_bytes));
        for state in TableReader::begin(&shard.conn)?.unit_states()? {
            overlay.set_unit(state);
        }
        let progress = Progress {
            applied: shard.meta.applied,
            dispatched: shard.meta.dispatched,
            ..Progress::default()
        };
        Ok(Arc::new(Core {
            id: shard.id,
            incarnation: self.incarnation,
            journal: Arc::clone(journal),
            ids: Arc::clone(&self.ids),
            overlay,
            notes: Mutex::default(),
            queue: Queue::new(progress),
            under_way: AtomicBool::new(false),
            last: AtomicU64::new(shard.meta.applied),
            last_batch: AtomicU64::new(0),
            dispatched: AtomicU64::new(shard.meta.dispatched),
            pins: AtomicUsize::new(0),
            // What an earlier start deleted may still stand in its log and segments.
            deleted: Mutex::default(),
        }))
    }
}

/// Where the tables of a shard stand once it was let go.
fn removed_path(path: &Path) -> PathBuf {
    let mut removed = path.to_owned().into_os_string();
    removed.push(".removed");
    removed.into()
}

fn open_shard(data_dir: &DataDir, cluster_id: u128, id: ShardId) -> Result<Opened, OpenError> {
    let path = data_dir.shard_path(id);
    tables::make_shard(data_dir, cluster_id, id)?;
    let conn = tables::open_writer(&path, id)?;
    let meta = Meta::load(&conn)?.ok_or(TableError::Damaged("whose it is"))?;
    Ok(Opened { id, path, conn, meta })
}

/// Tables and journal must meet: nothing missing between them, and both of one line.
fn check_position(shard: &Opened, recovered: &Recovered) -> Result<(), OpenError> {
    let Opened { id, meta, .. } = shard;
    // Nothing of a shard that has never served anything can be missing.
    let is_new = meta.applied == 0 && TableReader::begin(&shard.conn)?.unit_states()?.is_empty();
    if meta.applied > recovered.end {
        return Err(OpenError::Refused(format!(
            "shard {id} knows the journal up to position {}, but it ends at {}: put back the journal folder that belongs to these tables",
            meta.applied, recovered.end
        )));
    }
    if meta.applied < recovered.oldest && !is_new {
        return Err(OpenError::Refused(format!(
            "shard {id} needs the journal from position {}, but it begins at {}: put back the segments that are missing",
            meta.applied, recovered.oldest
        )));
    }
    Ok(())
}

/// Brings what the tables do not have yet into the overlays and to the appliers, and finds the newest batch of each shard.
fn replay(
    data_dir: &DataDir,
    journal: &Journal,
    recovered: &Recovered,
    opened: &[Opened],
    cores: &BTreeMap<ShardId, Arc<Core>>,
) -> Result<(), OpenError> {
    let from: Position = opened
        .iter()
        .map(|shard| shard.meta.applied.min(shard.meta.dispatched))
        .min()
        .unwrap_or(recovered.end)
        .max(recovered.oldest);
    if from >= recovered.end {
        return Ok(());
    }
    let applied: BTreeMap<_, _> =
        opened.iter().map(|shard| (shard.id, shard.meta.applied)).collect();
    let mut frames = journal.replay_from(from)?;
    while let Some(frame) = frames.next_frame()? {
        let id = ShardId(frame.shard);
        let Some(core) = cores.get(&id) else {
            // What it held lives elsewhere.
            if removed_path(&data_dir.shard_path(id)).exists() {
                continue;
            }
            return Err(OpenError::Refused(format!(
                "the journal holds changes of shard {id}, which is not open: open it too"
            )));
        };
        if frame.end <= applied.get(&id).copied().unwrap_or(0) {
            if payload::is_batch(frame.payload) {
                core.last_batch.store(frame.end, Ordering::SeqCst);
            }
            continue;
        }
        match payload::decode(frame.payload) {
            Ok(Payload::Batch(rows)) => core.publish(frame.end, rows, true, None),
            Ok(Payload::Imported(rows)) => core.publish(frame.end, rows, false, None),
            Ok(Payload::Relabelled(rows, states)) => {
                core.publish_units(frame.end, rows, states);
            }
            Ok(Payload::Units(states)) => core.publish_units(frame.end, Vec::new(), states),
            Err(error) => {
                return Err(OpenError::Refused(format!(
                    "{error} (position {}): run the newer program that wrote it",
                    frame.position
                )));
            }
        }
    }
    Ok(())
}
