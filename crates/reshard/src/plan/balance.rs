//! Evening out what shards hold, by messages, in small steps each of which helps: it may be interrupted at any of them.
//! It is not hot-spot control: it knows averages of a shard, not the load of one unit.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{PlacementMap, ShardId, UnitId};

use super::{NoPlan, Plan, Sizes, spread::interleaved};

/// A shard within this share of the mean is left alone: less would be moved for nothing.
const THRESHOLD: f64 = 0.05;

/// Units from the fullest shard to the emptiest, as long as that makes both less extreme.
///
/// `resting` units have moved a short time ago and stay where they are. Shards that take no units are neither relieved
/// nor filled.
///
/// # Errors
/// `Nowhere` without a shard that accepts units.
pub fn balance(
    map: &PlacementMap,
    sizes: &Sizes,
    accepting: &[ShardId],
    resting: &BTreeSet<UnitId>,
) -> Result<Plan, NoPlan> {
    let mut units: BTreeMap<ShardId, Vec<UnitId>> =
        accepting.iter().map(|id| (*id, Vec::new())).collect();
    for (unit, home) in map.units() {
        if let Some(units) = units.get_mut(&home.shard) {
            units.push(unit);
        }
    }
    // What one unit of a shard weighs, on the average; an empty unit weighs a little, so that new clusters even out too.
    let weight: BTreeMap<ShardId, f64> = units
        .iter()
        .map(|(id, units)| (*id, sizes.messages(*id) as f64 / units.len().max(1) as f64 + 0.001))
        .collect();
    let mut load: BTreeMap<ShardId, f64> = units
        .iter()
        .map(|(id, units)| (*id, weight.get(id).copied().unwrap_or(0.0) * units.len() as f64))
        .collect();
    if load.is_empty() {
        return Err(NoPlan::Nowhere);
    }
    let mean = load.values().sum::<f64>() / load.len() as f64;
    // The last ones of a shard go first: those that came last.
    let mut free = units;
    free.values_mut().for_each(|units| units.retain(|unit| !resting.contains(unit)));
    let mut placed: BTreeMap<ShardId, Vec<UnitId>> = BTreeMap::new();
    loop {
        let by_load = |a: &(&ShardId, &f64), b: &(&ShardId, &f64)| a.1.total_cmp(b.1);
        let full =
            load.iter().filter(|(id, _)| free.get(id).is_some_and(|units| !units.is_empty()));
        let Some((from, most)) = full.max_by(by_load).map(|(id, load)| (*id, *load)) else { break };
        let Some((to, least)) = load.iter().min_by(by_load).map(|(id, load)| (*id, *load)) else {
            break;
        };
        let unit = weight.get(&from).copied().unwrap_or(0.0);
        let helps = least + unit < most;
        let worth_it = most > mean * (1.0 + THRESHOLD) || least < mean * (1.0 - THRESHOLD);
        if from == to || !helps || !worth_it {
            break;
        }
        let Some(moved) = free.get_mut(&from).and_then(Vec::pop) else { break };
        load.insert(from, most - unit);
        load.insert(to, least + unit);
        placed.entry(to).or_default().push(moved);
    }
    let mut plan = Plan::default();
    for (to, mut units) in placed {
        units.sort_unstable();
        plan.move_units(map, sizes, units, to)?;
    }
    Ok(interleaved(plan))
}
