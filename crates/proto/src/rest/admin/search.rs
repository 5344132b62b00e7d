//! The indexes that messages are found with.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/admin/search`: the index of each shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SearchIndexes {
    /// One for each shard of this server.
    pub shards: Vec<ShardIndex>,
}

/// The index of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShardIndex {
    /// The shard.
    pub shard: u32,
    /// Whether it answers; the numbers of one that does not are 0.
    pub answers: bool,
    /// Conversations that it follows.
    pub conversations: u64,
    /// Messages that can be found.
    pub messages: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Whether it has everything that was committed a moment ago.
    pub complete: bool,
}

/// `POST /api/v1/admin/search`: brings the indexes level with their shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reindex {
    /// Forget everything first.
    #[serde(default)]
    pub anew: bool,
}
