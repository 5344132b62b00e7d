//! How long this disk takes to make 4 KiB durable: every durable figure depends on it.

use std::{
    fs::{File, remove_file},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};

/// Median of 300 fdatasyncs after a write in place, microseconds.
pub(crate) fn median_us(dir: &Path) -> std::io::Result<f64> {
    let path = dir.join("fsync-probe");
    let mut file = File::create(&path)?;
    let page = [7u8; 4096];
    file.write_all(&page)?;
    file.sync_all()?;
    let mut spans = Vec::with_capacity(300);
    for _ in 0..300 {
        file.seek(SeekFrom::Start(0))?;
        let begun = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        spans.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    remove_file(&path)?;
    spans.sort_by(f64::total_cmp);
    Ok(spans[spans.len() / 2])
}
