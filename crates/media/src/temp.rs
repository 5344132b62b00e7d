//! A file that goes when it is dropped, unless it was given its final name.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// A temporary file. It may be dropped from any thread.
#[derive(Debug)]
pub(crate) struct Temp {
    path: PathBuf,
    is_placed: bool,
}

impl Temp {
    /// Makes an empty file with a random name.
    pub(crate) fn new(folder: &Path) -> io::Result<(Self, File)> {
        let name = getrandom::u64().map_err(|e| io::Error::other(e.to_string()))?;
        let path = folder.join(format!("{name:016x}.part"));
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((Self { path, is_placed: false }, file))
    }

    /// A file that is there already and goes with this value.
    pub(crate) const fn adopt(path: PathBuf) -> Self {
        Self { path, is_placed: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its final name, whatever has it now.
    pub(crate) fn place(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.is_placed
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a temporary file stays until the next start");
        }
    }
}
