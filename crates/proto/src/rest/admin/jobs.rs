//! Jobs: what an operator asked for, as a list of moves; how far they are.

use crate::body;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/admin/shards/plan`: exactly one of `add`, `drain`, `shards` and `balance`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanRequest {
    /// Spread slots evenly over the shards in use and so many that hold nothing yet.
    #[schema(required = false)]
    pub add: Option<u32>,
    /// Everything away from this shard.
    #[schema(required = false)]
    pub drain: Option<u32>,
    /// Spread everything evenly over so many shards, those with the smallest numbers.
    #[schema(required = false)]
    pub shards: Option<u32>,
    /// Even out what shards hold, by messages, with as few moves as that takes.
    #[schema(required = false)]
    pub balance: bool,
    /// Only say what would be done. Shards that are not there yet may be counted in.
    #[schema(required = false)]
    pub dry_run: bool,
}

/// `POST /api/v1/admin/shards/move`: exactly one of `slot`, `pair`, `conversation` and `user`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MoveRequest {
    /// Slots `A..B`, B not included, or one slot `A`.
    #[schema(required = false)]
    pub slot: Option<String>,
    /// The direct conversation of two users, `U:V`.
    #[schema(required = false)]
    pub pair: Option<String>,
    /// A conversation: a UUID.
    #[schema(required = false)]
    pub conversation: Option<String>,
    /// A user with all direct conversations: number, `ext:` and external id, or name.
    #[schema(required = false)]
    pub user: Option<String>,
    /// Where to. Several only for a user.
    pub to: Vec<u32>,
    /// Only say what would be done.
    #[schema(required = false)]
    pub dry_run: bool,
}

/// What is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Planned {
    /// The job; null for a dry run.
    #[schema(required = true)]
    pub job_id: Option<u64>,
    /// What it is, in one line.
    pub title: String,
    /// Moves, carves and merges.
    pub moves: u64,
    /// Units that get another home.
    pub units: u64,
    /// Rows to copy, about.
    pub rows: u64,
    /// Bytes to copy, about.
    pub bytes: u64,
    /// How long it takes, about, seconds.
    pub seconds: u64,
    /// What each shard has before and after.
    pub shards: Vec<PlanShard>,
}

/// A shard before and after a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlanShard {
    /// Its number; of one that is not there yet, the one it would get.
    pub shard: u32,
    /// Whether it is there.
    pub is_there: bool,
    /// Units now.
    pub units: u64,
    /// Units that leave.
    pub leaving: u64,
    /// Units that come.
    pub coming: u64,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nothing of it has begun.
    Planned,
    /// Its moves are under way.
    Running,
    /// No move of it begins.
    Paused,
    /// Over; all of its moves are done.
    Done,
    /// Over; it was given up.
    Aborted,
    /// Over; a person must look.
    Failed,
}

impl JobState {
    /// Whether it changes no more by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Aborted | Self::Failed)
    }
}

/// What a job did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobReport {
    /// Its number.
    pub job_id: u64,
    /// How far it is.
    pub state: JobState,
    /// Moves, carves and merges that are done.
    pub moves: u64,
    /// Units that have got another home.
    pub units: u64,
    /// Rows copied.
    pub rows: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// How often units were frozen.
    pub freezes: u64,
    /// How long, milliseconds.
    pub freeze_ms: FreezeMs,
    /// Commands of clients that this node refused since the job began because too much waited for a frozen unit, or for
    /// a full queue.
    pub refused: u64,
    /// How long it took, or has taken so far.
    pub seconds: f64,
}

/// Lengths of freezes, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FreezeMs {
    /// Half of them were shorter.
    pub p50: f64,
    /// 99 of 100 were shorter.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Jobs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Jobs {
    /// The jobs, without their moves.
    pub jobs: Vec<Job>,
    /// `after` of the next page; null at the end.
    #[schema(required = true)]
    pub next: Option<u64>,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Job {
    /// What it did.
    #[serde(flatten)]
    pub report: JobReport,
    /// What was asked for, in one line.
    pub title: String,
    /// Who asked.
    pub by: String,
    /// When it was planned, Unix milliseconds.
    pub created_at: i64,
    /// When its state last changed, Unix milliseconds.
    pub updated_at: i64,
    /// Moves in all.
    pub moves_total: u64,
    /// Rows there are to copy, about.
    pub rows_estimated: u64,
    /// Bytes there are to copy, about.
    pub bytes_estimated: u64,
    /// Rows a second since it began.
    pub rows_per_s: u64,
    /// How long it will take, about, seconds; null when that is not known.
    #[schema(required = true)]
    pub eta_s: Option<u64>,
    /// Changed subjects that wait to be copied again.
    pub backlog: u64,
    /// Subjects found equal on both sides.
    pub verified: u64,
    /// Why it stopped, or what went wrong last.
    #[schema(required = true)]
    pub error: Option<String>,
    /// How it is taken back.
    #[schema(required = true)]
    pub undo: Option<String>,
    /// Its moves that are under way, or all of them where one job is asked for; at most 1,000.
    pub list: Vec<MoveItem>,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MovePhase {
    /// It has not begun.
    Planned,
    /// Its units are copied while they serve.
    Copying,
    /// Its units wait.
    Freezing,
    /// They live elsewhere.
    Committed,
    /// Over.
    Done,
    /// On the way back.
    Aborting,
    /// Over; nothing has changed.
    Aborted,
}

/// One move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MoveItem {
    /// Its number.
    pub move_id: u64,
    /// `move`, `carve` or `merge`.
    pub kind: String,
    /// Home of the units before.
    pub source: u32,
    /// Their home afterwards.
    pub destination: u32,
    /// The units.
    pub units: Vec<u32>,
    /// How far it is.
    pub phase: MovePhase,
    /// Since when, Unix milliseconds.
    pub since: i64,
    /// Rows copied.
    pub rows: u64,
    /// Rows to copy, about.
    pub rows_estimated: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// Changed subjects that wait to be copied again.
    pub backlog: u64,
    /// Subjects found equal on both sides.
    pub verified: u64,
    /// How often it froze.
    pub freezes: u64,
    /// The last freeze, milliseconds.
    pub freeze_ms_last: f64,
    /// The longest.
    pub freeze_ms_max: f64,
    /// How often it was begun.
    pub attempts: u32,
    /// Who drives it.
    pub lease: u64,
    /// What went wrong last.
    #[schema(required = true)]
    pub error: Option<String>,
    /// When it is tried again, Unix milliseconds.
    #[schema(required = true)]
    pub retry_at: Option<i64>,
}

body::plain_body!(PlanRequest, MoveRequest);
