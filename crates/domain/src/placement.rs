//! Where everything lives, as of one version of the map. Pure look-ups; no copy of the map is ever changed in place.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::id::{ConversationId, Epoch, SLOTS, ShardId, UnitId, UserId};

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
}

impl PlacementMap {
    /// The map of a new cluster: slot `s` lives on the `s mod N`-th shard, epoch 1. `shards` must not be empty.
    pub fn initial(shards: &[ShardId]) -> Self {
        let homes = (0..SLOTS).filter_map(|slot| {
            let shard = *shards.get(usize::from(slot) % shards.len().max(1))?;
            Some((UnitId(u32::from(slot)), UnitHome { shard, epoch: Epoch(1) }))
        });
        Self::new(1, homes, [])
    }

    /// A map from its rows: homes of units, and conversations whose unit is not that of their slot.
    pub fn new(
        version: u64,
        homes: impl IntoIterator<Item = (UnitId, UnitHome)>,
        conversations: impl IntoIterator<Item = (ConversationId, UnitId)>,
    ) -> Self {
        let homes: BTreeMap<_, _> = homes.into_iter().collect();
        let slots = (0..SLOTS).map(|slot| homes.get(&UnitId(u32::from(slot))).copied()).collect();
        Self { version, homes, slots, conversations: conversations.into_iter().collect() }
    }

    /// The unit of a conversation: its override, otherwise its slot.
    pub fn unit_of(&self, conversation: ConversationId) -> UnitId {
        if self.conversations.is_empty() {
            return conversation.slot().unit();
        }
        self.conversations.get(&conversation).copied().unwrap_or(conversation.slot().unit())
    }

    /// The unit of a user's own rows.
    pub fn unit_of_user(&self, user: UserId) -> UnitId {
        user.slot().unit()
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

    /// Every conversation with an override, and its unit.
    pub fn overrides(&self) -> impl Iterator<Item = (ConversationId, UnitId)> + '_ {
        self.conversations.iter().map(|(id, unit)| (*id, *unit))
    }
}
