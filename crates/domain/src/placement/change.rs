//! What one commit does to the map. Pure: both sides of a change are whole maps, and every directory uses this.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{PlacementMap, UnitHome, UserOverride};
use crate::id::{ConversationId, Epoch, SLOTS, ShardId, Slot, UnitId, UserId};

/// A change of the map. Its JSON is stored: names are never reused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapChange {
    /// Units of one home get another one; each takes an epoch.
    Move {
        /// At least one, each once.
        units: Vec<UnitId>,
        /// Their new home, not the present one.
        to: ShardId,
    },
    /// What the cover names belongs to the child from now on; each parent takes an epoch. Nothing leaves its shard.
    Carve {
        /// The units that hold it now: exactly these, each once.
        parents: Vec<UnitId>,
        /// A carved unit; without a home it gets that of the parents, at epoch 1. One that has a home keeps its epoch.
        child: UnitId,
        /// What is carved.
        cover: Cover,
    },
    /// The reverse: the cover is taken away, and what it named falls back to the parents, which keep their epochs.
    Merge {
        /// The carved unit; takes an epoch.
        child: UnitId,
        /// The units that hold it afterwards: exactly these, each once.
        parents: Vec<UnitId>,
        /// What is merged.
        cover: Cover,
        /// Nothing of the child is left: its home vanishes.
        last: bool,
    },
    /// A user is hot from now on; of one that is hot already only the targets change. Moves nothing.
    AddUser {
        /// Who.
        user: UserId,
        /// Above that of every present override.
        rank: u64,
        /// Where the user's units are to live.
        targets: Vec<ShardId>,
    },
    /// A hot user whose table is empty is hot no longer. Moves nothing.
    ForgetUser {
        /// Who.
        user: UserId,
    },
}

/// What a carve or merge is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    /// One conversation.
    Conversation(ConversationId),
    /// The direct conversations of a hot user in some slots, but for those with an own override or an older hot user.
    User {
        /// Who.
        user: UserId,
        /// Which slots.
        slots: Vec<Slot>,
        /// The user's own rows too.
        own: bool,
    },
}

/// Why a change does not fit the map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A list of units, or a cover, without anything in it.
    #[error("the change names nothing")]
    Nothing,
    /// One unit is named twice.
    #[error("unit {0} is named twice")]
    Twice(UnitId),
    /// The map does not know the unit.
    #[error("the map knows no unit {0}")]
    UnknownUnit(UnitId),
    /// The units do not live together.
    #[error("unit {unit} is on shard {shard}, not on shard {other} with the others")]
    Apart {
        /// The unit that lives elsewhere.
        unit: UnitId,
        /// Its home.
        shard: ShardId,
        /// That of the others.
        other: ShardId,
    },
    /// The units live there already.
    #[error("unit {0} is on that shard already")]
    AtHome(UnitId),
    /// A slot's unit is not carved.
    #[error("unit {0} is that of a slot, not a carved one")]
    NotCarved(UnitId),
    /// The parents are not the units that give or take what the cover names.
    #[error("the parents must be exactly the units {0:?}")]
    WrongParents(Vec<UnitId>),
    /// Part of the cover is carved already.
    #[error("a part of it is in a carved unit already: {0}")]
    Covered(UnitId),
    /// Part of the cover is not in the child.
    #[error("a part of it is not in unit {0}")]
    NotCovered(UnitId),
    /// The last merge of a unit that an override still names.
    #[error("an override still names unit {0}")]
    StillNamed(UnitId),
    /// No override of this user.
    #[error("user {0} has no override")]
    UnknownUser(UserId),
    /// The override still places something.
    #[error(
        "the override of user {0} still holds carved units: move them home and merge them first"
    )]
    NotEmpty(UserId),
    /// A younger override would take a conversation without its rows being told.
    #[error(
        "without the override of user {user} their conversation with user {younger} would change its unit: isolate that conversation first"
    )]
    Shifts {
        /// Whose override was to go.
        user: UserId,
        /// Whose would take.
        younger: UserId,
    },
    /// A rank that is not above all others.
    #[error("rank {0} is not above that of every override: draw another one")]
    Rank(u64),
}

