//! A look at a data directory before anything in it is opened: what is foreign, newer or damaged is refused
//! without a byte of it being changed, not even by SQLite, which folds its log into a file that it closes.

use std::{path::Path, sync::Arc};

use crate::{
    data_dir::{DataDir, shard_files},
    directory,
    journal::{self, DirFs, Inspected, JournalFs, Options},
    store::OpenError,
    tables,
};

/// Judges the directory file, the tables and the journal of a data directory. Blocking.
///
/// The journal that was looked at goes on into [`EmbeddedOptions`](crate::EmbeddedOptions), so that it is read once;
/// none when there is none yet.
///
/// # Errors
/// One sentence that says what to do; nothing was changed.
pub fn preflight(data_dir: &DataDir) -> Result<Option<Inspected>, OpenError> {
    directory::peek(&data_dir.directory_path())?;
    for (id, path) in shard_files(data_dir)? {
        tables::peek(&path, id)?;
    }
    inspect(&data_dir.journal_path())
}

fn inspect(folder: &Path) -> Result<Option<Inspected>, OpenError> {
    if !folder.exists() {
        return Ok(None);
    }
    let fs: Arc<dyn JournalFs> = Arc::new(DirFs::open_existing(folder)?);
    let Some(store) = journal::owner(&*fs)? else {
        return Ok(None);
    };
    Ok(Some(journal::inspect(fs, Options::new(store))?))
}
