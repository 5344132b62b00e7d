//! Writes and syncs that fail, a full disk, a slow one.

use bytes::Bytes;

use super::*;
use crate::journal::fault::Fault;

#[test]
fn a_failed_write_or_sync_stops_everything_until_resumed_and_never_revives() {
    for fault in [
        Fault::Write(0),
        Fault::Write(13),
        Fault::Write(512),
        Fault::Write(usize::MAX),
        Fault::SyncKeepsCache,
        Fault::SyncLosesCache,
    ] {
        let disk = FaultFs::new();
        let journal = open(&disk);
        let acked = put(&journal, b"acked");
        disk.fail(0, fault);
        assert_eq!(journal.append(1, vec![1; 600]).wait(), Err(AppendError::Failed));
        assert_eq!(journal.status(), Status::Failed { generation: 1 });
        assert_eq!(journal.append(1, vec![2]).wait(), Err(AppendError::Stopped));
        assert!(matches!(block_on(journal.rotate()), Err(ControlError::Stopped)));
        assert_eq!(journal.synced(), acked);
        assert_eq!(collect(journal.replay_from(0).unwrap()).len(), 1, "reads go on");

        block_on(journal.resume()).unwrap();
        block_on(journal.resume()).unwrap();
        assert_eq!(journal.status(), Status::Running { generation: 1 });
        assert_eq!(journal.append_in(0, 1, vec![3]).wait(), Err(AppendError::Stopped));
        assert_eq!(collect(journal.replay_from(acked).unwrap()), []);
        let next = journal.append_in(1, 1, b"next".to_vec()).wait().unwrap();
        assert_eq!(collect(journal.replay_from(acked).unwrap()), [(acked, b"next".to_vec())]);
        let segments = journal.segments();
        assert_eq!(segments.last().unwrap().end, next);
        assert!(segments.last().unwrap().incarnation > segments[0].incarnation);

        let wanted = texts(&["acked", "next"]);
        assert_eq!(payloads(&disk.power_cut_losing_all()), wanted, "{fault:?}");
        drop(journal);
        for _ in 0..3 {
            drop(open(&disk));
            assert_eq!(payloads(&disk), wanted, "{fault:?}");
        }
    }
}

#[test]
fn all_that_wait_behind_a_failure_are_told_in_the_same_generation() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let mut status = journal.subscribe();
    let calls = disk.sync_calls();
    disk.hold_syncs();
    let first = journal.append(1, b"a".to_vec());
    disk.wait_for_sync_calls(calls + 1);
    let waiting: Vec<_> = (0..10).map(|n| journal.append(n, b"b".to_vec())).collect();
    disk.fail(0, Fault::SyncLosesCache);
    disk.release_syncs();
    assert_eq!(first.wait(), Err(AppendError::Failed));
    for one in waiting {
        assert_eq!(one.wait(), Err(AppendError::Failed));
    }
    block_on(status.changed()).unwrap();
    assert_eq!(*status.borrow_and_update(), Status::Failed { generation: 1 });
    block_on(journal.resume()).unwrap();
    block_on(status.changed()).unwrap();
    assert!(status.borrow_and_update().is_running());
    put(&journal, b"c");
    assert_eq!(payloads(&disk), texts(&["c"]));
}

#[test]
fn a_resume_that_fails_may_be_asked_again() {
    for fault in [
        Fault::Create,
        Fault::Write(4000),
        Fault::SyncKeepsCache,
        Fault::SyncLosesCache,
        Fault::SyncDir,
    ] {
        let disk = FaultFs::new();
        let journal = open(&disk);
        put(&journal, b"before");
        disk.fail(0, Fault::SyncKeepsCache);
        assert_eq!(journal.append(1, b"lost".to_vec()).wait(), Err(AppendError::Failed));
        disk.fail(0, fault);
        assert!(matches!(block_on(journal.resume()), Err(ControlError::Io(_))), "{fault:?}");
        assert_eq!(journal.append(1, b"no".to_vec()).wait(), Err(AppendError::Stopped));
        assert_eq!(journal.status(), Status::Failed { generation: 1 });
        block_on(journal.resume()).unwrap();
        put(&journal, b"after");
        assert_eq!(payloads(&disk.power_cut_losing_all()), texts(&["before", "after"]));
        for seed in 0..20 {
            assert_eq!(payloads(&disk.power_cut_by(seed)), texts(&["before", "after"]));
        }
    }
}

