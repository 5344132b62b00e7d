//! Does one repair, by the same guarded commands that moves use: whatever has changed meanwhile refuses it.

use std::sync::Arc;

use ostracon_domain::{Epoch, UnitAt, UnitId};
use ostracon_store::{Pair, Relabel, Shard, ShardError, UnitChange, UnitPhase, UnitState};

use super::{DoctorError, findings::Cure};
use crate::app::App;

/// Rows removed at once.
const PURGE_ROWS: u32 = 2_000;

pub(super) async fn run(app: &App, cure: &Cure) -> Result<(), DoctorError> {
    let shard = |id| {
        let shard = app.engine.shards().get(&id).cloned();
        shard.ok_or_else(|| ShardError::Unavailable(format!("shard {id} is not open here")))
    };
    match cure {
        Cure::Steps { shard: id, state, unit, epoch, way } => {
            let shard = shard(*id)?;
            let mut from = *state;
            for phase in way {
                from = Some(step(&shard, *unit, from, *phase, *epoch).await?);
            }
        }
        Cure::Purge { shard: id, unit, epoch } => {
            let shard = shard(*id)?;
            let at = UnitAt { unit: *unit, epoch: *epoch };
            while !shard.purge(at, PURGE_ROWS).await?.done {}
        }
        Cure::Relabel { shard: id, from, epoch, to, subjects } => {
            let shard = shard(*id)?;
            let states = shard.unit_states().await?;
            let mut state = states.into_iter().find(|state| state.unit == *from);
            for phase in [UnitPhase::Capturing, UnitPhase::Frozen] {
                state = Some(step(&shard, *from, state, phase, *epoch).await?);
            }
            let given = shard
                .relabel(Relabel {
                    frozen: UnitAt { unit: *from, epoch: *epoch },
                    other: *to,
                    away: true,
                    subjects: subjects.clone(),
                    pair: next(state),
                })
                .await;
            // It must not stay frozen, whatever became of that.
            let states = shard.unit_states().await?;
            let state = states.into_iter().find(|state| state.unit == *from);
            step(&shard, *from, state, UnitPhase::Open, *epoch).await?;
            given?;
        }
        Cure::Forget { garbage } => {
            app.directory.delete_garbage(*garbage).await?;
        }
    }
    Ok(())
}

/// A pair above the last one of a unit, and below every lease that is drawn from now on.
fn next(state: Option<UnitState>) -> Pair {
    let last = state.map(|state| state.pair).unwrap_or_default();
    Pair { lease: last.lease, step: last.step + 1 }
}

async fn step(
    shard: &Arc<dyn Shard>,
    unit: UnitId,
    from: Option<UnitState>,
    phase: UnitPhase,
    epoch: Epoch,
) -> Result<UnitState, ShardError> {
    let expect = from.map(|state| (state.phase, state.epoch));
    let change = UnitChange { unit, expect, phase, epoch, pair: next(from) };
    shard.set_unit_state(change).await
}
