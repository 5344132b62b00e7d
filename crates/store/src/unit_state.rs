//! What a shard knows of a unit: whether it serves it, and at which epoch. The fence of every command.
//!
//! Which change of state is legal is decided here, once, for every backend. Not a store: a backend keeps the rows.

#[cfg(test)]
mod tests;

use ostracon_domain::{Epoch, UnitAt, UnitId};

use crate::shard::{Incarnation, ShardError};

/// What a shard does with a unit. No row at all means that it has nothing to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitPhase {
    /// Serves it.
    Open,
    /// Serves it, and notes which subjects change.
    Capturing,
    /// Serves nothing of it.
    Frozen,
    /// Takes rows of one move only.
    Importing,
    /// Holds nothing of it: served it once and it lives elsewhere now, or an import was given up.
    /// The row stays, so that a late command of a move finds itself stale. Epoch 0: never had anything of it.
    Moved,
}

/// Lease and step of the command that last changed a unit; smaller pairs are stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pair {
    /// Drawn by the directory for each attempt and take-over.
    pub lease: u64,
    /// Rises within a lease with every command.
    pub step: u64,
}

/// One row of a shard's fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitState {
    /// The unit.
    pub unit: UnitId,
    /// Rises with every change of home.
    pub epoch: Epoch,
    /// What the shard does with it.
    pub phase: UnitPhase,
    /// Which start of the shard set this state; of a frozen or re-asserted unit, which one began to capture.
    pub incarnation: Incarnation,
    /// The last command on this unit, done or refused.
    pub pair: Pair,
}

impl UnitState {
    /// Whether commands that name this unit and epoch run.
    pub fn serves(&self, at: UnitAt) -> bool {
        self.unit == at.unit
            && self.epoch == at.epoch
            && matches!(self.phase, UnitPhase::Open | UnitPhase::Capturing)
    }
}

/// A change of a unit's state; it happens only if the unit is in the state that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitChange {
    /// The unit.
    pub unit: UnitId,
    /// The state it must be in; `None`: the shard never had anything of it.
    pub expect: Option<(UnitPhase, Epoch)>,
    /// The state it gets.
    pub phase: UnitPhase,
    /// The epoch it gets.
    pub epoch: Epoch,
    /// Lease and step of this command: a smaller one than the last is stale, an equal one is answered again.
    pub pair: Pair,
}

/// What becomes of a change of state. A refused one leaves its pair behind, so that older ones are stale after it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitVerdict {
    /// The unit gets this state.
    Set(UnitState),
    /// The same command again: the unit is as it asked.
    Again(UnitState),
    /// Refused. `noted` tells whether the row has changed by its pair.
    Refused {
        /// The row as it is now.
        state: UnitState,
        /// Whether the row has to be written.
        noted: bool,
    },
    /// Refused because what this unit was captured or imported into has been forgotten by a restart. The row as it is now
    /// has to be written.
    Restarted(UnitState),
}

impl UnitVerdict {
    /// The row to write before the answer leaves, if it changed.
    pub const fn to_store(&self) -> Option<UnitState> {
        match self {
            Self::Set(state) | Self::Refused { state, noted: true } | Self::Restarted(state) => {
                Some(*state)
            }
            Self::Again(_) | Self::Refused { noted: false, .. } => None,
        }
    }

    /// What the command is told.
    ///
    /// # Errors
    /// `Unexpected` or `Restarted` when it was refused.
    pub const fn answer(&self) -> Result<UnitState, ShardError> {
        match self {
            Self::Set(state) | Self::Again(state) => Ok(*state),
            Self::Refused { state, .. } => Err(ShardError::Unexpected(Some(*state))),
            Self::Restarted(_) => Err(ShardError::Restarted),
        }
    }
}

impl UnitChange {
    /// Judges the change against the row as it is; `incarnation` is this start of the shard.
    ///
    /// A smaller pair than the last is stale. An equal one is the same command again and is answered by
    /// whether the unit is as it asked. A larger one runs if the expectation holds and the step is legal.
    pub fn apply(&self, current: Option<UnitState>, incarnation: Incarnation) -> UnitVerdict {
        if let Some(state) = current
            && self.pair <= state.pair
        {
            let again = self.pair == state.pair && self.target() == (state.phase, state.epoch);
            return if again {
                UnitVerdict::Again(state)
            } else {
                UnitVerdict::Refused { state, noted: false }
            };
        }
        let from =
            current.map(|state| (state.phase, state.epoch)).filter(|from| *from != NEVER_HERE);
        let expected = self.expect.filter(|expect| *expect != NEVER_HERE);
        // What a restart forgot is missing from the copy: a freeze would lose it.
        let capture_lost = from.is_some_and(|(phase, _)| phase == UnitPhase::Capturing)
            && self.phase == UnitPhase::Frozen
            && current.is_some_and(|state| state.incarnation != incarnation);
        let stays = || {
            let (phase, epoch) = from.unwrap_or(NEVER_HERE);
            let incarnation = current.map_or(incarnation, |state| state.incarnation);
            UnitState { unit: self.unit, epoch, phase, incarnation, pair: self.pair }
        };
        if expected != from || !self.is_legal_from(from) {
            return UnitVerdict::Refused { state: stays(), noted: true };
        }
        if capture_lost {
            return UnitVerdict::Restarted(stays());
        }
        UnitVerdict::Set(UnitState {
            unit: self.unit,
            epoch: self.epoch,
            phase: self.phase,
            incarnation: match current {
                Some(state) if self.keeps_tag_of(state.phase) => state.incarnation,
                _ => incarnation,
            },
            pair: self.pair,
        })
    }

