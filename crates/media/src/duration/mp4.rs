//! MP4 and QuickTime: the box `moov` has the duration, each video track its size.

use super::{Facts, Source, big, milliseconds};

/// Boxes looked at on one level.
const BOXES_MAX: usize = 1_024;

/// A box: its name, and where its content begins and ends.
struct Atom {
    name: [u8; 4],
    begin: u64,
    end: u64,
}

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let moov = find(source, 0, source.size(), b"moov")?;
    let mut facts = Facts::default();
    let mut at = moov.begin;
    for _ in 0..BOXES_MAX {
        let Some(atom) = read(source, at, moov.end) else { break };
        match &atom.name {
            b"mvhd" => facts.duration_ms = duration(source, &atom),
            b"trak" => {
                if let Some((width, height)) = size(source, &atom) {
                    facts.width = Some(width);
                    facts.height = Some(height);
                }
            }
            _ => {}
        }
        at = atom.end;
    }
    Some(facts)
}

fn read(source: &mut Source<'_>, at: u64, end: u64) -> Option<Atom> {
    let head = source.read(at, 16)?;
    let name = head.get(4..8)?.try_into().ok()?;
    let (length, used) = match big(head.get(..4)?) {
        // It goes to the end.
        0 => (end.checked_sub(at)?, 8),
        1 => (big(head.get(8..16)?), 16),
        length => (length, 8),
    };
    let last = at.checked_add(length)?;
    (length >= used && last <= end).then_some(Atom { name, begin: at + used, end: last })
}

fn find(source: &mut Source<'_>, begin: u64, end: u64, name: &[u8; 4]) -> Option<Atom> {
    let mut at = begin;
    for _ in 0..BOXES_MAX {
        let atom = read(source, at, end)?;
        if atom.name == *name {
            return Some(atom);
        }
        at = atom.end;
    }
    None
}

fn duration(source: &mut Source<'_>, atom: &Atom) -> Option<u64> {
    let bytes = source.read(atom.begin, 32)?;
    let (scale, units) = match bytes.first()? {
        0 => (big(bytes.get(12..16)?), big(bytes.get(16..20)?)),
        _ => (big(bytes.get(20..24)?), big(bytes.get(24..32)?)),
    };
    milliseconds(units, scale)
}

/// Of a track that is seen: as it is shown, a quarter turn swaps width and height.
fn size(source: &mut Source<'_>, trak: &Atom) -> Option<(u32, u32)> {
    let head = find(source, trak.begin, trak.end, b"tkhd")?;
    let bytes = source.read(head.begin, 96)?;
    let matrix = if *bytes.first()? == 0 { 40 } else { 52 };
    let size = |at: usize| Some((big(bytes.get(at..at + 4)?) >> 16) as u32);
    let (width, height) = (size(matrix + 36)?, size(matrix + 40)?);
    let is_turned =
        big(bytes.get(matrix..matrix + 4)?) == 0 && big(bytes.get(matrix + 4..matrix + 8)?) != 0;
    let shown = if is_turned { (height, width) } else { (width, height) };
    (width > 0 && height > 0).then_some(shown)
}
