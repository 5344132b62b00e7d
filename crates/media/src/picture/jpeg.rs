//! The parts of a JPEG: whether it is whole, and how many scans it has. Decoders are lenient with both.

use crate::MediaError;

/// Scans of a progressive picture; real ones have some ten, each costs as much as a decoding.
const SCANS_MAX: usize = 64;

const BROKEN: MediaError =
    MediaError::Unsupported("The picture cannot be read: it is damaged or cut off.");

/// Looks for the end of the picture.
pub(super) fn check(bytes: &[u8]) -> Result<(), MediaError> {
    let mut at = 2;
    let mut scans = 0;
    loop {
        let marker = next_marker(bytes, &mut at).ok_or(BROKEN)?;
        match marker {
            0xd9 if scans > 0 => return Ok(()),
            0xd9 => return Err(BROKEN),
            // Without a length.
            0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = bytes.get(at..at + 2).ok_or(BROKEN)?;
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                at += length.max(2);
                if marker == 0xda {
                    scans += 1;
                    if scans > SCANS_MAX {
                        return Err(MediaError::TooManyPixels(
                            "The picture has too many scans.".to_owned(),
                        ));
                    }
                }
            }
        }
    }
}

/// The next marker; bytes of a scan are passed over.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        let rest = bytes.get(*at..)?;
        *at += rest.iter().position(|byte| *byte == 0xff)? + 1;
        let marker = *bytes.get(*at)?;
        match marker {
            // Filling, or a byte of a scan that looks like a marker.
            0xff => {}
            0x00 => *at += 1,
            _ => {
                *at += 1;
                return Some(marker);
            }
        }
    }
}
