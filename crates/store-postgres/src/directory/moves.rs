//! Moves: each call compares and changes in one transaction, or in one statement.
//!
//! Locks are taken in one order: `cluster`, then a move, then a sequence.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use ostracon_domain::{MapChange, MapError, Millis, PlacementMap, ShardId, UnitId};
use ostracon_store::{
    DirectoryError, Moves,
    directory::{
        Garbage, JobRow, JobState, MoveLost, MovePhase, MoveRefusal, MoveRow, NewJob, Progress,
        ShardAdmission, ShardRow,
        move_rules::{
            Surroundings, child_of, left_by_abort, left_by_commit, may_begin, may_change_overrides,
            may_plan, no_such_move, no_such_step, shard_in_use,
        },
    },
};

use super::{
    Found, PostgresDirectory, Result, audit::below, in_session, in_transaction, job_rows, map,
    map::KnownMap, move_rows, move_rows::Advance,
};
use crate::{
    error::PgError,
    session::{Params, Session},
    value::{number, small},
};

/// What a step came to: done, or the row as it is.
type Step<T> = std::result::Result<T, Box<MoveRow>>;
type Lost<T> = std::result::Result<T, MoveLost>;

const ADD_SHARD: &str = "INSERT INTO shard (id, url, state) VALUES ($1, $2, 0)";
const SET_ADMISSION: &str = "UPDATE shard SET state = $2 WHERE id = $1 RETURNING id, url, state";
const REMOVE_SHARD: &str = "DELETE FROM shard WHERE id = $1";
const UNITS_AT: &str = "SELECT count(*) FROM unit WHERE shard = $1";
const GARBAGE_AT: &str = "SELECT id FROM garbage WHERE shard = $1 LIMIT 1";
const TARGET_OF: &str = "SELECT user_id FROM hot_user_target WHERE shard = $1 LIMIT 1";
const LAST_UNIT: &str = "SELECT last FROM sequence WHERE name = 'unit'";
const RESERVE_UNITS: &str = "UPDATE sequence SET last = last + $1::bigint \
     WHERE name = 'unit' AND $1::bigint > 0 AND last + $1::bigint <= 4294967295 RETURNING last";
const RAISE_LEASES: &str =
    "UPDATE sequence SET last = greatest(last, $1) WHERE name = 'lease' RETURNING last";
const HOLD: &str = "INSERT INTO coordinator (one, holder, until) VALUES (1, $1, $2) \
     ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until \
     WHERE coordinator.holder = excluded.holder OR coordinator.until <= $3 RETURNING one";

#[async_trait]
impl Moves for PostgresDirectory {
    async fn add_shard(&self, url: &str) -> Result<ShardRow> {
        in_transaction!(self, |session| add_shard(session, url))
    }

    async fn set_admission(&self, id: ShardId, to: ShardAdmission) -> Result<Option<ShardRow>> {
        in_session!(self, |session| set_admission(session, id, to))
    }

    async fn remove_shard(&self, id: ShardId) -> Result<()> {
        in_transaction!(self, |session| remove_shard(session, id))
    }

    async fn change_overrides(&self, change: &MapChange) -> Result<u64> {
        let maps = &self.content.known_map;
        let after = in_transaction!(self, |session| change_overrides(session, change, maps))?;
        maps.keep(&after);
        Ok(after.version)
    }

    async fn plan_job(&self, new: NewJob, now: Millis) -> Result<JobRow> {
        in_transaction!(self, |session| plan_job(session, &new, now))
    }

    async fn jobs(&self, after: Option<u64>, limit: u32) -> Result<Vec<JobRow>> {
        let below = below(after);
        in_session!(self, |session| job_rows::newest(session, below, limit))
    }

