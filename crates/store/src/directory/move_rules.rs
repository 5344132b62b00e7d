//! What every directory checks about moves, decided once. Pure; a backend brings the rows and writes the answer.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{Cover, Epoch, MapChange, PlacementMap, ShardId, Slot, UnitId};

use super::{
    DirectoryError, ShardAdmission, ShardRow,
    move_error::MoveRefusal,
    move_row::{Garbage, MoveKind, MovePhase, MoveRow, NewMove},
};

/// The first number of a carved unit.
pub const FIRST_CARVED: u32 = ostracon_domain::id::SLOTS as u32;

/// Garbage with the slots its rows may have, as they were when it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftovers {
    /// What is left.
    pub garbage: Garbage,
    /// Slots of its conversations and users.
    pub slots: BTreeSet<Slot>,
}

/// Leftovers that are not yet written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLeftovers {
    /// Where.
    pub shard: ShardId,
    /// Whose.
    pub unit: UnitId,
    /// At which epoch the shard gave the unit up.
    pub epoch: Epoch,
    /// Slots of its conversations and users.
    pub slots: BTreeSet<Slot>,
}

/// What a move that is to begin finds.
pub struct Surroundings<'a> {
    /// The newest map.
    pub map: &'a PlacementMap,
    /// Every shard.
    pub shards: &'a [ShardRow],
    /// The units of active moves, and which move owns each.
    pub owned: &'a BTreeMap<UnitId, u64>,
    /// What is left on the move's destination.
    pub leftovers: &'a [Leftovers],
    /// The first unit number that was not reserved yet.
    pub next_unit: u32,
    /// Whether a move that names the same child was committed before.
    pub child_was_used: bool,
}

/// Whether a move may be planned at all.
///
/// # Errors
/// `Refused` with a sentence.
pub fn may_plan(new: &NewMove, shards: &[ShardRow]) -> Result<(), DirectoryError> {
    let refused = |why: String| Err(DirectoryError::Refused(why));
    for id in [new.source, new.destination] {
        if !shards.iter().any(|row| row.id == id) {
            return refused(format!("there is no shard {id}"));
        }
    }
    if MoveKind::of(&new.change).is_none() {
        return refused("a change that moves no unit is no move".to_owned());
    }
    if new.change.units().is_empty() {
        return refused("a move needs a unit".to_owned());
    }
    let same = new.source == new.destination;
    match &new.change {
        MapChange::Move { to, .. } if *to != new.destination => {
            refused(format!("the move goes to shard {}, its change to {to}", new.destination))
        }
        MapChange::Move { .. } if same => {
            refused(format!("a move from shard {} to itself moves nothing", new.source))
        }
        MapChange::Carve { .. } | MapChange::Merge { .. } if !same => {
            refused("a carve or merge stays on its shard".to_owned())
        }
        _ => Ok(()),
    }
}

/// Whether a move may begin.
///
/// # Errors
/// Why not.
pub fn may_begin(row: &MoveRow, around: &Surroundings<'_>) -> Result<(), MoveRefusal> {
    if row.phase != MovePhase::Planned {
        return Err(MoveRefusal::NotPlanned { id: row.id, phase: row.phase });
    }
    let units = row.units();
    for unit in &units {
        if let Some(by) = around.owned.get(unit) {
            return Err(MoveRefusal::Busy { unit: *unit, by: *by });
        }
    }
    let shard = |id| around.shards.iter().find(|row| row.id == id);
    let destination = shard(row.destination).ok_or(MoveRefusal::NoShard(row.destination))?;
    shard(row.source).ok_or(MoveRefusal::NoShard(row.source))?;
    // A carve brings nothing to a shard: emptying one may need it.
    if row.kind() == Some(MoveKind::Move) && destination.state != ShardAdmission::Accepting {
        return Err(MoveRefusal::Draining(row.destination));
    }
    let fresh = match &row.change {
        MapChange::Carve { child, .. } if around.map.home(*child).is_none() => Some(*child),
        _ => None,
    };
    for unit in &units {
        let home = around.map.home(*unit).map(|home| home.shard);
        if home != Some(row.source) && fresh != Some(*unit) {
            return Err(MoveRefusal::NotAtHome { unit: *unit, source_shard: row.source });
        }
    }
    if let Some(child) = fresh.filter(|c| around.child_was_used || c.0 >= around.next_unit) {
        return Err(MoveRefusal::Stale(child));
    }
    around.map.apply(&row.change)?;
    let slots: BTreeSet<Slot> = around.map.slots_of(&units).into_values().flatten().collect();
    let in_the_way = around.leftovers.iter().find(|left| !left.slots.is_disjoint(&slots));
    match in_the_way {
        Some(left) => Err(MoveRefusal::Garbage {
            shard: left.garbage.shard,
            unit: left.garbage.unit,
            garbage: left.garbage.id,
        }),
        None => Ok(()),
    }
}

