//! Cutting a damaged journal.

use std::collections::BTreeMap;

use super::*;
use crate::journal::{
    fault::{Fault, next_random},
    segment::name_of,
};

/// Three segments of four frames each, shard tags 0 to 3, and where each frame begins.
fn twelve() -> (FaultFs, Vec<Position>) {
    let disk = FaultFs::new();
    let mut begins = vec![0];
    for segment in 0..3_u8 {
        let journal = open(&disk);
        for shard in 0..4_u32 {
            let payload = vec![segment * 4 + shard as u8; 30];
            begins.push(journal.append(shard, payload).wait().unwrap());
        }
    }
    (disk, begins)
}

fn flip(disk: &FaultFs, segment: u64, position_in_it: u64) {
    disk.edit(&name_of(segment), |bytes| bytes[DATA + position_in_it as usize + 45] ^= 1);
}

fn cut(disk: &FaultFs, beyond: Position) -> RepairReport {
    let before: Vec<_> = disk.names().iter().map(|name| disk.image(name)).collect();
    let planned = plan_repair(&disk.as_fs(), &small(), beyond).unwrap().unwrap();
    let after: Vec<_> = disk.names().iter().map(|name| disk.image(name)).collect();
    assert!(before == after, "a plan changes nothing");
    let done = repair(&disk.as_fs(), &small(), beyond).unwrap().unwrap();
    assert_eq!(planned, done);
    assert_eq!(repair(&disk.as_fs(), &small(), beyond).unwrap(), None, "once is enough");
    done
}

#[test]
fn a_healthy_journal_needs_no_repair() {
    let (disk, _) = twelve();
    assert_eq!(plan_repair(&disk.as_fs(), &small(), 0).unwrap(), None);
    assert_eq!(repair(&disk.as_fs(), &small(), 0).unwrap(), None);
}

#[test]
fn a_cut_keeps_what_lies_before_and_tells_what_is_lost() {
    let (disk, begins) = twelve();
    flip(&disk, 2, begins[5] - begins[4]);
    let bad = damage(&disk);
    let report = cut(&disk, 0);
    assert_eq!(report.damage, [bad]);
    assert_eq!((report.cut_at, report.lost_through), (begins[5], begins[12]));
    assert_eq!(report.lost_bytes, begins[12] - begins[5]);
    assert_eq!(report.lost_frames, 6, "the bad one itself cannot be read");
    assert_eq!(report.lost_by_shard, BTreeMap::from([(0, 1), (1, 1), (2, 2), (3, 2)]));
    assert_eq!(report.dropped_segments, [3]);
    assert!(report.next >= begins[12], "positions are not given out twice");

    let (journal, recovered) = Journal::open(disk.as_fs(), small()).unwrap();
    assert_eq!((recovered.oldest, recovered.end, recovered.frames), (0, report.next, 5));
    assert_eq!(collect(journal.replay_from(begins[5]).unwrap()), []);
    assert_eq!(collect(journal.replay_from(begins[12]).unwrap()), []);
    let end = put(&journal, b"new");
    assert!(end > report.next);
    assert_eq!(collect(journal.replay_from(begins[4]).unwrap()).len(), 2);
    drop(journal);
    for _ in 0..3 {
        drop(open(&disk));
        assert_eq!(payloads(&disk).len(), 6);
        assert_eq!(inspect(disk.as_fs(), small()).unwrap().recovered().end, end);
    }
}

#[test]
fn new_positions_begin_behind_what_the_tables_have_applied() {
    let (disk, begins) = twelve();
    flip(&disk, 1, 0);
    let report = cut(&disk, 1_000_003);
    assert_eq!((report.cut_at, report.next), (begins[0], 1_000_008));
    assert_eq!(inspect(disk.as_fs(), small()).unwrap().recovered().end, 1_000_008);
}

#[test]
fn a_lost_header_or_segment_is_cut_at_the_end_of_the_one_before() {
    for whole in [false, true] {
        for segment in 1..=3_u64 {
            let (disk, begins) = twelve();
            if whole {
                disk.edit(&name_of(segment), |bytes| bytes.fill(0xa5));
            } else {
                disk.edit(&name_of(segment), |bytes| bytes[20] ^= 1);
            }
            if whole && segment == 3 {
                // Nothing is left that would know of it.
                assert_eq!(payloads(&disk).len(), 8);
                continue;
            }
            let kept = (segment as usize - 1) * 4;
            let report = cut(&disk, begins[12]);
            assert_eq!(report.damage[0].segment, segment);
            let readable = 12 - kept as u64 - if whole { 4 } else { 0 };
            assert_eq!(report.lost_frames, readable, "segment {segment}, whole: {whole}");
            assert_eq!(payloads(&disk).len(), kept);
            assert!(report.next >= begins[12]);
            if kept > 0 {
                assert_eq!(report.cut_at, begins[kept]);
            }
            put(&open(&disk), b"goes on");
            assert_eq!(payloads(&disk).len(), kept + 1);
        }
    }
}

#[test]
fn damage_further_back_moves_the_cut_back() {
    let (disk, begins) = twelve();
    disk.edit(&name_of(3), |bytes| bytes[20] ^= 1);
    flip(&disk, 1, begins[1]);
    let report = cut(&disk, 0);
    assert_eq!(report.cut_at, begins[1]);
    assert_eq!(report.damage.iter().map(|one| one.segment).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(payloads(&disk), [vec![0; 30]]);
}

#[test]
fn dead_frames_stay_dead_when_the_header_that_cut_them_is_lost() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    put(&journal, b"acked");
    disk.fail(0, Fault::SyncKeepsCache);
    assert!(journal.append(1, b"unknown".to_vec()).wait().is_err());
    block_on(journal.resume()).unwrap();
    put(&journal, b"after");
    drop(journal);
    // The old file's dead frame is on disk after all, the header that ends it is not.
    disk.edit(&newest(&disk), |bytes| bytes[20] ^= 1);
    cut(&disk, 0);
    assert_eq!(payloads(&disk), texts(&["acked"]));
}

#[test]
fn a_power_cut_during_repair_leaves_it_damaged_or_repaired() {
    let mut repaired = 0;
    for seed in 0..300_u64 {
        let (disk, begins) = twelve();
        flip(&disk, 1, begins[1]);
        let mut random = seed;
        let faults = [Fault::SyncKeepsCache, Fault::SyncDir, Fault::Remove, Fault::Write(600)];
        let later = (next_random(&mut random) % 3) as u32;
        disk.fail(later, faults[(next_random(&mut random) % 4) as usize]);
        let _ = repair(&disk.as_fs(), &small(), 0);
        let after = disk.power_cut_by(seed);
        match inspect(after.as_fs(), small()) {
            Ok(found) => {
                repaired += 1;
                assert_eq!(found.recovered().frames, 1, "seed {seed}");
                assert!(found.recovered().end >= begins[12], "seed {seed}");
            }
            Err(OpenError::Corrupt(_)) => {
                repair(&after.as_fs(), &small(), 0).unwrap().unwrap();
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
        drop(open(&after));
        assert_eq!(payloads(&after.power_cut_losing_all()), [vec![0; 30]]);
    }
    assert!((1..300).contains(&repaired), "both outcomes were seen: {repaired}");
}