#[test]
fn a_full_disk_refuses_appends_keeps_reads_and_recovers_without_a_restart() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    disk.set_capacity(Some(disk.used() + 5000));
    let mut acked = 0;
    let error = loop {
        match journal.append(1, vec![acked as u8; 1000]).wait() {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error, acked), (AppendError::Failed, 15));
    assert_eq!(collect(journal.replay_from(0).unwrap()).len(), 15);
    assert!(matches!(
        block_on(journal.resume()),
        Err(ControlError::Io(error)) if error.kind() == std::io::ErrorKind::StorageFull
    ));
    assert_eq!(disk.names().len(), 1, "a failed attempt gives its space back");
    disk.set_capacity(None);
    block_on(journal.resume()).unwrap();
    put(&journal, b"room again");
    assert_eq!(payloads(&disk.power_cut_losing_all()).len(), 16);
}

#[test]
fn a_rotation_that_fails_is_a_failure_of_the_journal() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    put(&journal, b"one");
    disk.fail(0, Fault::SyncKeepsCache);
    disk.fail(0, Fault::Remove);
    assert!(matches!(block_on(journal.rotate()), Err(ControlError::Io(_))));
    assert_eq!(journal.status(), Status::Failed { generation: 1 });
    assert_eq!(disk.names().len(), 2, "the half-made segment could not be removed");
    block_on(journal.resume()).unwrap();
    put(&journal, b"two");
    assert_eq!(journal.segments().len(), 2);
    assert_eq!(disk.names().len(), 2, "the resume removed it");
    assert_eq!(payloads(&disk), texts(&["one", "two"]));
}

#[test]
fn nothing_is_answered_before_its_sync_and_all_that_wait_share_one() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let (syncs, writes) = (disk.sync_calls(), disk.write_calls());
    disk.hold_syncs();
    let mut first = journal.append(1, b"first".to_vec());
    disk.wait_for_sync_calls(syncs + 1);
    let waiting: Vec<_> = (0..100).map(|n| journal.append(n, vec![n as u8; 20])).collect();
    assert_eq!(journal.synced(), 0);
    let pending = block_on(async {
        tokio::select! {
            biased;
            _ = &mut first => false,
            () = std::future::ready(()) => true,
        }
    });
    assert!(pending, "answered before the sync");
    disk.release_syncs();
    let mut ends = vec![first.wait().unwrap()];
    ends.extend(waiting.into_iter().map(|one| one.wait().unwrap()));
    assert!(ends.is_sorted_by(|a, b| a < b), "positions follow the order of arrival");
    assert_eq!((disk.sync_calls() - syncs, disk.write_calls() - writes), (2, 2));
}

#[test]
fn the_queue_is_bounded_and_a_payload_too() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let largest = Bytes::from(vec![0; PAYLOAD_BYTES_MAX]);
    let longer = Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1]);
    assert_eq!(journal.append(1, longer).wait(), Err(AppendError::TooLong));
    // Failing at once when released, so that the test needs no space for all that.
    disk.set_capacity(Some(disk.used()));
    disk.hold_syncs();
    let calls = disk.sync_calls();
    let held = journal.append(1, b"held".to_vec());
    disk.wait_for_sync_calls(calls + 1);
    let waiting: Vec<_> = (0..3).map(|_| journal.append(1, largest.clone())).collect();
    assert_eq!(journal.append(1, largest.clone()).wait(), Err(AppendError::Full));
    let small = journal.append(1, b"still fits".to_vec());
    disk.release_syncs();
    held.wait().unwrap();
    for one in waiting {
        assert_eq!(one.wait(), Err(AppendError::Failed));
    }
    assert_eq!(small.wait(), Err(AppendError::Failed));
    disk.set_capacity(None);
    block_on(journal.resume()).unwrap();
    put(&journal, b"empty again");
}

#[test]
fn dropping_the_journal_writes_what_waits() {
    let disk = FaultFs::new();
    let journal = open(&disk);
    let waiting: Vec<_> = (0..50).map(|n| journal.append(1, vec![n])).collect();
    drop(journal);
    for one in waiting {
        one.wait().unwrap();
    }
    assert_eq!(payloads(&disk.power_cut_losing_all()).len(), 50);
}
