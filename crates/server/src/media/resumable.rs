//! Uploads that may be interrupted (tus 1.0): what has come of each lies in a folder, and survives a restart.
//!
//! Of each there is a small file that says what it is, and one with the bytes; how long that is is how far it has come.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use ostracon_domain::{Millis, UserId};
use ostracon_media::MediaError;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How long an upload may take, milliseconds; then it is gone.
pub(crate) const KEPT_MS: i64 = 24 * 3_600_000;
/// Uploads that one user may have begun and not ended.
const OF_USER_MAX: usize = 32;

/// What an upload is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) owner: UserId,
    /// Bytes in all.
    pub(crate) length: u64,
    pub(crate) name: Option<String>,
    pub(crate) declared: Option<String>,
    pub(crate) created_at: Millis,
    /// The file that came of it, once all bytes were there.
    pub(crate) media_id: Option<String>,
}

/// The folder. Safe from any task; its methods block for a few file operations.
pub(crate) struct Resumable {
    folder: PathBuf,
    /// Uploads that somebody writes to now.
    busy: Arc<Mutex<HashSet<String>>>,
}

/// The right to write to an upload, until it is dropped.
pub(crate) struct Held {
    busy: Arc<Mutex<HashSet<String>>>,
    id: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.busy.lock().remove(&self.id);
    }
}

impl Resumable {
    pub(super) fn open(folder: &Path) -> Result<Self, MediaError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), busy: Arc::default() })
    }

    fn about(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// Where the bytes are.
    pub(crate) fn bytes(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.bytes"))
    }

    /// Begins an upload; its id. None when its owner has too many.
    pub(crate) fn begin(&self, upload: &Upload) -> io::Result<Option<String>> {
        let own = |id: &String| self.look_up(id).is_some_and(|one| one.owner == upload.owner);
        if self.all()?.iter().filter(|id| own(id)).count() >= OF_USER_MAX {
            return Ok(None);
        }
        let random = || getrandom::u64().map_err(|error| io::Error::other(error.to_string()));
        let id = format!("{:016x}{:016x}", random()?, random()?);
        new_file(&self.bytes(&id))?;
        self.write(&id, upload)?;
        Ok(Some(id))
    }

    fn write(&self, id: &str, upload: &Upload) -> io::Result<()> {
        let part = self.folder.join(format!("{id}.new"));
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec(upload)?)?;
        fs::rename(part, self.about(id))
    }

    /// An upload.
    pub(crate) fn look_up(&self, id: &str) -> Option<Upload> {
        let is_id = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let text = is_id.then(|| fs::read(self.about(id)).ok()).flatten()?;
        serde_json::from_slice(&text).ok()
    }

    /// How far it has come.
    pub(crate) fn offset(&self, id: &str, upload: &Upload) -> io::Result<u64> {
        if upload.media_id.is_some() {
            return Ok(upload.length);
        }
        Ok(fs::metadata(self.bytes(id))?.len())
    }

    /// The right to write to an upload; none while somebody else has it.
    pub(crate) fn hold(&self, id: &str) -> Option<Held> {
        let is_free = self.busy.lock().insert(id.to_owned());
        is_free.then(|| Held { busy: Arc::clone(&self.busy), id: id.to_owned() })
    }

    /// Notes what came of an upload; its bytes have gone to the library.
    pub(crate) fn done(&self, id: &str, upload: &Upload) -> io::Result<()> {
        self.write(id, upload)
    }

    /// Removes an upload.
    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        for path in [self.about(id), self.bytes(id)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes uploads that have taken too long, and what a crash has left of them.
    pub(crate) fn tidy(&self, now: Millis) -> io::Result<()> {
        for id in self.all()? {
            let is_over = |one: Upload| one.created_at.saturating_add(KEPT_MS) < now;
            if self.look_up(&id).is_none_or(is_over)
                && let Some(_held) = self.hold(&id)
            {
                self.remove(&id)?;
            }
        }
        Ok(())
    }

    fn all(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.map(str::to_owned));
        }
        Ok(ids)
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
