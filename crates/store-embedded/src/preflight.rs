//! A look at a data directory before anything in it is opened: what is foreign, newer, damaged or does not belong
//! together is refused without a byte of it being changed, not even by SQLite, which folds its log into a file that
//! it closes.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use ostracon_domain::ShardId;

use crate::{
    data_dir::{DataDir, shard_files},
    directory,
    journal::{self, DirFs, Inspected, JournalFs, Options, StoreId},
    store::OpenError,
    tables,
};

/// What a data directory holds.
pub struct Preflight {
    /// The journal, for [`EmbeddedOptions`](crate::EmbeddedOptions), so that it is read once; none when there is none yet.
    pub journal: Option<Inspected>,
    /// Shards whose tables were made. One that the directory knows and that is not here was lost.
    pub shards: BTreeSet<ShardId>,
}

/// Judges the directory file, the tables and the journal of a data directory, and whose they are. Blocking.
///
/// # Errors
/// One sentence that says what to do; nothing was changed.
pub fn preflight(data_dir: &DataDir) -> Result<Preflight, OpenError> {
    let directory = data_dir.directory_path();
    directory::peek(&directory)?;
    preflight_of(data_dir, directory::peek_cluster(&directory))
}

/// The same for a data directory whose directory is elsewhere: judges tables and journal. `cluster`: whose they must be;
/// none: there must be none yet. Blocking.
///
/// # Errors
/// Those of [`preflight`].
pub fn preflight_of(data_dir: &DataDir, cluster: Option<u128>) -> Result<Preflight, OpenError> {
    let mut shards = BTreeSet::new();
    for (id, path) in shard_files(data_dir)? {
        tables::peek(&path, id)?;
        if !tables::was_made(&path) {
            continue;
        }
        let Some(cluster) = cluster else { return Err(no_directory(&path)) };
        if let Some(known) = tables::peek_identity(&path) {
            tables::judge_identity(&path, known, (cluster, id))?;
        }
        shards.insert(id);
    }
    let journal = inspect(&data_dir.journal_path(), cluster)?;
    Ok(Preflight { journal, shards })
}

fn inspect(folder: &Path, cluster: Option<u128>) -> Result<Option<Inspected>, OpenError> {
    if !folder.exists() {
        return Ok(None);
    }
    let fs: Arc<dyn JournalFs> = Arc::new(DirFs::open_existing(folder)?);
    let Some(store) = journal::owner(&*fs)? else {
        return Ok(None);
    };
    match cluster.map(|id| StoreId(id.to_be_bytes())) {
        None => return Err(no_directory(folder)),
        Some(ours) if ours != store => {
            return Err(OpenError::Refused(format!(
                "{} belongs to another data directory: put back the journal that belongs here, or restore a backup",
                folder.display()
            )));
        }
        Some(_) => {}
    }
    Ok(Some(journal::inspect(fs, Options::new(store))?))
}

fn no_directory(beside: &Path) -> OpenError {
    OpenError::Refused(format!(
        "{} exists, but the directory beside it is missing or empty: put the right directory.db back (NODE, if the directory is on PostgreSQL), or restore a backup",
        beside.display()
    ))
}
