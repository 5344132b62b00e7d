//! After the commit: the new owner opens, the old one is told, and the move is over. Only forward from here.

use ostracon_domain::{MapChange, UnitId};
use ostracon_store::{UnitPhase, directory::MovePhase};

use crate::{
    call::{Patience, Side, Trouble},
    mover::{Attempt, there},
};

impl Attempt {
    /// Opens the units where they live now.
    pub(crate) async fn open(&mut self) -> Result<(), Trouble> {
        // Whoever wants an end of the move comes too late.
        self.patience = Patience::endless(self.around.options.retry);
        match self.row.change {
            MapChange::Move { .. } => {
                let units = there(&self.moved_units());
                self.set_all(Side::Destination, &units, UnitPhase::Open).await?;
            }
            _ => self.open_relabelled().await?,
        }
        self.gate.leave();
        Ok(())
    }

    /// Everything that follows a commit; harmless to repeat.
    pub(crate) async fn finish(&mut self) -> Result<(), Trouble> {
        self.open().await?;
        self.around.host.units_changed().await;
        if let MapChange::Move { .. } = self.row.change {
            let units = self.moved_units();
            self.set_all(Side::Source, &units, UnitPhase::Moved).await?;
        }
        self.note(None).await;
        self.advance(MovePhase::Committed, MovePhase::Done).await
    }

    /// Asks for the state of a unit that another command may have changed.
    pub(crate) async fn refresh_state(&mut self, side: Side, unit: UnitId) -> Result<(), Trouble> {
        let ask = || self.shard(side).unit_states();
        let states = self.patience.answer(ask).await?;
        let states = states.map_err(|error| Trouble::Hopeless(error.to_string()))?;
        if let Some(state) = states.into_iter().find(|state| state.unit == unit) {
            self.remember(side, state);
        }
        Ok(())
    }
}
