//! Where the bytes lie, by the hash of their content: a folder of this machine, or a bucket of S3.

mod connector;
mod local;
mod s3;

use std::{fmt, ops::Range, path::Path, pin::Pin};

use bytes::Bytes;
use futures_util::Stream;
use ostracon_store::directory::{ContentHash, MediaObject};

pub(crate) use self::local::make as make_folder;
use self::{local::Local, s3::S3};
use crate::{MediaError, temp::Temp};

/// Bytes in order, in pieces.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, MediaError>> + Send>>;

/// Where objects are to lie.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// In the data directory.
    Local,
    /// In a bucket.
    S3 {
        /// The server, such as `https://s3.eu-central-1.amazonaws.com` or `http://127.0.0.1:8333`.
        endpoint: String,
        /// Its region; some servers look at it.
        region: String,
        /// The bucket, which must be there.
        bucket: String,
        /// What names of objects begin with, empty or a folder.
        prefix: String,
        /// The key's id.
        key_id: String,
        /// The key.
        secret: String,
    },
}

/// A secret is in it.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("Local"),
            Self::S3 { endpoint, bucket, .. } => f
                .debug_struct("S3")
                .field("endpoint", endpoint)
                .field("bucket", bucket)
                .finish_non_exhaustive(),
        }
    }
}

/// The place of the bytes, opened. Safe from any task.
#[derive(Debug)]
pub enum Objects {
    /// A folder.
    Local(Local),
    /// A bucket.
    S3(Box<S3>),
}

impl Objects {
    /// Opens it; a folder is made.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn open(place: &Place, folder: &Path) -> Result<Self, MediaError> {
        match place {
            Place::Local => Local::open(folder).map(Self::Local),
            Place::S3 { .. } => S3::open(place).map(Box::new).map(Self::S3),
        }
    }

    /// The folder of objects, if they are on this machine.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Local(local) => Some(local.folder()),
            Self::S3(_) => None,
        }
    }

    /// Gives bytes their name; they are durable when this returns. What has that name already is the same.
    pub(crate) async fn put(&self, object: MediaObject, temp: Temp) -> Result<(), MediaError> {
        match self {
            Self::Local(local) => local.put(object.hash, temp).await,
            Self::S3(s3) => s3.put(object, temp).await,
        }
    }

    /// Reads a part of an object.
    ///
    /// # Errors
    /// `Gone`, `Unavailable`; also later, from the stream.
    pub async fn read(
        &self,
        object: MediaObject,
        part: Range<u64>,
    ) -> Result<ByteStream, MediaError> {
        match self {
            Self::Local(local) => local.read(object.hash, part).await,
            Self::S3(s3) => s3.read(object.hash, part).await,
        }
    }

    /// Whether an object is there, with its size.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn size(&self, hash: ContentHash) -> Result<Option<u64>, MediaError> {
        match self {
            Self::Local(local) => local.size(hash).await,
            Self::S3(s3) => s3.size(hash).await,
        }
    }

    /// Removes objects for good; those that are not there are fine.
    pub(crate) async fn remove(&self, hashes: &[ContentHash]) -> Result<(), MediaError> {
        match self {
            Self::Local(local) => local.remove(hashes).await,
            Self::S3(s3) => s3.remove(hashes).await,
        }
    }
}
