//! From bytes that came to what is stored: told apart, cleaned, hashed. It blocks; it runs in the pool.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use ostracon_store::directory::{ContentHash, MediaObject};

use crate::{
    Kind, MediaError, PictureLimits,
    duration::{self, Facts, Source},
    picture,
    sniff::{self, HEAD},
    temp::Temp,
};

/// A drawing that is larger is not looked through, and so not taken.
const SVG_BYTES_MAX: u64 = 4 << 20;
/// Bytes hashed at once.
const HASHED: usize = 256 << 10;

/// A file that is ready to be stored.
pub(crate) struct Prepared {
    pub(crate) kind: Kind,
    pub(crate) file: (MediaObject, Temp),
    pub(crate) thumbnail: Option<(MediaObject, Temp)>,
    pub(crate) thumbhash: Option<String>,
    pub(crate) facts: Facts,
}

/// Looks into a file. `declared`: the type that the client says.
pub(crate) fn prepare(
    temp: Temp,
    size: u64,
    declared: Option<&str>,
    folder: &Path,
    limits: PictureLimits,
) -> Result<Prepared, MediaError> {
    let mut file = File::open(temp.path())?;
    let mut head = Vec::with_capacity(HEAD);
    (&file).take(HEAD as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Err(MediaError::Empty);
    }
    let kind = sniff::sniff(&head);
    check_declared(kind, declared)?;
    match kind {
        Kind::Jpeg | Kind::Png | Kind::Gif | Kind::Webp => {
            let mut bytes = head;
            file.read_to_end(&mut bytes)?;
            let cleaned = picture::clean(kind, &bytes, limits)?;
            drop((temp, bytes));
            return Ok(Prepared {
                kind: cleaned.kind,
                file: store(folder, &cleaned.bytes)?,
                thumbnail: Some(store(folder, &cleaned.thumbnail)?),
                thumbhash: Some(cleaned.thumbhash),
                facts: Facts {
                    duration_ms: None,
                    width: Some(cleaned.width),
                    height: Some(cleaned.height),
                },
            });
        }
        Kind::Svg => check_svg(&file, size)?,
        _ => {}
    }
    let facts = duration::facts(kind, Source::new(&file, size));
    let hash = hash(&file)?;
    let object = MediaObject { hash, size };
    Ok(Prepared { kind, file: (object, temp), thumbnail: None, thumbhash: None, facts })
}

/// A file that is said to be a picture, sound or film must be one; which one is looked up, not believed.
fn check_declared(kind: Kind, declared: Option<&str>) -> Result<(), MediaError> {
    let class = |mime: &str| mime.split('/').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(declared) = declared.map(class) else { return Ok(()) };
    let is = class(kind.mime());
    match declared.as_str() {
        "image" if is != "image" => {
            Err(MediaError::Unsupported("The file is said to be a picture and is none."))
        }
        "audio" | "video" if is != "audio" && is != "video" => {
            Err(MediaError::Unsupported("The file is said to be sound or film and is none."))
        }
        _ => Ok(()),
    }
}

fn check_svg(mut file: &File, size: u64) -> Result<(), MediaError> {
    const ACTIVE: MediaError = MediaError::Unsupported(
        "The drawing does more than draw: scripts, handlers and foreign parts are not taken.",
    );
    if size > SVG_BYTES_MAX {
        return Err(MediaError::Unsupported("The drawing is too large to be looked through."));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // In another encoding nobody knows what a browser would read.
    let text = std::str::from_utf8(&bytes).map_err(|_| ACTIVE)?;
    if sniff::is_svg_active(text) { Err(ACTIVE) } else { Ok(()) }
}

fn hash(mut file: &File) -> io::Result<ContentHash> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = vec![0; HASHED];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(ContentHash(*hasher.finalize().as_bytes())),
            read => {
                hasher.update(bytes.get(..read).unwrap_or_default());
            }
        }
    }
}

fn store(folder: &Path, bytes: &[u8]) -> Result<(MediaObject, Temp), MediaError> {
    let (temp, mut file) = Temp::new(folder)?;
    file.write_all(bytes)?;
    let hash = ContentHash(*blake3::hash(bytes).as_bytes());
    Ok((MediaObject { hash, size: bytes.len() as u64 }, temp))
}
