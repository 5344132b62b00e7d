//! Isolating what is hot: one conversation, or the direct conversations of a user, in units of their own.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{
    ConversationId, Cover, MapChange, PlacementMap, ShardId, Slot, UnitId, UserId,
};
use ostracon_store::directory::NewMove;

use super::{NoPlan, PARENTS_A_CARVE, Plan};

/// One conversation to a shard, in a unit of its own. One that has its own moves with it.
///
/// `child` is a fresh number, used only where there is none yet.
///
/// # Errors
/// `UnknownUnit` for a map that is not whole.
pub fn conversation(
    map: &PlacementMap,
    id: ConversationId,
    to: ShardId,
    child: UnitId,
) -> Result<Plan, NoPlan> {
    let unit = map.unit_of(id);
    let home = map.home(unit).ok_or(NoPlan::UnknownUnit(unit))?;
    let mut plan = Plan::default();
    if home.shard == to {
        return Ok(plan);
    }
    let has_own = map.overrides().any(|(own, _)| own == id);
    let moved = if has_own { unit } else { child };
    if !has_own {
        let cover = Cover::Conversation(id);
        let change = MapChange::Carve { parents: vec![unit], child, cover };
        plan.moves.push(NewMove { source: home.shard, destination: home.shard, change });
    }
    let change = MapChange::Move { units: vec![moved], to };
    plan.moves.push(NewMove { source: home.shard, destination: to, change });
    Ok(plan)
}

/// A hot user to some shards: the slots of the user's direct conversations are carved into a few units, one for each pair
/// of present home and target, and these move; slot `s` to `to[s mod k]`.
///
/// `slots` are those in which there is a conversation of the user; `own` takes the user's own rows along. `rank` and the
/// numbers from `first_child` on, as many as [`children`](user) may need (shards × targets), are fresh.
///
/// # Errors
/// `Nowhere` without targets; `UnknownUnit` for a map that is not whole.
pub fn user(
    map: &PlacementMap,
    user: UserId,
    slots: &BTreeSet<Slot>,
    to: &[ShardId],
    rank: u64,
    first_child: UnitId,
) -> Result<Plan, NoPlan> {
    if to.is_empty() {
        return Err(NoPlan::Nowhere);
    }
    let hot = map.user_override(user);
    let carved = |slot: &Slot| hot.and_then(|hot| hot.table.get(slot)).copied();
    let target = |slot: Slot| to.get(usize::from(slot.get()) % to.len()).copied();
    let own_slot = user.slot();
    let own = hot.is_none_or(|hot| hot.own.is_none());
    // Slots to carve, by home and target.
    let mut wanted: BTreeMap<(ShardId, ShardId), BTreeSet<Slot>> = BTreeMap::new();
    for slot in slots.iter().chain(own.then_some(&own_slot)) {
        if carved(slot).is_some() && !(own && *slot == own_slot) {
            continue;
        }
        let unit = slot.unit();
        let home = map.home(unit).ok_or(NoPlan::UnknownUnit(unit))?.shard;
        let target = target(*slot).ok_or(NoPlan::Nowhere)?;
        wanted.entry((home, target)).or_default().insert(*slot);
    }
    let mut plan = Plan {
        before: Some(MapChange::AddUser { user, rank, targets: to.to_vec() }),
        ..Plan::default()
    };
    let mut last = Vec::new();
    for (child, ((home, target), group)) in (first_child.0..).zip(wanted) {
        let child = UnitId(child);
        let group: Vec<Slot> = group.into_iter().collect();
        for slots in group.chunks(PARENTS_A_CARVE) {
            let parents = slots.iter().map(|slot| slot.unit()).collect();
            let takes_own = own && slots.contains(&own_slot);
            // A slot that was carved before comes here for the own rows only.
            let slots: Vec<Slot> =
                slots.iter().copied().filter(|slot| carved(slot).is_none()).collect();
            let cover = Cover::User { user, slots, own: takes_own };
            let change = MapChange::Carve { parents, child, cover };
            plan.moves.push(NewMove { source: home, destination: home, change });
        }
        if home != target {
            let change = MapChange::Move { units: vec![child], to: target };
            last.push(NewMove { source: home, destination: target, change });
        }
    }
    // Units that were carved before go where they are wanted now.
    let known: BTreeMap<UnitId, ShardId> = hot
        .into_iter()
        .flat_map(|hot| hot.table.iter())
        .filter_map(|(slot, unit)| Some((*unit, target(*slot)?)))
        .collect();
    for (unit, target) in known {
        let home = map.home(unit).ok_or(NoPlan::UnknownUnit(unit))?.shard;
        if home != target {
            let change = MapChange::Move { units: vec![unit], to: target };
            last.push(NewMove { source: home, destination: target, change });
        }
    }
    plan.moves.extend(last);
    Ok(plan)
}
