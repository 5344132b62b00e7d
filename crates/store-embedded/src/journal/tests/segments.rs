//! Rotation, removal, the spare file, and readers across segments.

use super::*;
use crate::journal::{
    fault::{Fault, Kept, Unsynced},
    frame::frame_len,
};

/// A payload whose frame is this long.
fn of_frame(len: usize, fill: u8) -> Vec<u8> {
    let payload = vec![fill; len - frame_len(0)];
    assert_eq!(frame_len(payload.len()), len);
    payload
}

#[test]
fn a_segment_is_filled_to_its_last_byte_and_no_further() {
    let size = small().segment_bytes as usize;
    for spare in [0, 8, 40, 48] {
        let disk = FaultFs::new();
        let journal = open(&disk);
        put(&journal, &of_frame(size / 2, 1));
        put(&journal, &of_frame(size / 2 - spare, 2));
        assert_eq!(journal.segments().len(), 1);
        put(&journal, b"");
        assert_eq!(journal.segments().len(), if spare >= 40 { 1 } else { 2 });
        put(&journal, b"one more");
        assert_eq!(payloads(&disk).len(), 4);
        drop(journal);
        assert_eq!(put(&open(&disk), b"x"), (size - spare + 40 + 48 + 48) as u64);
    }
}

#[test]
fn a_frame_longer_than_a_segment_gets_one_of_its_own() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    put(&journal, b"before");
    put(&journal, &vec![3; 100_000]);
    put(&journal, b"after");
    assert_eq!(journal.segments().len(), 3);
    drop(journal);
    let all = payloads(&disk);
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [6, 100_000, 5]);
}

#[test]
fn one_large_batch_spreads_over_segments() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let calls = disk.sync_calls();
    disk.hold_syncs();
    let first = journal.append(1, b"x".to_vec());
    disk.wait_for_sync_calls(calls + 1);
    let waiting: Vec<_> = (0..60_u8).map(|n| journal.append(1, vec![n; 1000])).collect();
    disk.release_syncs();
    first.wait().unwrap();
    let ends: Vec<_> = waiting.into_iter().map(|one| one.wait().unwrap()).collect();
    assert!(ends.is_sorted_by(|a, b| a < b));
    assert_eq!(journal.segments().len(), 4);
    assert_eq!(payloads(&disk.power_cut_losing_all()).len(), 61);
}

#[test]
fn rotation_on_demand_closes_what_was_appended_and_removal_takes_whole_segments() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    assert_eq!(block_on(journal.rotate()).unwrap(), 0, "an empty segment is not rotated");
    let mut ends = Vec::new();
    for n in 0..4_u8 {
        ends.push(put(&journal, &[n; 10]));
        assert_eq!(block_on(journal.rotate()).unwrap(), ends[n as usize]);
    }
    assert_eq!(journal.segments().len(), 5);
    assert_eq!(journal.remove_before(ends[1] - 1).unwrap(), 1);
    assert_eq!((journal.oldest(), disk.names().len()), (ends[0], 4));
    assert!(matches!(journal.replay_from(0), Err(ReadError::Gone { oldest }) if oldest == ends[0]));
    assert_eq!(collect(journal.replay_from(ends[0]).unwrap()).len(), 3);
    assert_eq!(journal.remove_before(Position::MAX).unwrap(), 3);
    assert_eq!(journal.segments().len(), 1, "never the active one");
    assert_eq!(journal.oldest(), ends[3]);
    let end = put(&journal, b"last");
    drop(journal);
    let recovered = Journal::open(disk.power_cut_losing_all().as_fs(), small()).unwrap().1;
    assert_eq!((recovered.oldest, recovered.end, recovered.fresh), (ends[3], end, false));
}

#[test]
fn a_failed_removal_is_told_and_tried_again() {
    for fault in [Fault::Remove, Fault::SyncDir] {
        let disk = FaultFs::new();
        let journal = open(&disk);
        let mut end = 0;
        for n in 0..3_u8 {
            end = put(&journal, &[n]);
            block_on(journal.rotate()).unwrap();
        }
        disk.fail(1, fault);
        assert!(journal.remove_before(end).is_err());
        assert_eq!(journal.remove_before(end).unwrap(), 2);
        assert_eq!(disk.names().len(), 1);
    }
}

#[test]
fn a_power_cut_during_removal_leaves_no_hole() {
    for seed in 0..300 {
        let disk = FaultFs::new();
        let journal = open(&disk);
        let mut end = 0;
        for n in 0..5_u8 {
            end = put(&journal, &[n]);
            block_on(journal.rotate()).unwrap();
        }
        disk.fail((seed % 5) as u32, [Fault::SyncDir, Fault::Remove][(seed / 5 % 2) as usize]);
        assert!(journal.remove_before(end).is_err());
        let found = inspect(disk.power_cut_by(seed).as_fs(), small());
        assert_eq!(found.unwrap().recovered().end, end, "seed {seed}");
    }
}

