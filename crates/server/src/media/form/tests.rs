//! Forms that are made to hurt: any bytes come back in order, mean the same however they are cut, and leave nothing.

use std::sync::Arc;

use ostracon_domain::UserId;
use ostracon_media::{About, PictureLimits, Place, Settings};
use ostracon_store::memory::directory::MemoryDirectory;
use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;

use super::*;

const FILE_BYTES_MAX: u64 = 4_000;

fn library() -> (TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        folder: dir.path().join("media"),
        place: Place::Local,
        upload_bytes_max: FILE_BYTES_MAX,
        user_bytes_max: None,
        pictures: PictureLimits { pixels_max: 10_000 },
        threads: 1,
        unused: Duration::from_secs(60),
    };
    let library = Library::open(settings, Arc::new(MemoryDirectory::new(1))).unwrap();
    (dir, library)
}

/// What became of a form: how it was refused, or what of its file is stored.
type Fate = Result<(Option<String>, String, u64), String>;

async fn fate(library: &Library, body: &[u8], piece: usize) -> Fate {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=XYZ".parse().unwrap());
    let pieces: Vec<_> = body
        .chunks(piece.max(1))
        .map(|piece| Ok::<_, BodyError>(Bytes::copy_from_slice(piece)))
        .collect();
    let mut body = Body::from_stream(futures_util::stream::iter(pieces));
    let received = receive(library, &headers, &mut body).await;
    let Received { incoming, name, declared } = received.map_err(|error| format!("{error:?}"))?;
    let about = About { owner: UserId::new(1).unwrap(), name, declared };
    let stored = library.finish(incoming, about, 0).await.map_err(|error| error.to_string())?;
    Ok((stored.name, stored.object.hash.to_string(), stored.object.size))
}

/// A form is refused or taken, in whatever pieces it comes, and nothing of it stays on the way.
fn check(body: &[u8], piece: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_dir, library) = library();
    let (whole, cut) = runtime.block_on(async {
        (fate(&library, body, body.len()).await, fate(&library, body, piece).await)
    });
    // A form that is too large may be seen to be so sooner or later.
    if body.len() as u64 <= FILE_BYTES_MAX + BYTES_BESIDES {
        assert_eq!(whole, cut, "in pieces of {piece}: {:?}", String::from_utf8_lossy(body));
    }
    if let Ok((_, _, size)) = whole {
        assert!(size <= FILE_BYTES_MAX);
    }
    let left: Vec<_> = std::fs::read_dir(library.folder().join("incoming")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What forms are made of, and what they must not be made of.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "--XYZ\r\n",
        "--XYZ--\r\n",
        "\r\n--XYZ\r\n",
        "\r\n--XYZ--\r\n",
        "--XYZ",
        "\r\n",
        "\n",
        "\r",
        "--",
        "content-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n",
        "content-disposition: form-data; name=\"file\"\r\n",
        "Content-Disposition: form-data; name=note\r\n",
        "content-disposition: form-data; name=\"file\"; filename*=UTF-8''%e2%80%ae%zz\r\n",
        "content-disposition: attachment\r\n",
        "content-disposition: form-data; name=\"fi\\\"le\r\n",
        "content-type: text/plain\r\n",
        "content-type: image/png\r\n",
        "content-type: ;;/\r\n",
        "content-length: 99999999999999999999\r\n",
        "content-transfer-encoding: base64\r\n",
        ": \r\n",
        "hello",
        "GIF89a",
        "\u{89}PNG\r\n",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
        1 => (0..5_000usize).prop_map(|length| vec![b'x'; length]),
        1 => (0..70_000usize).prop_map(|length| vec![b':'; length]),
    ]
}

proptest! {
    #[test]
    fn fuzz_forms_of_known_parts(parts in vec(part(), 0..16), piece in 1..200usize) {
        check(&parts.concat(), piece);
    }

    #[test]
    fn fuzz_a_sound_form_that_was_bent(
        file in vec(any::<u8>(), 0..200),
        bends in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        piece in 1..60usize,
    ) {
        let head = "--XYZ\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--XYZ\r\n\
                    content-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
        let mut body = [head.as_bytes(), &file, b"\r\n--XYZ--\r\n"].concat();
        check(&body, piece);
        for (at, byte) in bends {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body.truncate(body.len() - cut.index(body.len()) / 2);
        check(&body, piece);
    }
}
