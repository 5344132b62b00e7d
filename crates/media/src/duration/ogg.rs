//! Ogg with Vorbis, Opus or Theora: the place of the last page says how long it plays.

use super::{Facts, Source, big, little, milliseconds};

/// Bytes of the end that are searched for the last page, which has at most 65,307.
const TAIL: u64 = 128 << 10;
/// Opus counts at this rate, whatever it plays at.
const OPUS_RATE: u64 = 48_000;

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let head = source.read(0, 512)?;
    let segments = usize::from(*head.get(26)?);
    let packet = head.get(27 + segments..)?;
    let (rate, skipped) = if packet.starts_with(b"\x01vorbis") {
        (little(packet.get(12..16)?), 0)
    } else if packet.starts_with(b"OpusHead") {
        (OPUS_RATE, little(packet.get(10..12)?))
    } else if packet.starts_with(b"\x80theora") {
        let size = |from: usize| Some(big(packet.get(from..from + 3)?) as u32);
        return Some(Facts { duration_ms: None, width: size(14), height: size(17) });
    } else {
        return None;
    };
    let serial = head.get(14..18)?.to_vec();
    let tail = source.read(source.size().saturating_sub(TAIL), TAIL as usize)?;
    let is_page = |at: &usize| {
        tail.get(*at..*at + 4) == Some(b"OggS") && tail.get(at + 14..at + 18) == Some(&serial)
    };
    let last = (0..tail.len()).rev().filter(is_page).find_map(|at| {
        let place = little(tail.get(at + 6..at + 14)?);
        // A page on which no packet ends has none.
        (place != u64::MAX).then_some(place)
    })?;
    let duration_ms = milliseconds(last.saturating_sub(skipped), rate);
    Some(Facts { duration_ms, ..Facts::default() })
}
