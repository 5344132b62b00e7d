//! The same on real files.

use std::sync::Arc;

use super::*;

#[test]
fn real_files_hold_what_was_acked_over_restarts_rotations_and_removal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    assert!(DirFs::open_existing(&path).is_err());
    let options = Options {
        segment_bytes: 256 << 10,
        chunk_bytes: 64 << 10,
        first_bytes: 64 << 10,
        prepare_ahead: true,
        store: STORE,
    };
    let mut count = 0_u32;
    for _ in 0..3 {
        let fs: Arc<dyn JournalFs> = Arc::new(DirFs::open(&path).unwrap());
        let (journal, recovered) = Journal::open(fs, options.clone()).unwrap();
        assert_eq!(recovered.frames, u64::from(count));
        let waiting: Vec<_> = (0..500_u32)
            .map(|n| journal.append(n, (count + n).to_le_bytes().repeat(200)))
            .collect();
        for one in waiting {
            one.wait().unwrap();
            count += 1;
        }
        let all = collect(journal.replay_from(0).unwrap());
        assert_eq!(all.len() as u32, count);
        assert!(all.iter().zip(0_u32..).all(|((_, p), n)| p[..4] == n.to_le_bytes()));
    }
    let fs: Arc<dyn JournalFs> = Arc::new(DirFs::open(&path).unwrap());
    let (journal, recovered) = Journal::open(fs, options).unwrap();
    assert!(journal.segments().len() > 3);
    assert!(journal.remove_before(recovered.end).unwrap() > 2);
    assert_eq!(journal.oldest(), recovered.end);
}

#[test]
fn other_files_in_the_directory_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["notes.txt", "1.seg", "00000000000000FF.seg", "0000000000000000.seg"] {
        std::fs::write(folder.path().join(name), "mine").unwrap();
    }
    let fs: Arc<dyn JournalFs> = Arc::new(DirFs::open(folder.path()).unwrap());
    drop(Journal::open(fs, small()).unwrap());
    assert_eq!(std::fs::read(folder.path().join("1.seg")).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
}
