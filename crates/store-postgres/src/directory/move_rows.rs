//! Rows of moves and their leftovers in their tables.

use std::collections::BTreeSet;

use ostracon_domain::{Epoch, Millis, ShardId, UnitId};
use ostracon_store::{
    DirectoryError,
    directory::{
        Garbage, MovePhase, MoveRow, NewMove, Progress,
        move_rules::{Leftovers, NewLeftovers},
    },
};
use tokio_postgres::Row;

use super::{
    Found,
    map::{draw, slot},
};
use crate::{
    error::PgError,
    session::{Params, Session},
    value::{get, number, small},
};

type Read<T> = std::result::Result<T, PgError>;

macro_rules! move_columns {
    () => {
        "id, job, source, destination, change, phase, attempt, lease, freeze_number, created_at, since, progress, error, \
         retry_at"
    };
}

/// `phase` of an active move; the same list as in the index `move_active`.
macro_rules! active {
    () => {
        "phase IN (2, 3, 4, 6)"
    };
}

const BY_ID: &str = concat!("SELECT ", move_columns!(), " FROM move WHERE id = $1");
/// The same, and nobody else changes it until the end of the transaction.
const LOCK: &str =
    concat!("SELECT ", move_columns!(), " FROM move WHERE id = $1 FOR NO KEY UPDATE");
const OF_JOB: &str = concat!("SELECT ", move_columns!(), " FROM move WHERE job = $1 ORDER BY id");
const ACTIVE: &str =
    concat!("SELECT ", move_columns!(), " FROM move WHERE ", active!(), " ORDER BY id");
/// A move that is active, or planned by a job that is not over (`job.state` up to 3), and names the shard.
const OPEN_AT: &str = concat!(
    "SELECT id FROM move WHERE (source = $1 OR destination = $1) AND (",
    active!(),
    " OR phase = 1 AND (SELECT state FROM job WHERE job.id = move.job) <= 3) ORDER BY id LIMIT 1"
);
/// Whether a move that names the unit was committed.
const WAS_USED: &str = "SELECT EXISTS (SELECT FROM move_unit JOIN move ON move.id = move_unit.move \
     WHERE move_unit.unit = $1 AND move.phase IN (4, 5))";
const PLAN: &str = "INSERT INTO move (id, job, source, destination, change, phase, attempt, lease, freeze_number, \
     created_at, since, progress) \
     SELECT new.id, $1, new.source, new.destination, new.change, 1, 0, 0, 0, $6, $6, $7 \
     FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) AS new (id, source, destination, change)";
/// A plan may name a unit twice; it will not begin.
const NAME_UNITS: &str = "INSERT INTO move_unit (unit, move) SELECT * FROM unnest($1::bigint[], $2::bigint[]) \
     ON CONFLICT DO NOTHING";
const STORE: &str =
    "UPDATE move SET phase = $2, since = $3, attempt = $4, lease = $5 WHERE id = $1";
/// Compares and sets in one statement: a row that another one changes meanwhile is compared again.
const ADVANCE: &str = concat!(
    "UPDATE move SET phase = $4, since = $5, freeze_number = freeze_number + $6 \
     WHERE id = $1 AND lease = $2 AND phase = $3 AND freeze_number = coalesce($7, freeze_number) RETURNING ",
    move_columns!()
);
const NOTE: &str =
    "UPDATE move SET progress = $3, error = $4, retry_at = $5 WHERE id = $1 AND lease = $2";

const GARBAGE: &str = "SELECT id, shard, unit, epoch, since FROM garbage ORDER BY id";
const LEFTOVERS: &str = "SELECT id, shard, unit, epoch, since, slot FROM garbage \
     LEFT JOIN garbage_slot ON garbage_slot.garbage = garbage.id WHERE shard = $1 ORDER BY id";
const LEAVE: &str = "INSERT INTO garbage (id, shard, unit, epoch, since) \
     SELECT new.id, new.shard, new.unit, new.epoch, $5 \
     FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS new (id, shard, unit, epoch)";
const LEAVE_SLOTS: &str =
    "INSERT INTO garbage_slot (garbage, slot) SELECT * FROM unnest($1::bigint[], $2::bigint[])";
/// Its slots go with it.
const DELETE_GARBAGE: &str = "DELETE FROM garbage WHERE id = $1 RETURNING id";

