//! Bodies of the operator's calls on shards: what there is, what is planned, what moves, what was done.
//! The same for the admin socket and for users with the admin role. Other calls of the operator are the server's own.

mod audit;
mod doctor;
mod hot;
mod jobs;
mod search;
mod shards;

pub use audit::{Audit, AuditItem};
pub use doctor::{Doctor, Finding, FindingKind, Repair};
pub use hot::{Hot, HotThing};
pub use jobs::{
    FreezeMs, Job, JobReport, JobState, Jobs, MoveItem, MovePhase, MoveRequest, PlanRequest,
    PlanShard, Planned,
};
pub use search::{Reindex, SearchIndexes, ShardIndex};
pub use shards::{
    AddShard, Garbage, HotUser, IsolatedConversation, Leftover, Overrides, Shard, ShardAdmission,
    Shards, SlotUnits,
};
