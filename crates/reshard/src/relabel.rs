//! Carving and merging: subjects get another unit on the shard where they are. Nothing is copied; one row each changes.
//!
//! Which subjects: those whose place by the map after the commit is the other unit. The units that give rows away are
//! frozen meanwhile and open again at the next epoch, so that a router with an older map is fenced.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{MapChange, PlacementMap, Subject, UnitAt, UnitId};
use ostracon_store::{Relabel, UnitPhase};

use crate::{
    call::{Side, Trouble, trouble},
    mover::Attempt,
};

impl Attempt {
    /// Freezes and relabels until the move is committed.
    pub(crate) async fn relabel(&mut self) -> Result<(), Trouble> {
        // Whoever drove this before may have relabelled and not come back.
        self.take_back().await?;
        let options = self.around.options;
        let mut pause = options.freeze_pause;
        for _ in 0..options.freezes_max {
            self.begin_capture().await?;
            match self.freeze().await {
                // Nothing was copied that a restart could have made incomplete.
                Err(Trouble::OverBudget | Trouble::CaptureLost) => {}
                other => return other,
            }
            self.wait(pause).await?;
            pause = (pause * 2).min(options.freeze_pause_max);
        }
        Err(Trouble::Hopeless(format!(
            "{} freezes did not end within {:?}",
            options.freezes_max, options.freeze_budget
        )))
    }

    /// Gives the subjects to their new units. The units that give are frozen.
    pub(crate) async fn give(&self) -> Result<(), Trouble> {
        let units = self.source_units();
        if let (MapChange::Carve { child, .. }, Some(first)) = (&self.row.change, units.first()) {
            // The child is born also where there is nothing to give: after the commit it must open.
            let (other, pair) = (*child, self.steps.next());
            let subjects = Vec::new();
            self.send(Relabel { frozen: *first, other, away: true, subjects, pair }).await?;
        }
        for at in units {
            let subjects = self.subjects(&self.source, at.unit).await?;
            for (other, subjects) in by_unit(&self.after, subjects) {
                if other == at.unit {
                    continue;
                }
                if !self.row.units().contains(&other) {
                    return Err(Trouble::Hopeless(format!(
                        "{:?} carries unit {} and belongs to {other}: see `ostracon doctor`",
                        subjects.first(),
                        at.unit
                    )));
                }
                let pair = self.steps.next();
                self.send(Relabel { frozen: at, other, away: true, subjects, pair }).await?;
            }
        }
        Ok(())
    }

    /// Takes back what was given and not committed, and opens the units again.
    pub(crate) async fn take_back(&mut self) -> Result<(), Trouble> {
        let others: Vec<UnitId> = match &self.row.change {
            MapChange::Carve { child, .. } => vec![*child],
            MapChange::Merge { parents, .. } => parents.clone(),
            _ => Vec::new(),
        };
        let units = self.source_units();
        // A relabelling that is still on its way is stale from here on: what is read next stays as it is. This state can
        // be had from each of those that a late request may have left behind.
        self.set_all(Side::Source, &units, UnitPhase::Capturing).await?;
        for other in others {
            self.refresh_state(Side::Source, other).await?;
            let subjects = self.subjects(&self.source, other).await?;
            let mut astray = by_unit(&self.map, subjects);
            astray.remove(&other);
            let mut unborn = self.phase(Side::Source, other) == Some(UnitPhase::Importing);
            for at in &units {
                let subjects = astray.remove(&at.unit).unwrap_or_default();
                if subjects.is_empty() && !unborn {
                    continue;
                }
                self.freeze_for_return(*at).await?;
                let pair = self.steps.next();
                self.send(Relabel { frozen: *at, other, away: false, subjects, pair }).await?;
                unborn &= !astray.is_empty();
            }
        }
        self.set_all(Side::Source, &units, UnitPhase::Open).await?;
        self.gate.leave();
        Ok(())
    }

    /// Rows go back only to a unit that is frozen.
    async fn freeze_for_return(&mut self, at: UnitAt) -> Result<(), Trouble> {
        while self.phase(Side::Source, at.unit) != Some(UnitPhase::Frozen) {
            self.set(Side::Source, at.unit, UnitPhase::Open, at.epoch).await?;
            self.set(Side::Source, at.unit, UnitPhase::Capturing, at.epoch).await?;
            self.gate.enter().await;
            match self.set(Side::Source, at.unit, UnitPhase::Frozen, at.epoch).await {
                // Started anew in between; nothing that it forgot is needed here.
                Err(Trouble::CaptureLost) => {}
                other => return other,
            }
        }
        Ok(())
    }

    async fn send(&self, relabel: Relabel) -> Result<(), Trouble> {
        let pair = relabel.pair;
        let source = Arc::clone(&self.source);
        let ask = || source.relabel(relabel.clone());
        let sent = self.patience.answer(ask).await?;
        sent.map_err(|error| trouble(error, pair, Side::Source))
    }

    /// Opens the units of a committed carve or merge at their new epochs; one that is merged to the end is closed.
    pub(crate) async fn open_relabelled(&mut self) -> Result<(), Trouble> {
        let child = match self.row.change {
            MapChange::Carve { child, .. } => Some(child),
            _ => None,
        };
        let given = self.source_units();
        let open: Vec<UnitAt> = given
            .iter()
            .map(|at| at.unit)
            .chain(child)
            .filter_map(|unit| Some(UnitAt { unit, epoch: self.after.home(unit)?.epoch }))
            .collect();
        self.set_all(Side::Source, &open, UnitPhase::Open).await?;
        let gone = given.into_iter().filter(|at| self.after.home(at.unit).is_none());
        let gone: Vec<UnitAt> = gone.collect();
        self.set_all(Side::Source, &gone, UnitPhase::Moved).await
    }
}

/// Subjects by the unit that a map gives them.
fn by_unit(map: &PlacementMap, subjects: Vec<Subject>) -> BTreeMap<UnitId, Vec<Subject>> {
    let mut by_unit: BTreeMap<UnitId, Vec<Subject>> = BTreeMap::new();
    for subject in subjects {
        let unit = match subject {
            Subject::Conversation(id) => map.unit_of(id),
            Subject::User(user) => map.unit_of_user(user),
        };
        by_unit.entry(unit).or_default().push(subject);
    }
    by_unit
}
