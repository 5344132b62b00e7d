//! One move under one lease: what its steps share, and the order they come in.
//!
//! An [`Attempt`] holds nothing that must survive it: the directory knows the phase, the shards know the states of units,
//! and whoever takes over begins the copy anew. It never waits for luck: every step is a compare-and-set that says what
//! it expects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::try_join_all;
use ostracon_domain::{Epoch, MapChange, PlacementMap, Subject, UnitAt, UnitId};
use ostracon_store::{
    Directory, Shard, ShardError, SubjectVersion, UnitChange, UnitPhase, UnitState,
    directory::{MoveLost, MovePhase, MoveRow, Progress},
};
use tokio_util::sync::CancellationToken;

use crate::{
    call::{Patience, Side, Steps, Trouble, directory, is_unanswered, trouble},
    freeze_gate::FreezeGate,
    host::Host,
    options::Options,
    throttle::Throttle,
};

/// How often a change of state is asked for from the state that was found instead. More than once: of a shard that was
/// started anew, the first answer says so; when it is lost, the same request is told the state only.
const TRIES: u32 = 4;

/// How a move ended, as far as this coordinator has a say in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The units live at the destination.
    Done,
    /// Nothing has changed; why.
    Aborted(String),
    /// Another coordinator drives it.
    Superseded,
    /// Something stands in the way of a step that must be taken; it is tried again.
    Later(String),
}

/// What a coordinator lends to every move.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) options: Options,
}

/// One move under one lease.
pub(crate) struct Attempt {
    pub(crate) around: Surroundings,
    pub(crate) row: MoveRow,
    pub(crate) source: Arc<dyn Shard>,
    pub(crate) destination: Arc<dyn Shard>,
    pub(crate) steps: Steps,
    /// The map as it was when this attempt began.
    pub(crate) map: PlacementMap,
    /// The map with the change of this move, as far as its own units go.
    pub(crate) after: PlacementMap,
    /// The epochs of the units before the commit.
    epochs: BTreeMap<UnitId, Epoch>,
    /// States as this attempt last heard of them.
    states: BTreeMap<(bool, UnitId), UnitState>,
    /// The sides whose states were read.
    heard: BTreeSet<Side>,
    /// What the destination holds of each subject.
    pub(crate) known: BTreeMap<Subject, SubjectVersion>,
    pub(crate) progress: Progress,
    /// Somebody wants this move to end.
    pub(crate) stop: CancellationToken,
    /// How long shards are asked; depends on what is decided.
    pub(crate) patience: Patience,
    pub(crate) gate: Arc<FreezeGate>,
}

/// Whatever it leaves frozen, it cannot do anything about it any more.
impl Drop for Attempt {
    fn drop(&mut self) {
        self.gate.leave();
    }
}

impl Attempt {
    /// Reads what there is; the lease is the one of the row.
    pub(crate) async fn new(
        around: Surroundings,
        row: MoveRow,
        stop: CancellationToken,
        gate: Arc<FreezeGate>,
    ) -> Result<Self, Trouble> {
        let shard = |id| {
            let known = around.host.shard(id);
            known.ok_or_else(|| Trouble::Hopeless(format!("shard {id} is not open here")))
        };
        let (source, destination) = (shard(row.source)?, shard(row.destination)?);
        let retry = around.options.retry;
        let map = directory(retry, || around.directory.map()).await?;
        let after = match row.phase {
            MovePhase::Committed => map.clone(),
            _ => map.apply(&row.change).unwrap_or_else(|_| map.clone()),
        };
        // The map's, or one less once it is committed; of what was merged to the end only its shard still knows.
        let committed = u64::from(row.phase == MovePhase::Committed);
        let epoch = |unit: UnitId| Some(Epoch(map.home(unit)?.epoch.0.saturating_sub(committed)));
        let units = row.units().into_iter();
        let epochs = units.filter_map(|unit| Some((unit, epoch(unit)?))).collect();
        let steps = Steps::new(row.lease);
        let progress = row.progress.clone();
        let patience = match row.phase {
            MovePhase::Copying => Patience::until_stopped(retry, stop.clone()),
            _ => Patience::endless(retry),
        };
        Ok(Self {
            around,
            row,
            source,
            destination,
            steps,
            map,
            after,
            epochs,
            states: BTreeMap::new(),
            heard: BTreeSet::new(),
            known: BTreeMap::new(),
            progress,
            stop,
            patience,
            gate,
        })
    }

