//! Where everything lives as of one moment, what is on the move, and what moves left behind.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ostracon_domain::{PlacementMap, ShardId, Subject, UnitId};
use ostracon_store::{Directory, DirectoryError};
use tokio::time::Instant;

/// So long a look is good enough for what is read again if it was wrong.
const FRESH: Duration = Duration::from_millis(100);

/// One look at the directory.
pub(super) struct Place {
    pub(super) map: Arc<PlacementMap>,
    moving: BTreeSet<UnitId>,
    /// Shards that take part in a move.
    movers: BTreeSet<ShardId>,
    garbage: BTreeSet<(ShardId, UnitId)>,
    at: Instant,
}

impl Place {
    pub(super) async fn read(directory: &dyn Directory) -> Result<Self, DirectoryError> {
        let at = Instant::now();
        // Moves before the map: one that ends in between is seen on the move, never as done in an old map.
        let moves = directory.unfinished_moves().await?;
        let garbage = directory.garbage().await?;
        let map = directory.map().await?;
        Ok(Self {
            map: Arc::new(map),
            moving: moves.iter().flat_map(|row| row.units()).collect(),
            movers: moves.iter().flat_map(|row| [row.source, row.destination]).collect(),
            garbage: garbage.iter().map(|left| (left.shard, left.unit)).collect(),
            at,
        })
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH
    }

    pub(super) fn moves(&self, unit: UnitId) -> bool {
        self.moving.contains(&unit)
    }

    pub(super) fn is_garbage(&self, shard: ShardId, unit: UnitId) -> bool {
        self.garbage.contains(&(shard, unit))
    }

    /// Whether units come to a shard, leave it, or have left rows on it.
    pub(super) fn is_busy(&self, shard: ShardId) -> bool {
        self.movers.contains(&shard) || self.garbage.iter().any(|(id, _)| *id == shard)
    }

    pub(super) fn unit_of(&self, subject: Subject) -> UnitId {
        match subject {
            Subject::Conversation(id) => self.map.unit_of(id),
            Subject::User(user) => self.map.unit_of_user(user),
        }
    }
}

/// A subject in a report.
pub(super) fn name(subject: Subject) -> String {
    match subject {
        Subject::Conversation(id) => format!("conversation {id}"),
        Subject::User(user) => format!("user {user}"),
    }
}
