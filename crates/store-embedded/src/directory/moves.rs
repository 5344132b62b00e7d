//! Moves: each call compares and changes in one transaction of the one writer.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use ostracon_domain::{MapChange, Millis, ShardId, UnitId};
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
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{SqliteDirectory, failure::Failure, job_rows, map, map::KnownMap, move_rows};

type Result<T> = std::result::Result<T, DirectoryError>;
type Found<T> = std::result::Result<T, Failure>;
/// What a step came to: done, or the row as it is.
type Step<T> = std::result::Result<T, Box<MoveRow>>;
type Lost<T> = std::result::Result<T, MoveLost>;

#[async_trait]
impl Moves for SqliteDirectory {
    async fn add_shard(&self, url: &str) -> Result<ShardRow> {
        let url = url.to_owned();
        self.threads.write(move |conn| add_shard(conn, &url)).await
    }

    async fn set_admission(&self, id: ShardId, to: ShardAdmission) -> Result<Option<ShardRow>> {
        self.threads
            .write(move |conn| {
                let sql = "UPDATE shard SET state = ?2 WHERE id = ?1 RETURNING id, url, state";
                let mut statement = conn.prepare_cached(sql)?;
                let by = params![id.0, map::admission(to)];
                Ok(statement.query_row(by, map::shard).optional()?)
            })
            .await
    }

    async fn remove_shard(&self, id: ShardId) -> Result<()> {
        self.threads.write(move |conn| remove_shard(conn, id)).await
    }

