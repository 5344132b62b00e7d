//! The first page of a segment file: whose it is and how it hangs together with the one before.
//!
//! Little endian: magic 8 bytes · version u32 · zero u32 · store id 16 bytes · ordinal u64 ·
//! incarnation u64 · start u64 · previous ordinal u64 (0: none) · previous end u64 · crc32c u32.
//! The rest of the page is zero. Magic, version and checksum stay where they are in every version.

use super::frame::{FRAME_ALIGN, POSITION_MAX, Position, u32_at, u64_at};

/// Frames begin here in the file.
pub(super) const HEADER_BYTES: u64 = 4096;
/// The format this code writes and reads.
pub(super) const FORMAT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"OSTRJRNL";
const CRC_AT: usize = 72;

/// Id of the data directory a journal belongs to; a segment of another one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// Start value of every frame checksum.
    pub(super) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.0)
    }
}

/// What a segment says of itself. Written and synced before the first frame of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Equal to the file's name.
    pub(super) ordinal: u64,
    /// Rises with every start and every resume.
    pub(super) incarnation: u64,
    /// Position of the first frame.
    pub(super) start: Position,
    /// Ordinal of the segment before; 0 for none.
    pub(super) previous: u64,
    /// Where the valid part of the segment before ends; at most `start`. What that file holds
    /// behind it is dead. Positions from here to `start` were never given out.
    pub(super) previous_end: Position,
}

/// Outcome of reading the first page of a file.
#[derive(Debug)]
pub(super) enum HeaderPage {
    /// Nothing but zeros: a file prepared and never used.
    Blank,
    Good(SegmentHeader),
    /// Torn or damaged.
    Bad,
    /// Intact, of a later format.
    Newer(u32),
    /// Intact, of another data directory.
    Foreign,
}

impl SegmentHeader {
    /// The whole page.
    pub(super) fn encode(&self, store: StoreId) -> Vec<u8> {
        let mut page = Vec::with_capacity(HEADER_BYTES as usize);
        page.extend_from_slice(&MAGIC);
        page.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.extend_from_slice(&store.0);
        for number in [self.ordinal, self.incarnation, self.start, self.previous, self.previous_end]
        {
            page.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&page);
        page.extend_from_slice(&crc.to_le_bytes());
        page.resize(HEADER_BYTES as usize, 0);
        page
    }

    /// Offset in the file of a position at or after `start`.
    pub(super) fn offset_of(&self, position: Position) -> u64 {
        HEADER_BYTES + (position - self.start)
    }

    fn is_sane(&self, ordinal: u64) -> bool {
        let align = FRAME_ALIGN as u64;
        self.ordinal == ordinal
            && self.previous < self.ordinal
            && self.previous_end <= self.start
            && self.start < POSITION_MAX
            && self.start.is_multiple_of(align)
            && self.previous_end.is_multiple_of(align)
    }
}

/// Whose segment an intact first page says it is, of any store.
pub(super) fn store_of(page: &[u8]) -> Option<StoreId> {
    let intact =
        page.starts_with(&MAGIC) && u32_at(page, CRC_AT)? == crc32c::crc32c(page.get(..CRC_AT)?);
    let store = page.get(16..32)?.try_into().ok()?;
    intact.then_some(StoreId(store))
}

/// Judges the first page (or the whole of a shorter file) of the file with this ordinal.
pub(super) fn read_page(page: &[u8], store: StoreId, ordinal: u64) -> HeaderPage {
    if page.iter().all(|&byte| byte == 0) {
        return HeaderPage::Blank;
    }
    parse(page, store, ordinal).unwrap_or(HeaderPage::Bad)
}

fn parse(page: &[u8], store: StoreId, ordinal: u64) -> Option<HeaderPage> {
    let intact =
        page.starts_with(&MAGIC) && u32_at(page, CRC_AT)? == crc32c::crc32c(page.get(..CRC_AT)?);
    if !intact {
        return None;
    }
    let version = u32_at(page, 8)?;
    if version != FORMAT_VERSION {
        return Some(HeaderPage::Newer(version));
    }
    if page.get(16..32)? != store.0 {
        return Some(HeaderPage::Foreign);
    }
    let header = SegmentHeader {
        ordinal: u64_at(page, 32)?,
        incarnation: u64_at(page, 40)?,
        start: u64_at(page, 48)?,
        previous: u64_at(page, 56)?,
        previous_end: u64_at(page, 64)?,
    };
    header.is_sane(ordinal).then_some(HeaderPage::Good(header))
}
