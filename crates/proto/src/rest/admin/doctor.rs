//! What the doctor found, and what would put it right.

use crate::body;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/admin/doctor`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Repair {
    /// Do the repairs; otherwise they are only named.
    #[schema(required = false)]
    pub repair: bool,
}

/// What the doctor found. Nothing: map, fences, rows, leftovers and moves agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Doctor {
    /// Version of the map that was looked at.
    pub map_version: u64,
    /// Units of the map.
    pub units: u64,
    /// Fences of all shards.
    pub fences: u64,
    /// Conversations and users looked at.
    pub subjects: u64,
    /// What does not agree.
    pub findings: Vec<Finding>,
}

/// What kind of thing does not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A shard that the map names does not answer.
    Shard,
    /// A unit is not served where the map says.
    NotServed,
    /// A unit is served where the map does not say.
    Astray,
    /// Rows where they do not belong.
    Rows,
    /// A conversation or user whose row names another unit than the map.
    Label,
    /// Leftovers that cannot be removed.
    Garbage,
    /// A move that cannot go on.
    Move,
    /// What is told outside does not get out.
    Push,
}

/// One thing that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Where.
    #[schema(required = true)]
    pub shard: Option<u32>,
    /// Of which unit.
    #[schema(required = true)]
    pub unit: Option<u32>,
    /// What is wrong.
    pub text: String,
    /// What `repair` does about it, exactly; null: a person must decide.
    #[schema(required = true)]
    pub repair: Option<String>,
    /// What that has for an effect.
    #[schema(required = true)]
    pub effect: Option<String>,
    /// What became of the repair: `done`, or why it was not; null when it was not asked for.
    #[schema(required = true)]
    pub outcome: Option<String>,
}

body::plain_body!(Repair);
