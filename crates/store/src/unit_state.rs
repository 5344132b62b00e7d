//! What a shard knows of a unit: whether it serves it, and at which epoch. The fence of every command.

use ostracon_domain::{Epoch, UnitAt, UnitId};

use crate::shard::Incarnation;

/// What a shard does with a unit. No row at all means that it has nothing to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitPhase {
    /// Serves it.
    Open,
    /// Serves it, and notes which subjects change.
    Capturing,
    /// Serves nothing of it.
    Frozen,
    /// Takes rows of one move only.
    Importing,
    /// Served it once; it lives elsewhere now.
    Moved,
}

/// Lease and step of the command that last changed a unit; smaller pairs are stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pair {
    /// Drawn by the directory for each attempt and take-over.
    pub lease: u64,
    /// Rises within a lease with every command.
    pub step: u64,
}

/// One row of a shard's fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitState {
    /// The unit.
    pub unit: UnitId,
    /// Rises with every change of home.
    pub epoch: Epoch,
    /// What the shard does with it.
    pub phase: UnitPhase,
    /// Which start of the shard set this state.
    pub incarnation: Incarnation,
    /// The command that set it.
    pub pair: Pair,
}

impl UnitState {
    /// Whether commands that name this unit and epoch run.
    pub fn serves(&self, at: UnitAt) -> bool {
        self.unit == at.unit
            && self.epoch == at.epoch
            && matches!(self.phase, UnitPhase::Open | UnitPhase::Capturing)
    }
}

/// A change of a unit's state; it happens only if the unit is in the state that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitChange {
    /// The unit.
    pub unit: UnitId,
    /// The state it must be in; `None`: no row.
    pub expect: Option<(UnitPhase, Epoch)>,
    /// The state it gets.
    pub phase: UnitPhase,
    /// The epoch it gets.
    pub epoch: Epoch,
    /// Lease and step of this command: a smaller one than the last is stale, an equal one is answered again.
    pub pair: Pair,
}
