//! What is busy, and what an operator could do about it. Nothing is done by itself.

use serde::{Deserialize, Serialize};

/// What costs most on this node, the most costly first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hot {
    /// Units.
    pub units: Vec<HotThing>,
    /// Conversations.
    pub conversations: Vec<HotThing>,
    /// Users: what they do and read, and what happens in their direct conversations.
    pub users: Vec<HotThing>,
}

/// Something busy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HotThing {
    /// Number of a unit or user, id of a conversation.
    pub what: String,
    /// Its shard; of a user that of the own rows.
    pub shard: u32,
    /// Writes, reads and members who are told, a second, smoothed over some windows.
    pub cost: f64,
    /// A command that would bring it elsewhere; null where there is no other shard.
    #[schema(required = true)]
    pub suggestion: Option<String>,
}
