//! A hot user: somebody whose direct conversations, and maybe own rows, are placed apart.

use std::collections::BTreeMap;

use crate::id::{ShardId, Slot, UnitId, UserId};

/// Where the direct conversations of one user live instead of in their slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOverride {
    /// Whose.
    pub user: UserId,
    /// Number of its creation; of two hot users in one conversation the smaller one decides. Never reused.
    pub rank: u64,
    /// Unit of the user's own rows; none: that of their slot.
    pub own: Option<UnitId>,
    /// The unit of the direct conversations in a slot; a slot that is not listed has its own unit.
    pub table: BTreeMap<Slot, UnitId>,
    /// Where the carved units are to live: slot `s` at place `s mod k`. What is planned, not what is.
    pub targets: Vec<ShardId>,
}

impl UserOverride {
    /// An override that places nothing yet.
    pub fn new(user: UserId, rank: u64, targets: Vec<ShardId>) -> Self {
        Self { user, rank, own: None, table: BTreeMap::new(), targets }
    }

    /// Whether it places nothing.
    pub fn is_empty(&self) -> bool {
        self.own.is_none() && self.table.is_empty()
    }

    /// Whether it names this unit.
    pub fn names(&self, unit: UnitId) -> bool {
        self.own == Some(unit) || self.table.values().any(|carved| *carved == unit)
    }
}
