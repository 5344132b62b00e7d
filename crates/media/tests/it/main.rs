//! Stories on a real S3 server, which `dev/services/s3.sh` starts; it ends with these tests.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::{
    io::{BufRead as _, BufReader},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt as _;
use ostracon_domain::UserId;
use ostracon_media::{About, Library, MediaError, PictureLimits, Place, Settings};
use ostracon_store::{
    directory::{MediaObject, MediaRow},
    memory::directory::MemoryDirectory,
};
use tempfile::TempDir;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev/services/s3.sh")
}

/// A server in a folder of its own.
struct Server {
    holder: Child,
    dir: TempDir,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut holder = Command::new(script())
            .arg("hold")
            .env("S3_RUN", dir.path().join("run"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "the S3 server did not start");
        Self { holder, dir }
    }

    fn tell(&self, command: &str) -> String {
        let run = self.dir.path().join("run");
        let output = Command::new(script()).arg(command).env("S3_RUN", run).output().unwrap();
        assert!(output.status.success(), "s3.sh {command} failed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn place(&self, secret: &str) -> Place {
        Place::S3 {
            endpoint: self.tell("url"),
            region: "us-east-1".to_owned(),
            bucket: "media".to_owned(),
            prefix: "a/b".to_owned(),
            key_id: "testkey".to_owned(),
            secret: secret.to_owned(),
        }
    }

    fn library(&self, secret: &str) -> Library {
        let settings = Settings {
            folder: self.dir.path().join("media"),
            place: self.place(secret),
            upload_bytes_max: 64 << 20,
            user_bytes_max: None,
            pictures: PictureLimits { pixels_max: 1_000_000 },
            threads: 2,
            unused: Duration::from_secs(60),
        };
        Library::open(settings, Arc::new(MemoryDirectory::new(1))).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

async fn upload(library: &Library, bytes: &[u8]) -> Result<MediaRow, MediaError> {
    let mut incoming = library.begin().await?;
    incoming.write(bytes).await?;
    let about = About { owner: UserId::new(1).unwrap(), name: None, declared: None };
    library.finish(incoming, about, 0).await
}

async fn read(
    library: &Library,
    object: MediaObject,
    part: Range<u64>,
) -> Result<Vec<u8>, MediaError> {
    let mut stream = library.read(object, part).await?;
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_lie_in_a_bucket() {
    let server = Server::start();
    let library = server.library("testsecret");

    // One request, and several parts.
    let small = upload(&library, b"some words").await.unwrap();
    let bytes: Vec<u8> = (0..20_000_000u32).map(|n| (n % 253) as u8).collect();
    let large = upload(&library, &bytes).await.unwrap();
    assert_eq!(read(&library, small.object, 0..10).await.unwrap(), b"some words");
    assert_eq!(read(&library, large.object, 0..20_000_000).await.unwrap(), bytes);
    let middle = read(&library, large.object, 8_388_600..8_388_620).await.unwrap();
    assert_eq!(middle, bytes[8_388_600..8_388_620]);
    assert_eq!(read(&library, large.object, 5..5).await.unwrap(), b"");
    assert_eq!(library.objects().size(large.object.hash).await.unwrap(), Some(20_000_000));
    // Nothing stays on this machine.
    let left: Vec<_> = std::fs::read_dir(library.folder().join("incoming")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    // The same content is one object; it goes with the last upload that has it.
    let again = upload(&library, b"some words").await.unwrap();
    assert_eq!(again.object, small.object);
    library.index().remove_media(small.id).await.unwrap();
    library.collect(0).await.unwrap();
    assert_eq!(read(&library, small.object, 0..10).await.unwrap(), b"some words");
    let collected = library.collect(1_000_000).await.unwrap();
    assert_eq!((collected.uploads, collected.objects), (2, 2));
    assert!(matches!(read(&library, small.object, 0..10).await, Err(MediaError::Gone)));
    assert_eq!(library.objects().size(large.object.hash).await.unwrap(), None);
    assert_eq!(library.index().media_totals().await.unwrap().objects, 0);

    // A wrong key, and a server that is gone: refused, and nothing is known of the upload.
    let stranger = server.library("another secret");
    assert!(matches!(upload(&stranger, b"x").await, Err(MediaError::Unavailable(_))));
    assert_eq!(stranger.index().media_totals().await.unwrap().uploads, 0);
    server.tell("kill");
    assert!(matches!(upload(&library, b"x").await, Err(MediaError::Unavailable(_))));
    assert_eq!(library.index().media_totals().await.unwrap().uploads, 0);
    server.tell("start");
    // What the failed upload may have left goes first.
    library.collect(0).await.unwrap();
    upload(&library, b"x").await.unwrap();
}
