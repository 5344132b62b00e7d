//! Frames back out of the files, for replay, dispatch and backup.
//!
//! A reader sees the log up to the end it was made with. It holds no lock: a segment that is
//! removed under it is read on if it was open already, else the reader says so.

use std::{collections::VecDeque, io, sync::Arc};

use super::{
    file::JournalFs,
    frame::Position,
    header::SegmentHeader,
    recovery::{Damage, DamageKind},
    segment::name_of,
    window::{Expect, Window},
};

/// Why frames could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Asked for what was removed already.
    #[error("the journal begins at position {oldest}")]
    Gone {
        /// The first position still there.
        oldest: Position,
    },
    /// Asked for more than was ever synced: whoever holds that position rests on another log.
    #[error("the journal ends at position {end}")]
    Beyond {
        /// The end of the log.
        end: Position,
    },
    /// A synced frame is not intact, or the position asked for is not a frame's border.
    #[error("the journal is damaged: {0}")]
    Corrupt(Damage),
    /// The disk did not answer.
    #[error("the journal cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// One frame of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it begins.
    pub position: Position,
    /// Where it ends: what its append was answered with, and where to read on.
    pub end: Position,
    /// The tag given with the append.
    pub shard: u32,
    /// The bytes given with the append.
    pub payload: &'a [u8],
}

/// Frames in order of position. Blocking; memory for about one frame or 1 MiB.
pub struct Frames {
    fs: Arc<dyn JournalFs>,
    seed: u32,
    rest: VecDeque<(SegmentHeader, Position)>,
    open: Option<Window>,
    at: Position,
    end: Position,
}

impl Frames {
    pub(super) fn new(
        fs: Arc<dyn JournalFs>,
        seed: u32,
        log: impl Iterator<Item = (SegmentHeader, Position)>,
        oldest: Position,
        from: Position,
        to: Position,
    ) -> Result<Frames, ReadError> {
        if from < oldest {
            return Err(ReadError::Gone { oldest });
        }
        if from > to {
            return Err(ReadError::Beyond { end: to });
        }
        let rest = log
            .map(|(header, end)| (header, end.min(to)))
            .filter(|&(header, end)| end > from && end > header.start)
            .collect();
        Ok(Frames { fs, seed, rest, open: None, at: from, end: to })
    }

    /// Where this reader stops.
    pub fn end(&self) -> Position {
        self.end
    }

    /// The next frame, or `None` at the end.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        loop {
            let Some(&(header, end)) = self.rest.front() else {
                return Ok(None);
            };
            if self.open.is_none() {
                self.at = self.at.max(header.start);
                self.open = Some(self.open_segment(&header)?);
            }
            if self.at < end {
                return self.read(&header, end).map(Some);
            }
            self.open = None;
            self.rest.pop_front();
        }
    }

    fn open_segment(&self, header: &SegmentHeader) -> Result<Window, ReadError> {
        match self.fs.open(&name_of(header.ordinal)) {
            Ok(file) => Ok(Window::new(file)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Only whole segments are removed, oldest first.
                let oldest = self.rest.front().map_or(self.end, |&(_, end)| end);
                Err(ReadError::Gone { oldest })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self, header: &SegmentHeader, end: Position) -> Result<Frame<'_>, ReadError> {
        let at = self.at;
        let expect = Expect::Segment { start: header.start, incarnation: header.incarnation };
        let offset = header.offset_of(at);
        if let Some(window) = &mut self.open
            && let Some((head, payload)) = window.frame(offset, self.seed, expect)?
            && head.end() <= end
        {
            self.at = head.end();
            return Ok(Frame { position: at, end: self.at, shard: head.shard, payload });
        }
        let kind = DamageKind::Frame;
        Err(ReadError::Corrupt(Damage { kind, segment: header.ordinal, offset, position: at }))
    }
}