    const fn target(&self) -> (UnitPhase, Epoch) {
        (self.phase, self.epoch)
    }

    fn is_legal_from(&self, from: Option<(UnitPhase, Epoch)>) -> bool {
        use UnitPhase::{Capturing, Frozen, Importing, Moved, Open};
        let Some((phase, epoch)) = from else {
            // To `Moved`: an abort that comes before the import it aborts.
            return matches!(self.phase, Importing | Moved) && self.epoch > Epoch(0);
        };
        let same_epoch = self.epoch == epoch;
        match (phase, self.phase) {
            (Open, Capturing)
            | (Capturing, Open | Frozen)
            | (Frozen, Capturing | Moved)
            | (Importing, Open | Moved) => same_epoch,
            // A carve leaves the unit that gives rows away open at the next epoch.
            (Frozen, Open) => same_epoch || self.epoch.0.checked_sub(1) == Some(epoch.0),
            // At the same epoch: the import before was given up.
            (Moved, Importing) => self.epoch >= epoch,
            // A take-over repeats the state it finds under its own lease.
            (before, after) => before == after && same_epoch,
        }
    }

    /// Freezing, thawing and re-asserting do not begin a capture anew. An import that is re-asserted begins anew: its
    /// copy starts from the beginning again.
    fn keeps_tag_of(&self, before: UnitPhase) -> bool {
        use UnitPhase::{Capturing, Frozen, Importing};
        (before == self.phase && before != Importing)
            || matches!((before, self.phase), (Capturing, Frozen) | (Frozen, Capturing))
    }
}

/// Judges a command of a move that leaves its unit in the state it is in: a page, a note that is dropped. It runs in one
/// of these phases at that epoch, not under a smaller pair than the last, and where it rests on what a restart forgets
/// (`tagged`), in the start of the shard that began it. Run or refused, a pair that is not stale has to be written.
///
/// # Errors
/// What to answer, and the row to write, if it changed.
pub fn admit(
    current: Option<UnitState>,
    at: UnitAt,
    phases: &[UnitPhase],
    pair: Pair,
    tagged: Option<Incarnation>,
) -> Result<UnitState, (ShardError, Option<UnitState>)> {
    let Some(state) = current else {
        return Err((ShardError::Unexpected(None), None));
    };
    if pair < state.pair {
        return Err((ShardError::Unexpected(Some(state)), None));
    }
    let noted = UnitState { pair, ..state };
    if state.epoch != at.epoch || !phases.contains(&state.phase) {
        return Err((ShardError::Unexpected(Some(noted)), Some(noted)));
    }
    if tagged.is_some_and(|incarnation| incarnation != state.incarnation) {
        return Err((ShardError::Restarted, Some(noted)));
    }
    Ok(noted)
}

/// The row that the other unit of a [`Relabel`](crate::Relabel) gets: born when it is given its first subjects, closed
/// when an unborn one has given all of them back; `None` when it stays as it is.
pub fn relabelled(
    known: Option<UnitState>,
    other: UnitId,
    away: bool,
    pair: Pair,
    incarnation: Incarnation,
) -> Option<UnitState> {
    let phase = known.map_or(UnitPhase::Moved, |state| state.phase);
    let epoch = known.map_or(Epoch(0), |state| state.epoch);
    let row = |phase, epoch| UnitState { unit: other, epoch, phase, incarnation, pair };
    match phase {
        UnitPhase::Moved if away => Some(row(UnitPhase::Importing, epoch.max(Epoch(1)))),
        UnitPhase::Importing if !away => Some(row(UnitPhase::Moved, epoch)),
        _ => None,
    }
}

/// The row of a unit of which nothing was ever here, kept for its pair only.
const NEVER_HERE: (UnitPhase, Epoch) = (UnitPhase::Moved, Epoch(0));