/// What a move leaves on its source when it commits; the map is the one before.
pub fn left_by_commit(row: &MoveRow, before: &PlacementMap) -> Vec<NewLeftovers> {
    left(row, before, row.source, 0)
}

/// What a move leaves on its destination when it was given up; the map is the present one.
pub fn left_by_abort(row: &MoveRow, map: &PlacementMap) -> Vec<NewLeftovers> {
    left(row, map, row.destination, 1)
}

fn left(row: &MoveRow, map: &PlacementMap, shard: ShardId, above: u64) -> Vec<NewLeftovers> {
    let MapChange::Move { units, .. } = &row.change else { return Vec::new() };
    let mut slots = map.slots_of(units);
    let left = units.iter().filter_map(|unit| {
        let epoch = Epoch(map.home(*unit)?.epoch.0 + above);
        Some(NewLeftovers {
            shard,
            unit: *unit,
            epoch,
            slots: slots.remove(unit).unwrap_or_default(),
        })
    });
    left.collect()
}

/// Whether a change of overrides needs no move, and fits the shards and active moves there are.
///
/// No override goes while a carve or merge for a hot user is active: what that covers was decided with it.
///
/// # Errors
/// `Refused` with a sentence.
pub fn may_change_overrides(
    change: &MapChange,
    shards: &[ShardRow],
    active: &[MoveRow],
) -> Result<(), DirectoryError> {
    match change {
        MapChange::AddUser { targets, .. } => {
            match targets.iter().find(|id| !shards.iter().any(|row| row.id == **id)) {
                Some(id) => Err(DirectoryError::Refused(format!("there is no shard {id}"))),
                None => Ok(()),
            }
        }
        MapChange::ForgetUser { .. } => {
            match active.iter().find(|row| is_for_a_user(&row.change)) {
                Some(row) => Err(DirectoryError::Refused(format!(
                    "move {} carves or merges for a hot user: wait for its end",
                    row.id
                ))),
                None => Ok(()),
            }
        }
        _ => Err(DirectoryError::Refused("units change only with a move".to_owned())),
    }
}

fn is_for_a_user(change: &MapChange) -> bool {
    matches!(
        change,
        MapChange::Carve { cover: Cover::User { .. }, .. }
            | MapChange::Merge { cover: Cover::User { .. }, .. }
    )
}

/// The child of a carve: the unit that may be new.
pub fn child_of(change: &MapChange) -> Option<UnitId> {
    match change {
        MapChange::Carve { child, .. } => Some(*child),
        _ => None,
    }
}

/// The sentence for a step that does not exist.
pub fn no_such_step(from: MovePhase, to: MovePhase) -> DirectoryError {
    DirectoryError::Refused(format!("no step of a move leads from {from} to {to}"))
}

/// The sentence for a move that is not there.
pub fn no_such_move(id: u64) -> DirectoryError {
    DirectoryError::Refused(format!("there is no move {id}"))
}

/// The sentence for a shard that is still in use.
pub fn shard_in_use(id: ShardId, by: &str) -> DirectoryError {
    DirectoryError::Refused(format!("shard {id} is in use: {by}"))
}
