//! Purging what moves left behind: page by page, each page guarded by the shard itself.
//!
//! No lease is needed: the shard checks that the unit lives elsewhere since that epoch, and that a row still carries it.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{UnitAt, UnitId};
use ostracon_store::{Shard, ShardError, directory::Garbage};

use crate::mover::Surroundings;

/// Purges everything that is due; whether all of it is gone.
pub(crate) async fn purge(around: &Surroundings) -> bool {
    let garbage = match around.directory.garbage().await {
        Ok(garbage) => garbage,
        Err(error) => {
            tracing::warn!(%error, "leftovers are not known");
            return false;
        }
    };
    // Before its move is over, a unit may not be closed where it left rows.
    let Ok(moves) = around.directory.unfinished_moves().await else { return false };
    let moving: BTreeSet<UnitId> = moves.iter().flat_map(|row| row.units()).collect();
    let now = around.host.now();
    let mut all = true;
    for garbage in garbage {
        let old = garbage.since + around.options.purge_after_ms <= now;
        let due = old && !moving.contains(&garbage.unit);
        if !due || !purge_one(around, garbage).await {
            all = false;
        }
    }
    all
}

async fn purge_one(around: &Surroundings, garbage: Garbage) -> bool {
    let Some(shard) = around.host.shard(garbage.shard) else {
        return false;
    };
    match remove_rows(around, &shard, garbage).await {
        Ok(true) => match around.directory.delete_garbage(garbage.id).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, "leftovers are gone and still noted");
                false
            }
        },
        Ok(false) => false,
        Err(error) => {
            tracing::warn!(%error, shard = garbage.shard.0, unit = garbage.unit.0, "not purged");
            false
        }
    }
}

/// Whether no row carries the unit any more.
async fn remove_rows(
    around: &Surroundings,
    shard: &Arc<dyn Shard>,
    garbage: Garbage,
) -> Result<bool, ShardError> {
    let at = UnitAt { unit: garbage.unit, epoch: garbage.epoch };
    loop {
        // A move that was given up before it began left nothing, and no state to purge under.
        if shard.heads(garbage.unit, None, 1).await?.is_empty() {
            return Ok(true);
        }
        let page = shard.purge(at, around.options.purge_rows).await?;
        metrics::counter!("purged_rows_total").increment(page.rows);
        around.throttle.take(&*around.host, page.rows as usize).await;
    }
}
