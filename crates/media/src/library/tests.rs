//! Stories of uploads over a folder and the twin of a directory: nothing is lost, nothing is left.

use futures_util::StreamExt as _;
use ostracon_store::{directory::MediaUse, memory::directory::MemoryDirectory};
use tempfile::TempDir;

use super::*;

const DAY: Millis = 86_400_000;

struct World {
    dir: TempDir,
    library: Library,
}

fn settings(dir: &TempDir) -> Settings {
    Settings {
        folder: dir.path().join("media"),
        place: Place::Local,
        upload_bytes_max: 1_000_000,
        user_bytes_max: Some(2_000_000),
        pictures: PictureLimits { pixels_max: 4_000_000 },
        threads: 2,
        unused: Duration::from_secs(86_400),
    }
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::open(settings(&dir), Arc::new(MemoryDirectory::new(1))).unwrap();
    World { dir, library }
}

fn about(declared: Option<&str>) -> About {
    About {
        owner: UserId::new(1).unwrap(),
        name: Some("../of me\u{202e}/c:\\photo.png".to_owned()),
        declared: declared.map(str::to_owned),
    }
}

impl World {
    async fn upload(&self, bytes: &[u8], declared: Option<&str>) -> Result<MediaRow, MediaError> {
        let mut incoming = self.library.begin().await?;
        for piece in bytes.chunks(100_000) {
            incoming.write(piece).await?;
        }
        self.library.finish(incoming, about(declared), 0).await
    }

    /// Every file there is.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    async fn read(&self, object: MediaObject, part: Range<u64>) -> Result<Vec<u8>, MediaError> {
        let mut stream = self.library.read(object, part).await?;
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all)
    }
}

fn picture(side: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn an_upload_is_stored_by_its_content() {
    let world = world();
    let bytes: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
    let first = world.upload(&bytes, None).await.unwrap();
    let second = world.upload(&bytes, Some("application/pdf")).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(first.object, second.object);
    assert_eq!(first.mime, "application/octet-stream");
    assert_eq!(first.name.as_deref(), Some("photo.png"));
    assert_eq!(world.files().len(), 1);
    assert_eq!(world.read(first.object, 0..700_000).await.unwrap(), bytes);
    assert_eq!(world.read(first.object, 300_000..600_000).await.unwrap(), bytes[300_000..600_000]);
    assert_eq!(world.read(first.object, 9..9).await.unwrap(), b"");

    let small = world.upload(&picture(40), Some("image/jpeg")).await.unwrap();
    assert_eq!((small.mime.as_str(), small.width, small.height), ("image/png", Some(40), Some(40)));
    assert!(small.thumbhash.is_some() && small.thumbnail.is_some());
    assert_eq!(world.files().len(), 3);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let world = world();
    let script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let cut = &picture(300)[..500];
    for (bytes, declared) in [
        (b"".as_slice(), None),
        (script, None),
        (cut, None),
        (b"MZ\x90\0 a program", Some("image/png")),
        (b"just words", Some("video/mp4")),
        (&[7; 1_000_001], None),
        (&picture(2_001), None),
    ] {
        let error = world.upload(bytes, declared).await.unwrap_err();
        assert!(!matches!(error, MediaError::Unavailable(_)), "{error}");
        assert_eq!(world.files(), Vec::<PathBuf>::new(), "{error}");
    }
    let mut given_up = world.library.begin().await.unwrap();
    given_up.write(&[1; 300_000]).await.unwrap();
    assert_eq!(world.files().len(), 1);
    drop(given_up);
    assert_eq!(world.files(), Vec::<PathBuf>::new());
    // The user's room.
    world.upload(&[1; 999_999], None).await.unwrap();
    world.upload(&[2; 999_999], None).await.unwrap();
    let full = world.upload(&[3; 999_999], None).await;
    assert!(matches!(full, Err(MediaError::Full(2_000_000))));
    assert_eq!(world.files().len(), 2);
}

#[tokio::test]
async fn what_nobody_uses_goes_in_time() {
    let world = world();
    let used = world.upload(b"used by a message", None).await.unwrap();
    let shared = world.upload(b"used by a message", None).await.unwrap();
    let unused = world.upload(&picture(30), None).await.unwrap();
    let talk = ostracon_domain::ConversationId::direct(used.owner, UserId::new(2).unwrap());
    let one = MediaUse { media: used.id, conversation: talk, seq: 1 };
    world.library.index().use_media(&[one]).await.unwrap();
    assert_eq!(world.library.collect(DAY).await.unwrap(), Collected::default());
    let collected = world.library.collect(DAY + 1).await.unwrap();
    assert_eq!((collected.uploads, collected.objects), (2, 2));
    assert!(world.library.index().media(&[shared.id, unused.id]).await.unwrap().is_empty());
    assert_eq!(world.read(used.object, 0..17).await.unwrap(), b"used by a message");
    assert!(matches!(world.read(unused.object, 0..1).await, Err(MediaError::Gone)));
    assert_eq!(world.files().len(), 1);
    // The same content again, after its object went.
    let again = world.upload(&picture(30), None).await.unwrap();
    assert_eq!(again.object, unused.object);
    assert_eq!(world.files().len(), 3);
}

#[tokio::test]
async fn a_crash_leaves_nothing_behind() {
    let world = world();
    let kept = world.upload(b"kept", None).await.unwrap();
    let incoming = world.dir.path().join("media/incoming/0123.part");
    fs::write(&incoming, "half an upload").unwrap();
    // It was forgotten, and its object marked, before the process ended.
    world.library.index().remove_media(kept.id).await.unwrap();
    let library = Library::open(settings(&world.dir), Arc::clone(&world.library.index)).unwrap();
    assert!(!incoming.exists());
    assert_eq!(library.collect(0).await.unwrap().objects, 1);
    assert_eq!(world.files(), Vec::<PathBuf>::new());
}

/// An upload of a content that is being removed at that moment has its bytes in the end.
#[tokio::test(flavor = "multi_thread")]
async fn collecting_never_takes_what_was_just_uploaded() {
    let world = Arc::new(world());
    for round in 0..20 {
        let old = world.upload(b"the same content", None).await.unwrap();
        let late = DAY * 2 + round;
        let (a, b) = (Arc::clone(&world), Arc::clone(&world));
        let collect = tokio::spawn(async move { a.library.collect(late).await.unwrap() });
        let upload = tokio::spawn(async move {
            let mut incoming = b.library.begin().await.unwrap();
            incoming.write(b"the same content").await.unwrap();
            b.library.finish(incoming, about(None), late).await.unwrap()
        });
        collect.await.unwrap();
        let new = upload.await.unwrap();
        assert_eq!(world.read(new.object, 0..16).await.unwrap(), b"the same content");
        assert!(world.library.index().media(&[old.id]).await.unwrap().is_empty());
        world.library.index().remove_media(new.id).await.unwrap();
        world.library.collect(late).await.unwrap();
        assert_eq!(world.files(), Vec::<PathBuf>::new());
    }
}
