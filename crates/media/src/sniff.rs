//! What a file is, by its first bytes: never by its name, nor by what the client says.

/// A kind of file that is told apart from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/gif`
    Gif,
    /// `image/webp`
    Webp,
    /// `audio/mpeg`
    Mp3,
    /// `audio/flac`
    Flac,
    /// `audio/wav`
    Wav,
    /// `audio/ogg`
    Ogg,
    /// `video/ogg`
    OggVideo,
    /// `audio/mp4`
    M4a,
    /// `video/mp4`
    Mp4,
    /// `video/quicktime`
    QuickTime,
    /// `video/webm`
    Webm,
    /// `video/x-matroska`
    Matroska,
    /// `application/pdf`
    Pdf,
    /// `application/zip`, and all that is packed in one
    Zip,
    /// `application/gzip`
    Gzip,
    /// `image/svg+xml`: a picture that can run scripts
    Svg,
    /// `text/html`, and other texts that a browser would run
    Html,
    /// `text/plain`: UTF-8 without control characters
    Text,
    /// `image/heic`, `image/avif`, `image/tiff`, `image/bmp`: pictures that are not looked into
    OtherPicture(&'static str),
    /// `application/octet-stream`
    Unknown,
}

/// Bytes that are looked at.
pub const HEAD: usize = 4_096;

impl Kind {
    /// Its type, as it is shown.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Mp3 => "audio/mpeg",
            Self::Flac => "audio/flac",
            Self::Wav => "audio/wav",
            Self::Ogg => "audio/ogg",
            Self::OggVideo => "video/ogg",
            Self::M4a => "audio/mp4",
            Self::Mp4 => "video/mp4",
            Self::QuickTime => "video/quicktime",
            Self::Webm => "video/webm",
            Self::Matroska => "video/x-matroska",
            Self::Pdf => "application/pdf",
            Self::Zip => "application/zip",
            Self::Gzip => "application/gzip",
            Self::Svg => "image/svg+xml",
            Self::Html => "text/html",
            Self::Text => "text/plain",
            Self::OtherPicture(mime) => mime,
            Self::Unknown => "application/octet-stream",
        }
    }

    /// Whether a browser may show a file of this type in place. Everything else is a download.
    #[must_use]
    pub fn is_inline(mime: &str) -> bool {
        matches!(mime, "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "text/plain")
            || mime.starts_with("audio/")
            || mime.starts_with("video/")
    }

    /// Whether a browser might run something in a file of this type; such a type is never told to one.
    #[must_use]
    pub fn is_active(mime: &str) -> bool {
        matches!(mime, "image/svg+xml" | "text/html" | "application/pdf")
    }
}

/// What a file is, from its first [`HEAD`] bytes.
#[must_use]
pub fn sniff(head: &[u8]) -> Kind {
    by_magic(head).unwrap_or_else(|| by_text(head))
}

fn by_magic(head: &[u8]) -> Option<Kind> {
    let at = |offset: usize, bytes: &[u8]| {
        head.get(offset..).is_some_and(|rest| rest.starts_with(bytes))
    };
    let kind = match head {
        [0xff, 0xd8, 0xff, ..] => Kind::Jpeg,
        _ if at(0, b"\x89PNG\r\n\x1a\n") => Kind::Png,
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => Kind::Gif,
        _ if at(0, b"RIFF") && at(8, b"WEBP") => Kind::Webp,
        _ if at(0, b"RIFF") && at(8, b"WAVE") => Kind::Wav,
        _ if at(0, b"fLaC") => Kind::Flac,
        _ if at(0, b"OggS") => ogg(head),
        _ if at(0, b"ID3") => Kind::Mp3,
        [0xff, second, third, ..] if is_mp3_frame(*second, *third) => Kind::Mp3,
        _ if at(4, b"ftyp") => iso_media(head.get(8..12)?),
        _ if at(0, b"\x1a\x45\xdf\xa3") => matroska(head),
        _ if at(0, b"%PDF-") => Kind::Pdf,
        _ if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") => Kind::Zip,
        _ if at(0, b"\x1f\x8b") => Kind::Gzip,
        _ if at(0, b"II*\0") || at(0, b"MM\0*") => Kind::OtherPicture("image/tiff"),
        _ if at(0, b"BM") && at(6, &[0; 4]) => Kind::OtherPicture("image/bmp"),
        _ => return None,
    };
    Some(kind)
}

