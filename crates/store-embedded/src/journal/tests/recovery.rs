//! What is found after a stop, a power cut, or damage.

use super::*;
use crate::journal::{fault::Kept, frame::frame_len, header::SegmentHeader, segment::name_of};

/// A journal whose last append is `last`, with two acked ones before it; and where it begins.
fn three(last: &[u8]) -> (FaultFs, Position) {
    let disk = FaultFs::new();
    let journal = open(&disk);
    put(&journal, b"one");
    let begin = put(&journal, b"two");
    put(&journal, last);
    drop(journal);
    (disk, begin)
}

#[test]
fn an_empty_directory_is_fresh_and_begins_at_zero() {
    let disk = FaultFs::new();
    let (journal, recovered) = Journal::open(disk.as_fs(), small()).unwrap();
    let nothing = Recovered { fresh: true, oldest: 0, end: 0, frames: 0, incarnation: 0 };
    assert_eq!(recovered, nothing);
    assert_eq!(put(&journal, b"x"), frame_len(1) as u64);
}

#[test]
fn acked_appends_come_back_in_order_with_shard_and_position() {
    let disk = FaultFs::new();
    let mut ends = Vec::new();
    for start in 0..4_u32 {
        let (journal, recovered) = Journal::open(disk.as_fs(), small()).unwrap();
        assert_eq!(recovered.frames, u64::from(start) * 3);
        for n in 0..3_u32 {
            let shard = start * 3 + n;
            ends.push(journal.append(shard, vec![n as u8; n as usize * 11]).wait().unwrap());
        }
        assert_eq!(journal.synced(), *ends.last().unwrap());
    }
    let found = inspect(disk.power_cut_losing_all().as_fs(), small()).unwrap();
    assert_eq!(found.recovered().end, *ends.last().unwrap());
    let mut frames = found.frames(0).unwrap();
    for (n, end) in ends.iter().enumerate() {
        let frame = frames.next_frame().unwrap().unwrap();
        assert_eq!((frame.shard as usize, frame.end), (n, *end));
        assert_eq!(frame.payload, vec![(n % 3) as u8; n % 3 * 11]);
    }
    assert_eq!(frames.next_frame().unwrap(), None);
}

#[test]
fn a_tail_torn_at_every_byte_ends_before_its_frame() {
    let (disk, begin) = three(&[0xee; 61]);
    let file = newest(&disk);
    let whole = disk.image(&file).unwrap();
    let from = DATA + begin as usize;
    for cut in 0..=frame_len(61) {
        for truncated in [false, true] {
            let torn = disk.copy();
            torn.edit(&file, |bytes| {
                bytes[from + cut..].fill(0);
                if truncated {
                    bytes.truncate(from + cut);
                }
            });
            let intact = torn.image(&file).unwrap()[..from + cut] == whole[..from + cut]
                && whole[from + cut..from + frame_len(61)].iter().all(|&byte| byte == 0)
                && (!truncated || cut == frame_len(61));
            let mut wanted = texts(&["one", "two"]);
            if intact {
                wanted.push(vec![0xee; 61]);
            }
            assert_eq!(payloads(&torn), wanted, "cut at byte {cut}, truncated: {truncated}");
            let journal = open(&torn);
            put(&journal, b"after");
            drop(journal);
            wanted.push(b"after".to_vec());
            assert_eq!(payloads(&torn.power_cut_losing_all()), wanted);
        }
    }
}

/// A disk where a batch of three appends was written in one write, but never synced.
fn unsynced_batch(payloads: [&[u8]; 3]) -> (FaultFs, Position) {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let begin = put(&journal, b"acked");
    let calls = disk.sync_calls();
    disk.hold_syncs();
    let first = journal.append(1, b"first".to_vec());
    disk.wait_for_sync_calls(calls + 1);
    let waiting = payloads.map(|payload| journal.append(1, payload.to_vec()));
    disk.allow_syncs(1);
    disk.wait_for_sync_calls(calls + 2);
    let begin = begin + (first.wait().unwrap() - begin);
    let cut = disk.power_cut(&mut |_| Kept::All);
    disk.release_syncs();
    for one in waiting {
        one.wait().unwrap();
    }
    (cut, begin)
}

