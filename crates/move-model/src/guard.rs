//! The guards of the protocol, one by one. A search with a guard removed must find a fault; that
//! proves that the guard is needed and that the model could notice its absence.

use std::fmt;

/// A rule that keeps something from happening. Each names the rule in words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Guard {
    /// A command of a client runs only at the epoch that it names.
    Epoch,
    /// A command of a client runs only if the loaded row carries the unit that it names.
    RowUnit,
    /// The unit that gives rows away at a carve takes epoch + 1.
    CarveEpoch,
    /// A change under `capturing` notes its subject, in the same transaction.
    Noting,
    /// A change of stance waits for the commands under way and holds the next ones back.
    Barrier,
    /// Before the decision the source serves nothing.
    Freeze,
    /// A frozen unit answers no reads either.
    ReadFreeze,
    /// Nothing ever unfreezes by a timer on the shard.
    NoTimer,
    /// An order under a smaller lease than the last one is refused as stale.
    Lease,
    /// Within a lease, an order older than the last one is refused as stale.
    Step,
    /// A change of stance names the stance and the epoch that it expects.
    ExpectedState,
    /// A commit is valid only in the freeze that it was sent in.
    FreezeNumber,
    /// A commit is valid only under the lease that it was sent under.
    CommitLease,
    /// A page writes a row only over an older one.
    Rev,
    /// A restart of the source loses its notes: freeze and drain must notice.
    SourceIncarnation,
    /// A restart of the destination loses unsynced pages: everything after must notice.
    DestinationIncarnation,
    /// The stored cursor belongs to one capture and is reset when an import starts anew.
    Cursor,
    /// A purge runs only where the fence is closed at the garbage's epoch.
    PurgeFence,
    /// A purge deletes only rows that carry the garbage's unit.
    PurgeUnit,
    /// Nothing is imported to a shard that has garbage.
    NoGarbage,
    /// The destination asserts that it holds no row of what it is about to import.
    AssertEmpty,
    /// An entry of garbage is deleted by its own id.
    GarbageId,
    /// Parked commands leave first in, first out.
    Fifo,
    /// Parking is by slot, not by unit: a carve changes the unit of what is parked.
    ParkBySlot,
    /// A fenced command takes back every later command of its unit that stands behind it.
    PullBack,
    /// Nothing is sent under a new (unit, epoch) while an older command of the same conversation
    /// is unanswered.
    Straggler,
    /// A command's client id is looked up before it is stored.
    Idempotency,
    /// The destination is durable before the commit.
    Durable,
    /// Versions of both sides are compared before the commit; a difference aborts and alarms.
    Compare,
    /// A cache entry is valid for one (unit, epoch).
    CacheKey,
    /// A read checks the fence again after its table snapshot began.
    ReCheck,
    /// The source hands over all events before the commit.
    DispatchBarrier,
    /// A note is dropped only if its version is unchanged.
    NoteVersion,
    /// On the way back the directory changes before the source thaws.
    DirectoryFirst,
    /// `ABORTING` comes only after `COPYING` or `FREEZING`, by compare-and-set under one's lease.
    AbortCompare,
    /// An abort leaves its pair on both shards, even where there is nothing to undo.
    AbortPair,
    /// A carve that goes back or aborts relabels back in the transaction that opens.
    RelabelBack,
}

impl Guard {
    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::RowUnit => "row-unit",
            Self::CarveEpoch => "carve-epoch",
            Self::Noting => "noting",
            Self::Barrier => "barrier",
            Self::Freeze => "freeze",
            Self::ReadFreeze => "read-freeze",
            Self::NoTimer => "no-timer",
            Self::Lease => "lease",
            Self::Step => "step",
            Self::ExpectedState => "expected-state",
            Self::FreezeNumber => "freeze-number",
            Self::CommitLease => "commit-lease",
            Self::Rev => "rev",
            Self::SourceIncarnation => "source-incarnation",
            Self::DestinationIncarnation => "destination-incarnation",
            Self::Cursor => "cursor",
            Self::PurgeFence => "purge-fence",
            Self::PurgeUnit => "purge-unit",
            Self::NoGarbage => "no-garbage",
            Self::AssertEmpty => "assert-empty",
            Self::GarbageId => "garbage-id",
            Self::Fifo => "fifo",
            Self::ParkBySlot => "park-by-slot",
            Self::PullBack => "pull-back",
            Self::Straggler => "straggler",
            Self::Idempotency => "idempotency",
            Self::Durable => "durable",
            Self::Compare => "compare",
            Self::CacheKey => "cache-key",
            Self::ReCheck => "re-check",
            Self::DispatchBarrier => "dispatch-barrier",
            Self::NoteVersion => "note-version",
            Self::DirectoryFirst => "directory-first",
            Self::AbortCompare => "abort-compare",
            Self::AbortPair => "abort-pair",
            Self::RelabelBack => "relabel-back",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The guards that a search does without.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Removed(u64);

impl Removed {
    /// The protocol as it is.
    pub const NOTHING: Self = Self(0);

    /// Without these guards.
    pub fn of(guards: &[Guard]) -> Self {
        Self(guards.iter().fold(0, |bits, guard| bits | 1 << *guard as u8))
    }

    /// True if the search does without this guard.
    pub fn contains(self, guard: Guard) -> bool {
        self.0 & 1 << guard as u8 != 0
    }
}
