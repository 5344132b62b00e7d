//! What a user wants to be told while away. Pure values; who is away and how one is reached is not known here.

use serde::{Deserialize, Serialize};

/// Of which messages a user is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushScope {
    /// Of all that he may read and has not muted.
    #[default]
    All,
    /// Of those that mention him.
    Mentions,
    /// Of none.
    None,
}

/// What a user wants to be told while away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSetting {
    /// Of which messages.
    pub scope: PushScope,
    /// Whether the text is told with it.
    pub preview: bool,
}

impl Default for PushSetting {
    fn default() -> Self {
        Self { scope: PushScope::default(), preview: true }
    }
}
