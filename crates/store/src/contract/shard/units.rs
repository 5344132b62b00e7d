//! States of units: that a shard stores and answers what [`UnitChange::apply`] judges, and remembers it.

use ostracon_domain::{Epoch, UnitId};

use super::{
    ShardFixture,
    world::{World, direct, units},
};
use crate::{
    shard::ShardError,
    unit_state::{
        Pair, UnitChange,
        UnitPhase::{self, Capturing, Frozen, Importing, Moved, Open},
        UnitState,
    },
};

const PHASES: [UnitPhase; 5] = [Open, Capturing, Frozen, Importing, Moved];

fn change(
    unit: UnitId,
    from: Option<(UnitPhase, u64)>,
    to: (UnitPhase, u64),
    pair: (u64, u64),
) -> UnitChange {
    UnitChange {
        unit,
        expect: from.map(|(phase, epoch)| (phase, Epoch(epoch))),
        phase: to.0,
        epoch: Epoch(to.1),
        pair: Pair { lease: pair.0, step: pair.1 },
    }
}

/// Sends a change and checks that row and answer are what the judgement says.
async fn send(world: &World, change: UnitChange) -> Result<UnitState, ShardError> {
    let before = world.unit_state(change.unit).await;
    let verdict = change.apply(before, world.shard.incarnation());
    let answer = world.shard.set_unit_state(change).await;
    assert_eq!(answer, verdict.answer(), "{change:?} on {before:?}");
    let after = world.unit_state(change.unit).await;
    assert_eq!(after, verdict.to_store().or(before), "{change:?}");
    answer
}

pub(super) async fn every_step_is_judged(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    // The ways from nothing into each state, at epoch 2.
    let ways: [&[(UnitPhase, u64)]; 6] = [
        &[],
        &[(Importing, 2), (Open, 2)],
        &[(Importing, 2), (Open, 2), (Capturing, 2)],
        &[(Importing, 2), (Open, 2), (Capturing, 2), (Frozen, 2)],
        &[(Importing, 2)],
        &[(Importing, 2), (Moved, 2)],
    ];
    let mut unit = 20_000;
    for way in ways {
        for to in PHASES.into_iter().flat_map(|p| [1, 2, 3].map(|e| (p, e))) {
            unit += 1;
            let unit = UnitId(unit);
            world.step(unit, way).await;
            let from = way.last().copied();
            let lease = way.len() as u64 + 1;
            // Not what it expects, then exactly that.
            let wrong = change(unit, Some((Open, 9)), to, (lease, 1));
            send(&world, wrong).await.unwrap_err();
            let _ = send(&world, change(unit, from, to, (lease, 2))).await;
        }
    }
}

pub(super) async fn stale_and_repeated_commands(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let unit = direct().slot().unit();
    let capture = change(unit, Some((Open, 1)), (Capturing, 1), (5, 1));
    let first = send(&world, capture).await.unwrap();
    // The same again is answered again; an older one is stale; a newer one runs.
    assert_eq!(send(&world, capture).await, Ok(first));
    let freeze = change(unit, Some((Capturing, 1)), (Frozen, 1), (5, 2));
    let frozen = send(&world, freeze).await.unwrap();
    assert_eq!(send(&world, capture).await, Err(ShardError::Unexpected(Some(frozen))));
    let zombie = change(unit, Some((Frozen, 1)), (Open, 1), (4, 99));
    send(&world, zombie).await.unwrap_err();
    // A refused one leaves its pair behind.
    let wrong = change(unit, Some((Open, 1)), (Capturing, 1), (7, 1));
    send(&world, wrong).await.unwrap_err();
    send(&world, wrong).await.unwrap_err();
    let late = change(unit, Some((Frozen, 1)), (Moved, 1), (6, 1));
    send(&world, late).await.unwrap_err();
    let now = change(unit, Some((Frozen, 1)), (Moved, 1), (7, 2));
    send(&world, now).await.unwrap();
    // So does one on a unit that was never here.
    let unit = UnitId(20_000);
    let wrong = change(unit, Some((Open, 1)), (Capturing, 1), (7, 1));
    send(&world, wrong).await.unwrap_err();
    let late = change(unit, None, (Importing, 1), (6, 1));
    send(&world, late).await.unwrap_err();
    let now = change(unit, None, (Importing, 1), (7, 2));
    send(&world, now).await.unwrap();
}

pub(super) async fn states_survive_a_restart(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    assert_eq!(world.shard.unit_states().await.unwrap().len(), units().len());
    let ways: [&[(UnitPhase, u64)]; 5] = [
        &[(Importing, 2), (Open, 2)],
        &[(Importing, 2), (Open, 2), (Capturing, 2)],
        &[(Importing, 2), (Open, 2), (Capturing, 2), (Frozen, 2)],
        &[(Importing, 2)],
        &[(Importing, 2), (Moved, 2)],
    ];
    for (n, way) in ways.into_iter().enumerate() {
        world.step(UnitId(20_000 + n as u32), way).await;
    }
    let refused = change(UnitId(20_003), None, (Open, 2), (50, 1));
    send(&world, refused).await.unwrap_err();
    let before = world.shard.unit_states().await.unwrap();
    let incarnation = world.shard.incarnation();
    let Some(world) = world.reopened(fixture).await else {
        return;
    };
    assert!(world.shard.incarnation() > incarnation);
    assert_eq!(world.shard.unit_states().await.unwrap(), before);
    send(&world, refused).await.unwrap_err();
    let late = change(UnitId(20_003), Some((Importing, 2)), (Open, 2), (49, 1));
    send(&world, late).await.unwrap_err();
    // What was captured before the restart is forgotten: it cannot be frozen.
    let freeze = change(UnitId(20_001), Some((Capturing, 2)), (Frozen, 2), (50, 1));
    send(&world, freeze).await.unwrap_err();
}
