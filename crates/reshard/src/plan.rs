//! From what an operator asks for to a list of moves. Pure, but for the numbers that [`user`] and [`conversation`] draw:
//! the same map and the same sizes give the same plan.

mod balance;
mod carve;
mod estimate;
mod spread;
#[cfg(test)]
mod tests;
mod undo;

use ostracon_domain::{MapChange, PlacementMap, ShardId, UnitId};
use ostracon_store::directory::NewMove;

pub use balance::balance;
pub use carve::{conversation, user};
pub use estimate::{Estimate, Sizes};
pub use spread::{add, drain, resize, spread, to_shard};
pub use undo::undo;

/// Units of one move, at most: what is frozen together.
pub const UNITS_A_MOVE: usize = 8;
/// Conversations of one move, about, at most.
pub const CONVERSATIONS_A_MOVE: u64 = 2_000;
/// Parents of one carve, at most: as many as a freeze of about 10 ms takes.
pub const PARENTS_A_CARVE: usize = 8;

/// What is to be done, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// A change of the overrides that comes before everything.
    pub before: Option<MapChange>,
    /// The moves.
    pub moves: Vec<NewMove>,
}

/// Why there is no plan. A sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// A unit that the map does not know.
    #[error("the map knows no unit {0}")]
    UnknownUnit(UnitId),
    /// A shard that is not there.
    #[error("there is no shard {0}: `ostracon shards status` lists them")]
    NoShard(ShardId),
    /// Nothing may be put anywhere.
    #[error("no shard is left that accepts units: add one with `ostracon shards add --url URL`")]
    Nowhere,
    /// More than one shard for something that has one home.
    #[error("{0} has one home: name one shard")]
    OneHome(&'static str),
    /// It cannot be taken back.
    #[error("{0}")]
    NoUndo(String),
}

impl Plan {
    /// Units to another home, in moves of a few.
    fn move_units(
        &mut self,
        map: &PlacementMap,
        sizes: &Sizes,
        units: impl IntoIterator<Item = UnitId>,
        to: ShardId,
    ) -> Result<(), NoPlan> {
        let mut by_source: std::collections::BTreeMap<ShardId, Vec<UnitId>> = Default::default();
        for unit in units {
            let home = map.home(unit).ok_or(NoPlan::UnknownUnit(unit))?;
            if home.shard != to {
                by_source.entry(home.shard).or_default().push(unit);
            }
        }
        // In turn from every source, so that several move at once.
        let mut groups: Vec<_> = by_source
            .into_iter()
            .map(|(source, units)| {
                let at_once = sizes.units_a_move(source);
                let groups: Vec<Vec<UnitId>> = units.chunks(at_once).map(<[_]>::to_vec).collect();
                (source, groups.into_iter())
            })
            .collect();
        loop {
            let before = self.moves.len();
            for (source, groups) in &mut groups {
                if let Some(units) = groups.next() {
                    let change = MapChange::Move { units, to };
                    self.moves.push(NewMove { source: *source, destination: to, change });
                }
            }
            if self.moves.len() == before {
                return Ok(());
            }
        }
    }
}
