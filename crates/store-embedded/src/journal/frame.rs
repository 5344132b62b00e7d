//! One frame of the log: a fixed head, the payload, zeros up to a multiple of eight bytes.
//!
//! Little endian: crc32c u32 · payload length u32 · position u64 · synced_through u64 ·
//! incarnation u64 · shard u32 · magic u32 · payload · padding. The checksum covers everything
//! behind itself and is seeded with the store's id, so that neither a frame of another store nor
//! bytes that a client put into a payload pass for a frame of this one.

/// Byte offset in the log, monotone over segments and restarts. The position *of* a frame is where
/// it begins; an append is answered with where it ends.
pub type Position = u64;

/// Longest payload in bytes; a longer append is refused before anything is written.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Positions stay below this, so that they fit SQLite's integers and sums cannot wrap.
pub(super) const POSITION_MAX: Position = 1 << 62;
/// Bytes before the payload.
pub(super) const FRAME_HEAD: usize = 40;
/// Frames begin at multiples of this, in the file as in the log.
pub(super) const FRAME_ALIGN: usize = 8;
/// Where the magic stands in a head: last, and never zero.
pub(super) const MAGIC_AT: usize = 36;
/// "OSJF", little endian.
const MAGIC: u32 = u32::from_le_bytes(*b"OSJF");

/// The head of a frame, without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) payload: u32,
    pub(super) position: Position,
    pub(super) synced_through: Position,
    pub(super) incarnation: u64,
    pub(super) shard: u32,
}

/// Bytes of a whole frame with a payload of `payload` bytes.
pub(super) const fn frame_len(payload: usize) -> usize {
    (FRAME_HEAD + payload).next_multiple_of(FRAME_ALIGN)
}

impl FrameHead {
    /// Reads a head and checks all that can be checked without the payload.
    pub(super) fn parse(bytes: &[u8]) -> Option<FrameHead> {
        if u32_at(bytes, MAGIC_AT)? != MAGIC {
            return None;
        }
        let head = FrameHead {
            payload: u32_at(bytes, 4)?,
            position: u64_at(bytes, 8)?,
            synced_through: u64_at(bytes, 16)?,
            incarnation: u64_at(bytes, 24)?,
            shard: u32_at(bytes, 32)?,
        };
        let plausible = head.payload as usize <= PAYLOAD_BYTES_MAX
            && head.position < POSITION_MAX
            && head.synced_through <= head.position;
        plausible.then_some(head)
    }

    /// Bytes of the whole frame.
    pub(super) fn len(&self) -> u64 {
        frame_len(self.payload as usize) as u64
    }

    /// Where the frame ends in the log.
    pub(super) fn end(&self) -> Position {
        self.position.saturating_add(self.len())
    }

    /// Appends the frame to `out`.
    pub(super) fn encode(&self, seed: u32, payload: &[u8], out: &mut Vec<u8>) {
        let at = out.len();
        out.reserve(frame_len(payload.len()));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.payload.to_le_bytes());
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.synced_through.to_le_bytes());
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(&self.shard.to_le_bytes());
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(payload);
        out.resize(at + frame_len(payload.len()), 0);
        let crc = crc32c::crc32c_append(seed, &out[at + 4..]);
        out[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Whether the checksum of a whole frame, padding included, is right.
pub(super) fn is_intact(seed: u32, frame: &[u8]) -> bool {
    match (u32_at(frame, 0), frame.get(4..)) {
        (Some(crc), Some(rest)) => crc32c::crc32c_append(seed, rest) == crc,
        _ => false,
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