    async fn job(&self, id: u64) -> Result<Option<JobRow>> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        in_session!(self, |session| job_rows::by_id(session, id))
    }

    async fn set_job(
        &self,
        id: u64,
        from: &[JobState],
        to: JobState,
        error: Option<String>,
        now: Millis,
    ) -> Result<Option<JobRow>> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        let error = error.as_deref();
        in_session!(self, |session| job_rows::set(session, id, from, to, error, now))
    }

    async fn moves_of(&self, job: u64) -> Result<Vec<MoveRow>> {
        let Ok(job) = i64::try_from(job) else { return Ok(Vec::new()) };
        in_session!(self, |session| move_rows::of_job(session, job))
    }

    async fn unfinished_moves(&self) -> Result<Vec<MoveRow>> {
        in_session!(self, |session| move_rows::active(session))
    }

    async fn move_row(&self, id: u64) -> Result<Option<MoveRow>> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        in_session!(self, |session| move_rows::by_id(session, id))
    }

    async fn begin_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveRefusal> {
        let maps = &self.content.known_map;
        in_transaction!(self, |session| begin(session, id, now, maps))?
    }

    async fn take_over_move(&self, id: u64, now: Millis) -> Lost<MoveRow> {
        in_transaction!(self, |session| take_over(session, id, now))?.map_err(MoveLost::Lost)
    }

    async fn advance_move(
        &self,
        id: u64,
        lease: u64,
        from: MovePhase,
        to: MovePhase,
        now: Millis,
    ) -> Lost<MoveRow> {
        if !from.may_advance(to) {
            return Err(no_such_step(from, to).into());
        }
        let step = Advance { id, lease, from, freeze: None, to, now };
        in_session!(self, |session| advance(session, &step))?.map_err(MoveLost::Lost)
    }

    async fn commit_move(&self, id: u64, lease: u64, freeze: u64, now: Millis) -> Lost<u64> {
        let (from, to) = (MovePhase::Freezing, MovePhase::Committed);
        let step = Advance { id, lease, from, freeze: Some(freeze), to, now };
        let maps = &self.content.known_map;
        let after = in_transaction!(self, |session| commit(session, &step, maps))?;
        let after = after.map_err(MoveLost::Lost)?;
        maps.keep(&after);
        Ok(after.version)
    }

    async fn finish_abort(&self, id: u64, lease: u64, now: Millis) -> Lost<MoveRow> {
        let (from, to) = (MovePhase::Aborting, MovePhase::Aborted);
        let step = Advance { id, lease, from, freeze: None, to, now };
        let maps = &self.content.known_map;
        in_transaction!(self, |session| finish_abort(session, &step, maps))?.map_err(MoveLost::Lost)
    }

    async fn note_progress(
        &self,
        id: u64,
        lease: u64,
        progress: Progress,
        error: Option<String>,
        retry_at: Option<Millis>,
    ) -> Result<()> {
        let (Ok(id), Ok(lease)) = (i64::try_from(id), i64::try_from(lease)) else { return Ok(()) };
        let (progress, error) = (progress.bounded(), error.as_deref());
        in_session!(self, |session| move_rows::note(session, id, lease, &progress, error, retry_at))
    }

    async fn garbage(&self) -> Result<Vec<Garbage>> {
        in_session!(self, |session| move_rows::garbage(session))
    }

    async fn delete_garbage(&self, id: u64) -> Result<bool> {
        let Ok(id) = i64::try_from(id) else { return Ok(false) };
        in_session!(self, |session| move_rows::delete_garbage(session, id))
    }

    async fn reserve_units(&self, n: u32) -> Result<UnitId> {
        in_session!(self, |session| reserve_units(session, n))
    }

    async fn next_rank(&self) -> Result<u64> {
        in_session!(self, |session| map::draw(session, "rank", 1))
    }

    async fn raise_leases(&self, at_least: u64) -> Result<()> {
        let beyond = |_| DirectoryError::Refused(format!("{at_least} is no lease"));
        let at_least = i64::try_from(at_least).map_err(beyond)?;
        in_session!(self, |session| any(session, RAISE_LEASES, &[&at_least]))?;
        Ok(())
    }

    async fn hold_coordinator(&self, holder: u64, now: Millis, for_ms: u32) -> Result<bool> {
        // A holder is 64 bits; the column is signed.
        let holder = holder.cast_signed();
        let until = now.saturating_add(i64::from(for_ms));
        in_session!(self, |session| any(session, HOLD, &[&holder, &until, &now]))
    }
}

