//! What a user lets others know: who sees the presence, and whether reading is told. Pure rules; nothing is stored here.

use serde::{Deserialize, Serialize};

/// Who may see whether a user is online, and when that was last so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceFor {
    /// Every user.
    #[default]
    Everyone,
    /// Those to whom this user has written directly.
    Contacts,
    /// Nobody.
    Nobody,
}

/// What a user lets others know. It holds both ways: who hides something does not see it of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privacy {
    /// Who may see the presence.
    pub presence: PresenceFor,
    /// Whether others see how far this user has read.
    pub read_receipts: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { presence: PresenceFor::default(), read_receipts: true }
    }
}

/// One side of the question who sees whose presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// What this side has set.
    pub presence: PresenceFor,
    /// Whether this side has written directly to the other. Only looked at where the setting asks for it.
    pub has_written: bool,
}

impl Side {
    /// Whether this side lets the other see its presence.
    pub const fn admits(self) -> bool {
        match self.presence {
            PresenceFor::Everyone => true,
            PresenceFor::Contacts => self.has_written,
            PresenceFor::Nobody => false,
        }
    }
}

/// Whether two users see each other's presence: both or neither.
pub const fn see_each_other(one: Side, other: Side) -> bool {
    one.admits() && other.admits()
}

#[cfg(test)]
mod tests;