#[test]
fn readers_start_anywhere_stop_where_they_were_made_and_know_their_bounds() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let mut ends = vec![0];
    for n in 0..40_u8 {
        ends.push(put(&journal, &[n; 1000]));
    }
    assert!(journal.segments().len() > 2);
    for (n, from) in ends.iter().enumerate() {
        let mut reader = journal.replay_from(*from).unwrap();
        assert_eq!(reader.end(), ends[40]);
        let frame = reader.next_frame().unwrap().map(|frame| (frame.position, frame.payload[0]));
        assert_eq!(frame, (n < 40).then_some((*from, n as u8)));
    }
    let reader = journal.replay_from(ends[20]).unwrap();
    let end = put(&journal, b"later");
    assert_eq!(collect(reader).len(), 20);
    assert!(matches!(
        journal.replay_from(end + 8),
        Err(ReadError::Beyond { end: known }) if known == end
    ));
    let inside = journal.replay_from(ends[3] + 8).unwrap().next_frame().map(|_| ());
    assert!(matches!(inside, Err(ReadError::Corrupt(Damage { segment: 1, .. }))));

    // One that holds its segment open reads on when it is removed, a late one is told.
    let mut early = journal.replay_from(0).unwrap();
    let mut late = journal.replay_from(0).unwrap();
    early.next_frame().unwrap();
    let first_end = journal.segments()[0].end;
    assert_eq!(journal.remove_before(first_end).unwrap(), 1);
    assert_eq!(collect(early).len(), 40);
    let gone = late.next_frame().map(|_| ());
    assert!(matches!(gone, Err(ReadError::Gone { oldest }) if oldest == first_end));
}

#[test]
fn a_spare_prepared_ahead_changes_nothing_but_the_time() {
    let options = Options {
        prepare_ahead: true,
        chunk_bytes: 8 << 10,
        first_bytes: 8 << 10,
        segment_bytes: 64 << 10,
        store: STORE,
    };
    let disk = FaultFs::new();
    let mut written = 0;
    for start in 0..4 {
        let (journal, recovered) = Journal::open(disk.as_fs(), options.clone()).unwrap();
        assert_eq!(recovered.frames, written);
        let waiting: Vec<_> = (0..300_u32)
            .map(|n| journal.append(n, vec![n as u8; (n as usize * 7) % 3000]))
            .collect();
        for one in waiting {
            one.wait().unwrap();
            written += 1;
        }
        if start == 1 {
            put(&journal, &vec![1; 200_000]);
            written += 1;
        }
        for seed in 0..10 {
            assert_eq!(payloads(&disk.power_cut_by(seed)).len() as u64, written);
        }
    }
    drop(Journal::open(disk.as_fs(), options).unwrap());
    let found = inspect(disk.as_fs(), small()).unwrap();
    assert_eq!(found.segments().len(), disk.names().len(), "unused spares are removed");
}

#[test]
fn the_header_of_a_spare_is_durable_before_its_first_frame() {
    let options = Options { prepare_ahead: true, ..small() };
    let disk = FaultFs::new();
    let (journal, _) = Journal::open(disk.as_fs(), options).unwrap();
    put(&journal, &[1; 3000]);
    block_on(journal.rotate()).unwrap();
    let calls = disk.sync_calls();
    disk.hold_syncs();
    let waiting = journal.append(1, vec![2; 10]);
    disk.wait_for_sync_calls(calls + 1);
    let cut = disk.power_cut(&mut |change| match change {
        Unsynced::Write { offset: 0, .. } => Kept::Nothing,
        _ => Kept::All,
    });
    disk.release_syncs();
    waiting.wait().unwrap();
    assert_eq!(payloads(&cut).len(), 2);
}

#[test]
fn a_spare_that_fails_does_not_stop_the_journal() {
    let options = Options {
        prepare_ahead: true,
        chunk_bytes: 8 << 10,
        first_bytes: 8 << 10,
        segment_bytes: 64 << 10,
        store: STORE,
    };
    let disk = FaultFs::new();
    let (journal, _) = Journal::open(disk.as_fs(), options).unwrap();
    // Room for a chunk that the writer makes, not for a whole spare.
    disk.set_capacity(Some(disk.used() + (14 << 10)));
    let mut acked = 0;
    while journal.append(1, vec![0; 1000]).wait().is_ok() {
        acked += 1;
    }
    assert!(acked >= 14, "{acked}");
    disk.set_capacity(None);
    block_on(journal.resume()).unwrap();
    put(&journal, b"x");
    assert_eq!(payloads(&disk).len(), acked + 1);
}
