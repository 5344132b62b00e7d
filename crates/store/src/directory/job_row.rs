//! A job: what an operator asked for, as a list of moves.

use ostracon_domain::Millis;
use serde::{Deserialize, Serialize};

use super::move_row::NewMove;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nothing of it has begun.
    Planned,
    /// Its moves are done one after the other.
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
    /// Whether it never changes any more by itself.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Aborted | Self::Failed)
    }

    /// The word for it, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number; never reused, rising.
    pub id: u64,
    /// One line for people.
    pub title: String,
    /// What was asked for, JSON.
    pub request: String,
    /// Who asked.
    pub by: String,
    /// How far it is.
    pub state: JobState,
    /// When it was planned.
    pub created_at: Millis,
    /// When its state last changed.
    pub updated_at: Millis,
    /// Why it stopped.
    pub error: Option<String>,
}

/// A job to plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// One line for people.
    pub title: String,
    /// What was asked for, JSON.
    pub request: String,
    /// Who asks.
    pub by: String,
    /// In the order in which they are to be done; none for a job with nothing to do.
    pub moves: Vec<NewMove>,
}
