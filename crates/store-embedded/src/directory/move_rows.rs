//! Rows of moves and their leftovers in their tables.

use std::collections::BTreeSet;

use ostracon_domain::{Epoch, Millis, ShardId, Slot, UnitId};
use ostracon_store::directory::{
    Garbage, MovePhase, MoveRow, NewMove, Progress,
    move_rules::{Leftovers, NewLeftovers},
};
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, params, types::Type};

use super::{failure::Failure, map::unreadable};

const COLUMNS: &str = "id, job, source, destination, change, phase, attempt, lease, freeze, \
                       created_at, since, progress, error, retry_at";
/// `phase` of an active move; the same list as in the index `move_active`.
const ACTIVE: &str = "phase IN (2, 3, 4, 6)";

/// Every phase with its number in `move.phase`; numbers are never reused.
const PHASES: [(MovePhase, i64); 7] = [
    (MovePhase::Planned, 1),
    (MovePhase::Copying, 2),
    (MovePhase::Freezing, 3),
    (MovePhase::Committed, 4),
    (MovePhase::Done, 5),
    (MovePhase::Aborting, 6),
    (MovePhase::Aborted, 7),
];

fn number(phase: MovePhase) -> i64 {
    PHASES.iter().find(|(known, _)| *known == phase).map_or(0, |(_, number)| *number)
}

#[derive(Debug, thiserror::Error)]
#[error("phase {0} is unknown")]
struct UnknownPhase(i64);

fn read(row: &Row<'_>) -> rusqlite::Result<MoveRow> {
    let phase: i64 = row.get(5)?;
    let known = PHASES.iter().find(|(_, number)| *number == phase);
    let change: String = row.get(4)?;
    let progress: String = row.get(11)?;
    Ok(MoveRow {
        id: row.get(0)?,
        job: row.get(1)?,
        source: ShardId(row.get(2)?),
        destination: ShardId(row.get(3)?),
        change: serde_json::from_str(&change).map_err(|e| unreadable(4, Type::Text, e))?,
        phase: known
            .map(|(phase, _)| *phase)
            .ok_or_else(|| unreadable(5, Type::Integer, UnknownPhase(phase)))?,
        attempt: row.get(6)?,
        lease: row.get(7)?,
        freeze: row.get(8)?,
        created_at: row.get(9)?,
        since: row.get(10)?,
        progress: serde_json::from_str(&progress).map_err(|e| unreadable(11, Type::Text, e))?,
        error: row.get(12)?,
        retry_at: row.get(13)?,
    })
}

fn select(conn: &Connection, which: &str, by: impl Params) -> Result<Vec<MoveRow>, Failure> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM move {which}"))?;
    let found = statement.query_map(by, read)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn by_id(conn: &Connection, id: u64) -> Result<Option<MoveRow>, Failure> {
    Ok(select(conn, "WHERE id = ?1", [id])?.pop())
}

pub(super) fn of_job(conn: &Connection, job: u64) -> Result<Vec<MoveRow>, Failure> {
    select(conn, "WHERE job = ?1 ORDER BY id", [job])
}

pub(super) fn active(conn: &Connection) -> Result<Vec<MoveRow>, Failure> {
    select(conn, &format!("WHERE {ACTIVE} ORDER BY id"), [])
}

/// A move that is active, or planned by a job that is not over (`job.state` up to 3), and names the shard.
pub(super) fn open_at(conn: &Connection, shard: ShardId) -> Result<Option<u64>, Failure> {
    let sql = format!(
        "SELECT id FROM move WHERE (source = ?1 OR destination = ?1)
         AND ({ACTIVE} OR phase = 1 AND (SELECT state FROM job WHERE job.id = move.job) <= 3)
         ORDER BY id LIMIT 1"
    );
    Ok(conn.prepare_cached(&sql)?.query_row([shard.0], |row| row.get(0)).optional()?)
}

/// Whether a move that names the unit was committed.
pub(super) fn was_used(conn: &Connection, unit: UnitId) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM move_unit JOIN move ON move.id = move_unit.move
               WHERE move_unit.unit = ?1 AND move.phase IN (4, 5))";
    Ok(conn.prepare_cached(sql)?.query_row([unit.0], |row| row.get(0))?)
}

