//! The twin's moves. Each call holds the lock from its comparison to its change.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use ostracon_domain::{MapChange, Millis, PlacementMap, ShardId, UnitId};

use super::{MemoryDirectory, State};
use crate::directory::{
    DirectoryError, Garbage, JobRow, JobState, MoveLost, MovePhase, MoveRefusal, MoveRow, Moves,
    NewJob, Progress, ShardAdmission, ShardRow,
    move_rules::{
        FIRST_CARVED, Leftovers, NewLeftovers, Surroundings, child_of, left_by_abort,
        left_by_commit, may_begin, may_change_overrides, may_plan, no_such_move, no_such_step,
        shard_in_use,
    },
};

type Result<T> = std::result::Result<T, DirectoryError>;

/// What the twin knows of moves.
pub(super) struct MoveState {
    jobs: BTreeMap<u64, JobRow>,
    moves: BTreeMap<u64, MoveRow>,
    leftovers: BTreeMap<u64, Leftovers>,
    last_garbage: u64,
    last_lease: u64,
    last_rank: u64,
    next_unit: u32,
    pub(super) last_shard: u32,
    coordinator: Option<(u64, Millis)>,
}

impl MoveState {
    pub(super) fn new() -> Self {
        Self {
            jobs: BTreeMap::new(),
            moves: BTreeMap::new(),
            leftovers: BTreeMap::new(),
            last_garbage: 0,
            last_lease: 0,
            last_rank: 0,
            next_unit: FIRST_CARVED,
            last_shard: 0,
            coordinator: None,
        }
    }

    fn draw_lease(&mut self) -> u64 {
        self.last_lease += 1;
        self.last_lease
    }

    fn leave(&mut self, left: Vec<NewLeftovers>, since: Millis) {
        for NewLeftovers { shard, unit, epoch, slots } in left {
            self.last_garbage += 1;
            let garbage = Garbage { id: self.last_garbage, shard, unit, epoch, since };
            self.leftovers.insert(garbage.id, Leftovers { garbage, slots });
        }
    }

    fn active(&self) -> impl Iterator<Item = &MoveRow> {
        self.moves.values().filter(|row| row.phase.is_active())
    }

    /// The move, if the caller is still the one who drives it.
    fn held(
        &mut self,
        id: u64,
        lease: u64,
        phase: MovePhase,
    ) -> std::result::Result<&mut MoveRow, MoveLost> {
        let row = self.moves.get_mut(&id).ok_or_else(|| no_such_move(id))?;
        if row.lease != lease || row.phase != phase {
            return Err(MoveLost::Lost(Box::new(row.clone())));
        }
        Ok(row)
    }
}

fn enter(row: &mut MoveRow, phase: MovePhase, now: Millis) {
    row.phase = phase;
    row.since = now;
}

#[async_trait]
impl Moves for MemoryDirectory {
    async fn add_shard(&self, url: &str) -> Result<ShardRow> {
        let mut state = self.state.lock();
        if state.map.version == 0 {
            return Err(DirectoryError::Refused("the cluster is not founded yet".to_owned()));
        }
        let next = state.moves.last_shard.checked_add(1);
        let next =
            next.ok_or_else(|| DirectoryError::Refused("no shard number is left".to_owned()))?;
        state.moves.last_shard = next;
        let row = ShardRow::new(ShardId(next), url);
        state.shards.insert(row.id, row.clone());
        Ok(row)
    }

    async fn set_admission(&self, id: ShardId, to: ShardAdmission) -> Result<Option<ShardRow>> {
        let mut state = self.state.lock();
        let Some(row) = state.shards.get_mut(&id) else { return Ok(None) };
        row.state = to;
        Ok(Some(row.clone()))
    }

    async fn remove_shard(&self, id: ShardId) -> Result<()> {
        let mut state = self.state.lock();
        if !state.shards.contains_key(&id) {
            return Err(DirectoryError::Refused(format!("there is no shard {id}")));
        }
        if let Some(why) = use_of(&state, id) {
            return Err(shard_in_use(id, &why));
        }
        state.shards.remove(&id);
        Ok(())
    }

    async fn change_overrides(&self, change: &MapChange) -> Result<u64> {
        let mut state = self.state.lock();
        let active: Vec<_> = state.moves.active().cloned().collect();
        may_change_overrides(change, &shards(&state), &active)?;
        let next = state.map.apply(change).map_err(|e| DirectoryError::Refused(e.to_string()))?;
        state.map = next;
        Ok(state.map.version)
    }

