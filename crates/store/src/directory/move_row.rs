//! A move as the directory knows it: what it changes, how far it is, and who may drive it.

use ostracon_domain::{Epoch, MapChange, Millis, ShardId, UnitId};
use serde::{Deserialize, Serialize};

/// What a move does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// Units get another home.
    Move,
    /// A part of some units becomes, or joins, a carved unit on the same shard.
    Carve,
    /// A part of a carved unit falls back.
    Merge,
}

impl MoveKind {
    /// The kind of a change; none for one that moves nothing and so needs no move.
    pub fn of(change: &MapChange) -> Option<Self> {
        match change {
            MapChange::Move { .. } => Some(Self::Move),
            MapChange::Carve { .. } => Some(Self::Carve),
            MapChange::Merge { .. } => Some(Self::Merge),
            MapChange::AddUser { .. } | MapChange::ForgetUser { .. } => None,
        }
    }
}

/// How far a move is: `Planned → Copying ⇄ Freezing → Committed → Done`, and from `Copying` and `Freezing` `→ Aborting → Aborted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovePhase {
    /// Owns nothing yet.
    Planned,
    /// Owns its units; the source serves.
    Copying,
    /// The units are served by nobody, or about to be.
    Freezing,
    /// The map has changed; only forward from here.
    Committed,
    /// Over.
    Done,
    /// On the way back.
    Aborting,
    /// Over; nothing has changed.
    Aborted,
}

impl MovePhase {
    /// Whether such a move owns its units: begun and not over.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Copying | Self::Freezing | Self::Committed | Self::Aborting)
    }

    /// Whether a plain step leads there. Begin, commit and the end of an abort are no plain steps.
    pub const fn may_advance(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Copying, Self::Freezing | Self::Aborting)
                | (Self::Freezing, Self::Copying | Self::Aborting)
                | (Self::Committed, Self::Done)
        )
    }

    /// The word for it, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Copying => "copying",
            Self::Freezing => "freezing",
            Self::Committed => "committed",
            Self::Done => "done",
            Self::Aborting => "aborting",
            Self::Aborted => "aborted",
        }
    }
}

impl std::fmt::Display for MovePhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Freezes whose length a move remembers, the newest.
pub const FREEZES_KEPT: usize = 100;

/// What has been done, for people. Written now and then; what a crash loses of it is counted again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Rows copied.
    pub rows: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// Rows there are to copy, about.
    pub rows_estimated: u64,
    /// Bytes there are to copy, about.
    pub bytes_estimated: u64,
    /// How often it froze.
    pub freezes: u32,
    /// Length of the newest freezes in microseconds, oldest first; at most [`FREEZES_KEPT`].
    pub freeze_us: Vec<u32>,
    /// Changed subjects that are not yet on the destination.
    pub backlog: u64,
    /// Subjects found equal on both sides.
    pub verified: u64,
}

impl Progress {
    /// The same with no more freezes than are kept.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let old = self.freeze_us.len().saturating_sub(FREEZES_KEPT);
        self.freeze_us.drain(..old);
        self
    }
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveRow {
    /// Its number; never reused, rising in the order of planning.
    pub id: u64,
    /// The job it is part of.
    pub job: u64,
    /// Home of the units when it was planned.
    pub source: ShardId,
    /// Their home afterwards; the source itself for a carve or merge.
    pub destination: ShardId,
    /// What its commit does to the map.
    pub change: MapChange,
    /// How far it is.
    pub phase: MovePhase,
    /// How often it was begun.
    pub attempt: u32,
    /// Who drives it; 0 before the first attempt.
    pub lease: u64,
    /// Number of its newest freeze; 0 before the first.
    pub freeze: u64,
    /// When it was planned.
    pub created_at: Millis,
    /// Since when it is in this phase.
    pub since: Millis,
    /// What has been done.
    pub progress: Progress,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<Millis>,
}

impl MoveRow {
    /// What it does; none only for a change that no plan takes.
    pub fn kind(&self) -> Option<MoveKind> {
        MoveKind::of(&self.change)
    }

    /// Every unit it owns while it is active, parents and child included.
    pub fn units(&self) -> Vec<UnitId> {
        self.change.units()
    }
}

/// A move to plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMove {
    /// Home of the units when it begins.
    pub source: ShardId,
    /// Their home afterwards; the source itself for a carve or merge.
    pub destination: ShardId,
    /// What its commit does to the map.
    pub change: MapChange,
}

/// Rows of a unit that a move left behind on a shard, to be purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbage {
    /// Its number; never reused.
    pub id: u64,
    /// Where.
    pub shard: ShardId,
    /// Rows of conversations and users that carry this unit.
    pub unit: UnitId,
    /// The epoch at which the shard gave the unit up.
    pub epoch: Epoch,
    /// Since when.
    pub since: Millis,
}
