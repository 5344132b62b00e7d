//! What must never be: the invariants of a state, the rules that a step can break, and the end
//! that must stay reachable.

use std::fmt;

use crate::{
    fence::Stance,
    model::Model,
    names::{CommandNumber, Conversation, Epoch, Key, Shard, Unit, Version},
    state::{Phase, Reader, State},
};

/// A broken rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Two shards serve one unit.
    TwoOwners(Unit),
    /// A shard serves a unit that the map places elsewhere.
    NotInMap(Shard, Unit, Epoch),
    /// A conversation is missing on the shard that serves it.
    Missing(Conversation, Shard),
    /// Its messages are right and its small rows are not.
    SmallRows(Conversation, Shard),
    /// An acknowledged write is lost, doubled, reordered or revived.
    Writes(Conversation, Shard),
    /// A row carries the wrong unit, so that no command will ever pass its fence.
    FencedForEver(Conversation, Shard, Unit, Unit),
    /// Rows of the owner are listed for a purge.
    OwnerIsGarbage(Unit, Shard),
    /// No move is active and the owner does not serve.
    OwnerClosed(Unit),
    /// No move is active and the other shard has a stance.
    OtherNotClosed(Unit),
    /// Rows that nobody owns and nobody will purge.
    Ghost(Conversation, Shard),
    /// A command is stored before an earlier one of the same sender.
    SenderOrder {
        /// Where.
        shard: Shard,
        /// Which.
        command: CommandNumber,
    },
    /// A read misses what was acknowledged before it was asked.
    StaleRead {
        /// Which reader.
        number: u8,
        /// The version that it saw.
        seen: Version,
        /// The version that it had to see.
        need: Version,
    },
    /// Both sides differ after the drain: the operator is paged.
    Alarm,
    /// A decided move is aborted.
    AbortAfterCommit,
    /// A purge deletes rows that are in use.
    PurgeOfLive {
        /// Whose.
        conversation: Conversation,
        /// Where.
        shard: Shard,
        /// The unit of the row.
        unit: Unit,
        /// The stance of that unit.
        stance: Stance,
    },
    /// Events of a conversation leave their order.
    EventOrder {
        /// Who dispatches.
        shard: Shard,
        /// What.
        conversation: Conversation,
        /// The rev that goes out.
        rev: Version,
        /// The rev before it.
        last: Version,
    },
    /// From this state no clean end can be reached: something is closed or parked for ever.
    Stuck,
    /// The configuration is not as small as it was meant to be.
    Unbounded,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoOwners(unit) => write!(f, "two shards serve {unit}"),
            Self::NotInMap(shard, unit, epoch) => {
                write!(f, "{shard} serves {unit} at epoch {}, the map says otherwise", epoch.0)
            }
            Self::Missing(conversation, shard) => {
                write!(f, "acknowledged {conversation} missing on its serving owner {shard}")
            }
            Self::SmallRows(conversation, shard) => {
                write!(f, "small rows of {conversation} differ on its serving owner {shard}")
            }
            Self::Writes(conversation, shard) => write!(
                f,
                "acknowledged writes of {conversation} lost, doubled, reordered or revived on its \
                 serving owner {shard}"
            ),
            Self::FencedForEver(conversation, shard, has, wants) => write!(
                f,
                "row of {conversation} on its serving owner {shard} carries unit {has}, not \
                 {wants}: fenced for ever"
            ),
            Self::OwnerIsGarbage(unit, shard) => write!(
                f,
                "garbage of {unit} is recorded on {shard}, which serves it: rows of the owner \
                 listed for purge"
            ),
            Self::OwnerClosed(unit) => {
                write!(f, "no move is active and the owner of {unit} is not open")
            }
            Self::OtherNotClosed(unit) => {
                write!(f, "no move is active and the other shard is not closed for {unit}")
            }
            Self::Ghost(conversation, shard) => {
                write!(f, "ghost row {conversation} on {shard}, not recorded as garbage")
            }
            Self::SenderOrder { shard, command } => write!(
                f,
                "order of one sender: {shard} commits w{command} before an earlier command of the \
                 same sender"
            ),
            Self::StaleRead { number, seen, need } => write!(
                f,
                "stale read: reader {number} sees version {seen}, {need} was acknowledged before \
                 it asked"
            ),
            Self::Alarm => f.write_str("alarm: versions differ after the drain"),
            Self::AbortAfterCommit => f.write_str("COMMITTED is followed by ABORTING"),
            Self::PurgeOfLive { conversation, shard, unit, stance } => {
                write!(f, "purge deletes {conversation} on {shard}, where unit {unit} is {stance}")
            }
            Self::EventOrder { shard, conversation, rev, last } => write!(
                f,
                "events out of order: {shard} dispatches rev {rev} of {conversation} after rev \
                 {last}"
            ),
            Self::Stuck => f.write_str("no clean end can be reached any more"),
            Self::Unbounded => f.write_str("more states than a configuration may have"),
        }
    }
}