#[test]
fn a_power_cut_that_kept_a_later_frame_of_a_batch_ends_before_the_gap() {
    let (disk, begin) = unsynced_batch([&[1; 700], &[2; 700], &[3; 700]]);
    let file = newest(&disk);
    let len = frame_len(700);
    for lost in 0..3 {
        let cut = disk.copy();
        let from = DATA + begin as usize + lost * len;
        cut.edit(&file, |bytes| bytes[from..from + len].fill(0));
        let mut wanted = texts(&["acked", "first"]);
        wanted.extend((0..lost).map(|n| vec![n as u8 + 1; 700]));
        assert_eq!(payloads(&cut), wanted);

        // Frames behind the gap stay dead, however often we start and whatever comes.
        for round in 0..4_u8 {
            let journal = open(&cut);
            if round > 0 {
                put(&journal, &[0xa0 + round; 700]);
                wanted.push(vec![0xa0 + round; 700]);
            }
            drop(journal);
            assert_eq!(payloads(&cut), wanted);
        }
    }
}

#[test]
fn frames_of_another_incarnation_do_not_count_where_they_would_fit() {
    let (disk, begin) = unsynced_batch([&[1; 100], &[2; 100], &[3; 100]]);
    let old = newest(&disk);
    let len = frame_len(100);
    disk.edit(&old, |bytes| bytes[DATA + begin as usize..][..len].fill(0));
    let stale = disk.image(&old).unwrap()[DATA + begin as usize + len..][..2 * len].to_vec();
    let journal = open(&disk);
    put(&journal, &[9; 100]);
    drop(journal);
    // The disk brings the dead frames back at the very positions they once had.
    disk.edit(&newest(&disk), |bytes| bytes[DATA + len..][..2 * len].copy_from_slice(&stale));
    let mut wanted = texts(&["acked", "first"]);
    wanted.push(vec![9; 100]);
    assert_eq!(payloads(&disk), wanted);
}

#[test]
fn every_flipped_bit_before_synced_data_is_refused_with_its_place() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let mut begins = vec![0];
    for n in 0..5_u8 {
        begins.push(put(&journal, &[n; 9]));
    }
    drop(journal);
    let file = newest(&disk);
    for (n, begin) in begins[..5].iter().enumerate() {
        for byte in 0..frame_len(9) {
            let bad = disk.copy();
            bad.edit(&file, |bytes| bytes[DATA + *begin as usize + byte] ^= 1 << (byte % 8));
            let before = bad.image(&file);
            if n == 4 {
                // Nobody later knew the last frame to be synced.
                assert_eq!(payloads(&bad).len(), 4);
                continue;
            }
            let wanted = Damage {
                kind: DamageKind::Frame,
                segment: 1,
                offset: DATA as u64 + begin,
                position: *begin,
            };
            assert_eq!(damage(&bad), wanted);
            assert!(Journal::open(bad.as_fs(), small()).is_err());
            assert_eq!((bad.names(), bad.image(&file)), (vec![file.clone()], before));
        }
    }
}

#[test]
fn a_later_segment_vouches_for_the_whole_one_before() {
    let (disk, begin) = three(b"last");
    put(&open(&disk), b"next segment");
    disk.edit(&name_of(1), |bytes| bytes[DATA + begin as usize + 41] ^= 4);
    assert_eq!((damage(&disk).segment, damage(&disk).position), (1, begin));
}

#[test]
fn a_missing_segment_in_the_middle_is_damage_and_a_missing_oldest_is_not() {
    let disk = FaultFs::new();
    let mut ends = Vec::new();
    for n in 0..4_u8 {
        ends.push(put(&open(&disk), &[n]));
    }
    for gone in 1..=4_u64 {
        let hole = FaultFs::new();
        for name in disk.names().into_iter().filter(|name| *name != name_of(gone)) {
            hole.put(&name, disk.image(&name).unwrap());
        }
        match gone {
            1 => assert_eq!(inspect(hole.as_fs(), small()).unwrap().recovered().oldest, ends[0]),
            4 => assert_eq!(inspect(hole.as_fs(), small()).unwrap().recovered().end, ends[2]),
            _ => {
                assert_eq!((damage(&hole).kind, damage(&hole).segment), (DamageKind::Missing, gone))
            }
        }
    }
}