impl MapChange {
    /// Every unit that it is about, parents and child included; none of a change that moves nothing.
    pub fn units(&self) -> Vec<UnitId> {
        match self {
            Self::Move { units, .. } => units.clone(),
            Self::Carve { parents, child, .. } | Self::Merge { parents, child, .. } => {
                parents.iter().copied().chain([*child]).collect()
            }
            Self::AddUser { .. } | Self::ForgetUser { .. } => Vec::new(),
        }
    }
}

impl Cover {
    /// The slots it is about, that of a user's own rows included.
    pub fn slots(&self) -> BTreeSet<Slot> {
        match self {
            Self::Conversation(id) => [id.slot()].into(),
            Self::User { user, slots, own } => {
                slots.iter().copied().chain(own.then(|| user.slot())).collect()
            }
        }
    }
}

impl PlacementMap {
    /// The next version of the map: this one with the change.
    ///
    /// Only what the change covers gets another unit.
    ///
    /// # Errors
    /// When it does not fit this version.
    pub fn apply(&self, change: &MapChange) -> Result<Self, MapError> {
        let mut next = self.clone();
        next.version += 1;
        match change {
            MapChange::Move { units, to } => next.move_units(units, *to)?,
            MapChange::Carve { parents, child, cover } => next.carve(parents, *child, cover)?,
            MapChange::Merge { child, parents, cover, last } => {
                next.merge(*child, parents, cover, *last)?;
            }
            MapChange::AddUser { user, rank, targets } => {
                next.add_user(*user, *rank, targets)?;
            }
            MapChange::ForgetUser { user } => next.forget_user(*user)?,
        }
        Ok(next)
    }

    fn move_units(&mut self, units: &[UnitId], to: ShardId) -> Result<(), MapError> {
        let from = self.shard_of_all(units)?;
        for unit in units {
            if from == to {
                return Err(MapError::AtHome(*unit));
            }
            self.rise(*unit, to)?;
        }
        Ok(())
    }

    fn carve(&mut self, parents: &[UnitId], child: UnitId, cover: &Cover) -> Result<(), MapError> {
        let shard = self.family(parents, child)?;
        if self.home(child).is_none() {
            self.set_home(child, Some(UnitHome { shard, epoch: Epoch(1) }));
        }
        let mut gives = BTreeSet::new();
        match cover {
            Cover::Conversation(id) => {
                if let Some(unit) = self.conversations.get(id) {
                    return Err(MapError::Covered(*unit));
                }
                gives.insert(self.unit_of(*id));
                self.conversations.insert(*id, child);
            }
            Cover::User { user, slots, own } => {
                let hot = self.users.get_mut(user).ok_or(MapError::UnknownUser(*user))?;
                for slot in slots {
                    gives.insert(slot.unit());
                    if let Some(unit) = hot.table.insert(*slot, child) {
                        return Err(MapError::Covered(unit));
                    }
                }
                if *own {
                    gives.insert(user.slot().unit());
                    if let Some(unit) = hot.own.replace(child) {
                        return Err(MapError::Covered(unit));
                    }
                }
            }
        }
        exactly(parents, gives)?;
        for parent in parents {
            self.rise(*parent, shard)?;
        }
        Ok(())
    }