    async fn plan_job(&self, new: NewJob, now: Millis) -> Result<JobRow> {
        let mut state = self.state.lock();
        let shards = shards(&state);
        new.moves.iter().try_for_each(|planned| may_plan(planned, &shards))?;
        let moves = &mut state.moves;
        let job = JobRow {
            id: moves.jobs.len() as u64 + 1,
            title: new.title,
            request: new.request,
            by: new.by,
            state: JobState::Planned,
            created_at: now,
            updated_at: now,
            error: None,
        };
        for planned in new.moves {
            let row = MoveRow {
                id: moves.moves.len() as u64 + 1,
                job: job.id,
                source: planned.source,
                destination: planned.destination,
                change: planned.change,
                phase: MovePhase::Planned,
                attempt: 0,
                lease: 0,
                freeze: 0,
                created_at: now,
                since: now,
                progress: Progress::default(),
                error: None,
                retry_at: None,
            };
            moves.moves.insert(row.id, row);
        }
        moves.jobs.insert(job.id, job.clone());
        Ok(job)
    }

    async fn jobs(&self, after: Option<u64>, limit: u32) -> Result<Vec<JobRow>> {
        let state = self.state.lock();
        let older = state.moves.jobs.range(..after.unwrap_or(u64::MAX)).rev();
        Ok(older.take(limit as usize).map(|(_, job)| job.clone()).collect())
    }

    async fn job(&self, id: u64) -> Result<Option<JobRow>> {
        Ok(self.state.lock().moves.jobs.get(&id).cloned())
    }

    async fn set_job(
        &self,
        id: u64,
        from: &[JobState],
        to: JobState,
        error: Option<String>,
        now: Millis,
    ) -> Result<Option<JobRow>> {
        let mut state = self.state.lock();
        let job = state.moves.jobs.get_mut(&id).filter(|job| from.contains(&job.state));
        Ok(job.map(|job| {
            job.state = to;
            job.error = error;
            job.updated_at = now;
            job.clone()
        }))
    }

    async fn moves_of(&self, job: u64) -> Result<Vec<MoveRow>> {
        let state = self.state.lock();
        Ok(state.moves.moves.values().filter(|row| row.job == job).cloned().collect())
    }

    async fn unfinished_moves(&self) -> Result<Vec<MoveRow>> {
        Ok(self.state.lock().moves.active().cloned().collect())
    }

    async fn move_row(&self, id: u64) -> Result<Option<MoveRow>> {
        Ok(self.state.lock().moves.moves.get(&id).cloned())
    }

    async fn begin_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveRefusal> {
        let mut state = self.state.lock();
        let row = state.moves.moves.get(&id).ok_or(MoveRefusal::Unknown(id))?;
        let owned: BTreeMap<UnitId, u64> = state
            .moves
            .active()
            .flat_map(|other| other.units().into_iter().map(|unit| (unit, other.id)))
            .collect();
        let leftovers: Vec<_> = state
            .moves
            .leftovers
            .values()
            .filter(|left| left.garbage.shard == row.destination)
            .cloned()
            .collect();
        let child_was_used = child_of(&row.change).is_some_and(|child| {
            let committed =
                |other: &&MoveRow| matches!(other.phase, MovePhase::Committed | MovePhase::Done);
            let mut committed = state.moves.moves.values().filter(committed);
            committed.any(|other| other.units().contains(&child))
        });
        may_begin(
            row,
            &Surroundings {
                map: &state.map,
                shards: &shards(&state),
                owned: &owned,
                leftovers: &leftovers,
                next_unit: state.moves.next_unit,
                child_was_used,
            },
        )?;
        let lease = state.moves.draw_lease();
        let row = state.moves.moves.get_mut(&id).ok_or(MoveRefusal::Unknown(id))?;
        row.lease = lease;
        row.attempt += 1;
        enter(row, MovePhase::Copying, now);
        Ok(row.clone())
    }

    async fn take_over_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveLost> {
        let mut state = self.state.lock();
        let row = state.moves.moves.get(&id).ok_or_else(|| no_such_move(id))?;
        if !row.phase.is_active() {
            return Err(MoveLost::Lost(Box::new(row.clone())));
        }
        let lease = state.moves.draw_lease();
        let row = state.moves.moves.get_mut(&id).ok_or_else(|| no_such_move(id))?;
        row.lease = lease;
        if row.phase == MovePhase::Freezing {
            enter(row, MovePhase::Copying, now);
        }
        Ok(row.clone())
    }

