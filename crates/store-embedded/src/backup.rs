//! A consistent copy of all shards of a running store. It stops commits for as long as it takes to empty the overlay.
//!
//! The copy has no journal: its tables know everything up to one moment that all shards share.
//! Whoever opens it must give it new histories first ([`rehistory`](crate::rehistory)).

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ostracon_store::ShardError;
use rusqlite::{Connection, OpenFlags, backup::Backup};

use crate::{
    data_dir::{shard_path, write_format},
    error::TableError,
    shard::EmbeddedShard,
    tables::{self, Meta},
};

/// Pages copied between two reports of progress.
const PAGES: i32 = 2_048;

/// Why a backup was not made. What stands at its destination then is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something at the destination.
    #[error("{} is not empty: name a new folder", .0.display())]
    Taken(PathBuf),
    /// The destination cannot be written.
    #[error("the backup cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The store cannot be read, or not be brought to one moment.
    #[error(transparent)]
    Shard(#[from] ShardError),
}

/// Bytes copied so far, and bytes in all, of the shard that is being copied.
pub(crate) type Copied<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// A shard at the moment of the backup. While it lives, its log is not truncated.
pub(crate) struct Pinned {
    shard: Arc<EmbeddedShard>,
    conn: Connection,
}

impl Pinned {
    /// Holds on to the present moment of the tables.
    pub(crate) fn new(shard: &Arc<EmbeddedShard>) -> Result<Self, ShardError> {
        let pin = || -> Result<Connection, TableError> {
            let conn = tables::open_read_only(shard.path())?;
            conn.execute_batch("BEGIN; SELECT count(*) FROM meta;")?;
            Ok(conn)
        };
        shard.core().pinned(true);
        let pinned = pin().map(|conn| Self { shard: Arc::clone(shard), conn });
        if pinned.is_err() {
            shard.core().pinned(false);
        }
        Ok(pinned?)
    }

    /// Copies the tables to a file of their own. Blocking.
    pub(crate) fn copy(self, to: &Path, copied: Copied<'_>) -> Result<(), BackupError> {
        let run = || -> Result<(), TableError> {
            let mut copy = Connection::open_with_flags(
                to,
                OpenFlags::SQLITE_OPEN_READ_WRITE
                    | OpenFlags::SQLITE_OPEN_CREATE
                    | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            let page: u64 = self
                .conn
                .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))?
                .unsigned_abs();
            {
                let backup = Backup::new(&self.conn, &mut copy)?;
                while backup.step(PAGES)? != rusqlite::backup::StepResult::Done {
                    let progress = backup.progress();
                    let all = u64::try_from(progress.pagecount).unwrap_or(0) * page;
                    let rest = u64::try_from(progress.remaining).unwrap_or(0) * page;
                    copied(all.saturating_sub(rest), all);
                }
            }
            // The copy rests on no journal.
            if let Some(meta) = Meta::load(&copy)? {
                let meta = Meta { applied: 0, dispatched: 0, ..meta };
                meta.store(&copy)?;
            }
            // One file, nothing beside it.
            copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
            Ok(())
        };
        run().map_err(ShardError::from)?;
        File::open(to)?.sync_all()?;
        Ok(())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.shard.core().pinned(false);
    }
}

/// Makes the empty folders of a backup.
pub(crate) fn prepare(to: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    if std::fs::read_dir(to)?.next().is_some() {
        return Err(BackupError::Taken(to.to_owned()));
    }
    DirBuilder::new().mode(0o700).create(to.join("shards"))?;
    Ok(())
}

/// Copies pinned shards and says what the folder is. Blocking.
pub(crate) fn copy_all(
    pinned: Vec<Pinned>,
    to: &Path,
    copied: Copied<'_>,
) -> Result<(), BackupError> {
    for shard in pinned {
        let path = shard_path(to, shard.shard.core().id);
        shard.copy(&path, copied)?;
    }
    File::open(to.join("shards"))?.sync_all()?;
    write_format(to)?;
    Ok(())
}
