//! A GIF built again from what draws it: comments, foreign extensions and what follows the end stay behind.

use crate::MediaError;

const BROKEN: MediaError =
    MediaError::Unsupported("The picture cannot be read: it is damaged or cut off.");

/// How often it plays stands in an extension of this name.
const LOOP: &[u8] = b"NETSCAPE2.0";

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], MediaError> {
        let taken = self.bytes.get(self.at..self.at + length).ok_or(BROKEN)?;
        self.at += length;
        Ok(taken)
    }

    /// Blocks up to the empty one, as they stand.
    fn blocks(&mut self) -> Result<&'a [u8], MediaError> {
        let begin = self.at;
        loop {
            let length = usize::from(self.take(1)?[0]);
            if length == 0 {
                return self.bytes.get(begin..self.at).ok_or(BROKEN);
            }
            self.take(length)?;
        }
    }
}

/// Bytes of a table of colours, from the flags that announce it.
const fn table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The picture, and how many frames it has.
pub(super) fn rebuild(bytes: &[u8]) -> Result<(Vec<u8>, u64), MediaError> {
    let mut reader = Reader { bytes, at: 0 };
    let mut out = Vec::with_capacity(bytes.len());
    let head = reader.take(13)?;
    out.extend_from_slice(head);
    out.extend_from_slice(reader.take(table(head[10]))?);
    let mut frames = 0;
    loop {
        match reader.take(1)?[0] {
            // A frame.
            0x2c => {
                let frame = reader.take(9)?;
                out.push(0x2c);
                out.extend_from_slice(frame);
                out.extend_from_slice(reader.take(table(frame[8]))?);
                out.extend_from_slice(reader.take(1)?);
                out.extend_from_slice(reader.blocks()?);
                frames += 1;
            }
            // An extension: timing and transparency of the next frame, or how often it plays.
            0x21 => {
                let label = reader.take(1)?[0];
                let blocks = reader.blocks()?;
                let is_loop =
                    label == 0xff && blocks.get(1..12) == Some(LOOP) && blocks.len() == 17;
                if (label == 0xf9 && blocks.len() == 6) || is_loop {
                    out.extend_from_slice(&[0x21, label]);
                    out.extend_from_slice(blocks);
                }
            }
            0x3b if frames > 0 => {
                out.push(0x3b);
                return Ok((out, frames));
            }
            _ => return Err(BROKEN),
        }
    }
}