impl Model {
    /// The invariants of a state.
    pub fn check(&self, state: &State) -> Result<(), Violation> {
        for unit in Unit::ALL {
            if Shard::ALL.iter().all(|shard| state.fences[*shard][unit].serves()) {
                return Err(Violation::TwoOwners(unit));
            }
            for shard in Shard::ALL {
                if state.fences[shard][unit].serves() {
                    self.check_owner(state, shard, unit)?;
                }
            }
        }
        for garbage in state.garbage.iter() {
            let fence = state.fences[garbage.shard][garbage.unit];
            let home = state.map.home(garbage.unit);
            if (fence.serves() || fence.stance == Stance::Importing)
                && home.is_some_and(|home| home.shard == garbage.shard && home.epoch == fence.epoch)
            {
                return Err(Violation::OwnerIsGarbage(garbage.unit, garbage.shard));
            }
        }
        if state.phase.is_over() { self.check_rest(state) } else { Ok(()) }
    }

    /// Who serves stands in the map, and shows exactly what was acknowledged.
    fn check_owner(&self, state: &State, shard: Shard, unit: Unit) -> Result<(), Violation> {
        let epoch = state.fences[shard][unit].epoch;
        let home = state.map.home(unit);
        if home.is_none_or(|home| home.shard != shard || home.epoch != epoch) {
            return Err(Violation::NotInMap(shard, unit, epoch));
        }
        for conversation in self.conversations() {
            if state.map.unit_of(conversation) != unit {
                continue;
            }
            let truth = state.truth[conversation];
            let Some(row) = state.rows[shard][conversation] else {
                if truth.is_some() {
                    return Err(Violation::Missing(conversation, shard));
                }
                continue;
            };
            if truth != Some(row.content) {
                let messages = truth.map(|truth| truth.messages);
                return Err(if messages == Some(row.content.messages) {
                    Violation::SmallRows(conversation, shard)
                } else {
                    Violation::Writes(conversation, shard)
                });
            }
            // While a child is being made, its rows carry its unit before the map does.
            let mut fences = state.fences.values().iter().flat_map(|units| units.values());
            if row.unit != unit && fences.all(|fence| fence.stance != Stance::Importing) {
                return Err(Violation::FencedForEver(conversation, shard, row.unit, unit));
            }
        }
        Ok(())
    }

    /// Between moves every unit is open at home and closed elsewhere, and every row is owned or
    /// recorded as garbage.
    fn check_rest(&self, state: &State) -> Result<(), Violation> {
        for unit in Unit::ALL {
            let Some(home) = state.map.home(unit) else { continue };
            if state.fences[home.shard][unit].stance != Stance::Open {
                return Err(Violation::OwnerClosed(unit));
            }
            if !state.fences[home.shard.other()][unit].is_closed() {
                return Err(Violation::OtherNotClosed(unit));
            }
        }
        for shard in Shard::ALL {
            for conversation in self.conversations() {
                let Some(row) = state.rows[shard][conversation] else { continue };
                let (_, home) = state.map.place(conversation);
                let mut garbage = state.garbage.iter();
                if home.shard != shard
                    && !garbage.any(|garbage| garbage.shard == shard && garbage.unit == row.unit)
                {
                    return Err(Violation::Ghost(conversation, shard));
                }
            }
        }
        Ok(())
    }

    /// A clean end: the last move is over, every command is answered, no read is pending, and
    /// nothing is left to purge.
    pub fn is_clean_end(&self, state: &State) -> bool {
        let last = usize::from(state.job) + 1 == self.configuration.script.len();
        let over = state.phase.is_over() && state.phase != Phase::Never;
        let answered = (0..).zip(&state.routers).all(|(number, router)| {
            let commands = self.configuration.commands.iter();
            let own = commands.filter(|command| command.router == number).count();
            usize::from(router.next) == own && router.lot.is_empty() && router.channel.is_empty()
        });
        let read = state
            .readers
            .iter()
            .all(|reader| matches!(reader, Reader::Idle | Reader::Filling { .. } | Reader::Done));
        let purged =
            !self.configuration.purge || (state.garbage.is_empty() && state.purge.is_none());
        last && over && answered && state.running.is_empty() && read && purged
    }
}
