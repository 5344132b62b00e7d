//! Cutting a damaged journal, only when asked, and saying what that loses.
//!
//! The cut is one new header that names the last good segment and where it ends; everything behind
//! is dead from the moment that header is durable. Positions go on behind all that were ever given
//! out, so that tables which had applied some of the lost frames never mistake new frames for old.

use std::{collections::BTreeMap, io, ops::ControlFlow, sync::Arc};

use super::{
    file::JournalFs,
    frame::{FRAME_ALIGN, Position},
    header::{HEADER_BYTES, SegmentHeader},
    options::Options,
    recovery::{Damage, DamageKind, LogSegment, OpenError, Survey, walk},
    segment::{self, name_of},
    window::{Expect, Window},
};

/// What a cut loses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// The damage, first in the log first; a cut may have to go further back than the place where
    /// opening stopped.
    pub damage: Vec<Damage>,
    /// The log ends here now.
    pub cut_at: Position,
    /// End of the last frame behind the cut that can still be read; `cut_at` if there is none.
    pub lost_through: Position,
    /// New frames begin here.
    pub next: Position,
    /// Bytes of log known to be lost, from `cut_at` to `lost_through`.
    pub lost_bytes: u64,
    /// Frames behind the cut that can still be read, and are lost.
    pub lost_frames: u64,
    /// These frames by shard tag.
    pub lost_by_shard: BTreeMap<u32, u64>,
    /// Segment files that go as a whole.
    pub dropped_segments: Vec<u64>,
}

struct Plan {
    report: RepairReport,
    header: SegmentHeader,
}

/// What `repair` would do; `None` when there is nothing to repair. Changes nothing.
pub fn plan_repair(
    fs: &Arc<dyn JournalFs>,
    options: &Options,
    beyond: Position,
) -> Result<Option<RepairReport>, OpenError> {
    Ok(plan(&**fs, options, beyond)?.map(|plan| plan.report))
}

/// Cuts the journal at its first damage; `None` when there was nothing to repair. `beyond` is the
/// newest position the tables have applied: new frames begin behind it. Afterwards opening
/// succeeds; a crash in between leaves the journal either damaged as before or repaired.
pub fn repair(
    fs: &Arc<dyn JournalFs>,
    options: &Options,
    beyond: Position,
) -> Result<Option<RepairReport>, OpenError> {
    let Some(Plan { report, header }) = plan(&**fs, options, beyond)? else {
        return Ok(None);
    };
    let cut = || -> io::Result<()> {
        // What is kept of the last segment was read, perhaps from memory only.
        if header.previous != 0 {
            fs.open(&name_of(header.previous))?.sync_data()?;
        }
        segment::create(&**fs, options, &header, options.inline_bytes())?;
        report.dropped_segments.iter().try_for_each(|&ordinal| segment::remove(&**fs, ordinal))
    };
    cut()?;
    Ok(Some(report))
}

