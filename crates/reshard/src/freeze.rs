//! The freeze: from "nobody serves these units" to the commit, within a budget, or back.

use std::{sync::Arc, time::Duration};

use futures_util::future::{join, try_join_all};
use ostracon_domain::MapChange;
use ostracon_store::{
    UnitPhase,
    directory::{MoveLost, MovePhase},
};
use tokio::time::Instant;

use crate::{
    call::{Side, Trouble, is_unanswered, trouble},
    mover::{Attempt, there},
};

impl Attempt {
    /// Freezes, brings over what is missing, and commits. In any trouble before the commit the units serve again at the
    /// source when this returns.
    pub(crate) async fn freeze(&mut self) -> Result<(), Trouble> {
        self.go_on()?;
        self.gate.enter().await;
        self.advance(MovePhase::Copying, MovePhase::Freezing).await?;
        let began = Instant::now();
        self.progress.freezes += 1;
        let budget = self.around.options.freeze_budget;
        let frozen = tokio::time::timeout(budget, self.while_frozen()).await;
        let result = match frozen {
            Ok(Err(Trouble::Superseded)) => return Err(Trouble::Superseded),
            Ok(Ok(version)) => Ok(version),
            Ok(Err(why)) => self.back(why).await,
            Err(_) => self.back(Trouble::OverBudget).await,
        };
        let mut opened = Ok(());
        if let Ok(version) = &result {
            // Who waits is served before anything is tidied.
            let host = Arc::clone(&self.around.host);
            let change = self.row.change.clone();
            let mut stage = Stage::begin();
            (opened, ()) = join(self.open(), host.map_changed(*version, &change)).await;
            stage.ends("open");
        }
        // Also of a freeze whose units could not be opened: its length is what somebody looks for.
        self.note_freeze(began.elapsed());
        self.around.host.units_changed().await;
        result.and(opened)
    }

    fn note_freeze(&mut self, length: Duration) {
        metrics::histogram!("unit_freeze_seconds").record(length);
        self.progress.freeze_us.push(u32::try_from(length.as_micros()).unwrap_or(u32::MAX));
    }

    /// The version of the map that the commit made.
    async fn while_frozen(&mut self) -> Result<u64, Trouble> {
        let units = self.source_units();
        let mut stage = Stage::begin();
        self.set_all(Side::Source, &units, UnitPhase::Frozen).await?;
        stage.ends("freeze");
        if let MapChange::Move { .. } = self.row.change {
            // Nothing more is committed in these units: what was is dispatched while the rest is brought over.
            let host = Arc::clone(&self.around.host);
            let handed_over = host.dispatched(self.row.source);
            let (brought, handed_over) = join(self.bring_the_rest(), handed_over).await;
            brought?;
            handed_over.map_err(|_| Trouble::OverBudget)?;
        } else {
            self.give().await?;
        }
        stage.ends("bring");
        let version = self.commit().await?;
        stage.ends("commit");
        Ok(version)
    }

    /// The destination has all of the frozen units, durably.
    async fn bring_the_rest(&mut self) -> Result<(), Trouble> {
        self.drain().await?;
        self.compare_frozen().await?;
        self.complete_import().await
    }

    /// What was imported is durable on the destination.
    pub(crate) async fn complete_import(&self) -> Result<(), Trouble> {
        let units = there(&self.moved_units());
        let complete = units.into_iter().map(|at| async move {
            let pair = self.steps.next();
            let ask = || self.destination.import_complete(at, pair);
            let complete = self.patience.answer(ask).await?;
            complete.map_err(|error| trouble(error, pair, Side::Destination))
        });
        try_join_all(complete).await.map(drop)
    }

    /// The commit point: one compare-and-set in the directory. The version of the map that it made; 0 where that is not
    /// known, because an answer was lost.
    async fn commit(&mut self) -> Result<u64, Trouble> {
        let (id, lease, freeze) = (self.row.id, self.row.lease, self.row.freeze);
        loop {
            let now = self.around.host.now();
            match self.around.directory.commit_move(id, lease, freeze, now).await {
                Ok(version) => return Ok(version),
                Err(error) if is_unanswered(&error) => {
                    tokio::time::sleep(self.around.options.retry).await;
                }
                Err(MoveLost::Lost(row)) if row.lease != lease => return Err(Trouble::Superseded),
                // Its answer was lost, not the commit.
                Err(MoveLost::Lost(row)) if row.phase == MovePhase::Committed => return Ok(0),
                // A request of an earlier freeze came late and moved the phase: nothing is decided, freeze again.
                Err(MoveLost::Lost(row))
                    if matches!(row.phase, MovePhase::Copying | MovePhase::Freezing) =>
                {
                    return Err(Trouble::OverBudget);
                }
                Err(MoveLost::Lost(row)) => {
                    return Err(Trouble::Hopeless(format!("move {id} is {}", row.phase)));
                }
                Err(MoveLost::Failed(error)) => return Err(Trouble::Hopeless(error.to_string())),
            }
        }
    }

    /// Back to the copy: the directory first, then the source. If the commit was taken after all, forward.
    async fn back(&mut self, why: Trouble) -> Result<u64, Trouble> {
        match self.advance(MovePhase::Freezing, MovePhase::Copying).await {
            Ok(()) => {}
            Err(Trouble::Hopeless(_)) if self.row.phase == MovePhase::Committed => return Ok(0),
            Err(other) => return Err(other),
        }
        match self.row.change {
            MapChange::Move { .. } => {
                let units = self.source_units();
                self.set_all(Side::Source, &units, UnitPhase::Capturing).await?;
            }
            _ => self.take_back().await?,
        }
        self.gate.leave();
        Err(why)
    }
}

/// The part of a freeze that runs: operators see which one is long.
struct Stage(Instant);

impl Stage {
    fn begin() -> Self {
        Self(Instant::now())
    }

    /// Notes how long it took; the next one begins.
    fn ends(&mut self, stage: &'static str) {
        let now = Instant::now();
        let length = now - std::mem::replace(&mut self.0, now);
        metrics::histogram!("unit_freeze_stage_seconds", "stage" => stage).record(length);
    }
}