/// Whether a statement found or changed any row.
async fn any(session: &Session, sql: &str, values: &Params<'_>) -> Found<bool> {
    Ok(!session.run(sql, values).await?.is_empty())
}

async fn add_shard(session: &Session, url: &str) -> Found<ShardRow> {
    map::lock(session).await?;
    if map::shards(session).await?.is_empty() {
        return Err(DirectoryError::Refused("the cluster is not founded yet".to_owned()).into());
    }
    // The sequence remembers the numbers of shards that are gone.
    let next = u32::try_from(map::draw(session, "shard", 1).await?)
        .map_err(|_| DirectoryError::Refused("no shard number is left".to_owned()))?;
    let row = ShardRow::new(ShardId(next), url);
    session.run(ADD_SHARD, &[&i64::from(next), &row.url]).await?;
    Ok(row)
}

async fn set_admission(
    session: &Session,
    id: ShardId,
    to: ShardAdmission,
) -> Found<Option<ShardRow>> {
    let rows = session.run(SET_ADMISSION, &[&i64::from(id.0), &map::admission(to)]).await?;
    Ok(rows.first().map(map::shard).transpose()?)
}

async fn remove_shard(session: &Session, id: ShardId) -> Found<()> {
    map::lock(session).await?;
    if !map::shards(session).await?.iter().any(|row| row.id == id) {
        return Err(DirectoryError::Refused(format!("there is no shard {id}")).into());
    }
    if let Some(why) = use_of(session, id).await? {
        return Err(shard_in_use(id, &why).into());
    }
    session.run(REMOVE_SHARD, &[&i64::from(id.0)]).await?;
    Ok(())
}

/// A sentence about what names the shard.
async fn use_of(session: &Session, id: ShardId) -> Found<Option<String>> {
    let units = number_at(session, UNITS_AT, id).await?.unwrap_or_default();
    if units > 0 {
        return Ok(Some(format!("it is the home of {units} units")));
    }
    if let Some(left) = number_at(session, GARBAGE_AT, id).await? {
        return Ok(Some(format!("garbage {left} is left on it")));
    }
    if let Some(user) = number_at(session, TARGET_OF, id).await? {
        return Ok(Some(format!("it is a target of hot user {user}")));
    }
    let by = move_rows::open_at(session, id).await?;
    Ok(by.map(|by| format!("move {by} names it")))
}

async fn number_at(session: &Session, sql: &str, id: ShardId) -> Found<Option<u64>> {
    let rows = session.run(sql, &[&i64::from(id.0)]).await?;
    Ok(rows.first().map(|row| number(row, 0)).transpose()?)
}

/// The new map.
async fn change_overrides(
    session: &Session,
    change: &MapChange,
    maps: &KnownMap,
) -> Found<Arc<PlacementMap>> {
    let version = map::lock(session).await?;
    let active = move_rows::active(session).await?;
    may_change_overrides(change, &map::shards(session).await?, &active)?;
    let before = maps.load(session, version).await?;
    let after = Arc::new(before.apply(change).map_err(unfit)?);
    map::store(session, &before, &after, &change.units()).await?;
    Ok(after)
}

async fn plan_job(session: &Session, new: &NewJob, now: Millis) -> Found<JobRow> {
    // No shard that it names is removed meanwhile.
    map::lock(session).await?;
    let shards = map::shards(session).await?;
    new.moves.iter().try_for_each(|planned| may_plan(planned, &shards))?;
    let job = job_rows::plan(session, new, now).await?;
    move_rows::plan(session, job.id, &new.moves, now).await?;
    Ok(job)
}

