//! A WebP built again from the chunks that draw it: EXIF, XMP, unknown chunks and what follows the end stay behind.

use crate::MediaError;

const BROKEN: MediaError =
    MediaError::Unsupported("The picture cannot be read: it is damaged or cut off.");
/// Bits of `VP8X` that announce XMP and EXIF.
const METADATA_BITS: u8 = 0x0c;
/// The bit of `VP8X` that announces a colour profile.
const PROFILE_BIT: u8 = 0x20;
/// A colour profile that is larger is left behind.
const PROFILE_BYTES_MAX: usize = 16 << 10;

/// The picture, and how many frames it has.
pub(super) fn rebuild(bytes: &[u8]) -> Result<(Vec<u8>, u64), MediaError> {
    let head = bytes.get(..12).ok_or(BROKEN)?;
    let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let body = bytes.get(12..).and_then(|body| body.get(..size.checked_sub(4)?)).ok_or(BROKEN)?;
    let mut out = Vec::with_capacity(body.len() + 12);
    out.extend_from_slice(head);
    let mut at = 0;
    let mut frames = 0;
    let mut flags_at = None;
    let mut has_profile = false;
    while at + 8 <= body.len() {
        let name = body.get(at..at + 4).ok_or(BROKEN)?;
        let length = body.get(at + 4..at + 8).ok_or(BROKEN)?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let padded = length.checked_add(8 + length % 2).ok_or(BROKEN)?;
        let rest = body.get(at..).ok_or(BROKEN)?;
        // The last chunk may lack its filling.
        let chunk = rest
            .get(..padded.min(rest.len()))
            .filter(|chunk| chunk.len() >= length + 8)
            .ok_or(BROKEN)?;
        at += chunk.len();
        let takes = match name {
            b"VP8X" => {
                flags_at = Some(out.len() + 8);
                length >= 10
            }
            b"VP8 " | b"VP8L" | b"ANMF" => {
                frames += 1;
                true
            }
            b"ALPH" | b"ANIM" => true,
            b"ICCP" => {
                has_profile = length <= PROFILE_BYTES_MAX;
                has_profile
            }
            _ => false,
        };
        if takes {
            out.extend_from_slice(chunk);
            if chunk.len() < padded {
                out.push(0);
            }
        }
    }
    if frames == 0 {
        return Err(BROKEN);
    }
    if let Some(flags) = flags_at.and_then(|at| out.get_mut(at)) {
        *flags &= !METADATA_BITS;
        if !has_profile {
            *flags &= !PROFILE_BIT;
        }
    }
    let size = u32::try_from(out.len() - 8).map_err(|_| BROKEN)?;
    if let Some(place) = out.get_mut(4..8) {
        place.copy_from_slice(&size.to_le_bytes());
    }
    Ok((out, frames))
}
