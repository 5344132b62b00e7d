//! Uploaded files as this server has them: the library, the addresses, and how much a user may do at once.

mod allowance;
pub(crate) mod collect;
pub(crate) mod form;
mod resumable;

use std::{sync::Arc, time::Duration};

use ostracon_domain::Millis;
use ostracon_engine::{Addresses, Clock, EngineError};
use ostracon_media::{Library, MediaError, PictureLimits, Place, Settings, Signer, What};
use ostracon_proto::{ErrorCode, ErrorObject, rest};
use ostracon_store::{Directory, directory::MediaRow};

use allowance::Uploads;
pub(crate) use resumable::{Held, KEPT_MS as RESUMABLE_KEPT_MS, Resumable, Upload};

use crate::{
    config::{Config, Media as MediaConfig, MediaStore},
    error::ApiError,
    server::StartError,
};

/// The name of the secret that addresses are signed with.
const SECRET: &str = "media";

/// Everything about files. Safe from any task.
pub(crate) struct Media {
    pub(crate) library: Library,
    pub(crate) signer: Signer,
    pub(crate) resumable: Resumable,
    pub(crate) uploads: Uploads,
    /// How long a file stays after the last message with it was deleted; a sender has as long to send what he may.
    pub(crate) deleted: Duration,
    /// Held while files are removed, and while they must not be.
    pub(crate) collecting: tokio::sync::Mutex<()>,
}

impl Media {
    pub(crate) async fn open(
        config: &Config,
        directory: Arc<dyn Directory>,
    ) -> Result<Self, StartError> {
        let media = &config.media;
        let secret = directory.secret(SECRET).await?;
        let signer = Signer::new(&secret, &media.base_url, media.url_hours.saturating_mul(3_600));
        let settings = Settings {
            folder: config.data_dir.join("media"),
            place: place(media).map_err(StartError::Store)?,
            upload_bytes_max: media.file_bytes_max,
            user_bytes_max: Some(media.user_bytes_max).filter(|bytes| *bytes > 0),
            pictures: PictureLimits { pixels_max: media.picture_pixels_max },
            threads: media.threads,
            unused: Duration::from_secs(u64::from(media.unused_hours) * 3_600),
        };
        let refused = |error: &dyn std::fmt::Display| StartError::Store(format!("media: {error}"));
        let opened = tokio::task::spawn_blocking(move || {
            let library = Library::open(settings, directory)?;
            let resumable = Resumable::open(&library.folder().join("resumable"))?;
            Ok::<_, MediaError>((library, resumable))
        });
        let opened = opened.await.map_err(|error| refused(&error))?;
        let (library, resumable) = opened.map_err(|error| refused(&error))?;
        let uploads = Uploads::new(&config.rate_limits, media.uploads_per_minute);
        let deleted = Duration::from_secs(u64::from(media.deleted_minutes) * 60);
        Ok(Self {
            deleted,
            library,
            signer,
            resumable,
            uploads,
            collecting: tokio::sync::Mutex::default(),
        })
    }

    /// For the messages that files are attached to.
    pub(crate) fn addresses(&self, clock: Arc<dyn Clock>) -> Arc<dyn Addresses> {
        Arc::new(Now { signer: self.signer.clone(), clock })
    }

    /// How a file is shown to somebody who may read it.
    pub(crate) fn shown(&self, row: &MediaRow, now: Millis) -> rest::Media {
        let address = |what| self.signer.address(what, row.id, now);
        rest::Media {
            media_id: row.id.to_string(),
            mime: row.mime.clone(),
            size: row.object.size,
            width: row.width,
            height: row.height,
            duration_ms: row.duration_ms,
            thumbhash: row.thumbhash.clone(),
            name: row.name.clone(),
            url: address(What::File),
            thumbnail_url: row.thumbnail.map(|_| address(What::Thumbnail)),
        }
    }
}

/// Where the bytes are to lie.
pub(crate) fn place(config: &MediaConfig) -> Result<Place, String> {
    if config.store == MediaStore::Local {
        return Ok(Place::Local);
    }
    let file = &config.s3_secret_file;
    let secret = std::fs::read_to_string(file).map_err(|error| {
        format!("media.s3_secret_file: {} cannot be read: {error}", file.display())
    })?;
    Ok(Place::S3 {
        endpoint: config.s3_endpoint.clone(),
        region: config.s3_region.clone(),
        bucket: config.s3_bucket.clone(),
        prefix: config.s3_prefix.clone(),
        key_id: config.s3_key_id.clone(),
        secret: secret.trim().to_owned(),
    })
}

/// Addresses as of now.
struct Now {
    signer: Signer,
    clock: Arc<dyn Clock>,
}

impl Addresses for Now {
    fn file(&self, media_id: &str) -> String {
        self.address(What::File, media_id)
    }

    fn thumbnail(&self, media_id: &str) -> String {
        self.address(What::Thumbnail, media_id)
    }
}

impl Now {
    /// Empty for an id that is none of ours.
    fn address(&self, what: What, media_id: &str) -> String {
        let now = self.clock.now();
        media_id.parse().map(|id| self.signer.address(what, id, now)).unwrap_or_default()
    }
}

impl From<MediaError> for ApiError {
    fn from(error: MediaError) -> Self {
        let refuse = |code, sentence: String| ApiError::from(ErrorObject::new(code, sentence));
        match error {
            MediaError::TooLarge(most) => refuse(
                ErrorCode::TooLarge,
                format!("The file is too large; {most} bytes are the most."),
            ),
            MediaError::TooManyPixels(sentence) => refuse(ErrorCode::TooLarge, sentence),
            MediaError::Unsupported(sentence) => {
                refuse(ErrorCode::UnsupportedMedia, sentence.to_owned())
            }
            MediaError::Full(most) => refuse(
                ErrorCode::TooLarge,
                format!("There is no room left: all files of one user may have {most} bytes."),
            ),
            MediaError::Empty => ostracon_proto::Invalid::new("file", "must not be empty").into(),
            MediaError::Busy => ApiError::busy(),
            MediaError::Gone => ApiError::new(ErrorCode::NotFound, "No such file."),
            MediaError::Unavailable(reason) => {
                tracing::warn!(reason, "files cannot be stored or read");
                EngineError::Unavailable.into()
            }
            MediaError::Directory(error) => error.into(),
        }
    }
}