    async fn change_overrides(&self, change: &MapChange) -> Result<u64> {
        let change = change.clone();
        let maps = self.known_map.clone();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                may_change_overrides(&change, &map::shards(&tx)?, &move_rows::active(&tx)?)?;
                let version = apply(&tx, &change, &maps)?;
                tx.commit()?;
                Ok(version)
            })
            .await
    }

    async fn plan_job(&self, new: NewJob, now: Millis) -> Result<JobRow> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let shards = map::shards(&tx)?;
                new.moves.iter().try_for_each(|planned| may_plan(planned, &shards))?;
                let job = job_rows::plan(&tx, &new, now)?;
                for planned in &new.moves {
                    move_rows::plan(&tx, job.id, planned, now)?;
                }
                tx.commit()?;
                Ok(job)
            })
            .await
    }

    async fn jobs(&self, after: Option<u64>, limit: u32) -> Result<Vec<JobRow>> {
        self.threads.scan(move |conn| job_rows::newest(conn, after, limit)).await
    }

    async fn job(&self, id: u64) -> Result<Option<JobRow>> {
        self.threads.look_up(move |conn| job_rows::by_id(conn, id)).await
    }

    async fn set_job(
        &self,
        id: u64,
        from: &[JobState],
        to: JobState,
        error: Option<String>,
        now: Millis,
    ) -> Result<Option<JobRow>> {
        let from = from.to_vec();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let job = job_rows::by_id(&tx, id)?.filter(|job| from.contains(&job.state));
                let Some(mut job) = job else { return Ok(None) };
                job.state = to;
                job.error = error;
                job.updated_at = now;
                job_rows::store(&tx, &job)?;
                tx.commit()?;
                Ok(Some(job))
            })
            .await
    }

    async fn moves_of(&self, job: u64) -> Result<Vec<MoveRow>> {
        self.threads.scan(move |conn| move_rows::of_job(conn, job)).await
    }

    async fn unfinished_moves(&self) -> Result<Vec<MoveRow>> {
        self.threads.look_up(|conn| move_rows::active(conn)).await
    }

    async fn move_row(&self, id: u64) -> Result<Option<MoveRow>> {
        self.threads.look_up(move |conn| move_rows::by_id(conn, id)).await
    }

    async fn begin_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveRefusal> {
        let maps = self.known_map.clone();
        self.threads.write(move |conn| begin(conn, id, now, &maps)).await?
    }

    async fn take_over_move(&self, id: u64, now: Millis) -> Lost<MoveRow> {
        let taken = self.threads.write(move |conn| {
            let tx = conn.transaction()?;
            let mut row = known(&tx, id)?;
            if !row.phase.is_active() {
                return Ok(Step::Err(Box::new(row)));
            }
            row.lease = map::draw(&tx, "lease", 1)?;
            if row.phase == MovePhase::Freezing {
                row.phase = MovePhase::Copying;
                row.since = now;
            }
            move_rows::store(&tx, &row)?;
            tx.commit()?;
            Ok(Ok(row))
        });
        taken.await?.map_err(MoveLost::Lost)
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
        let advanced = self.threads.write(move |conn| {
            let tx = conn.transaction()?;
            let mut row = match held(&tx, id, lease, from)? {
                Ok(row) => row,
                Err(other) => return Ok(Err(other)),
            };
            row.freeze += u64::from(to == MovePhase::Freezing);
            enter(&tx, &mut row, to, now)?;
            tx.commit()?;
            Ok(Ok(row))
        });
        advanced.await?.map_err(MoveLost::Lost)
    }

    async fn commit_move(&self, id: u64, lease: u64, freeze: u64, now: Millis) -> Lost<u64> {
        let maps = self.known_map.clone();
        let committed = self.threads.write(move |conn| {
            let tx = conn.transaction()?;
            let mut row = match held(&tx, id, lease, MovePhase::Freezing)? {
                Ok(row) if row.freeze == freeze => row,
                Ok(other) => return Ok(Err(Box::new(other))),
                Err(other) => return Ok(Err(other)),
            };
            let before = maps.load(&tx)?;
            let after = Arc::new(before.apply(&row.change).map_err(unfit)?);
            map::store(&tx, &before, &after, &row.units())?;
            move_rows::leave(&tx, &left_by_commit(&row, &before), now)?;
            enter(&tx, &mut row, MovePhase::Committed, now)?;
            tx.commit()?;
            maps.keep(&after);
            Ok(Ok(after.version))
        });
        committed.await?.map_err(MoveLost::Lost)
    }

    async fn finish_abort(&self, id: u64, lease: u64, now: Millis) -> Lost<MoveRow> {
        let maps = self.known_map.clone();
        let aborted = self.threads.write(move |conn| {
            let tx = conn.transaction()?;
            let mut row = match held(&tx, id, lease, MovePhase::Aborting)? {
                Ok(row) => row,
                Err(other) => return Ok(Err(other)),
            };
            move_rows::leave(&tx, &left_by_abort(&row, &*maps.load(&tx)?), now)?;
            enter(&tx, &mut row, MovePhase::Aborted, now)?;
            tx.commit()?;
            Ok(Ok(row))
        });
        aborted.await?.map_err(MoveLost::Lost)
    }

    async fn note_progress(
        &self,
        id: u64,
        lease: u64,
        progress: Progress,
        error: Option<String>,
        retry_at: Option<Millis>,
    ) -> Result<()> {
        let note = move |conn: &mut Connection| {
            move_rows::note(conn, id, lease, progress, error, retry_at)
        };
        self.threads.write(note).await
    }

    async fn garbage(&self) -> Result<Vec<Garbage>> {
        self.threads.scan(|conn| move_rows::garbage(conn)).await
    }

    async fn delete_garbage(&self, id: u64) -> Result<bool> {
        self.threads
            .write(move |conn| {
                // Its slots go with it.
                let mut statement = conn.prepare_cached("DELETE FROM garbage WHERE id = ?1")?;
                Ok(statement.execute([id])? > 0)
            })
            .await
    }

    async fn reserve_units(&self, n: u32) -> Result<UnitId> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let last = map::draw(&tx, "unit", n)?;
                let first = u32::try_from(last).ok().filter(|_| n > 0).map(|last| last - n + 1);
                let Some(first) = first else {
                    let why = format!("{n} unit numbers cannot be had");
                    return Err(DirectoryError::Refused(why).into());
                };
                tx.commit()?;
                Ok(UnitId(first))
            })
            .await
    }

    async fn next_rank(&self) -> Result<u64> {
        self.threads
            .write(|conn| {
                let tx = conn.transaction()?;
                let rank = map::draw(&tx, "rank", 1)?;
                tx.commit()?;
                Ok(rank)
            })
            .await
    }

    async fn raise_leases(&self, at_least: u64) -> Result<()> {
        let beyond = |_| DirectoryError::Refused(format!("{at_least} is no lease"));
        let at_least = i64::try_from(at_least).map_err(beyond)?;
        self.threads
            .write(move |conn| {
                let sql = "UPDATE sequence SET last = max(last, ?1) WHERE name = 'lease'";
                conn.prepare_cached(sql)?.execute([at_least])?;
                Ok(())
            })
            .await
    }

    async fn hold_coordinator(&self, holder: u64, now: Millis, for_ms: u32) -> Result<bool> {
        // A holder is 64 bits; the column is signed.
        let holder = holder.cast_signed();
        let until = now.saturating_add(i64::from(for_ms));
        self.threads
            .write(move |conn| {
                let held = conn
                    .prepare_cached(
                        "INSERT INTO coordinator (one, holder, until) VALUES (1, ?1, ?2)
                         ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
                         WHERE coordinator.holder = excluded.holder OR coordinator.until <= ?3",
                    )?
                    .execute(params![holder, until, now])?;
                Ok(held > 0)
            })
            .await
    }
}

