//! How much a plan moves, and about how long that takes.

use std::{collections::BTreeMap, time::Duration};

use ostracon_domain::{MapChange, PlacementMap, ShardId};
use ostracon_store::ShardStats;

use super::{CONVERSATIONS_A_MOVE, Plan, UNITS_A_MOVE};

/// Rows a second of one stream, on a small machine beside its clients.
const ROWS_A_SECOND: u64 = 30_000;
/// What a move takes besides its rows: its steps.
const A_MOVE: Duration = Duration::from_millis(120);

/// What each shard holds, and how many units share it.
#[derive(Debug, Clone, Default)]
pub struct Sizes(BTreeMap<ShardId, (ShardStats, u64)>);

/// What a plan amounts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Units that get another home.
    pub units: u64,
    /// Rows to copy, about.
    pub rows: u64,
    /// Bytes to copy, about.
    pub bytes: u64,
    /// How long it takes, about, while clients talk.
    pub time: Duration,
}

impl Sizes {
    /// From what shards answer; a shard that does not is taken for an empty one.
    pub fn new(map: &PlacementMap, stats: BTreeMap<ShardId, ShardStats>) -> Self {
        let mut units: BTreeMap<ShardId, u64> = BTreeMap::new();
        for (_, home) in map.units() {
            *units.entry(home.shard).or_default() += 1;
        }
        let of = |(id, stats)| (id, (stats, units.get(&id).copied().unwrap_or(0)));
        Self(stats.into_iter().map(of).collect())
    }

    /// A shard's average unit: conversations, rows, bytes.
    fn unit(&self, shard: ShardId) -> (u64, u64, u64) {
        let Some((stats, units)) = self.0.get(&shard) else { return (0, 0, 0) };
        let units = (*units).max(1);
        // A conversation has about two members and two list entries.
        let rows = stats.messages + 5 * stats.conversations + stats.users;
        (stats.conversations / units, rows / units, stats.bytes / units)
    }

    /// Messages of a shard.
    pub(super) fn messages(&self, shard: ShardId) -> u64 {
        self.0.get(&shard).map_or(0, |(stats, _)| stats.messages)
    }

    /// How many units of a shard go together.
    pub(super) fn units_a_move(&self, source: ShardId) -> usize {
        let (conversations, ..) = self.unit(source);
        let fit = CONVERSATIONS_A_MOVE / conversations.max(1);
        usize::try_from(fit).unwrap_or(UNITS_A_MOVE).clamp(1, UNITS_A_MOVE)
    }

    /// What a plan amounts to.
    pub fn estimate(&self, plan: &Plan) -> Estimate {
        let mut sum = Estimate::default();
        for new in &plan.moves {
            sum.time += A_MOVE;
            let MapChange::Move { units, .. } = &new.change else { continue };
            let count = units.len() as u64;
            let (_, rows, bytes) = self.unit(new.source);
            sum.units += count;
            sum.rows += rows * count;
            sum.bytes += bytes * count;
        }
        sum.time += Duration::from_secs_f64(sum.rows as f64 / ROWS_A_SECOND as f64);
        sum
    }
}
