//! The fence: what one shard knows about one unit. Every command is checked against it.

use std::fmt;

use crate::names::{Epoch, Incarnation, JobNumber, Lease};

/// What a shard does with a unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stance {
    /// Serves.
    Open,
    /// Serves and notes every changed subject.
    Capturing,
    /// Serves nothing; the move is about to be decided.
    Frozen,
    /// Takes rows of one move; invisible.
    Importing,
    /// Served once; the unit is elsewhere now.
    Moved,
    /// Never had it, or an import was withdrawn.
    None,
}

/// A unit on a shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fence {
    /// What the shard does with it.
    pub stance: Stance,
    /// The epoch that a command must name.
    pub epoch: Epoch,
    /// The largest lease that gave an order here.
    pub lease: Lease,
    /// The life of the shard in which the capture or the import began.
    pub incarnation: Incarnation,
    /// Which capture this is: it rises with each `open → capturing`.
    pub capture: u8,
    /// The move that captures or imports.
    pub job: Option<JobNumber>,
}

impl Fence {
    /// A shard that never had the unit.
    pub const NEVER: Self = Self {
        stance: Stance::None,
        epoch: Epoch(0),
        lease: Lease(0),
        incarnation: 0,
        capture: 0,
        job: None,
    };

    /// A shard that serves the unit at its first epoch.
    pub const SERVING: Self = Self { stance: Stance::Open, epoch: Epoch(1), ..Self::NEVER };

    /// True if commands of clients run.
    pub fn serves(&self) -> bool {
        matches!(self.stance, Stance::Open | Stance::Capturing)
    }

    /// True if the unit is not here and nobody is bringing it.
    pub fn is_closed(&self) -> bool {
        matches!(self.stance, Stance::Moved | Stance::None)
    }
}

impl fmt::Display for Stance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Capturing => "capturing",
            Self::Frozen => "frozen",
            Self::Importing => "importing",
            Self::Moved => "moved",
            Self::None => "none",
        })
    }
}
