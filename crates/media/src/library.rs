//! Uploads from the first byte to the last: taken in, made known, given their place, read, collected.
//!
//! The order is that of the seam: an upload is known before its object has its name, an object is marked as dying before its
//! bytes go. So a crash leaves uploads without bytes, which nobody was told of and which are forgotten in time, and never
//! bytes that nobody knows of.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ostracon_domain::{Millis, UserId};
use ostracon_store::{
    DirectoryError, MediaIndex,
    directory::{MediaId, MediaObject, MediaRow},
};

use crate::{
    ByteStream, Incoming, MediaError, Objects, PictureLimits, Place,
    objects::make_folder,
    pool::Pool,
    prepare::{Prepared, prepare},
    temp::Temp,
};

/// How often and after which pause an upload is tried again whose content is being removed at that moment.
const AGAIN: u32 = 100;
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Uploads forgotten, and objects removed, in one step.
const COLLECT_STEP: u32 = 256;

/// What a library is opened with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its folder: objects if they are on this machine, and files on their way in.
    pub folder: PathBuf,
    /// Where objects lie.
    pub place: Place,
    /// Bytes of one upload.
    pub upload_bytes_max: u64,
    /// Bytes of all uploads of one user; none: no limit.
    pub user_bytes_max: Option<u64>,
    /// Bounds of pictures.
    pub pictures: PictureLimits,
    /// Files that are looked into at once.
    pub threads: usize,
    /// How long an upload is kept that no message uses.
    pub unused: Duration,
}

/// What is known of an upload besides its bytes.
#[derive(Debug, Clone)]
pub struct About {
    /// Who uploads it.
    pub owner: UserId,
    /// The name of the file as the client says it.
    pub name: Option<String>,
    /// The type as the client says it.
    pub declared: Option<String>,
}

/// What a collection has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Uploads that were forgotten.
    pub uploads: u64,
    /// Objects that were removed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Uploads and their objects. Safe from any task.
pub struct Library {
    settings: Settings,
    incoming: PathBuf,
    objects: Objects,
    index: Arc<dyn MediaIndex>,
    pool: Pool,
}

impl Library {
    /// Opens it, and removes what an earlier process left on its way in. Blocks for some file operations.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn open(settings: Settings, index: Arc<dyn MediaIndex>) -> Result<Self, MediaError> {
        let incoming = settings.folder.join("incoming");
        make_folder(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        let objects = Objects::open(&settings.place, &settings.folder.join("objects"))?;
        let pool = Pool::new(settings.threads);
        Ok(Self { incoming, objects, index, pool, settings })
    }

