//! The map: which shard a unit is on, at which epoch. Placement is a function of one map alone.

use crate::names::{Conversation, Epoch, Shard, Unit};

/// Where a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Home {
    /// The shard that serves it.
    pub shard: Shard,
    /// The epoch at which it serves.
    pub epoch: Epoch,
}

/// One version of the map. Routers keep copies of any age.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Map {
    /// The slot; it is always somewhere.
    pub p: Home,
    /// The carved child, while it exists.
    pub c: Option<Home>,
}

impl Map {
    /// The map at the start: `p` on shard A at epoch 1, nothing carved.
    pub const FIRST: Self = Self { p: Home { shard: Shard::A, epoch: Epoch(1) }, c: None };

    /// The home of a unit, if the unit exists.
    pub fn home(&self, unit: Unit) -> Option<Home> {
        match unit {
            Unit::P => Some(self.p),
            Unit::C => self.c,
        }
    }

    /// The unit of a conversation.
    pub fn unit_of(&self, conversation: Conversation) -> Unit {
        self.place(conversation).0
    }

    /// The unit of a conversation and where that unit is.
    pub fn place(&self, conversation: Conversation) -> (Unit, Home) {
        match (conversation, self.c) {
            (Conversation::Y, Some(home)) => (Unit::C, home),
            _ => (Unit::P, self.p),
        }
    }
}
