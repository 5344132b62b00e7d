//! How a mover talks to shards and to the directory: pairs that rise, answers that do not come, owners that changed.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use ostracon_store::{DirectoryError, Pair, ShardError, directory::MoveLost};
use tokio_util::sync::CancellationToken;

/// Why a mover does not go on as planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Somebody else drives this move now: stop, and touch nothing.
    #[error("another coordinator has taken this move over")]
    Superseded,
    /// The source forgot what it captured: begin the capture anew.
    #[error("the source was started anew during the copy")]
    CaptureLost,
    /// The destination forgot what it imported: begin the copy anew.
    #[error("the destination was started anew during the copy")]
    ImportLost,
    /// The freeze took too long.
    #[error("the freeze did not end within its budget")]
    OverBudget,
    /// Somebody asked for the end of this move.
    #[error("given up by request")]
    Stopped,
    /// A shard was asked often enough, and did not answer.
    #[error("no answer: {0}")]
    Silent(String),
    /// It cannot be done: give up, and tell a person.
    #[error("{0}")]
    Hopeless(String),
}

/// Which side of a move a shard is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// The pairs of one lease: each is larger than all before. A repeated request keeps its pair.
#[derive(Debug)]
pub(crate) struct Steps {
    lease: u64,
    step: AtomicU64,
}

impl Steps {
    pub(crate) fn new(lease: u64) -> Self {
        Self { lease, step: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> Pair {
        Pair { lease: self.lease, step: self.step.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

/// How long a mover asks a shard that does not answer.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    retry: Duration,
    until: Until,
}

#[derive(Debug, Clone)]
enum Until {
    /// It answers, or somebody wants the end of the move.
    Stopped(CancellationToken),
    /// It answers, however long that takes.
    Answered,
    /// So many questions were in vain.
    Tries(u32),
}

impl Patience {
    /// Before anything is decided: whoever wants the end of the move need not wait for a shard.
    pub(crate) const fn until_stopped(retry: Duration, stop: CancellationToken) -> Self {
        Self { retry, until: Until::Stopped(stop) }
    }

    /// For a step that must be taken.
    pub(crate) const fn endless(retry: Duration) -> Self {
        Self { retry, until: Until::Answered }
    }

    /// For a step that may be taken later.
    pub(crate) const fn of_tries(retry: Duration, tries: u32) -> Self {
        Self { retry, until: Until::Tries(tries) }
    }

    /// Repeats a request to a shard, the same each time, until it is answered. The answer, which may be a refusal.
    ///
    /// # Errors
    /// `Stopped` or `Silent` when there is none. The last request may still run.
    pub(crate) async fn answer<T, F: Future<Output = Result<T, ShardError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<Result<T, ShardError>, Trouble> {
        let mut said = false;
        let mut asked = 0;
        loop {
            let error = match ask().await {
                Err(error @ (ShardError::Unavailable(_) | ShardError::Busy)) => error,
                answer => return Ok(answer),
            };
            asked += 1;
            match &self.until {
                Until::Tries(most) if asked >= *most => {
                    return Err(Trouble::Silent(error.to_string()));
                }
                _ => {}
            }
            if let ShardError::Unavailable(why) = &error
                && !std::mem::replace(&mut said, true)
            {
                tracing::warn!(why, "a shard does not answer a mover; it is asked again");
            }
            let pause = tokio::time::sleep(self.retry);
            match &self.until {
                Until::Stopped(stop) => {
                    stop.run_until_cancelled(pause).await.ok_or(Trouble::Stopped)?;
                }
                _ => pause.await,
            }
        }
    }
}

/// What a refusal by a shard means for the move.
pub(crate) fn trouble(error: ShardError, pair: Pair, side: Side) -> Trouble {
    match error {
        ShardError::Unexpected(Some(state)) if state.pair > pair => {
            metrics::counter!("stale_steps_total").increment(1);
            Trouble::Superseded
        }
        ShardError::Restarted if side == Side::Source => Trouble::CaptureLost,
        ShardError::Restarted => Trouble::ImportLost,
        error => Trouble::Hopeless(format!(
            "the {} refuses: {error}",
            match side {
                Side::Source => "source",
                Side::Destination => "destination",
            }
        )),
    }
}

/// Repeats a question to the directory until it is answered.
pub(crate) async fn directory<T, F: Future<Output = Result<T, DirectoryError>>>(
    retry: Duration,
    ask: impl Fn() -> F,
) -> Result<T, Trouble> {
    let mut said = false;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(DirectoryError::Unavailable(why)) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(why, "the directory does not answer: moves wait");
                }
                metrics::counter!("move_directory_unavailable_total").increment(1);
            }
            Err(error) => return Err(Trouble::Hopeless(error.to_string())),
        }
        tokio::time::sleep(retry).await;
    }
}

/// Whether an answer about a step of a move is one: an answer that did not come is asked for again.
pub(crate) fn is_unanswered(error: &MoveLost) -> bool {
    matches!(error, MoveLost::Failed(DirectoryError::Unavailable(_)))
}
