//! What a journal directory holds, found out without changing anything.
//!
//! The newest intact header names the segment before it and where that one ends; following these
//! names back gives the log. Every byte that a later header vouches for must be an intact frame.
//! In the last segment the log ends at the first frame that is not intact, unless a later intact
//! frame knew that place to be synced: then an answered append is damaged, and we refuse.

use std::{collections::BTreeMap, io, ops::ControlFlow, sync::Arc};

use super::{
    file::JournalFs,
    frame::Position,
    header::{
        FORMAT_VERSION, HEADER_BYTES, HeaderPage, SegmentHeader, StoreId, read_page, store_of,
    },
    journal::{Journal, Recovered, SegmentRange},
    options::Options,
    reader::{Frames, ReadError},
    segment::{self, name_of},
    window::{Expect, Window},
};

/// Why a journal was not opened. Nothing on disk was changed, except where `Io` came from
/// starting a new segment, which loses nothing either.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An answered append is damaged; only `repair` goes on from here.
    #[error("the journal is damaged: {0}; run the repair command to cut it there")]
    Corrupt(Damage),
    /// Written by a later version of this software.
    #[error(
        "journal segment {segment:016x} has format {found}, this version reads {}; \
         install the newer version again",
        FORMAT_VERSION
    )]
    Newer {
        /// Ordinal of the segment.
        segment: u64,
        /// Its format version.
        found: u32,
    },
    /// Of another data directory.
    #[error("journal segment {segment:016x} belongs to another data directory; take it away")]
    Foreign {
        /// Ordinal of the segment.
        segment: u64,
    },
    /// The disk did not answer.
    #[error("the journal cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// Where answered data is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} in segment {segment:016x} at byte {offset}, position {position}")]
pub struct Damage {
    /// What is wrong there.
    pub kind: DamageKind,
    /// Ordinal of the segment; its file is named by it, in hexadecimal.
    pub segment: u64,
    /// Byte in the file.
    pub offset: u64,
    /// Position of the bad frame. With a bad or missing segment: where its contents are known to
    /// have ended.
    pub position: Position,
}

/// Kinds of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// A frame that later data vouches for is not intact.
    Frame,
    /// The header of a segment that holds answered frames is not intact.
    Header,
    /// A segment in the middle is not there.
    Missing,
}

impl std::fmt::Display for DamageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DamageKind::Frame => "bad frame",
            DamageKind::Header => "bad segment header",
            DamageKind::Missing => "missing segment",
        })
    }
}

/// A segment of the log with the part of it that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSegment {
    pub(super) header: SegmentHeader,
    pub(super) end: Position,
    pub(super) frames: u64,
}

/// All findings about a directory, or about the part of it below some ordinal.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// All segment files, rising.
    pub(super) files: Vec<u64>,
    /// Those that hold anything in their first page, rising.
    used: Vec<u64>,
    /// The log from its oldest segment. With damage: its valid part, as far as it was followed.
    pub(super) log: Vec<LogSegment>,
    pub(super) damage: Option<Damage>,
    /// Every intact header, of dead segments too.
    pub(super) headers: BTreeMap<u64, SegmentHeader>,
    /// The newest position of the log that a frame knew to be synced.
    pub(super) proven: Position,
}

impl Survey {
    pub(super) fn end(&self) -> Position {
        self.log.last().map_or(0, |last| last.end)
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.headers.values().map(|header| header.incarnation).max().unwrap_or(0)
    }

    /// Looks at all segment files with an ordinal below `below`.
    pub(super) fn take(
        fs: &dyn JournalFs,
        options: &Options,
        below: u64,
    ) -> Result<Survey, OpenError> {
        let mut survey = Survey { files: segment::list(fs)?, ..Survey::default() };
        survey.files.retain(|&ordinal| ordinal < below);
        for &ordinal in &survey.files {
            let mut window = Window::new(fs.open(&name_of(ordinal))?)?;
            let page = window.at(0, window.size().min(HEADER_BYTES) as usize)?.unwrap_or(&[]);
            match read_page(page, options.store, ordinal) {
                HeaderPage::Good(header) => {
                    survey.headers.insert(ordinal, header);
                    survey.used.push(ordinal);
                }
                HeaderPage::Bad => survey.used.push(ordinal),
                HeaderPage::Blank => {}
                HeaderPage::Newer(found) => {
                    return Err(OpenError::Newer { segment: ordinal, found });
                }
                HeaderPage::Foreign => return Err(OpenError::Foreign { segment: ordinal }),
            }
        }
        survey.damage = survey.follow(fs, options)?;
        Ok(survey)
    }