/// What cannot be written as JSON: nothing that is planned.
fn unwritable(why: serde_json::Error) -> Failure {
    rusqlite::Error::ToSqlConversionFailure(Box::new(why)).into()
}

pub(super) fn plan(
    tx: &Transaction<'_>,
    job: u64,
    new: &NewMove,
    now: Millis,
) -> Result<(), Failure> {
    let change = serde_json::to_string(&new.change).map_err(unwritable)?;
    let progress = serde_json::to_string(&Progress::default()).map_err(unwritable)?;
    tx.prepare_cached(
        "INSERT INTO move (job, source, destination, change, phase, attempt, lease, freeze,
                           created_at, since, progress)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, ?6, ?6, ?7)",
    )?
    .execute(params![
        job,
        new.source.0,
        new.destination.0,
        change,
        number(MovePhase::Planned),
        now,
        progress
    ])?;
    let id = tx.last_insert_rowid();
    // A plan may name one twice; it will not begin.
    let mut name =
        tx.prepare_cached("INSERT OR IGNORE INTO move_unit (unit, move) VALUES (?1, ?2)")?;
    for unit in new.change.units() {
        name.execute(params![unit.0, id])?;
    }
    Ok(())
}

/// Writes the fields that drive a move: phase, since, attempt, lease, freeze.
pub(super) fn store(tx: &Transaction<'_>, row: &MoveRow) -> Result<(), Failure> {
    tx.prepare_cached(
        "UPDATE move SET phase = ?2, since = ?3, attempt = ?4, lease = ?5, freeze = ?6 WHERE id = ?1",
    )?
    .execute(params![row.id, number(row.phase), row.since, row.attempt, row.lease, row.freeze])?;
    Ok(())
}

pub(super) fn note(
    conn: &Connection,
    id: u64,
    lease: u64,
    progress: Progress,
    error: Option<String>,
    retry_at: Option<Millis>,
) -> Result<(), Failure> {
    let progress = serde_json::to_string(&progress.bounded()).map_err(unwritable)?;
    let sql =
        "UPDATE move SET progress = ?3, error = ?4, retry_at = ?5 WHERE id = ?1 AND lease = ?2";
    conn.prepare_cached(sql)?.execute(params![id, lease, progress, error, retry_at])?;
    Ok(())
}

fn read_garbage(row: &Row<'_>) -> rusqlite::Result<Garbage> {
    Ok(Garbage {
        id: row.get(0)?,
        shard: ShardId(row.get(1)?),
        unit: UnitId(row.get(2)?),
        epoch: Epoch(row.get(3)?),
        since: row.get(4)?,
    })
}

pub(super) fn garbage(conn: &Connection) -> Result<Vec<Garbage>, Failure> {
    let sql = "SELECT id, shard, unit, epoch, since FROM garbage ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map([], read_garbage)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// What is left on a shard, with its slots.
pub(super) fn leftovers(conn: &Connection, shard: ShardId) -> Result<Vec<Leftovers>, Failure> {
    let sql = "SELECT id, shard, unit, epoch, since, slot FROM garbage
               LEFT JOIN garbage_slot ON garbage_slot.garbage = garbage.id
               WHERE shard = ?1 ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([shard.0])?;
    let mut found: Vec<Leftovers> = Vec::new();
    while let Some(row) = rows.next()? {
        let garbage = read_garbage(row)?;
        if found.last().is_none_or(|last| last.garbage.id != garbage.id) {
            found.push(Leftovers { garbage, slots: BTreeSet::new() });
        }
        let slot: Option<u16> = row.get(5)?;
        if let (Some(last), Some(slot)) = (found.last_mut(), slot) {
            last.slots.insert(Slot::new(slot).map_err(|e| unreadable(5, Type::Integer, e))?);
        }
    }
    Ok(found)
}

pub(super) fn leave(
    tx: &Transaction<'_>,
    left: &[NewLeftovers],
    since: Millis,
) -> Result<(), Failure> {
    for new in left {
        tx.prepare_cached(
            "INSERT INTO garbage (shard, unit, epoch, since) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![new.shard.0, new.unit.0, new.epoch.0, since])?;
        let id = tx.last_insert_rowid();
        let mut name =
            tx.prepare_cached("INSERT INTO garbage_slot (garbage, slot) VALUES (?1, ?2)")?;
        for slot in &new.slots {
            name.execute(params![id, slot.get()])?;
        }
    }
    Ok(())
}