/// Every phase with its number in `move.phase`; numbers are never reused.
const PHASES: [(MovePhase, i16); 7] = [
    (MovePhase::Planned, 1),
    (MovePhase::Copying, 2),
    (MovePhase::Freezing, 3),
    (MovePhase::Committed, 4),
    (MovePhase::Done, 5),
    (MovePhase::Aborting, 6),
    (MovePhase::Aborted, 7),
];

fn number_of(phase: MovePhase) -> i16 {
    PHASES.iter().find(|(known, _)| *known == phase).map_or(0, |(_, number)| *number)
}

fn read(row: &Row) -> Read<MoveRow> {
    let phase: i16 = get(row, 5)?;
    let known = PHASES.iter().find(|(_, number)| *number == phase);
    let change = serde_json::from_str(get(row, 4)?);
    let progress = serde_json::from_str(get(row, 11)?);
    Ok(MoveRow {
        id: number(row, 0)?,
        job: number(row, 1)?,
        source: ShardId(small(row, 2)?),
        destination: ShardId(small(row, 3)?),
        change: change.map_err(|_| PgError::Damaged("change of a map"))?,
        phase: known.map(|(phase, _)| *phase).ok_or(PgError::Damaged("phase of a move"))?,
        attempt: small(row, 6)?,
        lease: number(row, 7)?,
        freeze: number(row, 8)?,
        created_at: get(row, 9)?,
        since: get(row, 10)?,
        progress: progress.map_err(|_| PgError::Damaged("progress of a move"))?,
        error: get(row, 12)?,
        retry_at: get(row, 13)?,
    })
}

async fn select(session: &Session, sql: &str, values: &Params<'_>) -> Found<Vec<MoveRow>> {
    let rows = session.run(sql, values).await?;
    Ok(rows.iter().map(read).collect::<Read<_>>()?)
}

pub(super) async fn by_id(session: &Session, id: i64) -> Found<Option<MoveRow>> {
    Ok(select(session, BY_ID, &[&id]).await?.pop())
}

/// The same, held until the end of the transaction.
pub(super) async fn lock(session: &Session, id: i64) -> Found<Option<MoveRow>> {
    Ok(select(session, LOCK, &[&id]).await?.pop())
}

pub(super) async fn of_job(session: &Session, job: i64) -> Found<Vec<MoveRow>> {
    select(session, OF_JOB, &[&job]).await
}

pub(super) async fn active(session: &Session) -> Found<Vec<MoveRow>> {
    select(session, ACTIVE, &[]).await
}

/// A move that has to do with the shard and is not over.
pub(super) async fn open_at(session: &Session, shard: ShardId) -> Found<Option<u64>> {
    let rows = session.run(OPEN_AT, &[&i64::from(shard.0)]).await?;
    Ok(rows.first().map(|row| number(row, 0)).transpose()?)
}

/// Whether a move that names the unit was committed.
pub(super) async fn was_used(session: &Session, unit: UnitId) -> Found<bool> {
    let rows = session.run(WAS_USED, &[&i64::from(unit.0)]).await?;
    let row = rows.first().ok_or(PgError::Damaged("answer"))?;
    Ok(get(row, 0)?)
}

/// What cannot be written as JSON: nothing that is planned.
fn unwritable(why: serde_json::Error) -> DirectoryError {
    DirectoryError::Refused(why.to_string())
}

pub(super) async fn plan(
    session: &Session,
    job: u64,
    planned: &[NewMove],
    now: Millis,
) -> Found<()> {
    if planned.is_empty() {
        return Ok(());
    }
    let progress = serde_json::to_string(&Progress::default()).map_err(unwritable)?;
    let last = draw(session, "move", planned.len()).await?.cast_signed();
    let ids: Vec<_> = (0..planned.len() as i64).rev().map(|back| last - back).collect();
    let sources: Vec<_> = planned.iter().map(|new| i64::from(new.source.0)).collect();
    let destinations: Vec<_> = planned.iter().map(|new| i64::from(new.destination.0)).collect();
    let changes = planned.iter().map(|new| serde_json::to_string(&new.change));
    let changes = changes.collect::<Result<Vec<_>, _>>().map_err(unwritable)?;
    let values: &Params<'_> =
        &[&job.cast_signed(), &ids, &sources, &destinations, &changes, &now, &progress];
    session.run(PLAN, values).await?;
    let names = planned
        .iter()
        .zip(&ids)
        .flat_map(|(new, id)| new.change.units().into_iter().map(|unit| (i64::from(unit.0), *id)));
    let (units, moves): (Vec<_>, Vec<_>) = names.unzip();
    session.run(NAME_UNITS, &[&units, &moves]).await?;
    Ok(())
}