async fn begin(
    session: &Session,
    id: u64,
    now: Millis,
    maps: &KnownMap,
) -> Found<std::result::Result<MoveRow, MoveRefusal>> {
    // Of two that name one unit the second one finds the first one active.
    let version = map::lock(session).await?;
    let Some(mut row) = locked(session, id).await? else {
        return Ok(Err(MoveRefusal::Unknown(id)));
    };
    let owned: BTreeMap<UnitId, u64> = move_rows::active(session)
        .await?
        .iter()
        .flat_map(|other| other.units().into_iter().map(|unit| (unit, other.id)))
        .collect();
    let child_was_used = match child_of(&row.change) {
        Some(child) => move_rows::was_used(session, child).await?,
        None => false,
    };
    let last_unit = session.run(LAST_UNIT, &[]).await?;
    let last_unit = last_unit.first().map(|row| small(row, 0)).transpose()?;
    let last_unit = last_unit.ok_or(PgError::Damaged("sequence"))?;
    let around = Surroundings {
        map: &*maps.load(session, version).await?,
        shards: &map::shards(session).await?,
        owned: &owned,
        leftovers: &move_rows::leftovers(session, row.destination).await?,
        next_unit: last_unit.saturating_add(1),
        child_was_used,
    };
    if let Err(refusal) = may_begin(&row, &around) {
        return Ok(Err(refusal));
    }
    row.lease = map::draw(session, "lease", 1).await?;
    row.attempt += 1;
    row.phase = MovePhase::Copying;
    row.since = now;
    move_rows::store(session, &row).await?;
    Ok(Ok(row))
}

async fn locked(session: &Session, id: u64) -> Found<Option<MoveRow>> {
    match i64::try_from(id) {
        Ok(id) => move_rows::lock(session, id).await,
        Err(_) => Ok(None),
    }
}

async fn take_over(session: &Session, id: u64, now: Millis) -> Found<Step<MoveRow>> {
    let mut row = locked(session, id).await?.ok_or_else(|| no_such_move(id))?;
    if !row.phase.is_active() {
        return Ok(Err(Box::new(row)));
    }
    row.lease = map::draw(session, "lease", 1).await?;
    if row.phase == MovePhase::Freezing {
        row.phase = MovePhase::Copying;
        row.since = now;
    }
    move_rows::store(session, &row).await?;
    Ok(Ok(row))
}

/// Takes a step if the caller is still the one who drives the move; otherwise the row tells why not.
async fn advance(session: &Session, step: &Advance) -> Found<Step<MoveRow>> {
    if let Some(row) = move_rows::advance(session, step).await? {
        return Ok(Ok(row));
    }
    let row = match i64::try_from(step.id) {
        Ok(id) => move_rows::by_id(session, id).await?,
        Err(_) => None,
    };
    Ok(Err(Box::new(row.ok_or_else(|| no_such_move(step.id))?)))
}

/// The new map.
async fn commit(
    session: &Session,
    step: &Advance,
    maps: &KnownMap,
) -> Found<Step<Arc<PlacementMap>>> {
    let version = map::lock(session).await?;
    let row = match advance(session, step).await? {
        Ok(row) => row,
        Err(other) => return Ok(Err(other)),
    };
    let before = maps.load(session, version).await?;
    let after = Arc::new(before.apply(&row.change).map_err(unfit)?);
    map::store(session, &before, &after, &row.units()).await?;
    move_rows::leave(session, &left_by_commit(&row, &before), step.now).await?;
    Ok(Ok(after))
}

async fn finish_abort(session: &Session, step: &Advance, maps: &KnownMap) -> Found<Step<MoveRow>> {
    let version = map::lock(session).await?;
    let row = match advance(session, step).await? {
        Ok(row) => row,
        Err(other) => return Ok(Err(other)),
    };
    let map = maps.load(session, version).await?;
    move_rows::leave(session, &left_by_abort(&row, &map), step.now).await?;
    Ok(Ok(row))
}

async fn reserve_units(session: &Session, n: u32) -> Found<UnitId> {
    let rows = session.run(RESERVE_UNITS, &[&i64::from(n)]).await?;
    let Some(row) = rows.first() else {
        return Err(DirectoryError::Refused(format!("{n} unit numbers cannot be had")).into());
    };
    Ok(UnitId(small(row, 0)? - n + 1))
}

fn unfit(why: MapError) -> DirectoryError {
    DirectoryError::Refused(why.to_string())
}
