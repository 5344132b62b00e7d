//! The noun of moves: shards that come and go, jobs, moves, leftovers, and the numbers they draw.
//!
//! Every change is one transaction that compares first, so that of two callers who disagree one is told.
//! It is not a coordinator: nothing here talks to a shard.

use async_trait::async_trait;
use ostracon_domain::{MapChange, Millis, ShardId, UnitId};

use super::{
    Result, ShardAdmission, ShardRow,
    job_row::{JobRow, JobState, NewJob},
    move_error::{MoveLost, MoveRefusal},
    move_row::{Garbage, MovePhase, MoveRow, Progress},
};

/// Moves of units between shards.
#[async_trait]
pub trait Moves: Send + Sync {
    /// Adds a shard without units to a founded cluster. Its number was never used, also not by a shard that is gone.
    ///
    /// # Errors
    /// `Refused` before the cluster is founded.
    async fn add_shard(&self, url: &str) -> Result<ShardRow>;
    /// Changes whether moves bring units to a shard; the row, or none if unknown.
    async fn set_admission(&self, id: ShardId, to: ShardAdmission) -> Result<Option<ShardRow>>;
    /// Forgets a shard.
    ///
    /// # Errors
    /// `Refused` with a sentence for an unknown one, and while a unit, garbage, a target of an override,
    /// an active move, or a planned move of a job that is not over names it.
    async fn remove_shard(&self, id: ShardId) -> Result<()>;

    /// Makes a user hot, changes the targets of a hot one, or forgets one (`AddUser`, `ForgetUser`); the map's version.
    ///
    /// # Errors
    /// `Refused` for any other change, for a target that is no shard, and for what [`PlacementMap::apply`] refuses.
    ///
    /// [`PlacementMap::apply`]: ostracon_domain::PlacementMap::apply
    async fn change_overrides(&self, change: &MapChange) -> Result<u64>;

    /// Writes down a job with its moves, all or none, in the states `Planned`.
    ///
    /// # Errors
    /// `Refused` for a change that moves nothing, for unknown shards, for a move from a shard to itself or to another one
    /// than its change says, and for a carve or merge between two shards.
    async fn plan_job(&self, new: NewJob, now: Millis) -> Result<JobRow>;
    /// Jobs, newest first: those with a number below `after`, all without it; at most `limit`.
    async fn jobs(&self, after: Option<u64>, limit: u32) -> Result<Vec<JobRow>>;
    /// One job.
    async fn job(&self, id: u64) -> Result<Option<JobRow>>;
    /// Compare-and-set of a job's state; error replaces the old one. None, and nothing changed, if it is in none of the states `from`.
    async fn set_job(
        &self,
        id: u64,
        from: &[JobState],
        to: JobState,
        error: Option<String>,
        now: Millis,
    ) -> Result<Option<JobRow>>;

    /// The moves of a job, by number.
    async fn moves_of(&self, job: u64) -> Result<Vec<MoveRow>>;
    /// The active moves (`Copying`, `Freezing`, `Committed`, `Aborting`), by number.
    async fn unfinished_moves(&self) -> Result<Vec<MoveRow>>;
    /// One move.
    async fn move_row(&self, id: u64) -> Result<Option<MoveRow>>;

    /// `Planned → Copying`: the move owns its units from now on, under a new lease.
    ///
    /// # Errors
    /// See [`MoveRefusal`].
    async fn begin_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveRefusal>;
    /// Gives an active move a new lease. `Freezing` becomes `Copying` in the same step; other phases stay.
    ///
    /// # Errors
    /// `Lost` for a move that is not active; `Failed(Refused)` for an unknown one.
    async fn take_over_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveLost>;
    /// One plain step, see [`MovePhase::may_advance`]; `Copying → Freezing` raises the freeze number.
    ///
    /// # Errors
    /// `Lost` when lease or phase differ; `Failed(Refused)` for an unknown move or a step that does not exist.
    async fn advance_move(
        &self,
        id: u64,
        lease: u64,
        from: MovePhase,
        to: MovePhase,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost>;
    /// `Freezing → Committed`, the map with the change and its version + 1, and for a `Move` one garbage row
    /// a unit for the source at the old epoch, in one transaction. The new version of the map.
    ///
    /// # Errors
    /// `Lost` when lease, phase or freeze number differ; `Failed(Refused)` for an unknown move, or one that does not fit the map.
    async fn commit_move(
        &self,
        id: u64,
        lease: u64,
        freeze: u64,
        now: Millis,
    ) -> std::result::Result<u64, MoveLost>;
    /// `Aborting → Aborted`, for a `Move` with one garbage row a unit for the destination at the epoch it would have had.
    ///
    /// # Errors
    /// `Lost` when lease or phase differ; `Failed(Refused)` for an unknown move.
    async fn finish_abort(
        &self,
        id: u64,
        lease: u64,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost>;
    /// Replaces progress, error and time of the next try. Does nothing for an unknown move or under another lease.
    async fn note_progress(
        &self,
        id: u64,
        lease: u64,
        progress: Progress,
        error: Option<String>,
        retry_at: Option<Millis>,
    ) -> Result<()>;

    /// What is left behind, by number.
    async fn garbage(&self) -> Result<Vec<Garbage>>;
    /// Forgets one piece of garbage, when no row of it is left; whether it was known.
    async fn delete_garbage(&self, id: u64) -> Result<bool>;

    /// Reserves `n` numbers for carved units; the first of them. None was ever given out before.
    ///
    /// # Errors
    /// `Refused` for 0, and when there are no more.
    async fn reserve_units(&self, n: u32) -> Result<UnitId>;
    /// A rank for a new override, above every rank given out before.
    async fn next_rank(&self) -> Result<u64>;
    /// Leases drawn from now on are larger than this (a directory that was restored, beside shards that were not).
    async fn raise_leases(&self, at_least: u64) -> Result<()>;
    /// Takes or renews the right to coordinate until `now + for_ms`; whether this holder has it. Giving it back is a renewal for 0.
    ///
    /// At most one holder has it at a time, by the clock given.
    async fn hold_coordinator(&self, holder: u64, now: Millis, for_ms: u32) -> Result<bool>;
}
