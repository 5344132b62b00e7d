//! The mutants: which guards are removed together, and the configurations that should notice, in
//! the order in which they are tried.

use crate::{
    configuration::Configuration,
    guard::{Guard, Removed},
    model::Model,
    search::{Outcome, search},
};

/// The protocol without some guards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// What is removed.
    pub removed: &'static [Guard],
    /// Configurations to try, in this order.
    pub tried: &'static [&'static str],
    /// Set if nothing notices.
    pub redundant: Option<Redundant>,
}

/// A guard that a partner makes redundant. Both are kept: they fail in different ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redundant {
    /// The partner. There is a mutant without both, and its configuration does not notice the
    /// absence of the partner alone.
    pub partner: Guard,
    /// Why nothing notices while the partner stands.
    pub why: &'static str,
}

const fn mutant(removed: &'static [Guard], tried: &'static [&'static str]) -> Mutant {
    Mutant { removed, tried, redundant: None }
}

use Guard::{
    AbortCompare, AbortPair, AssertEmpty, Barrier, CacheKey, CarveEpoch, CommitLease, Compare,
    Cursor, DestinationIncarnation, DirectoryFirst, DispatchBarrier, Durable, Epoch, ExpectedState,
    Fifo, Freeze, FreezeNumber, GarbageId, Idempotency, Lease, NoGarbage, NoTimer, NoteVersion,
    Noting, ParkBySlot, PullBack, PurgeFence, PurgeUnit, ReCheck, ReadFreeze, RelabelBack, Rev,
    RowUnit, SourceIncarnation, Step, Straggler,
};

/// Every mutant.
pub const MUTANTS: &[Mutant] = &[
    mutant(&[Epoch], &["merge", "carve", "carve-back"]),
    Mutant {
        removed: &[RowUnit],
        tried: &["merge", "carve-late", "carve-back", "pipe-carve", "carve", "carve-zombie"],
        redundant: Some(Redundant {
            partner: CarveEpoch,
            why: "while the parent's epoch rises at every carve: it alone fences every stale router",
        }),
    },
    mutant(&[CarveEpoch, RowUnit], &["carve-late"]),
    mutant(&[CarveEpoch], &["merge", "carve"]),
    mutant(&[Noting], &["base"]),
    mutant(&[Noting, Compare], &["base"]),
    mutant(&[Barrier], &["base"]),
    mutant(&[Barrier, Compare], &["base"]),
    mutant(&[Freeze], &["base"]),
    mutant(&[Freeze, Compare], &["base"]),
    mutant(&[ReadFreeze], &["reads"]),
    mutant(&[NoTimer], &["base"]),
    mutant(&[NoTimer, Compare], &["base"]),
    mutant(&[Lease], &["abort", "takeover2"]),
    mutant(&[Step], &["late", "abort"]),
    Mutant {
        removed: &[ExpectedState],
        tried: &["late", "abort", "carve-late", "takeover2", "merge", "moveback", "takeover"],
        redundant: Some(Redundant {
            partner: Lease,
            why: "while pairs and the directory's compare-and-set hold: who holds the lease knows the \
             phase",
        }),
    },
    mutant(&[ExpectedState, Lease], &["carve-late"]),
    mutant(&[FreezeNumber], &["late"]),
    Mutant {
        removed: &[CommitLease],
        tried: &["late2", "takeover2", "zombie-late2", "takeover", "carve"],
        redundant: Some(Redundant {
            partner: FreezeNumber,
            why: "while the freeze number is there: every take-over goes through COPYING, so the \
             number rises",
        }),
    },
    mutant(&[CommitLease, FreezeNumber], &["takeover2"]),
    Mutant {
        removed: &[Rev],
        tried: &["pages", "late", "late2", "takeover2", "sd-restart", "takeover"],
        redundant: Some(Redundant {
            partner: Step,
            why: "while every order has its pair and pages and catch-up do not overlap: no older image \
             can arrive after a newer one",
        }),
    },
    mutant(&[Rev, Step], &["moveback"]),
    mutant(&[SourceIncarnation], &["s-restart"]),
    mutant(&[SourceIncarnation, Compare], &["s-restart"]),
    mutant(&[PurgeFence], &["moveback"]),
    mutant(&[PurgeUnit], &["carve-back"]),
    mutant(&[NoGarbage], &["moveback", "abort"]),
    mutant(&[NoGarbage, AssertEmpty], &["moveback", "carve-back"]),
    mutant(&[Fifo], &["pipeline"]),
    mutant(&[Durable], &["d-restart"]),
    mutant(&[CacheKey], &["reads"]),
    mutant(&[ReCheck], &["reads"]),
    mutant(&[DispatchBarrier], &["dispatch"]),
    mutant(&[NoteVersion], &["base"]),
    mutant(&[NoteVersion, Compare], &["base"]),
    mutant(&[DirectoryFirst], &["late"]),
    mutant(&[AbortCompare], &["abort"]),
    mutant(&[Idempotency], &["retry"]),
    mutant(&[Straggler], &["pipeline"]),
    mutant(&[PullBack], &["pipeline"]),
    mutant(&[ParkBySlot], &["pipe-carve"]),
    mutant(&[DestinationIncarnation], &["d-restart"]),
    mutant(&[Cursor], &["s-restart", "d-restart"]),
    mutant(&[Cursor, Compare], &["s-restart", "d-restart"]),
    mutant(&[RelabelBack], &["carve-late"]),
    mutant(&[GarbageId], &["abort"]),
    mutant(&[AbortPair], &["abort"]),
];

impl Mutant {
    /// Its name: the guards that it does without.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.removed.iter().map(|guard| guard.name()).collect();
        names.join("+")
    }

    /// The mutant with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        MUTANTS.iter().find(|mutant| mutant.name() == name)
    }

    /// Searches its configurations until one refutes it: the last one searched and what it said.
    pub fn search(&self) -> Option<(&'static Configuration, Outcome)> {
        let mut last = None;
        for name in self.tried {
            let configuration = Configuration::named(name)?;
            let outcome = search(&Model::new(configuration, Removed::of(self.removed)));
            let refuted = outcome.refutation.is_some();
            last = Some((configuration, outcome));
            if refuted {
                break;
            }
        }
        last
    }
}
