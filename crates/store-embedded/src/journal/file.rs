//! The seam between the journal and the disk: blocking calls on one flat directory of files.
//!
//! `DirFs` is the real one. Tests use the fault-injecting twin in `fault`. Nothing here retries.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// One flat directory of journal files. All calls block.
pub trait JournalFs: Send + Sync {
    /// Names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Creates an empty file; fails when the name is taken.
    fn create(&self, name: &str) -> io::Result<Arc<dyn JournalFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn JournalFile>>;
    /// Removes a file. Handles that are open go on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One open file. Safe to use from several threads; the journal has one writer a file.
pub trait JournalFile: Send + Sync {
    /// Bytes in the file, holes and zeros included.
    fn size(&self) -> io::Result<u64>;
    /// Reads up to `into.len()` bytes at `offset`; fewer only before the end of the file, 0 at it.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at `offset`, or fails with an unknown part of them written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reserves space for the first `size` bytes; the new part reads as zeros.
    fn allocate(&self, size: u64) -> io::Result<()>;
    /// Makes everything written so far durable. After an error nothing may be assumed.
    fn sync_data(&self) -> io::Result<()>;
}

/// A real directory.
#[derive(Debug)]
pub struct DirFs {
    path: PathBuf,
    handle: File,
}

impl DirFs {
    /// Opens `path`, creating it (mode 0700) when it is missing and making that durable.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<DirFs> {
        let path = path.into();
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                    File::open(parent)?.sync_all()?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let handle = File::open(&path)?;
        Ok(DirFs { path, handle })
    }

    /// Opens a directory that must exist already; creates nothing.
    pub fn open_existing(path: impl Into<PathBuf>) -> io::Result<DirFs> {
        let path = path.into();
        let handle = File::open(&path)?;
        Ok(DirFs { path, handle })
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl JournalFs for DirFs {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is not text cannot be one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn JournalFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path.join(name))?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn JournalFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

struct DiskFile(File);

impl JournalFile for DiskFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        use rustix::{fs::FallocateFlags, io::Errno};
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, size) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // File systems without fallocate: the zeros written next do its work.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.0.set_len(size),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
