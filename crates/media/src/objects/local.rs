//! Objects in a folder: `ab/cdef…` of the hash's digits.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::{DirBuilderExt as _, FileExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::stream;
use ostracon_store::directory::ContentHash;

use super::ByteStream;
use crate::{MediaError, temp::Temp};

/// Bytes read at once: what a download keeps in memory.
const PIECE: usize = 256 << 10;

/// A folder of objects.
#[derive(Debug)]
pub struct Local {
    folder: PathBuf,
}

impl Local {
    pub(super) fn open(folder: &Path) -> Result<Self, MediaError> {
        make(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, hash: ContentHash) -> PathBuf {
        let digits = hash.to_string();
        let (first, rest) = digits.split_at(2);
        self.folder.join(first).join(rest)
    }

    pub(super) async fn put(&self, hash: ContentHash, temp: Temp) -> Result<(), MediaError> {
        let to = self.path(hash);
        blocking(move || {
            let folder = to.parent().unwrap_or(&to);
            make(folder)?;
            File::open(temp.path())?.sync_all()?;
            temp.place(&to)?;
            sync(folder)
        })
        .await
    }

    pub(super) async fn read(
        &self,
        hash: ContentHash,
        part: Range<u64>,
    ) -> Result<ByteStream, MediaError> {
        let path = self.path(hash);
        let (file, first) = blocking(move || {
            let file = Arc::new(File::open(path)?);
            let first = piece(&file, &part)?;
            Ok((file, (first, part)))
        })
        .await?;
        let (first, part) = first;
        let begin = part.start + first.len() as u64;
        let state = (file, begin..part.end, Some(first));
        Ok(Box::pin(stream::try_unfold(state, |(file, part, ready)| async move {
            if let Some(ready) = ready {
                return Ok(Some((ready, (file, part, None))));
            }
            if part.is_empty() {
                return Ok(None);
            }
            let (again, now) = (Arc::clone(&file), part.clone());
            let read = blocking(move || piece(&again, &now)).await?;
            let begin = part.start + read.len() as u64;
            Ok(Some((read, (file, begin..part.end, None))))
        })))
    }

    pub(super) async fn size(&self, hash: ContentHash) -> Result<Option<u64>, MediaError> {
        let path = self.path(hash);
        match blocking(move || fs::metadata(path)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(MediaError::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gone also after a power cut: the folders are synced before this returns.
    pub(super) async fn remove(&self, hashes: &[ContentHash]) -> Result<(), MediaError> {
        let paths: Vec<_> = hashes.iter().map(|hash| self.path(*hash)).collect();
        blocking(move || {
            let mut folders = BTreeSet::new();
            for path in paths {
                match fs::remove_file(&path) {
                    Ok(()) => folders.extend(path.parent().map(Path::to_owned)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            folders.iter().try_for_each(|folder| sync(folder))
        })
        .await
    }
}

/// The next piece; never empty but for an empty part.
fn piece(file: &File, part: &Range<u64>) -> io::Result<Bytes> {
    let left = part.end.saturating_sub(part.start);
    let mut bytes = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
    file.read_exact_at(&mut bytes, part.start)?;
    Ok(bytes.into())
}

/// Makes a folder for its owner only, and those above it.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    folder.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, MediaError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| MediaError::Unavailable(error.to_string()))??)
}
