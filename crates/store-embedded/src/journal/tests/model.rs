//! Random lives of a journal against a list: every acked append is recovered exactly once, in
//! order; nothing comes back behind a gap; what one start has shown, the next shows too.

use proptest::prelude::*;

use super::*;
use crate::journal::fault::Fault;

#[derive(Clone, Debug)]
enum Step {
    /// One append, waited for.
    Append(usize),
    /// So many at once, waited for.
    Burst(Vec<usize>),
    /// A batch is written and not synced, more waits, and the power goes.
    CutInFlight {
        first: usize,
        batch: Vec<usize>,
        waiting: usize,
        seed: u64,
    },
    /// The power goes while nothing is under way.
    Cut(u64),
    /// The process dies or stops.
    Restart,
    /// The next write or sync fails, and the journal goes on in the same process or not.
    Fail {
        fault: Fault,
        len: usize,
        resume: bool,
    },
    Rotate,
    /// Removes the older part of the log.
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    let len = || 0..3000_usize;
    let fault = prop_oneof![
        (0..3000_usize).prop_map(Fault::Write),
        Just(Fault::SyncKeepsCache),
        Just(Fault::SyncLosesCache),
    ];
    prop_oneof![
        4 => len().prop_map(Step::Append),
        4 => prop::collection::vec(len(), 1..12).prop_map(Step::Burst),
        3 => (len(), prop::collection::vec(len(), 0..8), 0..4_usize, any::<u64>()).prop_map(
            |(first, batch, waiting, seed)| Step::CutInFlight { first, batch, waiting, seed }
        ),
        1 => any::<u64>().prop_map(Step::Cut),
        1 => Just(Step::Restart),
        2 => (fault, len(), any::<bool>())
            .prop_map(|(fault, len, resume)| Step::Fail { fault, len, resume }),
        1 => Just(Step::Rotate),
        1 => Just(Step::Remove),
    ]
}

struct Life {
    disk: FaultFs,
    journal: Option<Journal>,
    /// The log as far as it is certain, without what was removed.
    certain: Vec<Vec<u8>>,
    /// Appends of unknown outcome, in order; a prefix of them may turn up at the next start.
    unknown: Vec<Vec<u8>>,
    next: u32,
}

impl Life {
    fn new() -> Life {
        let disk = FaultFs::new();
        let journal = Some(open(&disk));
        Life { disk, journal, certain: Vec::new(), unknown: Vec::new(), next: 0 }
    }

    fn payload(&mut self, len: usize) -> Vec<u8> {
        self.next += 1;
        let mut payload = self.next.to_le_bytes().to_vec();
        payload.resize(4 + len, self.next as u8);
        payload
    }

    fn append(&mut self, len: usize) -> (Vec<u8>, Append) {
        let payload = self.payload(len);
        let answer = self.journal.as_ref().unwrap().append(len as u32, payload.clone());
        (payload, answer)
    }

    /// Starts on `disk` and compares.
    fn start(&mut self, disk: FaultFs) {
        self.journal = None;
        self.disk = disk;
        let (journal, recovered) = Journal::open(self.disk.as_fs(), small()).unwrap();
        let found = collect(journal.replay_from(recovered.oldest).unwrap());
        assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        let found: Vec<_> = found.into_iter().map(|(_, payload)| payload).collect();
        let (known, more) = found.split_at_checked(self.certain.len()).expect("acked is lost");
        assert!(known == self.certain, "acked appends changed");
        assert!(self.unknown.starts_with(more), "something else came back");
        self.certain = found;
        self.unknown.clear();
        self.journal = Some(journal);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append(len) => {
                let (payload, answer) = self.append(len);
                answer.wait().unwrap();
                self.certain.push(payload);
            }
            Step::Burst(lens) => {
                let waiting: Vec<_> = lens.into_iter().map(|len| self.append(len)).collect();
                for (payload, answer) in waiting {
                    answer.wait().unwrap();
                    self.certain.push(payload);
                }
            }
            Step::CutInFlight { first, batch, waiting, seed } => {
                let calls = self.disk.sync_calls();
                self.disk.hold_syncs();
                let mut sent = vec![self.append(first)];
                self.disk.wait_for_sync_calls(calls + 1);
                sent.extend(batch.iter().map(|&len| self.append(len)));
                if !batch.is_empty() {
                    // The first batch is synced or, where it had to rotate first, its segment is;
                    // the writer stands at the sync that follows.
                    self.disk.allow_syncs(1);
                    self.disk.wait_for_sync_calls(calls + 2);
                }
                sent.extend((0..waiting).map(|_| self.append(9)));
                let synced = self.journal.as_ref().unwrap().synced();
                let cut = self.disk.power_cut_by(seed);
                self.disk.release_syncs();
                for (payload, answer) in sent {
                    if answer.wait().unwrap() <= synced {
                        self.certain.push(payload);
                    } else {
                        self.unknown.push(payload);
                    }
                }
                self.start(cut);
            }
            Step::Cut(seed) => self.start(self.disk.power_cut_by(seed)),
            Step::Restart => self.start(self.disk.clone()),
            Step::Fail { fault, len, resume } => {
                self.disk.fail(0, fault);
                let (payload, answer) = self.append(len);
                assert_eq!(answer.wait(), Err(AppendError::Failed));
                if resume {
                    block_on(self.journal.as_ref().unwrap().resume()).unwrap();
                } else {
                    self.unknown.push(payload);
                    self.start(self.disk.clone());
                }
            }
            Step::Rotate => {
                block_on(self.journal.as_ref().unwrap().rotate()).unwrap();
            }
            Step::Remove => {
                let journal = self.journal.as_ref().unwrap();
                let segments = journal.segments();
                let half = segments[segments.len() / 2].start;
                journal.remove_before(half).unwrap();
                let left = collect(journal.replay_from(journal.oldest()).unwrap());
                let left: Vec<_> = left.into_iter().map(|(_, payload)| payload).collect();
                assert!(self.certain.ends_with(&left));
                self.certain = left;
            }
        }
    }
}

/// Two hundred lives, the same in every run; `PROPTEST_CASES` makes it more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 200 },
        rng_seed: proptest::test_runner::RngSeed::Fixed(5),
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn acked_is_durable_in_order_and_once(steps in prop::collection::vec(step(), 1..40)) {
        let mut life = Life::new();
        for step in steps {
            life.run(step);
        }
        life.start(life.disk.power_cut_losing_all());
    }
}
