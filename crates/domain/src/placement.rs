//! Where everything lives, as of one version of the map. Pure look-ups; no copy of the map is ever changed in place.

pub mod change;
#[cfg(test)]
mod tests;
pub mod user_override;

use std::collections::{BTreeMap, BTreeSet};

use self::user_override::UserOverride;
use crate::id::{ConversationId, Epoch, Party, SLOTS, ShardId, Slot, UnitId, UserId};

/// The shard that serves a unit, and since which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitHome {
    /// The shard.
    pub shard: ShardId,
    /// The epoch a command must name.
    pub epoch: Epoch,
}

/// What a command names: a unit at an epoch. A shard that does not serve it there answers `Fenced`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnitAt {
    /// The unit.
    pub unit: UnitId,
    /// The epoch.
    pub epoch: Epoch,
}

/// One version of the map: unit → home, and the overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementMap {
    /// Rises with every change.
    pub version: u64,
    homes: BTreeMap<UnitId, UnitHome>,
    slots: Vec<Option<UnitHome>>,
    conversations: BTreeMap<ConversationId, UnitId>,
    users: BTreeMap<UserId, UserOverride>,
}

impl PlacementMap {
    /// The map of a new cluster: slot `s` lives on the `s mod N`-th shard, epoch 1. `shards` must not be empty.
    pub fn initial(shards: &[ShardId]) -> Self {
        let homes = (0..SLOTS).filter_map(|slot| {
            let shard = *shards.get(usize::from(slot) % shards.len().max(1))?;
            Some((UnitId(u32::from(slot)), UnitHome { shard, epoch: Epoch(1) }))
        });
        Self::new(1, homes, [], [])
    }

    /// A map from its rows: homes of units, conversations whose unit is not that of their slot, and hot users.
    pub fn new(
        version: u64,
        homes: impl IntoIterator<Item = (UnitId, UnitHome)>,
        conversations: impl IntoIterator<Item = (ConversationId, UnitId)>,
        users: impl IntoIterator<Item = UserOverride>,
    ) -> Self {
        let homes: BTreeMap<_, _> = homes.into_iter().collect();
        let slots = (0..SLOTS).map(|slot| homes.get(&UnitId(u32::from(slot))).copied()).collect();
        let conversations = conversations.into_iter().collect();
        let users = users.into_iter().map(|hot| (hot.user, hot)).collect();
        Self { version, homes, slots, conversations, users }
    }

    /// The unit of a conversation: its own override, otherwise that of its oldest hot user, otherwise its slot.
    ///
    /// The oldest hot user claims a direct conversation also where its table holds no unit yet: then it is the slot's.
    /// So a younger override never takes from an older one. Groups belong to no user.
    pub fn unit_of(&self, conversation: ConversationId) -> UnitId {
        let slot = conversation.slot();
        if self.conversations.is_empty() && self.users.is_empty() {
            return slot.unit();
        }
        if let Some(unit) = self.conversations.get(&conversation) {
            return *unit;
        }
        let claimed = self.hot_user_of(conversation).and_then(|hot| hot.table.get(&slot));
        claimed.copied().unwrap_or(slot.unit())
    }

    /// The unit of a user's own rows.
    pub fn unit_of_user(&self, user: UserId) -> UnitId {
        self.users.get(&user).and_then(|hot| hot.own).unwrap_or(user.slot().unit())
    }

    /// The oldest hot user of a direct conversation: the one that may claim it.
    pub fn hot_user_of(&self, conversation: ConversationId) -> Option<&UserOverride> {
        if self.users.is_empty() {
            return None;
        }
        match conversation.party() {
            Party::Group => None,
            Party::Direct { lo, hi } => {
                let hot = [lo, hi].into_iter().filter_map(|user| self.users.get(&user));
                hot.min_by_key(|hot| hot.rank)
            }
        }
    }

    /// The home of a unit; none for one the map does not know.
    pub fn home(&self, unit: UnitId) -> Option<UnitHome> {
        match self.slots.get(unit.0 as usize) {
            Some(home) => *home,
            None => self.homes.get(&unit).copied(),
        }
    }

    /// Every unit with its home, by unit.
    pub fn units(&self) -> impl Iterator<Item = (UnitId, UnitHome)> + '_ {
        self.homes.iter().map(|(unit, home)| (*unit, *home))
    }

    /// Every conversation with an override, and its unit, by conversation.
    pub fn overrides(&self) -> impl Iterator<Item = (ConversationId, UnitId)> + '_ {
        self.conversations.iter().map(|(id, unit)| (*id, *unit))
    }

    /// Every hot user, by user.
    pub fn user_overrides(&self) -> impl Iterator<Item = &UserOverride> + '_ {
        self.users.values()
    }

    /// The override of a user; none for one that is not hot.
    pub fn user_override(&self, user: UserId) -> Option<&UserOverride> {
        self.users.get(&user)
    }

    /// The slots that conversations and users of these units may have, unit by unit.
    ///
    /// A slot's unit has its slot; a carved unit has those that overrides name. One pass over the overrides.
    pub fn slots_of(&self, units: &[UnitId]) -> BTreeMap<UnitId, BTreeSet<Slot>> {
        let mut slots: BTreeMap<UnitId, BTreeSet<Slot>> =
            units.iter().map(|unit| (*unit, unit.slot().into_iter().collect())).collect();
        let mut add = |unit: UnitId, slot: Slot| {
            if let Some(slots) = slots.get_mut(&unit) {
                slots.insert(slot);
            }
        };
        if units.iter().all(|unit| unit.slot().is_some()) {
            return slots;
        }
        for (conversation, unit) in &self.conversations {
            add(*unit, conversation.slot());
        }
        for hot in self.users.values() {
            hot.table.iter().for_each(|(slot, unit)| add(*unit, *slot));
            hot.own.into_iter().for_each(|unit| add(unit, hot.user.slot()));
        }
        slots
    }

    fn set_home(&mut self, unit: UnitId, home: Option<UnitHome>) {
        match home {
            Some(home) => self.homes.insert(unit, home),
            None => self.homes.remove(&unit),
        };
        if let Some(place) = self.slots.get_mut(unit.0 as usize) {
            *place = home;
        }
    }
}
