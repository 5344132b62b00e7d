//! From a back-up to a new data directory.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ostracon_store_embedded::{DataDir, rehistory};
use serde::{Deserialize, Serialize};

use super::{OfflineError, new_history};

/// Names in a data directory and in a back-up.
const FORMAT: &str = "FORMAT";
const DIRECTORY: &str = "directory.db";
const SHARDS: &str = "shards";
const OBJECTS: &str = "media/objects";
/// Bytes copied at a time.
const PORTION: usize = 1 << 20;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The new data directory.
    pub dir: PathBuf,
    /// Bytes copied.
    pub bytes: u64,
    /// Conversations, each with a new history.
    pub conversations: u64,
}

/// Makes a data directory from a back-up. Blocking. `progress` is told bytes done and in all.
///
/// Until it is complete it has no directory file, and no server starts on it.
///
/// # Errors
/// When `from` is no back-up of this version, `to` is not empty, or the disk does not let us.
pub fn restore(
    from: &Path,
    to: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<Restored, OfflineError> {
    let files = files(from)?;
    let taken = std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        let to = to.display();
        return Err(OfflineError::Refused(format!("{to} is not empty: name a new folder")));
    }
    let data_dir = DataDir::open(to)?;
    same_format(from, to)?;
    let all: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let mut done = 0;
    for (name, _) in &files {
        // The directory's name comes last of all.
        let target =
            if name == Path::new(DIRECTORY) { to.join("directory.db.new") } else { to.join(name) };
        if let Some(folder) = target.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(OfflineError::io(folder))?;
        }
        copy(&from.join(name), &target, &mut |bytes| {
            done += bytes;
            progress(done, all);
        })?;
    }
    let conversations = std::cell::Cell::new(0);
    rehistory(&data_dir, &mut new_history, &|done| conversations.set(done))?;
    sync(&to.join(SHARDS))?;
    let directory = to.join(DIRECTORY);
    std::fs::rename(to.join("directory.db.new"), &directory)
        .map_err(OfflineError::io(&directory))?;
    sync(to)?;
    Ok(Restored { dir: to.to_owned(), bytes: done, conversations: conversations.get() })
}

/// The files of a back-up with their sizes.
fn files(from: &Path) -> Result<Vec<(PathBuf, u64)>, OfflineError> {
    let no_backup = || {
        let from = from.display();
        OfflineError::Refused(format!("{from} is no complete back-up of this program"))
    };
    let mut files = vec![PathBuf::from(DIRECTORY)];
    let shards = from.join(SHARDS);
    for entry in std::fs::read_dir(&shards).map_err(|_| no_backup())? {
        let entry = entry.map_err(OfflineError::io(&shards))?;
        files.push(Path::new(SHARDS).join(entry.file_name()));
    }
    if files.len() < 2 || !from.join(FORMAT).exists() || from.join("LOCK").exists() {
        return Err(no_backup());
    }
    // Of files, if there were any.
    let objects = from.join(OBJECTS);
    for first in std::fs::read_dir(&objects).into_iter().flatten() {
        let folder = first.map_err(OfflineError::io(&objects))?.file_name();
        let within = objects.join(&folder);
        for entry in std::fs::read_dir(&within).map_err(OfflineError::io(&within))? {
            let entry = entry.map_err(OfflineError::io(&within))?;
            files.push(Path::new(OBJECTS).join(&folder).join(entry.file_name()));
        }
    }
    let size = |name: PathBuf| {
        let path = from.join(&name);
        let about = std::fs::metadata(&path).map_err(|_| no_backup())?;
        Ok((name, about.len()))
    };
    files.into_iter().map(size).collect()
}

/// A back-up of another version has another format file than the one just made.
fn same_format(from: &Path, to: &Path) -> Result<(), OfflineError> {
    let read = |path: PathBuf| std::fs::read(&path).map_err(|e| OfflineError::io(&path)(e));
    if read(from.join(FORMAT))? != read(to.join(FORMAT))? {
        let from = from.display();
        return Err(OfflineError::Refused(format!(
            "{from} was made by another version: restore it with that one"
        )));
    }
    Ok(())
}

/// Copies a file durably, readable by its owner only.
fn copy(from: &Path, to: &Path, copied: &mut dyn FnMut(u64)) -> Result<(), OfflineError> {
    let mut source = File::open(from).map_err(OfflineError::io(from))?;
    let written = OfflineError::io(to);
    let mut target =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(&written)?;
    let mut portion = vec![0; PORTION];
    loop {
        let read = source.read(&mut portion).map_err(OfflineError::io(from))?;
        if read == 0 {
            return target.sync_all().map_err(&written);
        }
        target.write_all(&portion[..read]).map_err(&written)?;
        copied(read as u64);
    }
}

fn sync(folder: &Path) -> Result<(), OfflineError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(OfflineError::io(folder))
}