fn add_shard(conn: &mut Connection, url: &str) -> Found<ShardRow> {
    let tx = conn.transaction()?;
    if map::shards(&tx)?.is_empty() {
        let why = "the cluster is not founded yet";
        return Err(DirectoryError::Refused(why.to_owned()).into());
    }
    // The sequence of the table remembers the numbers of shards that are gone.
    let last: i64 =
        tx.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'shard'", [], |row| row.get(0))?;
    let next = u32::try_from(last + 1)
        .map_err(|_| DirectoryError::Refused("no shard number is left".to_owned()))?;
    let row = ShardRow::new(ShardId(next), url);
    tx.execute("INSERT INTO shard (id, url) VALUES (?1, ?2)", params![row.id.0, row.url])?;
    tx.commit()?;
    Ok(row)
}

fn remove_shard(conn: &mut Connection, id: ShardId) -> Found<()> {
    let tx = conn.transaction()?;
    if !map::shards(&tx)?.iter().any(|row| row.id == id) {
        return Err(DirectoryError::Refused(format!("there is no shard {id}")).into());
    }
    let number = |sql: &str| -> Found<Option<u64>> {
        Ok(tx.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?)
    };
    let refused = |why: String| Err(shard_in_use(id, &why).into());
    let units = number("SELECT count(*) FROM unit WHERE shard = ?1")?.unwrap_or_default();
    if units > 0 {
        return refused(format!("it is the home of {units} units"));
    }
    if let Some(left) = number("SELECT id FROM garbage WHERE shard = ?1 LIMIT 1")? {
        return refused(format!("garbage {left} is left on it"));
    }
    if let Some(user) = number("SELECT user FROM hot_user_target WHERE shard = ?1 LIMIT 1")? {
        return refused(format!("it is a target of hot user {user}"));
    }
    if let Some(by) = move_rows::open_at(&tx, id)? {
        return refused(format!("move {by} names it"));
    }
    tx.execute("DELETE FROM shard WHERE id = ?1", [id.0])?;
    tx.commit()?;
    Ok(())
}

fn begin(
    conn: &mut Connection,
    id: u64,
    now: Millis,
    maps: &KnownMap,
) -> Found<std::result::Result<MoveRow, MoveRefusal>> {
    let tx = conn.transaction()?;
    let Some(mut row) = move_rows::by_id(&tx, id)? else {
        return Ok(Err(MoveRefusal::Unknown(id)));
    };
    let owned: BTreeMap<UnitId, u64> = move_rows::active(&tx)?
        .iter()
        .flat_map(|other| other.units().into_iter().map(|unit| (unit, other.id)))
        .collect();
    let last_unit: u32 =
        tx.query_row("SELECT last FROM sequence WHERE name = 'unit'", [], |row| row.get(0))?;
    let child = child_of(&row.change);
    let child_was_used =
        child.map(|child| move_rows::was_used(&tx, child)).transpose()?.unwrap_or_default();
    let around = Surroundings {
        map: &*maps.load(&tx)?,
        shards: &map::shards(&tx)?,
        owned: &owned,
        leftovers: &move_rows::leftovers(&tx, row.destination)?,
        next_unit: last_unit.saturating_add(1),
        child_was_used,
    };
    if let Err(refusal) = may_begin(&row, &around) {
        return Ok(Err(refusal));
    }
    row.lease = map::draw(&tx, "lease", 1)?;
    row.attempt += 1;
    enter(&tx, &mut row, MovePhase::Copying, now)?;
    tx.commit()?;
    Ok(Ok(row))
}

/// Applies a change to the map; its new version.
fn apply(tx: &Transaction<'_>, change: &MapChange, maps: &KnownMap) -> Found<u64> {
    let before = maps.load(tx)?;
    let after = before.apply(change).map_err(unfit)?;
    map::store(tx, &before, &after, &change.units())?;
    Ok(after.version)
}

fn known(tx: &Transaction<'_>, id: u64) -> Found<MoveRow> {
    Ok(move_rows::by_id(tx, id)?.ok_or_else(|| no_such_move(id))?)
}

/// The move, if the caller is still the one who drives it.
fn held(tx: &Transaction<'_>, id: u64, lease: u64, phase: MovePhase) -> Found<Step<MoveRow>> {
    let row = known(tx, id)?;
    if row.lease != lease || row.phase != phase {
        return Ok(Err(Box::new(row)));
    }
    Ok(Ok(row))
}

fn enter(tx: &Transaction<'_>, row: &mut MoveRow, phase: MovePhase, now: Millis) -> Found<()> {
    row.phase = phase;
    row.since = now;
    move_rows::store(tx, row)
}

fn unfit(why: ostracon_domain::MapError) -> DirectoryError {
    DirectoryError::Refused(why.to_string())
}
