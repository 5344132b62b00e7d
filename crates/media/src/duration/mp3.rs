//! MP3: the first frame tells how many there are, or all are taken to be as long as the first.

use super::{Facts, Source, big, milliseconds};

/// Bytes after the tags in which the first frame has to begin.
const SEARCHED: usize = 16 << 10;
const RATES: [u64; 3] = [44_100, 48_000, 32_000];
/// Kilobits a second of layer III: MPEG 1, then 2 and 2.5.
const BITS: [[u64; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let tag = source.read(0, 10)?;
    let begin = if tag.starts_with(b"ID3") {
        // Seven bits a byte.
        10 + tag.get(6..10)?.iter().fold(0, |n, byte| n << 7 | u64::from(byte & 0x7f))
    } else {
        0
    };
    let bytes = source.read(begin, SEARCHED)?;
    let at = bytes.windows(4).position(|head| frame(head).is_some())?;
    let Frame { rate, kilobits, samples, side } = frame(bytes.get(at..at + 4)?)?;
    let info = bytes.get(at + 4 + side..)?;
    let frames = match info.get(..4)? {
        b"Xing" | b"Info" if info.get(7)? & 1 == 1 => Some(big(info.get(8..12)?)),
        _ => {
            let vbri = bytes.get(at + 36..)?;
            vbri.starts_with(b"VBRI").then(|| vbri.get(14..18).map(big)).flatten()
        }
    };
    let duration_ms = match frames {
        Some(frames) => milliseconds(frames.checked_mul(samples)?, rate),
        None => {
            let sound = source.size().checked_sub(begin + at as u64)?;
            milliseconds(sound.checked_mul(8)?, kilobits * 1_000)
        }
    };
    Some(Facts { duration_ms, ..Facts::default() })
}

struct Frame {
    rate: u64,
    kilobits: u64,
    samples: u64,
    /// Bytes between the head and what an encoder tells.
    side: usize,
}

fn frame(head: &[u8]) -> Option<Frame> {
    let [0xff, second, third, fourth] = *head else { return None };
    let version = second >> 3 & 3;
    if second & 0xe0 != 0xe0 || version == 1 || second >> 1 & 3 != 1 {
        return None;
    }
    let is_first = version == 3;
    let kilobits = *BITS[usize::from(!is_first)].get(usize::from(third >> 4))?;
    let divided = match version {
        3 => 1,
        2 => 2,
        _ => 4,
    };
    let rate = RATES.get(usize::from(third >> 2 & 3))? / divided;
    let is_mono = fourth >> 6 == 3;
    let side = match (is_first, is_mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let samples = if is_first { 1_152 } else { 576 };
    (kilobits > 0).then_some(Frame { rate, kilobits, samples, side })
}
