//! Spreading slots over shards: adding, draining, naming a new number, moving by hand. Only what must move moves.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{PlacementMap, ShardId, UnitId, id::SLOTS};

use super::{NoPlan, Plan, Sizes};

/// Units to one shard; those that are there stay.
///
/// # Errors
/// `UnknownUnit`.
pub fn to_shard(
    map: &PlacementMap,
    sizes: &Sizes,
    units: impl IntoIterator<Item = UnitId>,
    to: ShardId,
) -> Result<Plan, NoPlan> {
    let mut plan = Plan::default();
    plan.move_units(map, sizes, units, to)?;
    Ok(plan)
}

/// Every slot evenly over `targets`, which are all that accept units, in the order of their numbers.
///
/// A shard keeps what it has up to its even share. Of what it must give, first those slots go that `slot mod N` gives to
/// another shard, so that after a doubling every slot is where `mod N` says.
///
/// # Errors
/// `Nowhere` without targets.
pub fn spread(map: &PlacementMap, sizes: &Sizes, targets: &[ShardId]) -> Result<Plan, NoPlan> {
    let targets: BTreeSet<ShardId> = targets.iter().copied().collect();
    let targets: Vec<ShardId> = targets.into_iter().collect();
    if targets.is_empty() {
        return Err(NoPlan::Nowhere);
    }
    let (even, rest) = (usize::from(SLOTS) / targets.len(), usize::from(SLOTS) % targets.len());
    let mut held: BTreeMap<ShardId, Vec<UnitId>> = BTreeMap::new();
    for slot in 0..SLOTS {
        let unit = UnitId(u32::from(slot));
        let home = map.home(unit).ok_or(NoPlan::UnknownUnit(unit))?;
        held.entry(home.shard).or_default().push(unit);
    }
    // Who holds most keeps the slots that do not divide evenly.
    let mut by_load = targets.clone();
    by_load.sort_by_key(|id| (std::cmp::Reverse(held.get(id).map_or(0, Vec::len)), *id));
    let share: BTreeMap<ShardId, usize> = by_load
        .iter()
        .enumerate()
        .map(|(place, id)| (*id, even + usize::from(place < rest)))
        .collect();
    let wished = |unit: UnitId| targets.get(unit.0 as usize % targets.len()).copied();
    let mut given: Vec<UnitId> = Vec::new();
    for (shard, units) in &mut held {
        let keeps = share.get(shard).copied().unwrap_or(0);
        // Those that are where they are wished stand first, and are kept.
        units.sort_by_key(|unit| (wished(*unit) != Some(*shard), *unit));
        given.extend(units.split_off(keeps.min(units.len())));
    }
    let mut room: BTreeMap<ShardId, usize> = share
        .iter()
        .map(|(id, share)| (*id, share - held.get(id).map_or(0, Vec::len).min(*share)))
        .collect();
    let mut placed: BTreeMap<ShardId, Vec<UnitId>> = BTreeMap::new();
    let mut take = |room: &mut BTreeMap<ShardId, usize>, unit, to| match room.get_mut(&to) {
        Some(free) if *free > 0 => {
            *free -= 1;
            placed.entry(to).or_default().push(unit);
            true
        }
        _ => false,
    };
    given.sort_unstable();
    given.retain(|unit| !wished(*unit).is_some_and(|to| take(&mut room, *unit, to)));
    for unit in given {
        let free = room.iter().find(|(_, free)| **free > 0).map(|(id, _)| *id);
        let to = free.ok_or(NoPlan::Nowhere)?;
        take(&mut room, unit, to);
    }
    let mut plan = Plan::default();
    for (to, mut units) in placed {
        units.sort_unstable();
        plan.move_units(map, sizes, units, to)?;
    }
    Ok(interleaved(plan))
}

/// The even spread when these shards have come.
///
/// # Errors
/// Those of [`spread`].
pub fn add(
    map: &PlacementMap,
    sizes: &Sizes,
    accepting: &[ShardId],
    new: &[ShardId],
) -> Result<Plan, NoPlan> {
    let all: Vec<ShardId> = accepting.iter().chain(new).copied().collect();
    spread(map, sizes, &all)
}

/// Everything evenly over these shards and nothing on any other: slots as [`spread`] does, carved units of other shards to
/// those of the targets that hold least of them.
///
/// # Errors
/// Those of [`spread`].
pub fn resize(map: &PlacementMap, sizes: &Sizes, targets: &[ShardId]) -> Result<Plan, NoPlan> {
    let mut plan = spread(map, sizes, targets)?;
    let mut load: BTreeMap<ShardId, usize> = targets.iter().map(|id| (*id, 0)).collect();
    let mut leaving = Vec::new();
    for (unit, home) in map.units().filter(|(unit, _)| unit.slot().is_none()) {
        match load.get_mut(&home.shard) {
            Some(load) => *load += 1,
            None => leaving.push(unit),
        }
    }
    for unit in leaving {
        let (to, load) =
            load.iter_mut().min_by_key(|(id, load)| (**load, **id)).ok_or(NoPlan::Nowhere)?;
        *load += 1;
        plan.move_units(map, sizes, [unit], *to)?;
    }
    Ok(plan)
}

/// Everything away from a shard, carved units too, to those that hold least.
///
/// # Errors
/// `Nowhere` when no other shard accepts units.
pub fn drain(
    map: &PlacementMap,
    sizes: &Sizes,
    accepting: &[ShardId],
    from: ShardId,
) -> Result<Plan, NoPlan> {
    let mut load: BTreeMap<ShardId, usize> =
        accepting.iter().filter(|id| **id != from).map(|id| (*id, 0)).collect();
    let mut leaving = Vec::new();
    for (unit, home) in map.units() {
        if home.shard == from {
            leaving.push(unit);
        } else if let Some(load) = load.get_mut(&home.shard) {
            *load += 1;
        }
    }
    let mut placed: BTreeMap<ShardId, Vec<UnitId>> = BTreeMap::new();
    for unit in leaving {
        let (to, load) =
            load.iter_mut().min_by_key(|(id, load)| (**load, **id)).ok_or(NoPlan::Nowhere)?;
        *load += 1;
        placed.entry(*to).or_default().push(unit);
    }
    let mut plan = Plan::default();
    for (to, units) in placed {
        plan.move_units(map, sizes, units, to)?;
    }
    Ok(interleaved(plan))
}

/// Moves in turn by destination, so that shards that can work at the same time do.
pub(super) fn interleaved(mut plan: Plan) -> Plan {
    let mut turns: BTreeMap<ShardId, usize> = BTreeMap::new();
    let mut ordered: Vec<(usize, ostracon_store::directory::NewMove)> = plan
        .moves
        .drain(..)
        .map(|new| {
            let turn = turns.entry(new.destination).or_default();
            *turn += 1;
            (*turn, new)
        })
        .collect();
    ordered.sort_by_key(|(turn, new)| (*turn, new.destination));
    plan.moves = ordered.into_iter().map(|(_, new)| new).collect();
    plan
}
