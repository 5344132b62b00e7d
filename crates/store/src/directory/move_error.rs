//! Why a move does not begin, and what a coordinator finds that is no longer the one.

use ostracon_domain::{MapError, ShardId, UnitId};

use super::{
    DirectoryError,
    move_row::{MovePhase, MoveRow},
};

/// Why a move does not begin now. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefusal {
    /// No such move.
    #[error("there is no move {0}")]
    Unknown(u64),
    /// It has begun before.
    #[error("move {id} is {phase}: it begins only once")]
    NotPlanned {
        /// The move.
        id: u64,
        /// How far it is.
        phase: MovePhase,
    },
    /// Another move owns a unit of it.
    #[error("unit {unit} is in move {by}, which is not over")]
    Busy {
        /// The unit that both name.
        unit: UnitId,
        /// The other move.
        by: u64,
    },
    /// Leftovers of an earlier move are in the way.
    #[error(
        "shard {shard} still holds leftovers of unit {unit} (garbage {garbage}): they must be purged first"
    )]
    Garbage {
        /// Where.
        shard: ShardId,
        /// Whose.
        unit: UnitId,
        /// Number of the garbage.
        garbage: u64,
    },
    /// A unit lives elsewhere than the plan says.
    #[error("unit {unit} is not on shard {source_shard}: plan again")]
    NotAtHome {
        /// The unit.
        unit: UnitId,
        /// Where the plan takes it from.
        source_shard: ShardId,
    },
    /// No such shard.
    #[error("there is no shard {0}")]
    NoShard(ShardId),
    /// The destination is being emptied.
    #[error("shard {0} is draining: it takes no units")]
    Draining(ShardId),
    /// The number of the child was not reserved, or was one of a unit that is no more.
    #[error("unit {0} is not fresh: reserve a new number")]
    Stale(UnitId),
    /// The change does not fit the map as it is now.
    #[error("{0}: plan again")]
    Map(#[from] MapError),
    /// The directory failed; try again.
    #[error(transparent)]
    Failed(#[from] DirectoryError),
}

/// A step of a move that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveLost {
    /// Lease, phase or freeze are not what the caller thinks. The row shows what is: follow it.
    #[error("move {} is {} under lease {}", .0.id, .0.phase, .0.lease)]
    Lost(Box<MoveRow>),
    /// The directory failed: whether the step was taken is unknown unless it was `Refused`.
    #[error(transparent)]
    Failed(#[from] DirectoryError),
}
