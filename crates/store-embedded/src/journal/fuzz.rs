//! Recovery, reading and repair of a journal that somebody else wrote: the body of a fuzz target.

use std::sync::Arc;

use super::{
    Damage, Options, StoreId,
    fault::FaultFs,
    file::JournalFs,
    frame::{FrameHead, frame_len},
    header::SegmentHeader,
    inspect, plan_repair, repair,
    segment::name_of,
};

/// Whose journal the fuzzer damages.
const STORE: StoreId = StoreId(*b"fuzzed data dir!");

/// Damages a small healthy journal as `data` says, then recovers, reads and repairs it. Each seven
/// bytes are one change: file, kind, offset (3), value (2). Panics only if a promise is broken: no
/// panic inside, memory bounded by the input, and a repaired journal opens and reads.
pub fn fuzz_recovery(data: &[u8]) {
    let mut files: Vec<(u64, Vec<u8>)> = healthy();
    for change in data.chunks(7) {
        let byte = |at: usize| usize::from(change.get(at).copied().unwrap_or(0));
        let count = files.len();
        let Some((ordinal, file)) = files.get_mut(byte(0) % count.max(1)) else {
            continue;
        };
        let at = (byte(2) << 16 | byte(3) << 8 | byte(4)) % file.len().max(1);
        let value = (byte(5) << 8 | byte(6)) as u16;
        match byte(1) % 8 {
            0..=2 => {
                if let Some(place) = file.get_mut(at) {
                    *place ^= byte(6) as u8;
                }
            }
            3 => file.truncate(at),
            4 => {
                // One chunk of the file a second time, elsewhere.
                let piece: Vec<u8> = file.iter().copied().take(usize::from(value)).collect();
                file.splice(at.min(file.len()).., piece);
            }
            5 => {
                let end = file.len().min(at + usize::from(value));
                file[at.min(end)..end].fill(0);
            }
            6 => *ordinal = u64::from(value % 8) + 1,
            _ => {
                let damaged = file.clone();
                if count < 8 {
                    files.push((u64::from(value % 8) + 1, damaged));
                }
            }
        }
    }
    let disk = FaultFs::new();
    for (ordinal, file) in files {
        disk.put(&name_of(ordinal), file);
    }
    check(&disk);
}

fn check(disk: &FaultFs) {
    let fs: Arc<dyn JournalFs> = disk.as_fs();
    let options = Options { segment_bytes: 4096, prepare_ahead: false, ..Options::new(STORE) };
    let before: Vec<_> = disk.names().iter().map(|name| disk.image(name)).collect();
    let opened = inspect(fs.clone(), options.clone());
    let planned = plan_repair(&fs, &options, 0);
    let after: Vec<_> = disk.names().iter().map(|name| disk.image(name)).collect();
    assert!(before == after, "looking changed something");
    match opened {
        Ok(found) => {
            let wanted = found.recovered();
            let frames = found.frames(wanted.oldest);
            assert!(frames.is_ok(), "a healthy journal cannot be read");
            let mut count = 0;
            if let Ok(mut frames) = frames {
                while let Ok(Some(frame)) = frames.next_frame() {
                    assert!(frame.end <= wanted.end);
                    count += 1;
                }
            }
            assert_eq!(count, wanted.frames, "recovery and reader disagree");
            assert!(matches!(planned, Ok(None)), "repair of a healthy journal");
        }
        Err(super::OpenError::Corrupt(Damage { .. })) => {
            assert!(matches!(planned, Ok(Some(_))), "damage without a plan");
            let repaired = repair(&fs, &options, 0);
            assert_eq!(repaired.ok(), planned.ok(), "the plan was another");
            let again = inspect(fs, options);
            assert!(again.is_ok(), "damaged after repair: {:?}", again.err());
        }
        Err(_) => assert!(planned.is_err()),
    }
}

/// Three chained segments with a few frames each.
fn healthy() -> Vec<(u64, Vec<u8>)> {
    let mut files = Vec::new();
    let mut start = 0;
    for ordinal in 1..=3_u64 {
        let header = SegmentHeader {
            ordinal,
            incarnation: ordinal,
            start,
            previous: ordinal - 1,
            previous_end: start,
        };
        let mut file = header.encode(STORE);
        let mut synced_through = start;
        for shard in 0..4_u32 {
            let payload = vec![shard as u8 + 1; 20 + shard as usize * 37];
            let head = FrameHead {
                payload: payload.len() as u32,
                position: start,
                synced_through,
                incarnation: ordinal,
                shard,
            };
            head.encode(STORE.seed(), &payload, &mut file);
            start += frame_len(payload.len()) as u64;
            if shard == 1 {
                synced_through = start;
            }
        }
        file.resize(8192, 0);
        files.push((ordinal, file));
    }
    files
}