/// Writes phase, since, attempt and lease of a move that the transaction holds.
pub(super) async fn store(session: &Session, row: &MoveRow) -> Found<()> {
    let (id, attempt) = (row.id.cast_signed(), i64::from(row.attempt));
    let values: &Params<'_> =
        &[&id, &number_of(row.phase), &row.since, &attempt, &row.lease.cast_signed()];
    session.run(STORE, values).await?;
    Ok(())
}

/// A step of a move: what must be, and what is afterwards.
pub(super) struct Advance {
    pub(super) id: u64,
    pub(super) lease: u64,
    pub(super) from: MovePhase,
    /// The number of the freeze, where it matters.
    pub(super) freeze: Option<u64>,
    pub(super) to: MovePhase,
    pub(super) now: Millis,
}

/// Takes a step; the row after it, or none if it is not as it must be.
pub(super) async fn advance(session: &Session, step: &Advance) -> Found<Option<MoveRow>> {
    let Advance { id, lease, from, freeze, to, now } = step;
    let freezes = i64::from(*to == MovePhase::Freezing);
    let freeze = freeze.map(u64::cast_signed);
    let (from, to) = (number_of(*from), number_of(*to));
    let values: &Params<'_> =
        &[&id.cast_signed(), &lease.cast_signed(), &from, &to, now, &freezes, &freeze];
    Ok(select(session, ADVANCE, values).await?.pop())
}

pub(super) async fn note(
    session: &Session,
    id: i64,
    lease: i64,
    progress: &Progress,
    error: Option<&str>,
    retry_at: Option<Millis>,
) -> Found<()> {
    let progress = serde_json::to_string(progress).map_err(unwritable)?;
    session.run(NOTE, &[&id, &lease, &progress, &error, &retry_at]).await?;
    Ok(())
}

fn read_garbage(row: &Row) -> Read<Garbage> {
    Ok(Garbage {
        id: number(row, 0)?,
        shard: ShardId(small(row, 1)?),
        unit: UnitId(small(row, 2)?),
        epoch: Epoch(number(row, 3)?),
        since: get(row, 4)?,
    })
}

pub(super) async fn garbage(session: &Session) -> Found<Vec<Garbage>> {
    let rows = session.run(GARBAGE, &[]).await?;
    Ok(rows.iter().map(read_garbage).collect::<Read<_>>()?)
}

/// What is left on a shard, with its slots.
pub(super) async fn leftovers(session: &Session, shard: ShardId) -> Found<Vec<Leftovers>> {
    let rows = session.run(LEFTOVERS, &[&i64::from(shard.0)]).await?;
    let mut found: Vec<Leftovers> = Vec::new();
    for row in &rows {
        let garbage = read_garbage(row)?;
        if found.last().is_none_or(|last| last.garbage.id != garbage.id) {
            found.push(Leftovers { garbage, slots: BTreeSet::new() });
        }
        if let Some(last) = found.last_mut()
            && get::<Option<i64>>(row, 5)?.is_some()
        {
            last.slots.insert(slot(row, 5)?);
        }
    }
    Ok(found)
}

pub(super) async fn leave(session: &Session, left: &[NewLeftovers], since: Millis) -> Found<()> {
    if left.is_empty() {
        return Ok(());
    }
    let last = draw(session, "garbage", left.len()).await?.cast_signed();
    let ids: Vec<_> = (0..left.len() as i64).rev().map(|back| last - back).collect();
    let shards: Vec<_> = left.iter().map(|new| i64::from(new.shard.0)).collect();
    let units: Vec<_> = left.iter().map(|new| i64::from(new.unit.0)).collect();
    let epochs: Vec<_> = left.iter().map(|new| new.epoch.0.cast_signed()).collect();
    session.run(LEAVE, &[&ids, &shards, &units, &epochs, &since]).await?;
    let slots = left
        .iter()
        .zip(&ids)
        .flat_map(|(new, id)| new.slots.iter().map(|slot| (*id, i64::from(slot.get()))));
    let (ids, slots): (Vec<_>, Vec<_>) = slots.unzip();
    session.run(LEAVE_SLOTS, &[&ids, &slots]).await?;
    Ok(())
}

pub(super) async fn delete_garbage(session: &Session, id: i64) -> Found<bool> {
    Ok(!session.run(DELETE_GARBAGE, &[&id]).await?.is_empty())
}
