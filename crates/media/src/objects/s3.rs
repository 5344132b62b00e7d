//! Objects in a bucket of S3, or of a server that speaks its protocol: `prefix/ab/cdef…` of the hash's digits.

use std::{fs::File, io::Read as _, ops::Range, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload as _, ObjectStore, ObjectStoreExt as _,
    PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use ostracon_store::directory::{ContentHash, MediaObject};

use super::{
    ByteStream, Place,
    connector::{Connector, tls},
};
use crate::{MediaError, temp::Temp};

/// Bytes sent in one request; what is larger goes in parts of this size, one after the other.
const PART: u64 = 8 << 20;
/// How long a failing request is tried again.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// A bucket.
#[derive(Debug)]
pub struct S3 {
    store: AmazonS3,
    prefix: String,
}

impl S3 {
    pub(super) fn open(place: &Place) -> Result<Self, MediaError> {
        let Place::S3 { endpoint, region, bucket, prefix, key_id, secret } = place else {
            return Err(MediaError::Unavailable("no bucket is named".to_owned()));
        };
        let is_tls = endpoint.starts_with("https://");
        let tls = if is_tls { Some(tls().map_err(MediaError::Unavailable)?) } else { None };
        let retry =
            RetryConfig { max_retries: 4, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
        let store = AmazonS3Builder::new()
            .with_endpoint(endpoint.trim_end_matches('/'))
            .with_region(region)
            .with_bucket_name(bucket)
            .with_access_key_id(key_id)
            .with_secret_access_key(secret)
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_http_connector(Connector(tls))
            .with_retry(retry)
            .build()
            .map_err(unavailable)?;
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Self { store, prefix })
    }

    fn path(&self, hash: ContentHash) -> Path {
        let digits = hash.to_string();
        let (first, rest) = digits.split_at(2);
        let folders = self.prefix.split('/').filter(|part| !part.is_empty());
        Path::from_iter(folders.chain([first, rest]))
    }

    pub(super) async fn put(&self, object: MediaObject, temp: Temp) -> Result<(), MediaError> {
        let path = self.path(object.hash);
        let file = Arc::new(File::open(temp.path())?);
        if object.size <= PART {
            let bytes = part(&file).await?;
            self.store.put(&path, bytes).await.map_err(unavailable)?;
            return Ok(());
        }
        let mut upload = self.store.put_multipart(&path).await.map_err(unavailable)?;
        let sent = async {
            let mut left = object.size;
            while left > 0 {
                let bytes = part(&file).await?;
                left = left.saturating_sub(bytes.content_length() as u64);
                upload.put_part(bytes).await.map_err(unavailable)?;
            }
            upload.complete().await.map_err(unavailable)
        };
        let sent = sent.await;
        if sent.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "parts of an upload stay in the bucket: give it a rule that removes such");
        }
        sent.map(drop)
    }

    pub(super) async fn read(
        &self,
        hash: ContentHash,
        part: Range<u64>,
    ) -> Result<ByteStream, MediaError> {
        let path = self.path(hash);
        if part.is_empty() {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        let options = GetOptions { range: Some(GetRange::Bounded(part)), ..GetOptions::default() };
        let found = self.store.get_opts(&path, options).await.map_err(unavailable)?;
        Ok(Box::pin(found.into_stream().map(|bytes| bytes.map_err(unavailable))))
    }

    pub(super) async fn size(&self, hash: ContentHash) -> Result<Option<u64>, MediaError> {
        match self.store.head(&self.path(hash)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn remove(&self, hashes: &[ContentHash]) -> Result<(), MediaError> {
        for hash in hashes {
            match self.store.delete(&self.path(*hash)).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Ok(())
    }
}

/// The next part of a file.
async fn part(file: &Arc<File>) -> Result<PutPayload, MediaError> {
    let file = Arc::clone(file);
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        (&*file).take(PART).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    });
    let bytes = read.await.map_err(|error| MediaError::Unavailable(error.to_string()))??;
    Ok(PutPayload::from(bytes))
}

fn unavailable(error: Error) -> MediaError {
    match error {
        Error::NotFound { .. } => MediaError::Gone,
        error => MediaError::Unavailable(error.to_string()),
    }
}