    fn merge(
        &mut self,
        child: UnitId,
        parents: &[UnitId],
        cover: &Cover,
        last: bool,
    ) -> Result<(), MapError> {
        let shard = self.family(parents, child)?;
        if self.home(child).is_none() {
            return Err(MapError::UnknownUnit(child));
        }
        let mut takes = BTreeSet::new();
        match cover {
            Cover::Conversation(id) => {
                if self.conversations.remove(id) != Some(child) {
                    return Err(MapError::NotCovered(child));
                }
                takes.insert(self.unit_of(*id));
            }
            Cover::User { user, slots, own } => {
                let hot = self.users.get_mut(user).ok_or(MapError::UnknownUser(*user))?;
                for slot in slots {
                    takes.insert(slot.unit());
                    if hot.table.remove(slot) != Some(child) {
                        return Err(MapError::NotCovered(child));
                    }
                }
                if *own {
                    takes.insert(user.slot().unit());
                    if hot.own.take() != Some(child) {
                        return Err(MapError::NotCovered(child));
                    }
                }
            }
        }
        exactly(parents, takes)?;
        if !last {
            return self.rise(child, shard);
        }
        let of_a_conversation = self.conversations.values().any(|unit| *unit == child);
        if of_a_conversation || self.users.values().any(|hot| hot.names(child)) {
            return Err(MapError::StillNamed(child));
        }
        self.set_home(child, None);
        Ok(())
    }

    fn add_user(&mut self, user: UserId, rank: u64, targets: &[ShardId]) -> Result<(), MapError> {
        if let Some(hot) = self.users.get_mut(&user) {
            hot.targets = targets.to_vec();
            return Ok(());
        }
        // An older rank would claim conversations whose rows are in units of a present override.
        if self.users.values().any(|hot| hot.rank >= rank) {
            return Err(MapError::Rank(rank));
        }
        self.users.insert(user, UserOverride::new(user, rank, targets.to_vec()));
        Ok(())
    }

    fn forget_user(&mut self, user: UserId) -> Result<(), MapError> {
        let hot = self.users.remove(&user).ok_or(MapError::UnknownUser(user))?;
        if !hot.is_empty() {
            return Err(MapError::NotEmpty(user));
        }
        // What it claimed lay in its slots; a younger override may have carved such a slot for its own conversations.
        let younger = self.users.values().find(|other| {
            let shared = ConversationId::direct(user, other.user);
            other.rank > hot.rank
                && self.unit_of(shared) != shared.slot().unit()
                && !self.conversations.contains_key(&shared)
        });
        match younger {
            Some(other) => Err(MapError::Shifts { user, younger: other.user }),
            None => Ok(()),
        }
    }

    /// The one shard of parents, and of the child if it has a home.
    fn family(&self, parents: &[UnitId], child: UnitId) -> Result<ShardId, MapError> {
        if child.0 < u32::from(SLOTS) {
            return Err(MapError::NotCarved(child));
        }
        let mut all = parents.to_vec();
        if self.home(child).is_some() || parents.contains(&child) {
            all.push(child);
        }
        if parents.is_empty() {
            return Err(MapError::Nothing);
        }
        self.shard_of_all(&all)
    }

    fn shard_of_all(&self, units: &[UnitId]) -> Result<ShardId, MapError> {
        let mut seen = BTreeSet::new();
        let mut common = None;
        for unit in units {
            if !seen.insert(*unit) {
                return Err(MapError::Twice(*unit));
            }
            let shard = self.home(*unit).ok_or(MapError::UnknownUnit(*unit))?.shard;
            let other = *common.get_or_insert(shard);
            if other != shard {
                return Err(MapError::Apart { unit: *unit, shard, other });
            }
        }
        common.ok_or(MapError::Nothing)
    }

    fn rise(&mut self, unit: UnitId, shard: ShardId) -> Result<(), MapError> {
        let home = self.home(unit).ok_or(MapError::UnknownUnit(unit))?;
        self.set_home(unit, Some(UnitHome { shard, epoch: Epoch(home.epoch.0 + 1) }));
        Ok(())
    }
}

fn exactly(parents: &[UnitId], units: BTreeSet<UnitId>) -> Result<(), MapError> {
    if units.is_empty() {
        return Err(MapError::Nothing);
    }
    if parents.iter().copied().collect::<BTreeSet<_>>() != units {
        return Err(MapError::WrongParents(units.into_iter().collect()));
    }
    Ok(())
}