#[test]
fn a_bad_header_is_damage_if_frames_rest_on_it() {
    let disk = FaultFs::new();
    for n in 0..3_u8 {
        put(&open(&disk), &[n]);
    }
    for segment in 1..=3_u64 {
        for byte in 0..76 {
            let bad = disk.copy();
            bad.edit(&name_of(segment), |bytes| bytes[byte] ^= 0x10);
            let found = damage(&bad);
            assert_eq!((found.kind, found.segment), (DamageKind::Header, segment));
        }
        let zeroed = disk.copy();
        zeroed.edit(&name_of(segment), |bytes| bytes[..DATA].fill(0));
        assert_eq!(damage(&zeroed).kind, DamageKind::Header);
    }
    // A header torn before its first frame was never relied on.
    drop(open(&disk));
    let file = newest(&disk);
    disk.edit(&file, |bytes| bytes[40..DATA].fill(0xff));
    assert_eq!(payloads(&disk).len(), 3);
    drop(open(&disk));
    assert!(!disk.names().contains(&file));
}

#[test]
fn a_foreign_or_newer_journal_is_refused_untouched() {
    let (disk, _) = three(b"x");
    let other = Options { store: StoreId([1; 16]), ..small() };
    assert!(matches!(inspect(disk.as_fs(), other).err(), Some(OpenError::Foreign { segment: 1 })));
    disk.edit(&name_of(1), |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..72]);
        bytes[72..76].copy_from_slice(&crc.to_le_bytes());
    });
    let names = disk.names();
    assert!(matches!(
        Journal::open(disk.as_fs(), small()).err(),
        Some(OpenError::Newer { segment: 1, found: 2 })
    ));
    assert_eq!(disk.names(), names);
}

#[test]
fn starting_often_without_appends_keeps_one_empty_segment() {
    let (disk, _) = three(b"x");
    for _ in 0..5 {
        drop(open(&disk));
        assert_eq!(disk.names().len(), 2);
    }
    assert_eq!(payloads(&disk).len(), 3);
}

#[test]
fn what_a_start_has_shown_survives_although_its_sync_had_failed() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    put(&journal, b"acked");
    disk.fail(0, fault::Fault::SyncKeepsCache);
    assert_eq!(journal.append(1, vec![5; 3000]).wait(), Err(AppendError::Failed));
    drop(journal);
    // The process starts again without a reboot: the kernel shows pages it never wrote.
    let journal = open(&disk);
    let shown = payloads(&disk);
    assert_eq!(shown.len(), 2);
    drop(journal);
    assert_eq!(payloads(&disk.power_cut_losing_all()), shown);
}

#[test]
fn a_power_cut_at_any_point_of_a_start_loses_nothing() {
    let (disk, _) = three(&[4; 900]);
    let wanted = payloads(&disk);
    for seed in 0..200 {
        let cut = disk.copy();
        cut.fail(
            (seed % 3) as u32,
            [fault::Fault::SyncKeepsCache, fault::Fault::SyncDir][seed as usize % 2],
        );
        let _ = Journal::open(cut.as_fs(), small());
        let after = cut.power_cut_by(seed);
        assert_eq!(payloads(&after), wanted, "seed {seed}");
        drop(open(&after));
        assert_eq!(payloads(&after.power_cut_losing_all()), wanted, "seed {seed}");
    }
}

#[test]
fn a_header_knows_its_own_name() {
    let (disk, _) = three(b"x");
    put(&open(&disk), b"y");
    let (one, two) = (disk.image(&name_of(1)).unwrap(), disk.image(&name_of(2)).unwrap());
    disk.put(&name_of(1), two);
    disk.put(&name_of(2), one);
    assert_eq!(damage(&disk).kind, DamageKind::Header);
    let sane = SegmentHeader { ordinal: 2, incarnation: 1, start: 8, previous: 1, previous_end: 8 };
    let insane = [
        SegmentHeader { previous: 2, ..sane },
        SegmentHeader { previous_end: 16, ..sane },
        SegmentHeader { start: 9, ..sane },
        SegmentHeader { start: 1 << 62, ..sane },
    ];
    for header in insane {
        let page = header.encode(STORE);
        let read = crate::journal::header::read_page(&page, STORE, 2);
        assert!(matches!(read, crate::journal::header::HeaderPage::Bad), "{header:?}");
    }
}