    fn follow(&mut self, fs: &dyn JournalFs, options: &Options) -> io::Result<Option<Damage>> {
        let seed = options.store.seed();
        let newest = self.headers.keys().next_back().copied().unwrap_or(0);

        // A file behind the newest header was prepared and never used, unless it holds frames:
        // these are written only once its header is durable.
        for &ordinal in self.files.iter().filter(|&&ordinal| ordinal > newest) {
            let mut window = Window::new(fs.open(&name_of(ordinal))?)?;
            let mut first = None;
            let end = window.size();
            window.search(HEADER_BYTES, end, seed, Expect::Anything, &mut |_, head| {
                first = Some(head.position);
                ControlFlow::Break(())
            })?;
            if let Some(position) = first {
                let kind = DamageKind::Header;
                return Ok(Some(Damage { kind, segment: ordinal, offset: 0, position }));
            }
        }

        let mut chain: Vec<SegmentHeader> = Vec::new();
        let mut ordinal = newest;
        while ordinal != 0 {
            let Some(header) = self.headers.get(&ordinal) else {
                let position = chain.last().map_or(0, |next| next.previous_end);
                let kind = if self.files.contains(&ordinal) {
                    DamageKind::Header
                } else if self.used.first().is_some_and(|&oldest| oldest < ordinal) {
                    DamageKind::Missing
                } else {
                    // Nothing older is left: it was removed because nobody needs it.
                    break;
                };
                return Ok(Some(Damage { kind, segment: ordinal, offset: 0, position }));
            };
            chain.push(*header);
            ordinal = header.previous;
        }
        chain.reverse();

        for (at, header) in chain.iter().enumerate() {
            let file = fs.open(&name_of(header.ordinal))?;
            let mut window = Window::new(file)?;
            let limit = chain.get(at + 1).map(|next| next.previous_end);
            let walk = walk(&mut window, seed, header, limit)?;
            let bad = Damage {
                kind: DamageKind::Frame,
                segment: header.ordinal,
                offset: header.offset_of(walk.end),
                position: walk.end,
            };
            self.proven = self.proven.max(walk.proven).max(header.start);
            self.log.push(LogSegment { header: *header, end: walk.end, frames: walk.frames });
            let damaged = match limit {
                Some(limit) => walk.end != limit,
                None => is_vouched_for(&mut window, seed, header, walk.end)?,
            };
            if damaged {
                return Ok(Some(bad));
            }
        }
        Ok(None)
    }
}

pub(super) struct Walk {
    pub(super) end: Position,
    frames: u64,
    proven: Position,
}

/// Follows intact frames from the start of a segment, up to `limit` if there is one.
pub(super) fn walk(
    window: &mut Window,
    seed: u32,
    header: &SegmentHeader,
    limit: Option<Position>,
) -> io::Result<Walk> {
    let expect = Expect::Segment { start: header.start, incarnation: header.incarnation };
    let mut walk = Walk { end: header.start, frames: 0, proven: header.start };
    while limit.is_none_or(|limit| walk.end < limit) {
        match window.frame(header.offset_of(walk.end), seed, expect)? {
            Some((head, _)) if limit.is_none_or(|limit| head.end() <= limit) => {
                walk.end = head.end();
                walk.frames += 1;
                walk.proven = walk.proven.max(head.synced_through);
            }
            _ => break,
        }
    }
    Ok(walk)
}

/// Whether a frame behind `position` knew that position to be synced.
fn is_vouched_for(
    window: &mut Window,
    seed: u32,
    header: &SegmentHeader,
    position: Position,
) -> io::Result<bool> {
    let expect = Expect::Segment { start: header.start, incarnation: header.incarnation };
    let mut vouched = false;
    let end = window.size();
    window.search(header.offset_of(position), end, seed, expect, &mut |_, head| {
        vouched = head.synced_through > position;
        if vouched { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(vouched)
}

/// A healthy journal that was looked at and not yet started.
pub struct Inspected {
    pub(super) fs: Arc<dyn JournalFs>,
    pub(super) options: Options,
    pub(super) survey: Survey,
}

/// Whose journal this is, as its segments say; none when none of them can be read.
pub fn owner(fs: &dyn JournalFs) -> io::Result<Option<StoreId>> {
    for ordinal in segment::list(fs)? {
        let mut window = Window::new(fs.open(&name_of(ordinal))?)?;
        let page = window.at(0, window.size().min(HEADER_BYTES) as usize)?;
        if let Some(store) = page.and_then(store_of) {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

/// Reads and judges a whole journal. Changes nothing; needs memory for one frame.
pub fn inspect(fs: Arc<dyn JournalFs>, options: Options) -> Result<Inspected, OpenError> {
    let survey = Survey::take(&*fs, &options, u64::MAX)?;
    match survey.damage {
        Some(damage) => Err(OpenError::Corrupt(damage)),
        None => Ok(Inspected { fs, options, survey }),
    }
}

impl Inspected {
    /// Whose it is.
    pub fn store(&self) -> StoreId {
        self.options.store
    }

    /// What was found.
    pub fn recovered(&self) -> Recovered {
        let log = &self.survey.log;
        Recovered {
            fresh: log.is_empty(),
            oldest: log.first().map_or(0, |first| first.header.previous_end),
            end: self.survey.end(),
            frames: log.iter().map(|segment| segment.frames).sum(),
            incarnation: self.survey.incarnation(),
        }
    }

    /// The segments of the log, oldest first.
    pub fn segments(&self) -> Vec<SegmentRange> {
        let log = &self.survey.log;
        log.iter().map(|segment| SegmentRange::new(&segment.header, segment.end, false)).collect()
    }

    /// The frames from `from`, which must be a frame's border, to the end.
    pub fn frames(&self, from: Position) -> Result<Frames, ReadError> {
        let oldest = self.recovered().oldest;
        let seed = self.options.store.seed();
        let log = self.survey.log.iter().map(|segment| (segment.header, segment.end));
        Frames::new(self.fs.clone(), seed, log, oldest, from, self.survey.end())
    }

    /// Begins a new segment behind the log and starts the writer. Readers of the log may rely on
    /// every frame found: the last ones, which may have been in memory only, are made durable.
    pub fn start(self) -> Result<Journal, OpenError> {
        Journal::start(self).map_err(OpenError::Io)
    }
}
