//! A window that moves over a file: sequential reading in large pieces with bounded memory.

use std::{io, ops::ControlFlow, sync::Arc};

use super::{
    file::JournalFile,
    frame::{FRAME_ALIGN, FRAME_HEAD, FrameHead, MAGIC_AT, Position, is_intact, u64_at},
    header::HEADER_BYTES,
};

/// Bytes read at once; a longer frame widens the window for itself only.
const WINDOW_BYTES: usize = 1 << 20;
/// A zero block this long is skipped in one comparison when frames are searched.
const ZERO_BLOCK: [u8; 4096] = [0; 4096];

pub(super) struct Window {
    file: Arc<dyn JournalFile>,
    size: u64,
    base: u64,
    bytes: Vec<u8>,
    /// How much of `bytes` was read.
    filled: usize,
}

/// What a frame must be to count at some place in a file.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    /// A frame of a segment with this start and incarnation.
    Segment { start: Position, incarnation: u64 },
    /// Any frame of the store: the header of the file is lost.
    Anything,
}

impl Expect {
    fn allows(self, head: &FrameHead, offset: u64) -> bool {
        match self {
            Expect::Segment { start, incarnation } => {
                head.incarnation == incarnation
                    && start.checked_add(offset - HEADER_BYTES) == Some(head.position)
            }
            Expect::Anything => {
                head.position.is_multiple_of(FRAME_ALIGN as u64)
                    && head.position >= offset - HEADER_BYTES
            }
        }
    }
}

impl Window {
    pub(super) fn new(file: Arc<dyn JournalFile>) -> io::Result<Window> {
        let size = file.size()?;
        Ok(Window { file, size, base: 0, bytes: Vec::new(), filled: 0 })
    }

    /// Size of the file when the window was made.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The `len` bytes at `offset`; `None` when the file ends before.
    pub(super) fn at(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.size) {
            return Ok(None);
        }
        if offset < self.base || offset + len as u64 > self.base + self.filled as u64 {
            self.fill(offset, len)?;
        }
        let from = (offset - self.base) as usize;
        Ok(self.bytes[..self.filled].get(from..from + len))
    }

    /// Moves the window to `offset`, with room for `len` bytes.
    fn fill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        let want = (WINDOW_BYTES.max(len) as u64).min(self.size - offset) as usize;
        if self.bytes.len() != want {
            self.bytes = vec![0; want];
        }
        self.base = offset;
        self.filled = 0;
        while self.filled < want {
            let at = offset + self.filled as u64;
            match self.file.read_at(&mut self.bytes[self.filled..], at)? {
                0 => break,
                got => self.filled += got,
            }
        }
        Ok(())
    }

    /// The intact frame at `offset`, if there is one of the expected kind.
    pub(super) fn frame(
        &mut self,
        offset: u64,
        seed: u32,
        expect: Expect,
    ) -> io::Result<Option<(FrameHead, &[u8])>> {
        let Some(head) = self.at(offset, FRAME_HEAD)?.and_then(FrameHead::parse) else {
            return Ok(None);
        };
        if !expect.allows(&head, offset) {
            return Ok(None);
        }
        let frame = self.at(offset, head.len() as usize)?;
        Ok(frame
            .filter(|frame| is_intact(seed, frame))
            .map(|frame| (head, &frame[FRAME_HEAD..FRAME_HEAD + head.payload as usize])))
    }

    /// Looks for intact frames from `offset` to `end`, also behind broken ones, and shows each.
    pub(super) fn search(
        &mut self,
        mut offset: u64,
        end: u64,
        seed: u32,
        expect: Expect,
        visit: &mut dyn FnMut(u64, &FrameHead) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let end = end.min(self.size);
        while offset + FRAME_HEAD as u64 <= end {
            let Some(candidate) = self.candidate(offset, end, expect)? else {
                return Ok(());
            };
            offset = match self.frame(candidate, seed, expect)? {
                Some((head, _)) if candidate + head.len() <= end => {
                    if visit(candidate, &head).is_break() {
                        return Ok(());
                    }
                    candidate + head.len()
                }
                _ => candidate + FRAME_ALIGN as u64,
            };
        }
        Ok(())
    }

    /// The next offset whose head could be a frame's. Runs over zeros fast: most of what is
    /// searched was never written.
    fn candidate(&mut self, from: u64, end: u64, expect: Expect) -> io::Result<Option<u64>> {
        let mut offset = from;
        while offset + FRAME_HEAD as u64 <= end {
            let span = ((end - offset) as usize).min(MAGIC_AT + ZERO_BLOCK.len());
            let Some(bytes) = self.at(offset, span)? else {
                return Ok(None);
            };
            // Frames that could begin and have their whole head in these bytes.
            let step = (span - FRAME_HEAD + 1).next_multiple_of(FRAME_ALIGN);
            if bytes[MAGIC_AT..] == ZERO_BLOCK[..span - MAGIC_AT] {
                offset += step as u64;
                continue;
            }
            for at in (0..step).step_by(FRAME_ALIGN) {
                if let Expect::Segment { start, .. } = expect {
                    let due = start.saturating_add(offset + at as u64 - HEADER_BYTES);
                    if u64_at(bytes, at + 8) != Some(due) {
                        continue;
                    }
                }
                if FrameHead::parse(&bytes[at..]).is_some() {
                    return Ok(Some(offset + at as u64));
                }
            }
            offset += step as u64;
        }
        Ok(None)
    }
}
