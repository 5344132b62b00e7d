//! The data directory: one process at a time, one format, nothing touched when it is refused.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ostracon_domain::ShardId;
use rustix::fs::FlockOperation;

/// The format that this program reads and writes; it names the directory as a whole, files have versions of their own.
const FORMAT: u32 = 1;
const FORMAT_NAME: &str = "FORMAT";
const FORMAT_TITLE: &str = "ostracon data directory, format ";

/// Why a data directory was not opened. One sentence, which says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds it.
    #[error("{} is in use by another process{holder}: stop that one first or name another data directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who, if it is known.
        holder: String,
    },
    /// It holds something else.
    #[error("{} is not empty and was not made by this program: name an empty directory", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{} has format {found}, but this program knows formats up to {FORMAT} only: run the newer program that wrote it", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The disk does not let us.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A data directory that this process has for itself, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Takes a directory, making it when it is missing.
    ///
    /// # Errors
    /// In use, foreign, newer or not accessible; then nothing in it was changed.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let is_known = check_format(path)?;
        let lock = lock(path)?;
        if !is_known {
            write_format(path).map_err(io)?;
        }
        for name in ["journal", "search", "shards"] {
            make_dir(&path.join(name)).map_err(io)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of accounts, sessions and the map.
    pub fn directory_path(&self) -> PathBuf {
        self.path.join("directory.db")
    }

    /// The folder of the journal's segments.
    pub fn journal_path(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// The file of a shard's search index.
    pub fn search_path(&self, shard: ShardId) -> PathBuf {
        search_path(&self.path, shard)
    }

    /// The file of a shard's tables.
    pub fn shard_path(&self, shard: ShardId) -> PathBuf {
        shard_path(&self.path, shard)
    }
}

/// The file of a shard's tables in a data directory.
pub fn shard_path(data_dir: &Path, shard: ShardId) -> PathBuf {
    data_dir.join("shards").join(format!("{shard}.db"))
}

/// The file of a shard's search index in a data directory.
pub fn search_path(data_dir: &Path, shard: ShardId) -> PathBuf {
    data_dir.join("search").join(format!("{shard}.db"))
}

/// The files of all shards in a data directory.
pub(crate) fn shard_files(data_dir: &DataDir) -> io::Result<BTreeMap<ShardId, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(data_dir.path().join("shards"))? {
        let path = entry?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(".db")?.parse().ok());
        if let Some(number) = number {
            files.insert(ShardId(number), path);
        }
    }
    Ok(files)
}

fn make_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether the directory is one of ours already; an empty one is not yet.
fn check_format(path: &Path) -> Result<bool, DataDirError> {
    let io = |source| DataDirError::Io { path: path.to_owned(), source };
    let foreign = || DataDirError::Foreign { path: path.to_owned() };
    match std::fs::read_to_string(path.join(FORMAT_NAME)) {
        Ok(text) => {
            let found = text
                .strip_prefix(FORMAT_TITLE)
                .and_then(|rest| rest.trim_end().parse().ok())
                .ok_or_else(foreign)?;
            if found > FORMAT {
                return Err(DataDirError::Newer { path: path.to_owned(), found });
            }
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for entry in std::fs::read_dir(path).map_err(io)? {
                let name = entry.map_err(io)?.file_name();
                // A first start that was cut short leaves its lock, and the format before it had its name.
                if name != "LOCK" && name != "FORMAT.new" && name != "lost+found" {
                    return Err(foreign());
                }
            }
            Ok(false)
        }
        Err(source) => Err(io(source)),
    }
}

/// Says that a folder is a data directory.
pub(crate) fn write_format(path: &Path) -> io::Result<()> {
    let new = path.join("FORMAT.new");
    let mut file = File::create(&new)?;
    writeln!(file, "{FORMAT_TITLE}{FORMAT}")?;
    file.sync_all()?;
    std::fs::rename(&new, path.join(FORMAT_NAME))?;
    File::open(path)?.sync_all()
}

fn lock(path: &Path) -> Result<File, DataDirError> {
    let name = path.join("LOCK");
    let io = |source| DataDirError::Io { path: name.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(io)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // Only for people: the lock is what counts.
            file.set_len(0).map_err(io)?;
            writeln!(file, "{}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            Err(DataDirError::InUse {
                path: path.to_owned(),
                holder: if known { format!(" (process {})", holder.trim()) } else { String::new() },
            })
        }
        Err(errno) => Err(io(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn foreign_and_newer_directories_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, DataDirError::Foreign { .. }), "{error}");
        assert_eq!(names(dir.path()), ["letter.txt"]);

        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("FORMAT"), "ostracon data directory, format 2\n").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, DataDirError::Newer { found: 2, .. }), "{error}");
        assert_eq!(names(dir.path()), ["FORMAT"]);
    }
}
