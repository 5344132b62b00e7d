//! What travels: orders of a coordinator to a shard, changes of the directory, commands of clients
//! that arrive late, pages of a purge. Each can be lost, and each can arrive long after its time.

use std::fmt;

use crate::{
    list::List,
    names::{CommandNumber, Conversation, Epoch, JobNumber, Lease, Shard, Unit, Version},
    subject::{PAGES_MAX, Page},
};

/// Rows left behind on a shard; the directory lists them until a purge has deleted them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Garbage {
    /// Where they are.
    pub shard: Shard,
    /// The unit that they carry.
    pub unit: Unit,
    /// The epoch of the fence there.
    pub epoch: Epoch,
    /// The entry's own id: here the move that made it.
    pub id: JobNumber,
}

/// How far the copy has come. It belongs to one capture: after another one it means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Cursor {
    /// The capture on the source.
    pub capture: u8,
    /// The next page.
    pub page: u8,
}

/// How a destination is asked to import.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Import {
    /// For the first time.
    First,
    /// After a take-over: only if it is importing for this move already.
    Again,
    /// From the start, after a restart lost pages.
    Anew,
}

/// The relabelling that a step back undoes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Undo {
    /// A move relabels nothing.
    Nothing,
    /// Rows go back from the child to the parent, and the child is closed.
    Carve,
    /// Rows go back from the parent to the child.
    Merge,
}

/// What a coordinator wants of a shard. A change of stance names the epoch that it expects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// None or `moved` → `importing` at the next epoch.
    Import(Import),
    /// `open → capturing`.
    Capture {
        /// After a take-over: only if it is capturing for this move already.
        again: bool,
    },
    /// `capturing → frozen`.
    Freeze,
    /// `frozen → capturing`, relabelling back.
    Thaw(Undo),
    /// `capturing` or `frozen → open`, relabelling back.
    Reopen(Undo),
    /// `importing → open`.
    Open,
    /// `frozen → moved`.
    Close,
    /// `importing` → none.
    Withdraw,
    /// Rows for an import.
    Pages {
        /// The rows.
        pages: List<Page, PAGES_MAX>,
        /// How far the copy is once they are stored, in the same transaction.
        cursor: Option<Cursor>,
    },
    /// All rows are here: make them durable.
    Complete,
    /// A note was carried over: drop it if it is still at that version.
    DropNote {
        /// The noted subject.
        conversation: Conversation,
        /// The version that was carried.
        version: Version,
    },
    /// Gives the rows of `y` to the other unit, while frozen.
    Relabel,
    /// A carve is decided: the parent opens at its new epoch.
    OpenParent,
}

impl Order {
    /// True if it changes what the shard serves, so that it waits for commands under way.
    pub fn changes_stance(&self) -> bool {
        !matches!(self, Self::Pages { .. } | Self::Complete | Self::DropNote { .. })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Import(_) => "import",
            Self::Capture { .. } => "capture",
            Self::Freeze => "freeze",
            Self::Thaw(_) => "thaw",
            Self::Reopen(_) => "reopen",
            Self::Open => "open",
            Self::Close => "close",
            Self::Withdraw => "withdraw",
            Self::Pages { .. } => "pages",
            Self::Complete => "complete",
            Self::DropNote { .. } => "drop note",
            Self::Relabel => "relabel",
            Self::OpenParent => "open parent",
        }
    }
}

/// An order to a shard. Its step is not counted: see [`Late`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ShardRequest {
    /// To whom.
    pub shard: Shard,
    /// About which unit.
    pub unit: Unit,
    /// The lease of the coordinator.
    pub lease: Lease,
    /// Its move.
    pub job: JobNumber,
    /// The epoch that it expects.
    pub epoch: Epoch,
    /// What it wants.
    pub order: Order,
}

/// A compare-and-set of a move's phase.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// `COPYING → FREEZING`, freeze number + 1.
    Freezing,
    /// `FREEZING → COPYING`.
    Copying,
    /// `FREEZING → COMMITTED` where lease and freeze number are mine.
    Committed {
        /// The freeze that this commit belongs to.
        freeze: u8,
    },
    /// `COMMITTED → DONE`.
    Done,
    /// `COPYING` or `FREEZING → ABORTING`.
    Aborting,
    /// `ABORTING → ABORTED`.
    Aborted,
}

/// A change of the directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DirectoryRequest {
    /// The unit of the move.
    pub unit: Unit,
    /// The lease of the coordinator.
    pub lease: Lease,
    /// Its move.
    pub job: JobNumber,
    /// The unit's epoch when the move began.
    pub epoch: Epoch,
    /// What it wants.
    pub change: Change,
}

/// A command of a client, as a router sends it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sent {
    /// Which command.
    pub command: CommandNumber,
    /// To whom.
    pub shard: Shard,
    /// The unit that it was placed in.
    pub unit: Unit,
    /// The epoch of that unit in the router's map.
    pub epoch: Epoch,
}

/// Rows that a purge is about to delete.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PurgePage {
    /// The entry that it works on.
    pub garbage: Garbage,
    /// The keys that it read.
    pub keys: List<Conversation, 2>,
}

/// Anything that travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// An order to a shard.
    Shard(ShardRequest),
    /// A change of the directory.
    Directory(DirectoryRequest),
    /// A command of a client.
    Command(Sent),
    /// A page of a purge.
    Purge(PurgePage),
    /// No row is left: the entry goes.
    ForgetGarbage(Garbage),
}

impl Request {
    /// The shard that an order is for; nothing else carries a pair.
    pub fn order_at(&self) -> Option<&ShardRequest> {
        match self {
            Self::Shard(request) => Some(request),
            _ => None,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shard(q) => {
                write!(f, "{} at {} (lease {})", q.order.name(), q.shard, q.lease.0)
            }
            Self::Directory(q) => {
                let name = match q.change {
                    Change::Freezing => "-> FREEZING",
                    Change::Copying => "-> COPYING",
                    Change::Committed { .. } => "COMMIT",
                    Change::Done => "-> DONE",
                    Change::Aborting => "-> ABORTING",
                    Change::Aborted => "-> ABORTED",
                };
                write!(f, "{name} (lease {})", q.lease.0)
            }
            Self::Command(q) => write!(f, "w{} at {}", q.command, q.shard),
            Self::Purge(q) => write!(f, "purge page at {}", q.garbage.shard),
            Self::ForgetGarbage(q) => write!(f, "deletion of the garbage row of {}", q.unit),
        }
    }
}

/// A request that is still under way. Steps are not counted: a request under way was sent before
/// anything that its coordinator sends now, so the next accepted order of the same lease on the
/// same unit makes it stale. Comparing (lease, step) yields exactly that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Late {
    /// What travels.
    pub request: Request,
    /// A later order of the same lease has been accepted since.
    pub stale: bool,
}

/// What the receiver says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// Done, or it was so already.
    Done,
    /// Another pair was here since: the sender is a zombie, or the request was late.
    Stale,
    /// The stance, the epoch or the phase is not what the request expects.
    Refused,
    /// The shard has restarted: what it had noted or imported may be gone.
    Lost,
    /// Commands are under way; the request stands in the queue.
    Wait,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "ok",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Wait => "wait",
        })
    }
}
