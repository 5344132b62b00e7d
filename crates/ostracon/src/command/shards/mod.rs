//! `shards`: what shards there are, and moving units between them while people talk.

mod jobs;
mod plan;
mod there;
mod view;
mod wait;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

const SHARDS: &str = "/api/v1/admin/shards";

/// What to do with shards.
#[derive(Debug, Subcommand)]
pub(crate) enum Shards {
    /// List them with what they hold
    Status(there::Status),
    /// Add one; it holds nothing until a job brings units
    Add(there::Add),
    /// Plan how units are spread; `apply` does it
    Plan(plan::Plan),
    /// Begin a planned job
    Apply(jobs::Apply),
    /// Move slots, a conversation or a user now
    Move(plan::Move),
    /// List conversations and users that live apart from their slot
    Overrides(there::Overrides),
    /// Take a job back
    Undo(jobs::Undo),
    /// List jobs and what moves now
    Moves(jobs::Moves),
    /// Show a job with all its moves
    Show(jobs::Show),
    /// Begin no more moves of a job
    Pause(jobs::Pause),
    /// Go on with a paused job
    Resume(jobs::Resume),
    /// Give a job up: what is done stays, what is under way goes back
    Abort(jobs::Abort),
    /// Move everything away from a shard, which takes no units any more
    Drain(plan::Drain),
    /// Let a shard take units again
    Accept(there::Accept),
    /// Forget a shard that holds nothing
    Remove(there::Remove),
    /// List what is busy, with a command that would bring it elsewhere
    Hot(there::Hot),
    /// Remove what moves left behind; it happens by itself too
    Gc(there::Gc),
}

impl Shards {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        super::small_runtime()?.block_on(async {
            match self {
                Self::Status(command) => command.run(json).await,
                Self::Add(command) => command.run(json).await,
                Self::Plan(command) => command.run(json).await,
                Self::Apply(command) => command.run(json).await,
                Self::Move(command) => command.run(json).await,
                Self::Overrides(command) => command.run(json).await,
                Self::Undo(command) => command.run(json).await,
                Self::Moves(command) => command.run(json).await,
                Self::Show(command) => command.run(json).await,
                Self::Pause(command) => command.run(json).await,
                Self::Resume(command) => command.run(json).await,
                Self::Abort(command) => command.run(json).await,
                Self::Drain(command) => command.run(json).await,
                Self::Accept(command) => command.run(json).await,
                Self::Remove(command) => command.run(json).await,
                Self::Hot(command) => command.run(json).await,
                Self::Gc(command) => command.run(json).await,
            }
        })
    }
}
