//! What a caller may choose about a journal.

use super::header::StoreId;

/// Sizes and identity. Nothing here is stored: a journal may be opened with other sizes later.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose journal this is; another id is refused.
    pub store: StoreId,
    /// Bytes of frames a full segment holds. A single longer frame gets a segment of its own size.
    pub segment_bytes: u64,
    /// Bytes of frames in a segment that nobody prepared ahead, such as the first after a start:
    /// small, so that starting is quick.
    pub first_bytes: u64,
    /// Bytes zeroed between two syncs while a segment is prepared ahead. Large chunks make the
    /// writer's own syncs wait for them.
    pub chunk_bytes: u64,
    /// Whether a second thread prepares the next segment while the current one fills. Without it
    /// the writer prepares whole segments itself and a rotation takes longer.
    pub prepare_ahead: bool,
}

impl Options {
    /// 64 MiB segments, prepared ahead in chunks of 256 KiB; 4 MiB for the first.
    pub fn new(store: StoreId) -> Options {
        Options {
            store,
            segment_bytes: 64 << 20,
            first_bytes: 4 << 20,
            chunk_bytes: 256 << 10,
            prepare_ahead: true,
        }
    }

    /// Bytes of frames in a segment the writer has to prepare itself.
    pub(super) fn inline_bytes(&self) -> u64 {
        if self.prepare_ahead {
            self.first_bytes.min(self.segment_bytes)
        } else {
            self.segment_bytes
        }
    }
}