    /// Reads the states of the units on one side, if this attempt has not yet. Each side by itself: what can be done on one
    /// does not wait for the other.
    pub(crate) async fn hear(&mut self, side: Side) -> Result<(), Trouble> {
        if self.heard.contains(&side) { Ok(()) } else { self.hear_again(side).await }
    }

    pub(crate) async fn hear_again(&mut self, side: Side) -> Result<(), Trouble> {
        let all = self.patience.answer(|| self.shard(side).unit_states()).await?;
        let all = all.map_err(|error| Trouble::Hopeless(error.to_string()))?;
        let units = self.row.units();
        for state in all.into_iter().filter(|state| units.contains(&state.unit)) {
            if side == Side::Source && self.map.home(state.unit).is_none() {
                self.epochs.insert(state.unit, state.epoch);
            }
            self.remember(side, state);
        }
        self.heard.insert(side);
        Ok(())
    }

    /// Drives the move to its end.
    pub(crate) async fn drive(&mut self) -> Ended {
        let ended = match self.row.phase {
            MovePhase::Copying => match self.lead_to_commit().await {
                Ok(()) => self.finish().await,
                Err(Trouble::Superseded) => Err(Trouble::Superseded),
                Err(why) => return self.give_up(why).await,
            },
            MovePhase::Committed => self.finish_at_last().await,
            MovePhase::Aborting => {
                let why = self.row.error.clone().unwrap_or_else(|| "given up".to_owned());
                return self.undo_and_close(why).await;
            }
            _ => return Ended::Superseded,
        };
        match ended {
            Ok(()) => Ended::Done,
            Err(Trouble::Superseded) => Ended::Superseded,
            Err(why) => {
                // After the commit there is only forward: what stands in the way is told, and tried again.
                self.note(Some(why.to_string())).await;
                Ended::Later(why.to_string())
            }
        }
    }

    async fn lead_to_commit(&mut self) -> Result<(), Trouble> {
        self.hear(Side::Source).await?;
        match self.row.change {
            MapChange::Move { .. } => {
                self.thaw().await?;
                self.hear(Side::Destination).await?;
                self.transfer().await
            }
            _ => self.relabel().await,
        }
    }

    /// Whoever drove this before may have left units frozen: they serve before the destination is asked for anything, which
    /// may be down. Under this lease, so that a freeze that is still on its way is stale.
    async fn thaw(&mut self) -> Result<(), Trouble> {
        let held = self.source_units().into_iter().any(|at| {
            let phase = self.phase(Side::Source, at.unit);
            matches!(phase, Some(UnitPhase::Capturing | UnitPhase::Frozen))
        });
        if held {
            self.begin_capture().await?;
            self.around.host.units_changed().await;
        }
        self.gate.leave();
        Ok(())
    }

    /// What somebody else has committed. The new owner opens before the old one is asked for anything: it may be down.
    async fn finish_at_last(&mut self) -> Result<(), Trouble> {
        if let MapChange::Move { .. } = self.row.change {
            self.hear(Side::Destination).await?;
            self.open().await?;
            self.around.host.units_changed().await;
        }
        self.hear(Side::Source).await?;
        self.finish().await
    }

    /// Copies and freezes until the move is committed. What a shard forgot by a restart is copied anew.
    async fn transfer(&mut self) -> Result<(), Trouble> {
        loop {
            self.begin_import().await?;
            self.begin_capture().await?;
            match self.copy_and_hand_over().await {
                Ok(()) => return Ok(()),
                Err(why @ (Trouble::CaptureLost | Trouble::ImportLost)) => {
                    tracing::warn!(id = self.row.id, %why, "copying anew");
                    self.known.clear();
                }
                Err(why) => return Err(why),
            }
        }
    }