/// Sync bits, MPEG 1 or 2, layer III, a bit rate and a sample rate that exist.
const fn is_mp3_frame(second: u8, third: u8) -> bool {
    second & 0xe6 == 0xe2
        && second & 0x18 != 0x08
        && third & 0xf0 != 0xf0
        && third & 0xf0 != 0
        && third & 0x0c != 0x0c
}

fn ogg(head: &[u8]) -> Kind {
    let first = head.get(28..).unwrap_or_default();
    if first.starts_with(b"\x80theora") { Kind::OggVideo } else { Kind::Ogg }
}

fn iso_media(brand: &[u8]) -> Kind {
    match brand {
        b"M4A " | b"M4B " => Kind::M4a,
        b"qt  " => Kind::QuickTime,
        b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" | b"hevc" => {
            Kind::OtherPicture("image/heic")
        }
        b"avif" | b"avis" => Kind::OtherPicture("image/avif"),
        _ => Kind::Mp4,
    }
}

fn matroska(head: &[u8]) -> Kind {
    let near = head.get(..64.min(head.len())).unwrap_or_default();
    if near.windows(4).any(|four| four == b"webm") { Kind::Webm } else { Kind::Matroska }
}

fn by_text(head: &[u8]) -> Kind {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut at the end.
        Err(error) if error.error_len().is_none() && head.len() >= HEAD - 4 => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return active(&String::from_utf8_lossy(head)).unwrap_or(Kind::Unknown),
    };
    if let Some(active) = active(text) {
        return active;
    }
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    if text.is_empty() || !text.chars().all(is_plain) { Kind::Unknown } else { Kind::Text }
}

/// Whether a browser that guesses might take a text for something to run. Rather too often than once too seldom.
fn active(text: &str) -> Option<Kind> {
    let lower = text.to_ascii_lowercase();
    if lower.contains("<svg") {
        return Some(Kind::Svg);
    }
    let tags = [
        "<!doctype",
        "<html",
        "<head",
        "<body",
        "<script",
        "<iframe",
        "<object",
        "<embed",
        "<img",
        "<a ",
        "<style",
        "<table",
        "<div",
        "<title",
        "<h1",
        "<p>",
        "<br",
        "<b>",
        "<?xml",
        "<!--",
        "<form",
        "<link",
        "<meta",
    ];
    tags.iter().any(|tag| lower.contains(tag)).then_some(Kind::Html)
}

/// Whether a whole SVG does more than draw: scripts, handlers, foreign parts, entities, addresses that lead elsewhere.
#[must_use]
pub fn is_svg_active(text: &str) -> bool {
    let lower: String =
        text.chars().filter(|c| !c.is_control()).collect::<String>().to_ascii_lowercase();
    let banned = [
        "<script",
        ":script",
        "javascript:",
        "<foreignobject",
        ":foreignobject",
        "<iframe",
        "<!entity",
        "<embed",
        "<object",
        "<handler",
        "<?xml-stylesheet",
        "data:text/html",
    ];
    if banned.iter().any(|one| lower.contains(one)) {
        return true;
    }
    // An attribute that begins with "on": after white space, a slash or a quote.
    let mut rest = lower.as_str();
    while let Some(at) = rest.find("on") {
        let before = rest[..at].chars().next_back();
        let is_begin = before.is_some_and(|c| c.is_whitespace() || matches!(c, '/' | '"' | '\''));
        let after = rest[at + 2..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        if is_begin && after.trim_start().starts_with('=') {
            return true;
        }
        rest = &rest[at + 2..];
    }
    false
}

#[cfg(test)]
mod tests;