fn plan(
    fs: &dyn JournalFs,
    options: &Options,
    beyond: Position,
) -> Result<Option<Plan>, OpenError> {
    let mut whole = Survey::take(fs, options, u64::MAX)?;
    // A lost segment leaves what lies before it, and that may be damaged too.
    let mut damage = Vec::new();
    let mut log = std::mem::take(&mut whole.log);
    let mut found = whole.damage;
    while let Some(bad) = found {
        damage.push(bad);
        if bad.kind == DamageKind::Frame {
            break;
        }
        let before = Survey::take(fs, options, bad.segment)?;
        (log, found) = (before.log, before.damage);
    }
    if damage.is_empty() {
        return Ok(None);
    }
    damage.reverse();
    shorten(fs, options, &whole, &mut log)?;

    let kept = log.last().copied();
    let cut_at = kept.map_or(0, |last| last.end);
    let mut report = RepairReport {
        damage,
        cut_at,
        lost_through: cut_at,
        next: 0,
        lost_bytes: 0,
        lost_frames: 0,
        lost_by_shard: BTreeMap::new(),
        dropped_segments: Vec::new(),
    };
    let mut next = beyond.max(cut_at);
    for &ordinal in &whole.files {
        if let Some(header) = whole.headers.get(&ordinal) {
            next = next.max(header.start);
        }
        if log.iter().any(|part| part.header.ordinal == ordinal) {
            if kept.is_none_or(|last| last.header.ordinal != ordinal) {
                continue;
            }
        } else {
            report.dropped_segments.push(ordinal);
        }
        count_lost(fs, options, ordinal, &whole, &mut report, &mut next)?;
    }
    report.lost_bytes = report.lost_through - report.cut_at;
    report.next = next.next_multiple_of(FRAME_ALIGN as u64);
    if kept.is_none() {
        report.cut_at = report.next;
        report.lost_through = report.next;
    }
    let header = SegmentHeader {
        ordinal: whole.files.last().copied().unwrap_or(0) + 1,
        incarnation: whole.incarnation() + 1,
        start: report.next,
        previous: kept.map_or(0, |last| last.header.ordinal),
        previous_end: report.cut_at,
    };
    Ok(Some(Plan { report, header }))
}

/// Shortens what is kept so that it ends before every frame that goes. A header that is lost may
/// have declared an earlier end than the file before it shows, and what was dead must stay so.
fn shorten(
    fs: &dyn JournalFs,
    options: &Options,
    whole: &Survey,
    log: &mut Vec<LogSegment>,
) -> io::Result<()> {
    let newest_kept = log.last().map_or(0, |last| last.header.ordinal);
    let mut limit = Position::MAX;
    for &ordinal in whole.files.iter().filter(|&&ordinal| ordinal > newest_kept) {
        let mut window = Window::new(fs.open(&name_of(ordinal))?)?;
        let expect = expected(whole, ordinal);
        let end = window.size();
        window.search(HEADER_BYTES, end, options.store.seed(), expect, &mut |_, head| {
            limit = limit.min(head.position);
            ControlFlow::Continue(())
        })?;
    }
    while log.last().is_some_and(|last| limit < last.header.start) {
        log.pop();
    }
    if let Some(last) = log.last_mut().filter(|last| limit < last.end) {
        let mut window = Window::new(fs.open(&name_of(last.header.ordinal))?)?;
        last.end = walk(&mut window, options.store.seed(), &last.header, Some(limit))?.end;
    }
    Ok(())
}

fn expected(whole: &Survey, ordinal: u64) -> Expect {
    whole.headers.get(&ordinal).map_or(Expect::Anything, |header| Expect::Segment {
        start: header.start,
        incarnation: header.incarnation,
    })
}

/// Counts the readable frames of a file that lie behind the cut and were part of the log.
fn count_lost(
    fs: &dyn JournalFs,
    options: &Options,
    ordinal: u64,
    whole: &Survey,
    report: &mut RepairReport,
    next: &mut Position,
) -> io::Result<()> {
    let mut window = Window::new(fs.open(&name_of(ordinal))?)?;
    let expect = expected(whole, ordinal);
    if let Some(header) = whole.headers.get(&ordinal) {
        // Whatever stood here, readable or not, lies before the end of the file.
        let room = window.size().saturating_sub(HEADER_BYTES);
        *next = (*next).max(header.start.saturating_add(room));
    }
    // What a successor has cut away was dead already.
    let dead_from = whole
        .headers
        .values()
        .filter(|later| later.previous == ordinal)
        .map(|later| later.previous_end)
        .next_back()
        .unwrap_or(Position::MAX);
    let end = window.size();
    window.search(HEADER_BYTES, end, options.store.seed(), expect, &mut |_, head| {
        *next = (*next).max(head.end());
        if head.position >= report.cut_at && head.end() <= dead_from {
            report.lost_through = report.lost_through.max(head.end());
            report.lost_frames += 1;
            *report.lost_by_shard.entry(head.shard).or_default() += 1;
        }
        ControlFlow::Continue(())
    })
}
