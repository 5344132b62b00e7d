//! Purging what moves left behind: page by page, each page guarded by the shard itself.
//!
//! No lease is needed: the shard checks that the unit lives elsewhere since that epoch, and that a row still carries it.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{UnitAt, UnitId};
use ostracon_store::{Shard, ShardError, directory::Garbage};

use crate::mover::Surroundings;

/// When leftovers are to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Some are not due yet.
    Soon,
    /// None is left, or of some the shard does not answer.
    Later,
}

/// Purges everything that is due.
pub(crate) async fn purge(around: &Surroundings) -> Next {
    let garbage = match around.directory.garbage().await {
        Ok(garbage) => garbage,
        Err(error) => {
            tracing::warn!(%error, "leftovers are not known");
            return Next::Later;
        }
    };
    // Before its move is over, a unit may not be closed where it left rows.
    let Ok(moves) = around.directory.unfinished_moves().await else { return Next::Later };
    let moving: BTreeSet<UnitId> = moves.iter().flat_map(|row| row.units()).collect();
    let now = around.host.now();
    let (mut failed, mut early) = (false, false);
    for garbage in garbage {
        let old = garbage.since + around.options.purge_after_ms <= now;
        if old && !moving.contains(&garbage.unit) {
            failed |= !purge_one(around, garbage).await;
        } else {
            early = true;
        }
    }
    if early && !failed { Next::Soon } else { Next::Later }
}

/// Whether it is gone. One that is not stays noted, and is tried again.
async fn purge_one(around: &Surroundings, garbage: Garbage) -> bool {
    let Some(shard) = around.host.shard(garbage.shard) else { return false };
    if let Err(error) = remove_rows(around, &shard, garbage).await {
        tracing::warn!(%error, shard = garbage.shard.0, unit = garbage.unit.0, "not purged");
        return false;
    }
    let noted = around.directory.delete_garbage(garbage.id).await;
    if let Err(error) = &noted {
        tracing::warn!(%error, "leftovers are gone and still noted");
    }
    noted.is_ok()
}

/// Returns when no row carries the unit any more.
async fn remove_rows(
    around: &Surroundings,
    shard: &Arc<dyn Shard>,
    garbage: Garbage,
) -> Result<(), ShardError> {
    let at = UnitAt { unit: garbage.unit, epoch: garbage.epoch };
    loop {
        // A move that was given up before it began left nothing, and no state to purge under.
        if shard.heads(garbage.unit, None, 1).await?.is_empty() {
            return Ok(());
        }
        let page = shard.purge(at, around.options.purge_rows).await?;
        metrics::counter!("purged_rows_total").increment(page.rows);
        around.throttle.take(&*around.host, page.rows as usize).await;
    }
}
