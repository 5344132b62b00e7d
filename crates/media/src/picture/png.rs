//! A PNG built again from the chunks that draw it; texts, EXIF, times, unknown chunks and what follows the end stay behind.

use crate::MediaError;

/// Chunks that are taken over.
const DRAWING: &[&[u8; 4]] = &[
    b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD",
    b"pHYs", b"cICP", b"acTL", b"fcTL", b"fdAT", b"iCCP",
];
/// A colour profile that is larger is left behind.
const PROFILE_BYTES_MAX: usize = 16 << 10;

const BROKEN: MediaError =
    MediaError::Unsupported("The picture cannot be read: it is damaged or cut off.");

/// The picture, and how many frames it has.
pub(super) fn rebuild(bytes: &[u8]) -> Result<(Vec<u8>, u64), MediaError> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(bytes.get(..8).ok_or(BROKEN)?);
    let mut at = 8;
    let mut frames = 0;
    loop {
        let head = bytes.get(at..at + 8).ok_or(BROKEN)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = [head[4], head[5], head[6], head[7]];
        let chunk =
            bytes.get(at..).and_then(|rest| rest.get(..length.checked_add(12)?)).ok_or(BROKEN)?;
        at += chunk.len();
        let is_small = &kind != b"iCCP" || length <= PROFILE_BYTES_MAX;
        if is_small && DRAWING.contains(&&kind) {
            out.extend_from_slice(chunk);
        }
        match &kind {
            b"fcTL" => frames += 1,
            b"IEND" => return Ok((out, frames.max(1))),
            _ => {}
        }
    }
}