    async fn advance_move(
        &self,
        id: u64,
        lease: u64,
        from: MovePhase,
        to: MovePhase,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost> {
        if !from.may_advance(to) {
            return Err(no_such_step(from, to).into());
        }
        let mut state = self.state.lock();
        let row = state.moves.held(id, lease, from)?;
        row.freeze += u64::from(to == MovePhase::Freezing);
        enter(row, to, now);
        Ok(row.clone())
    }

    async fn commit_move(
        &self,
        id: u64,
        lease: u64,
        freeze: u64,
        now: Millis,
    ) -> std::result::Result<u64, MoveLost> {
        let mut state = self.state.lock();
        let row = state.moves.held(id, lease, MovePhase::Freezing)?.clone();
        if row.freeze != freeze {
            return Err(MoveLost::Lost(Box::new(row)));
        }
        let next =
            state.map.apply(&row.change).map_err(|e| DirectoryError::Refused(e.to_string()))?;
        let left = left_by_commit(&row, &state.map);
        state.moves.leave(left, now);
        state.map = next;
        enter(state.moves.held(id, lease, MovePhase::Freezing)?, MovePhase::Committed, now);
        Ok(state.map.version)
    }

    async fn finish_abort(
        &self,
        id: u64,
        lease: u64,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost> {
        let mut state = self.state.lock();
        let row = state.moves.held(id, lease, MovePhase::Aborting)?;
        enter(row, MovePhase::Aborted, now);
        let row = row.clone();
        let left = left_by_abort(&row, &state.map);
        state.moves.leave(left, now);
        Ok(row)
    }

    async fn note_progress(
        &self,
        id: u64,
        lease: u64,
        progress: Progress,
        error: Option<String>,
        retry_at: Option<Millis>,
    ) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(row) = state.moves.moves.get_mut(&id).filter(|row| row.lease == lease) {
            row.progress = progress.bounded();
            row.error = error;
            row.retry_at = retry_at;
        }
        Ok(())
    }

    async fn garbage(&self) -> Result<Vec<Garbage>> {
        Ok(self.state.lock().moves.leftovers.values().map(|left| left.garbage).collect())
    }

    async fn delete_garbage(&self, id: u64) -> Result<bool> {
        Ok(self.state.lock().moves.leftovers.remove(&id).is_some())
    }

    async fn reserve_units(&self, n: u32) -> Result<UnitId> {
        let mut state = self.state.lock();
        let first = state.moves.next_unit;
        let next = first.checked_add(n).filter(|next| *next > first);
        let next =
            next.ok_or_else(|| DirectoryError::Refused(format!("{n} unit numbers cannot be had")))?;
        state.moves.next_unit = next;
        Ok(UnitId(first))
    }

    async fn next_rank(&self) -> Result<u64> {
        let mut state = self.state.lock();
        state.moves.last_rank += 1;
        Ok(state.moves.last_rank)
    }

    async fn raise_leases(&self, at_least: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.moves.last_lease = state.moves.last_lease.max(at_least);
        Ok(())
    }

    async fn hold_coordinator(&self, holder: u64, now: Millis, for_ms: u32) -> Result<bool> {
        let mut state = self.state.lock();
        let taken = state.moves.coordinator.is_some_and(|(by, end)| by != holder && end > now);
        if !taken {
            state.moves.coordinator = Some((holder, now.saturating_add(i64::from(for_ms))));
        }
        Ok(!taken)
    }
}

fn shards(state: &State) -> Vec<ShardRow> {
    state.shards.values().cloned().collect()
}

/// A sentence about what names the shard.
fn use_of(state: &State, id: ShardId) -> Option<String> {
    let here = homes(&state.map, id);
    if here > 0 {
        return Some(format!("it is the home of {here} units"));
    }
    let left = state.moves.leftovers.values().find(|left| left.garbage.shard == id);
    if let Some(left) = left {
        return Some(format!("garbage {} is left on it", left.garbage.id));
    }
    if let Some(hot) = state.map.user_overrides().find(|hot| hot.targets.contains(&id)) {
        return Some(format!("it is a target of hot user {}", hot.user));
    }
    let over: BTreeSet<u64> =
        state.moves.jobs.values().filter(|job| job.state.is_over()).map(|job| job.id).collect();
    let open = |row: &&MoveRow| {
        let waits = row.phase == MovePhase::Planned && !over.contains(&row.job);
        (row.phase.is_active() || waits) && (row.source == id || row.destination == id)
    };
    state.moves.moves.values().find(open).map(|row| format!("move {} names it", row.id))
}

fn homes(map: &PlacementMap, id: ShardId) -> usize {
    map.units().filter(|(_, home)| home.shard == id).count()
}