    /// The bytes.
    pub const fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What is known of uploads.
    pub fn index(&self) -> &dyn MediaIndex {
        &*self.index
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// Bytes of one upload.
    pub const fn upload_bytes_max(&self) -> u64 {
        self.settings.upload_bytes_max
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begin(&self) -> Result<Incoming, MediaError> {
        let folder = self.incoming.clone();
        let made = tokio::task::spawn_blocking(move || Temp::new(&folder)).await;
        let (temp, file) = made.map_err(|error| MediaError::Unavailable(error.to_string()))??;
        Ok(Incoming::new(temp, file, self.settings.upload_bytes_max))
    }

    /// Whether a user has room for so many bytes more.
    ///
    /// # Errors
    /// `Full`, or those of the directory.
    pub async fn check_room(&self, owner: UserId, bytes: u64) -> Result<(), MediaError> {
        let Some(most) = self.settings.user_bytes_max else { return Ok(()) };
        let used = self.index.media_bytes(owner).await?;
        if used.saturating_add(bytes) > most { Err(MediaError::Full(most)) } else { Ok(()) }
    }

    /// Ends an upload: it is looked into, made known and stored. Refused, nothing of it is left.
    ///
    /// # Errors
    /// Every refusal of the crate but `Gone`.
    pub async fn finish(
        &self,
        incoming: Incoming,
        about: About,
        now: Millis,
    ) -> Result<MediaRow, MediaError> {
        let (temp, size) = incoming.end().await?;
        self.take_in(temp, size, about, now).await
    }

    /// The same with a file that lies in the folder of the library already. It is moved or removed, whatever happens.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    pub async fn finish_file(
        &self,
        path: PathBuf,
        size: u64,
        about: About,
        now: Millis,
    ) -> Result<MediaRow, MediaError> {
        self.take_in(Temp::adopt(path), size, about, now).await
    }

    async fn take_in(
        &self,
        temp: Temp,
        size: u64,
        about: About,
        now: Millis,
    ) -> Result<MediaRow, MediaError> {
        let (folder, limits) = (self.incoming.clone(), self.settings.pictures);
        let declared = about.declared;
        let work = move || prepare(temp, size, declared.as_deref(), &folder, limits);
        let Prepared { kind, file, thumbnail, thumbhash, facts } = self.pool.run(work).await?;
        self.check_room(about.owner, file.0.size).await?;
        let id = getrandom::u64().and_then(|high| Ok((high, getrandom::u64()?)));
        let (high, low) = id.map_err(|error| MediaError::Unavailable(error.to_string()))?;
        let row = MediaRow {
            id: MediaId(u128::from(high) << 64 | u128::from(low)),
            owner: about.owner,
            object: file.0,
            mime: kind.mime().to_owned(),
            width: facts.width,
            height: facts.height,
            duration_ms: facts.duration_ms,
            thumbhash,
            thumbnail: thumbnail.as_ref().map(|(object, _)| *object),
            name: about.name.as_deref().and_then(clean_name),
            created_at: now,
        };
        self.make_known(&row, now).await?;
        let mut placed = self.objects.put(file.0, file.1).await;
        if let (Ok(()), Some((object, temp))) = (&placed, thumbnail) {
            placed = self.objects.put(object, temp).await;
        }
        if let Err(error) = placed {
            self.index.remove_media(row.id).await?;
            return Err(error);
        }
        metrics::counter!("media_uploads_total").increment(1);
        metrics::counter!("media_upload_bytes_total").increment(row.object.size);
        Ok(row)
    }

    /// An object of the same content may be dying at that moment: it is waited for.
    async fn make_known(&self, row: &MediaRow, now: Millis) -> Result<(), MediaError> {
        let unused = i64::try_from(self.settings.unused.as_millis()).unwrap_or(i64::MAX);
        let keep_until = now.saturating_add(unused);
        for _ in 0..AGAIN {
            match self.index.add_media(row, keep_until).await {
                Err(DirectoryError::Taken("content")) => tokio::time::sleep(AGAIN_AFTER).await,
                added => return Ok(added?),
            }
        }
        Err(MediaError::Busy)
    }

    /// Reads a part of an object.
    ///
    /// # Errors
    /// `Gone`, `Unavailable`.
    pub async fn read(
        &self,
        object: MediaObject,
        part: Range<u64>,
    ) -> Result<ByteStream, MediaError> {
        self.objects.read(object, part).await
    }

    /// Forgets uploads that nothing uses and whose time is over, and removes objects that no upload has.
    ///
    /// Only right when every message that was committed before `now`, less the time that a sender has, has been noted as a use.
    ///
    /// # Errors
    /// Those of the directory and of the bytes' place; what was not done is done the next time.
    pub async fn collect(&self, now: Millis) -> Result<Collected, MediaError> {
        let mut collected = Collected::default();
        loop {
            let forgotten = self.index.forget_media(now, COLLECT_STEP).await?;
            collected.uploads += u64::from(forgotten);
            if forgotten < COLLECT_STEP {
                break;
            }
        }
        loop {
            let dying = self.index.dying_objects(COLLECT_STEP).await?;
            if dying.is_empty() {
                break;
            }
            let hashes: Vec<_> = dying.iter().map(|object| object.hash).collect();
            self.objects.remove(&hashes).await?;
            self.index.objects_removed(&hashes).await?;
            collected.objects += dying.len() as u64;
            collected.bytes += dying.iter().map(|object| object.size).sum::<u64>();
        }
        metrics::counter!("media_collected_total").increment(collected.objects);
        Ok(collected)
    }
}

/// Characters of a file's name that are kept.
const NAME_CHARS_MAX: usize = 200;

/// A name without folders and without what could fool somebody: control characters and those that turn the direction.
fn clean_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept: String =
        last.chars().filter(|c| !c.is_control() && !turns(*c)).take(NAME_CHARS_MAX).collect();
    let kept = kept.trim();
    (!kept.is_empty() && kept != "." && kept != "..").then(|| kept.to_owned())
}

#[cfg(test)]
mod tests;
