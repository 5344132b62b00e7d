//! What this handle knows of the states of units. A batch asks only for what changed since; see the migration.

use std::sync::Arc;

use ostracon_domain::UnitId;
use ostracon_store::{Incarnation, UnitPhase, UnitState};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// States of units as of a version of the fence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Units {
    /// The start of the server that the version belongs to: a server that was put back may use a number again.
    incarnation: Incarnation,
    pub(crate) version: i64,
    /// How many of them are being captured.
    captured: usize,
    states: Arc<FxHashMap<UnitId, UnitState>>,
}

impl Units {
    pub(crate) fn get(&self, unit: UnitId) -> Option<UnitState> {
        self.states.get(&unit).copied()
    }

    /// Takes in rows, each with its version.
    pub(crate) fn learn(&mut self, rows: Vec<(i64, UnitState)>) {
        if rows.is_empty() {
            return;
        }
        let states = Arc::make_mut(&mut self.states);
        for (version, state) in rows {
            self.version = self.version.max(version);
            let was = states.insert(state.unit, state);
            self.captured += usize::from(state.phase == UnitPhase::Capturing);
            self.captured -= usize::from(was.is_some_and(|was| was.phase == UnitPhase::Capturing));
        }
    }

    /// Whether any unit is being captured, so that there may be something to note.
    pub(crate) const fn any_captured(&self) -> bool {
        self.captured > 0
    }

    /// Whether changes of this unit are to be noted.
    pub(crate) fn captures(&self, unit: UnitId) -> bool {
        self.get(unit).is_some_and(|state| state.phase == UnitPhase::Capturing)
    }
}

/// The newest [`Units`] of a handle.
#[derive(Debug, Default)]
pub(crate) struct Fence(Mutex<Units>);

impl Fence {
    /// What is known, as a place to go on from.
    pub(crate) fn known(&self) -> Units {
        self.0.lock().clone()
    }

    /// Keeps what a batch learned, if it is newer and of the same server.
    pub(crate) fn keep(&self, units: &Units) {
        let mut known = self.0.lock();
        if known.incarnation == units.incarnation && known.version < units.version {
            *known = units.clone();
        }
    }

    /// Forgets everything: the server is another than before.
    pub(crate) fn restart(&self, incarnation: Incarnation) {
        *self.0.lock() = Units { incarnation, ..Units::default() };
    }
}

#[cfg(test)]
mod tests {
    use ostracon_domain::{Epoch, UnitId};
    use ostracon_store::{Pair, UnitPhase, UnitState};

    use super::{Fence, Units};

    #[test]
    fn newer_knowledge_of_the_same_server_is_kept() {
        let state = UnitState {
            unit: UnitId(7),
            epoch: Epoch(1),
            phase: UnitPhase::Open,
            incarnation: 1,
            pair: Pair::default(),
        };
        let fence = Fence::default();
        fence.restart(1);
        let old = fence.known();
        let mut new = old.clone();
        new.learn(vec![(3, state)]);
        fence.keep(&new);
        fence.keep(&old);
        assert_eq!(fence.known().get(UnitId(7)), Some(state));
        assert_eq!(old.get(UnitId(7)), None);
        fence.restart(2);
        fence.keep(&new);
        assert_eq!(fence.known().get(UnitId(7)), None);
    }

    #[test]
    fn captured_units_are_counted() {
        let mut units = Units::default();
        let state = |unit, phase| UnitState {
            unit: UnitId(unit),
            epoch: Epoch(1),
            phase,
            incarnation: 1,
            pair: Pair::default(),
        };
        units.learn(vec![
            (1, state(7, UnitPhase::Capturing)),
            (2, state(7, UnitPhase::Capturing)),
            (3, state(8, UnitPhase::Capturing)),
        ]);
        assert!(units.captures(UnitId(7)) && !units.captures(UnitId(9)));
        units.learn(vec![(4, state(7, UnitPhase::Frozen))]);
        assert!(units.any_captured() && !units.captures(UnitId(7)));
        units.learn(vec![(5, state(8, UnitPhase::Open))]);
        assert!(!units.any_captured());
    }
}
