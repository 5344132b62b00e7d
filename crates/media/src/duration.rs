//! How long audio and video play, and how large a video is, from headers alone: a few bounded reads, no decoding.
//!
//! What a header does not say, or says wrongly, is left out: it is never a reason to refuse a file.

mod matroska;
mod mp3;
mod mp4;
mod ogg;
mod riff;

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

use crate::Kind;

/// A duration above this is taken for damage: ten years.
const DURATION_MS_MAX: u64 = 10 * 365 * 86_400_000;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    pub(crate) duration_ms: Option<u64>,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
}

/// A file to look into.
pub(crate) struct Source<'a> {
    file: &'a File,
    size: u64,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(file: &'a File, size: u64) -> Self {
        Self { file, size }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// At most so many bytes from a place; fewer at the end, none beyond.
    pub(crate) fn read(&mut self, at: u64, length: usize) -> Option<Vec<u8>> {
        let left = self.size.checked_sub(at)?;
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(length);
        let mut bytes = vec![0; length];
        let mut file = self.file;
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Looks into a file.
pub(crate) fn facts(kind: Kind, mut source: Source<'_>) -> Facts {
    let source = &mut source;
    let found = match kind {
        Kind::Wav => riff::wav(source),
        Kind::Flac => riff::flac(source),
        Kind::Ogg | Kind::OggVideo => ogg::facts(source),
        Kind::Mp3 => mp3::facts(source),
        Kind::M4a | Kind::Mp4 | Kind::QuickTime => mp4::facts(source),
        Kind::Webm | Kind::Matroska => matroska::facts(source),
        _ => None,
    };
    let mut found = found.unwrap_or_default();
    found.duration_ms = found.duration_ms.filter(|ms| *ms <= DURATION_MS_MAX);
    found
}

/// Units at so many a second, in milliseconds.
fn milliseconds(units: u64, per_second: u64) -> Option<u64> {
    let ms = (u128::from(units) * 1_000).checked_div(u128::from(per_second))?;
    u64::try_from(ms).ok()
}

/// A number of up to eight bytes, the highest first.
fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The same, the lowest first.
fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
