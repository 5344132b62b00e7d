//! What a coordinator makes sure of before it drives anything: leases above all that shards have seen, and shards that
//! serve nothing which the map gives to another.

use std::collections::BTreeSet;

use ostracon_domain::{Epoch, ShardId, UnitId};
use ostracon_store::{Pair, Shard, ShardError, UnitChange, UnitPhase, UnitState};

use crate::{
    call::{Trouble, directory},
    mover::Surroundings,
};

/// Compares every shard with the map. Shards that do not answer are waited for by nobody: `false` when one did not, and
/// another look is needed.
pub(crate) async fn reconcile(around: &Surroundings) -> Result<bool, Trouble> {
    let retry = around.options.retry;
    let map = directory(retry, || around.directory.map()).await?;
    let rows = directory(retry, || around.directory.shards()).await?;
    let moves = directory(retry, || around.directory.unfinished_moves()).await?;
    let moving: BTreeSet<UnitId> = moves.iter().flat_map(|row| row.units()).collect();
    let mut all = true;
    let mut lease = 0;
    let mut astray: Vec<(ShardId, UnitState)> = Vec::new();
    for row in rows {
        let Some(shard) = around.host.shard(row.id) else {
            all = false;
            continue;
        };
        let Ok(states) = shard.unit_states().await else {
            all = false;
            continue;
        };
        for state in states {
            lease = lease.max(state.pair.lease);
            let elsewhere = map
                .home(state.unit)
                .is_some_and(|home| home.shard != row.id && home.epoch > state.epoch);
            if elsewhere && state.phase != UnitPhase::Moved && !moving.contains(&state.unit) {
                astray.push((row.id, state));
            }
        }
    }
    // A directory that was restored beside shards that were not would draw leases they have seen.
    directory(retry, || around.directory.raise_leases(lease + 1)).await?;
    for (id, state) in astray {
        tracing::warn!(
            shard = id.0,
            unit = state.unit.0,
            "serves what lives elsewhere: to be closed"
        );
        if let Some(shard) = around.host.shard(id) {
            match close(&*shard, state, lease + 1).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, shard = id.0, unit = state.unit.0, "not closed yet");
                    all = false;
                }
            }
        }
    }
    Ok(all)
}

/// Closes a unit, by the steps that are legal from where it is. Each is tried once: whoever compares the next time goes on
/// where this ended.
async fn close(shard: &dyn Shard, state: UnitState, lease: u64) -> Result<(), ShardError> {
    let way: &[UnitPhase] = match state.phase {
        UnitPhase::Open => &[UnitPhase::Capturing, UnitPhase::Frozen, UnitPhase::Moved],
        UnitPhase::Capturing => {
            &[UnitPhase::Open, UnitPhase::Capturing, UnitPhase::Frozen, UnitPhase::Moved]
        }
        _ => &[UnitPhase::Moved],
    };
    let mut from: (UnitPhase, Epoch) = (state.phase, state.epoch);
    for (step, phase) in way.iter().enumerate() {
        let change = UnitChange {
            unit: state.unit,
            expect: Some(from),
            phase: *phase,
            epoch: state.epoch,
            pair: Pair { lease, step: step as u64 + 1 },
        };
        let changed = shard.set_unit_state(change).await?;
        from = (changed.phase, changed.epoch);
    }
    Ok(())
}
