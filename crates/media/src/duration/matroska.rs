//! WebM and Matroska: the element `Info` has the duration, `Tracks` the size of the picture.

use super::{Facts, Source, big};

/// Elements looked at on one level.
const ELEMENTS_MAX: usize = 256;
/// Bytes of one element that are read at most.
const READ_MAX: u64 = 64 << 10;

const SEGMENT: u64 = 0x1853_8067;
const INFO: u64 = 0x1549_a966;
const TRACKS: u64 = 0x1654_ae6b;
const CLUSTER: u64 = 0x1f43_b675;
const SCALE: u64 = 0x2a_d7b1;
const DURATION: u64 = 0x4489;
const TRACK: u64 = 0xae;
const VIDEO: u64 = 0xe0;
const WIDTH: u64 = 0xb0;
const HEIGHT: u64 = 0xba;

/// An element: its name, and where its content begins and ends.
#[derive(Clone, Copy)]
struct Element {
    id: u64,
    begin: u64,
    end: u64,
}

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let size = source.size();
    let segment = children(source, 0, size).into_iter().find(|one| one.id == SEGMENT)?;
    let mut facts = Facts::default();
    for element in children(source, segment.begin, segment.end) {
        match element.id {
            INFO => facts.duration_ms = duration(source, element),
            TRACKS => {
                for track in children(source, element.begin, element.end) {
                    if track.id == TRACK
                        && let Some((width, height)) = picture(source, track)
                    {
                        facts.width = Some(width);
                        facts.height = Some(height);
                    }
                }
            }
            _ => {}
        }
    }
    Some(facts)
}

fn children(source: &mut Source<'_>, begin: u64, end: u64) -> Vec<Element> {
    let mut found = Vec::new();
    let mut at = begin;
    while found.len() < ELEMENTS_MAX && at < end {
        let Some(element) = read(source, at, end) else { break };
        at = element.end;
        found.push(element);
        // What is played comes behind what describes it.
        if element.id == CLUSTER {
            break;
        }
    }
    found
}

fn read(source: &mut Source<'_>, at: u64, end: u64) -> Option<Element> {
    let head = source.read(at, 12)?;
    let id_length = head.first()?.leading_zeros() as usize + 1;
    if id_length > 4 {
        return None;
    }
    let id = big(head.get(..id_length)?);
    let first = *head.get(id_length)?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let mask = (1u64 << (7 * length)) - 1;
    let size = big(head.get(id_length..id_length + length)?) & mask;
    let begin = at + (id_length + length) as u64;
    // All ones: it goes to the end.
    let last = if size == mask { end } else { begin.checked_add(size)?.min(end) };
    Some(Element { id, begin, end: last })
}

fn value(source: &mut Source<'_>, element: Element) -> Option<Vec<u8>> {
    let length = element.end.checked_sub(element.begin)?.min(READ_MAX);
    source.read(element.begin, length as usize)
}

fn duration(source: &mut Source<'_>, info: Element) -> Option<u64> {
    let mut scale = 1_000_000;
    let mut units = None;
    for element in children(source, info.begin, info.end) {
        match element.id {
            SCALE => scale = big(&value(source, element)?),
            DURATION => {
                let bytes = value(source, element)?;
                units = match bytes.len() {
                    4 => Some(f64::from(f32::from_be_bytes(bytes.try_into().ok()?))),
                    8 => Some(f64::from_be_bytes(bytes.try_into().ok()?)),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    let ms = units? * scale as f64 / 1e6;
    (ms.is_finite() && ms >= 0.0).then_some(ms as u64)
}

fn picture(source: &mut Source<'_>, track: Element) -> Option<(u32, u32)> {
    let video = children(source, track.begin, track.end).into_iter().find(|one| one.id == VIDEO)?;
    let (mut width, mut height) = (None, None);
    for element in children(source, video.begin, video.end) {
        match element.id {
            WIDTH => width = u32::try_from(big(&value(source, element)?)).ok(),
            HEIGHT => height = u32::try_from(big(&value(source, element)?)).ok(),
            _ => {}
        }
    }
    width.zip(height)
}
