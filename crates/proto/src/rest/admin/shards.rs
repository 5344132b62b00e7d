//! What shards there are, what they hold, what lives apart from its slot, and what moves left behind.

use crate::body;
use serde::{Deserialize, Serialize};

/// All shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Shards {
    /// Version of the map.
    pub map_version: u64,
    /// By number.
    pub shards: Vec<Shard>,
    /// Moves under way.
    pub moves: u64,
    /// Units whose rows are still to be removed where they used to live.
    pub garbage: u64,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Shard {
    /// Its number; never reused.
    pub shard: u32,
    /// `embedded` or `postgres`.
    pub kind: String,
    /// Where it is kept, without its password.
    pub url: String,
    /// Whether it takes units.
    pub state: ShardAdmission,
    /// Why it does not answer now; its counts are 0 then.
    #[schema(required = true)]
    pub error: Option<String>,
    /// Units that live here.
    pub units: u64,
    /// Conversations, leftovers of moves included.
    pub conversations: u64,
    /// Messages, tombstones and leftovers included.
    pub messages: u64,
    /// Users with rows of their own.
    pub users: u64,
    /// Bytes of its tables on disk.
    pub bytes: u64,
    /// Moves under way from or to it.
    pub moves: u64,
    /// Units whose rows are still to be removed here.
    pub garbage: u64,
}

/// Whether a shard takes units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShardAdmission {
    /// It does.
    Accepting,
    /// It only gives units away.
    Draining,
}

/// `POST /api/v1/admin/shards`: a new shard.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AddShard {
    /// `embedded`: in the data directory. `postgres://user:password@host:port/database?schema=name`: there; without a
    /// schema it is `shard_<number>`.
    pub url: String,
}

/// A password may stand in the address.
impl std::fmt::Debug for AddShard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddShard").finish_non_exhaustive()
    }
}

/// What lives apart from its slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Overrides {
    /// Version of the map.
    pub map_version: u64,
    /// Conversations with a unit of their own.
    pub conversations: Vec<IsolatedConversation>,
    /// Users whose direct conversations have units of their own, oldest first: of two in one conversation the older decides.
    pub users: Vec<HotUser>,
}

/// A conversation with a unit of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IsolatedConversation {
    /// The conversation: a UUID.
    pub conversation_id: String,
    /// Its unit.
    pub unit: u32,
    /// The unit's shard.
    pub shard: u32,
}

/// A user whose direct conversations have units of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HotUser {
    /// Who.
    pub user_id: u64,
    /// Number of its creation.
    pub rank: u64,
    /// Where the units are to live: slot `s` at place `s mod k`.
    pub targets: Vec<u32>,
    /// Unit of the user's own rows; none: that of their slot.
    #[schema(required = true)]
    pub own_unit: Option<u32>,
    /// Units with the slots that are in each.
    pub units: Vec<SlotUnits>,
}

/// A carved unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SlotUnits {
    /// The unit.
    pub unit: u32,
    /// Its shard.
    pub shard: u32,
    /// How many slots' direct conversations of the user are in it.
    pub slots: u64,
}

/// What moves left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Garbage {
    /// By number. It is removed by itself, page by page.
    pub garbage: Vec<Leftover>,
}

/// Rows of a unit where it used to live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Leftover {
    /// Its number.
    pub garbage_id: u64,
    /// Where.
    pub shard: u32,
    /// Of which unit.
    pub unit: u32,
    /// The epoch at which the shard gave it up.
    pub epoch: u64,
    /// Since when, Unix milliseconds.
    pub since: i64,
}

body::plain_body!(AddShard);
