//! Copies of whole folders, durable, for their owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Copies a folder with everything in it to a new one.
pub(super) fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            let mut source = File::open(entry.path())?;
            let mut copy =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
            io::copy(&mut source, &mut copy)?;
            copy.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}
