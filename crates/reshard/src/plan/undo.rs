//! Taking a job back: its moves in reverse, each turned round.

use std::collections::BTreeSet;

use ostracon_domain::{MapChange, PlacementMap, UnitId};
use ostracon_store::directory::{MovePhase, MoveRow, NewMove};

use super::{NoPlan, Plan};

/// What brings everything back that these moves of one job have done.
///
/// # Errors
/// `NoUndo` for a job that is not over, and for one after which the units went elsewhere.
pub fn undo(map: &PlacementMap, moves: &[MoveRow]) -> Result<Plan, NoPlan> {
    let refused = |why: String| Err(NoPlan::NoUndo(why));
    let mut plan = Plan::default();
    let mut closed: BTreeSet<UnitId> = BTreeSet::new();
    // The first carve of a child, in the order of the job, is the last to be merged.
    let done: Vec<&MoveRow> = moves.iter().filter(|row| row.phase == MovePhase::Done).collect();
    if let Some(row) = moves.iter().find(|row| row.phase.is_active()) {
        return refused(format!("move {} is {}: wait, or abort the job first", row.id, row.phase));
    }
    for (place, row) in done.iter().enumerate().rev() {
        match &row.change {
            MapChange::Move { units, .. } => {
                for unit in units {
                    let home = map.home(*unit).map(|home| home.shard);
                    if home != Some(row.destination) {
                        return refused(format!(
                            "unit {unit} is not on shard {} any more: undo the later job first",
                            row.destination
                        ));
                    }
                }
                let change = MapChange::Move { units: units.clone(), to: row.source };
                let (source, destination) = (row.destination, row.source);
                plan.moves.push(NewMove { source, destination, change });
            }
            MapChange::Carve { parents, child, cover } => {
                let earlier = done.iter().take(place).any(|row| {
                    matches!(&row.change, MapChange::Carve { child: other, .. } if other == child)
                });
                // A child that is older than the job stays.
                let born_here = !earlier && !named_elsewhere(map, *child, moves);
                let change = MapChange::Merge {
                    child: *child,
                    parents: parents.clone(),
                    cover: cover.clone(),
                    last: born_here,
                };
                closed.insert(*child);
                let at = row.source;
                plan.moves.push(NewMove { source: at, destination: at, change });
            }
            MapChange::Merge { .. } => {
                return refused("a merge is taken back by isolating again".to_owned());
            }
            MapChange::AddUser { .. } | MapChange::ForgetUser { .. } => {}
        }
    }
    if plan.moves.is_empty() {
        return refused("nothing of this job was done".to_owned());
    }
    Ok(plan)
}

/// Whether something names the unit that this job did not carve.
fn named_elsewhere(map: &PlacementMap, child: UnitId, moves: &[MoveRow]) -> bool {
    let named = map
        .user_overrides()
        .flat_map(|hot| hot.table.values().copied().chain(hot.own).filter(|unit| *unit == child));
    let conversations = map.overrides().filter(|(_, unit)| *unit == child);
    let all = named.count() + conversations.count();
    let ours: usize = moves
        .iter()
        .filter(|row| row.phase == MovePhase::Done)
        .map(|row| match &row.change {
            MapChange::Carve { child: of, cover, .. } if *of == child => match cover {
                ostracon_domain::Cover::Conversation(_) => 1,
                ostracon_domain::Cover::User { slots, own, .. } => slots.len() + usize::from(*own),
            },
            _ => 0,
        })
        .sum();
    all > ours
}