    async fn copy_and_hand_over(&mut self) -> Result<(), Trouble> {
        let options = self.around.options;
        self.copy().await?;
        self.catch_up().await?;
        self.compare_copies().await?;
        let mut pause = options.freeze_pause;
        for _ in 0..options.freezes_max {
            self.catch_up().await?;
            match self.freeze().await {
                Err(Trouble::OverBudget) => {}
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

    /// The destination takes rows of these units from now on.
    async fn begin_import(&mut self) -> Result<(), Trouble> {
        let units = self.moved_units();
        let empty = units.iter().filter(|at| {
            let known = self.phase(Side::Destination, at.unit);
            known.is_none_or(|phase| phase == UnitPhase::Moved)
        });
        let empty: Vec<UnitId> = empty.map(|at| at.unit).collect();
        for unit in empty {
            if let Some(head) = self.heads(&self.destination, unit, None).await?.first() {
                // Or an earlier attempt has begun after all: its request came late.
                self.refresh_state(Side::Destination, unit).await?;
                if self.phase(Side::Destination, unit) == Some(UnitPhase::Importing) {
                    continue;
                }
                return Err(Trouble::Hopeless(format!(
                    "shard {} holds rows of unit {unit} that nobody knows of ({:?}): see `ostracon doctor`",
                    self.row.destination, head.subject
                )));
            }
        }
        self.set_all(Side::Destination, &there(&units), UnitPhase::Importing).await
    }

    /// The source notes every change from now on. A capture that a restart has emptied is begun anew.
    pub(crate) async fn begin_capture(&mut self) -> Result<(), Trouble> {
        let units = self.source_units();
        for UnitAt { unit, epoch } in units.iter().copied() {
            if self.phase(Side::Source, unit) == Some(UnitPhase::Frozen) {
                self.set(Side::Source, unit, UnitPhase::Capturing, epoch).await?;
            }
            let state = self.state(Side::Source, unit);
            let lost = state.is_some_and(|state| {
                let now = self.source.incarnation();
                state.phase == UnitPhase::Capturing && state.incarnation != now
            });
            if lost {
                self.set(Side::Source, unit, UnitPhase::Open, epoch).await?;
            }
        }
        self.set_all(Side::Source, &units, UnitPhase::Capturing).await?;
        self.gate.leave();
        Ok(())
    }

    /// The units that leave their shard, at the epoch they have there.
    pub(crate) fn moved_units(&self) -> Vec<UnitAt> {
        match &self.row.change {
            MapChange::Move { units, .. } => {
                units.iter().map(|unit| self.at_source(*unit)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The units that are frozen at the source: those that move, or those that give rows away.
    pub(crate) fn source_units(&self) -> Vec<UnitAt> {
        match &self.row.change {
            MapChange::Move { .. } => self.moved_units(),
            MapChange::Carve { parents, .. } => {
                parents.iter().map(|unit| self.at_source(*unit)).collect()
            }
            MapChange::Merge { child, .. } => vec![self.at_source(*child)],
            _ => Vec::new(),
        }
    }

    /// A unit at the epoch it had before the commit.
    fn at_source(&self, unit: UnitId) -> UnitAt {
        UnitAt { unit, epoch: self.epochs.get(&unit).copied().unwrap_or(Epoch(0)) }
    }

    pub(crate) fn shard(&self, side: Side) -> &Arc<dyn Shard> {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }

    pub(crate) fn state(&self, side: Side, unit: UnitId) -> Option<UnitState> {
        self.states.get(&(side == Side::Source, unit)).copied()
    }

    pub(crate) fn remember(&mut self, side: Side, state: UnitState) {
        self.states.insert((side == Side::Source, state.unit), state);
    }

    pub(crate) fn phase(&self, side: Side, unit: UnitId) -> Option<UnitPhase> {
        self.state(side, unit).map(|state| state.phase)
    }

    /// Brings a unit into a state, from the one it is in.
    pub(crate) async fn set(
        &mut self,
        side: Side,
        unit: UnitId,
        phase: UnitPhase,
        epoch: Epoch,
    ) -> Result<(), Trouble> {
        let state = self.changed(side, unit, phase, epoch).await?;
        self.states.insert((side == Side::Source, unit), state);
        Ok(())
    }

    /// Brings several units into a state, at the same time.
    pub(crate) async fn set_all(
        &mut self,
        side: Side,
        units: &[UnitAt],
        phase: UnitPhase,
    ) -> Result<(), Trouble> {
        let changes = units.iter().map(|at| self.changed(side, at.unit, phase, at.epoch));
        for state in try_join_all(changes).await? {
            self.states.insert((side == Side::Source, state.unit), state);
        }
        Ok(())
    }

    /// Asks for a state. Where the unit turns out to be in another one than was thought, asks again from there.
    async fn changed(
        &self,
        side: Side,
        unit: UnitId,
        phase: UnitPhase,
        epoch: Epoch,
    ) -> Result<UnitState, Trouble> {
        let mut from = self.state(side, unit);
        let mut tries = 0;
        loop {
            let pair = self.steps.next();
            let expect = from.map(|state| (state.phase, state.epoch));
            let change = UnitChange { unit, expect, phase, epoch, pair };
            let shard = self.shard(side);
            let asked = || shard.set_unit_state(change);
            match self.patience.answer(asked).await? {
                Ok(state) => return Ok(state),
                Err(ShardError::Unexpected(Some(state))) if state.pair == pair && tries < TRIES => {
                    tries += 1;
                    from = Some(state);
                }
                Err(error) => return Err(trouble(error, pair, side)),
            }
        }
    }

    /// A plain step of the move in the directory. An answer that does not come is asked for again.
    pub(crate) async fn advance(&mut self, from: MovePhase, to: MovePhase) -> Result<(), Trouble> {
        loop {
            let now = self.around.host.now();
            let asked =
                self.around.directory.advance_move(self.row.id, self.row.lease, from, to, now);
            match asked.await {
                Ok(row) => {
                    self.row = row;
                    return Ok(());
                }
                Err(error) if is_unanswered(&error) => {
                    tokio::time::sleep(self.around.options.retry).await;
                }
                Err(MoveLost::Lost(row)) => {
                    if row.lease != self.row.lease {
                        metrics::counter!("stale_steps_total").increment(1);
                        return Err(Trouble::Superseded);
                    }
                    // The step was taken, and only its answer was lost; or it is elsewhere, and the caller looks.
                    let taken = row.phase == to;
                    self.row = *row;
                    if taken {
                        return Ok(());
                    }
                    return Err(Trouble::Hopeless(format!(
                        "move {} is {} where {from} was thought",
                        self.row.id, self.row.phase
                    )));
                }
                Err(MoveLost::Failed(error)) => return Err(Trouble::Hopeless(error.to_string())),
            }
        }
    }

    /// Writes down how far it is. Lossy.
    pub(crate) async fn note(&self, error: Option<String>) {
        let progress = self.progress.clone();
        let noted =
            self.around.directory.note_progress(self.row.id, self.row.lease, progress, error, None);
        if let Err(error) = noted.await {
            tracing::debug!(%error, "progress was not noted");
        }
    }

    pub(crate) async fn wait(&self, pause: Duration) -> Result<(), Trouble> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Trouble::Stopped),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// # Errors
    /// `Stopped` when somebody wants this move to end.
    pub(crate) fn go_on(&self) -> Result<(), Trouble> {
        if self.stop.is_cancelled() { Err(Trouble::Stopped) } else { Ok(()) }
    }
}

/// Units at the epoch they have after the move.
pub(crate) fn there(units: &[UnitAt]) -> Vec<UnitAt> {
    units.iter().map(|at| UnitAt { unit: at.unit, epoch: Epoch(at.epoch.0 + 1) }).collect()
}
