//! WAV and FLAC: how many samples there are stands in front.

use super::{Facts, Source, big, little, milliseconds};

/// Chunks looked at before giving up.
const CHUNKS_MAX: usize = 64;

pub(super) fn wav(source: &mut Source<'_>) -> Option<Facts> {
    let mut at = 12;
    let mut bytes_per_second = None;
    for _ in 0..CHUNKS_MAX {
        let head = source.read(at, 8)?;
        let length = little(head.get(4..8)?);
        match head.get(..4)? {
            b"fmt " => bytes_per_second = Some(little(source.read(at + 8, 16)?.get(8..12)?)),
            b"data" => {
                let there = length.min(source.size().saturating_sub(at + 8));
                let duration_ms = milliseconds(there, bytes_per_second?);
                return Some(Facts { duration_ms, ..Facts::default() });
            }
            _ => {}
        }
        at = at.checked_add(8 + length + length % 2)?;
    }
    None
}

pub(super) fn flac(source: &mut Source<'_>) -> Option<Facts> {
    let head = source.read(4, 38)?;
    // The first block describes the stream.
    if head.first()? & 0x7f != 0 {
        return None;
    }
    let packed = big(head.get(14..22)?);
    let (rate, samples) = (packed >> 44, packed & 0xf_ffff_ffff);
    let duration_ms = milliseconds(samples, rate).filter(|_| samples > 0);
    Some(Facts { duration_ms, ..Facts::default() })
}
