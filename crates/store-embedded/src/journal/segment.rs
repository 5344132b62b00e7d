//! Segment files: their names, and how a new one is prepared.

use std::{io, sync::Arc};

use super::{
    file::{JournalFile, JournalFs},
    header::{HEADER_BYTES, SegmentHeader},
    options::Options,
};

/// Bytes of zeros handed to one write call.
const ZERO_WRITE_BYTES: usize = 256 << 10;

/// File name of a segment.
pub(super) fn name_of(ordinal: u64) -> String {
    format!("{ordinal:016x}.seg")
}

/// Ordinals of all segment files, rising. Other files are not ours and are left alone.
pub(super) fn list(fs: &dyn JournalFs) -> io::Result<Vec<u64>> {
    let mut ordinals: Vec<u64> = fs.list()?.iter().filter_map(|name| ordinal_of(name)).collect();
    ordinals.sort_unstable();
    Ok(ordinals)
}

fn ordinal_of(name: &str) -> Option<u64> {
    let ordinal = u64::from_str_radix(name.strip_suffix(".seg")?, 16).ok()?;
    // Only the one spelling that we write; 0 means "none" in headers.
    (ordinal > 0 && name_of(ordinal) == name).then_some(ordinal)
}

/// Creates a durable segment with room for `bytes` bytes of frames. On failure the file is removed
/// as well as possible, so that a full disk gets its space back.
pub(super) fn create(
    fs: &dyn JournalFs,
    options: &Options,
    header: &SegmentHeader,
    bytes: u64,
) -> io::Result<Arc<dyn JournalFile>> {
    let name = name_of(header.ordinal);
    let file = fs.create(&name)?;
    let fill = || {
        let size = HEADER_BYTES + bytes;
        file.allocate(size)?;
        zero(&*file, HEADER_BYTES, size)?;
        file.write_at(&header.encode(options.store), 0)?;
        file.sync_data()?;
        fs.sync_dir()
    };
    match fill() {
        Ok(()) => Ok(file),
        Err(error) => {
            discard(fs, header.ordinal);
            Err(error)
        }
    }
}

/// Writes real zeros, so that later syncs of this range need no metadata.
pub(super) fn zero(file: &dyn JournalFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZERO_WRITE_BYTES.min(to.saturating_sub(from) as usize)];
    let mut at = from;
    while at < to {
        let part = zeros.len().min((to - at) as usize);
        file.write_at(&zeros[..part], at)?;
        at += part as u64;
    }
    Ok(())
}

/// Removes a segment file that never held an answered frame. Left over, it does no harm: recovery
/// knows it as unused, and the next start removes it.
pub(super) fn discard(fs: &dyn JournalFs, ordinal: u64) {
    if let Err(error) = fs.remove(&name_of(ordinal)) {
        tracing::warn!(segment = ordinal, %error, "an unused journal segment stays behind");
    }
}

/// Removes a segment for good; gone already is fine.
pub(super) fn remove(fs: &dyn JournalFs, ordinal: u64) -> io::Result<()> {
    match fs.remove(&name_of(ordinal)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs.sync_dir(),
    }
}
