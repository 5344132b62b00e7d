//! One shard's committer: makes batches of what waits and commits them, one at a time.
//!
//! Batches are formed by what waits while the one before is being synced, never by a timer: a lone message goes at once.

use std::sync::Arc;

use ostracon_domain::UnitAt;
use ostracon_store::{Answer, Batch, Order, Position, Shard};
use tokio::sync::mpsc;

use crate::{
    engine::Core,
    error::EngineError,
    limits::{BATCH_MAX, COMMITTER_QUEUE, DISPATCH_QUEUE},
    reply::Reply,
};

/// A command on its way to a commit.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) order: Order,
    pub(crate) reply: Reply,
    /// Its marks are nobody else's business.
    pub(crate) private: bool,
}

/// What is left of a job once its order is in a batch.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) at: UnitAt,
    pub(crate) reply: Reply,
    pub(crate) private: bool,
}

/// A durable batch on its way to the dispatcher.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) position: Position,
    pub(crate) items: Vec<(Asker, Answer)>,
}

/// The way into a committer.
#[derive(Debug, Clone)]
pub(crate) struct CommitterQueue {
    commands: mpsc::Sender<Job>,
    inbox: mpsc::Sender<Job>,
}

impl CommitterQueue {
    /// Queues a command; answers `Busy` when the queue is full: nothing is written then.
    pub(crate) fn send(&self, job: Job) {
        match self.commands.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(job)) => {
                metrics::counter!("commands_refused_busy_total").increment(1);
                job.reply.fail(EngineError::Busy);
            }
            Err(mpsc::error::TrySendError::Closed(job)) => job.reply.fail(EngineError::Unavailable),
        }
    }

    /// Queues a command on a user's own rows; waits for room. Not for dispatchers.
    pub(crate) async fn send_inbox(&self, job: Job) -> Result<(), EngineError> {
        self.inbox.send(job).await.map_err(|_| EngineError::Unavailable)
    }
}

/// A committer before it runs.
pub(crate) struct Committer {
    shard: Arc<dyn Shard>,
    commands: mpsc::Receiver<Job>,
    inbox: mpsc::Receiver<Job>,
    dispatcher: mpsc::Sender<Committed>,
}

/// A committer, the way into it, and the way out of it.
pub(crate) fn committer(
    shard: Arc<dyn Shard>,
) -> (Committer, CommitterQueue, mpsc::Receiver<Committed>) {
    let (commands_in, commands) = mpsc::channel(COMMITTER_QUEUE);
    let (inbox_in, inbox) = mpsc::channel(BATCH_MAX);
    let (dispatcher, committed) = mpsc::channel(DISPATCH_QUEUE);
    let queue = CommitterQueue { commands: commands_in, inbox: inbox_in };
    (Committer { shard, commands, inbox, dispatcher }, queue, committed)
}

impl Committer {
    /// Runs until it is told to stop and nothing waits any more.
    pub(crate) async fn run(mut self, core: Arc<Core>) {
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        let sizes =
            metrics::histogram!("commit_batch_commands", "shard" => self.shard.id().to_string());
        let commits = metrics::histogram!("commit_seconds", "shard" => self.shard.id().to_string());
        while self.collect(&core, &mut jobs).await {
            // Room for what follows a commit comes before the commit.
            let Ok(room) = self.dispatcher.reserve().await else {
                return;
            };
            let now = core.clock.now();
            if let Err(error) = core.ids.ready(now).await {
                fail(jobs.drain(..).map(|job| job.reply), &error.into());
                continue;
            }
            sizes.record(jobs.len() as f64);
            let (orders, askers): (Vec<Order>, Vec<Asker>) = jobs.drain(..).map(split).unzip();
            let batch = Batch { now, limits: core.limits, orders };
            let begun = std::time::Instant::now();
            match self.shard.commit(batch).await {
                Ok(commit) => {
                    commits.record(begun.elapsed());
                    let items = askers.into_iter().zip(commit.answers).collect();
                    room.send(Committed { position: commit.position, items });
                }
                Err(error) => fail(askers.into_iter().map(|asker| asker.reply), &error.into()),
            }
        }
    }

    /// Takes what waits, at least one command; `false` when the engine stops and nothing is left.
    async fn collect(&mut self, core: &Core, jobs: &mut Vec<Job>) -> bool {
        jobs.clear();
        let first = tokio::select! {
            biased;
            job = self.commands.recv() => job,
            job = self.inbox.recv() => job,
            () = core.stop_committers.cancelled() => {
                // What is queued is still committed; nothing more comes in.
                self.commands.close();
                self.inbox.close();
                self.commands.try_recv().or_else(|_| self.inbox.try_recv()).ok()
            }
        };
        let Some(first) = first else { return false };
        jobs.push(first);
        // Lists of users get their share of every batch: a flood of commands must not hold them up.
        let share = jobs.len() + BATCH_MAX / 4;
        fill(jobs, share, &mut self.inbox);
        fill(jobs, BATCH_MAX, &mut self.commands);
        true
    }
}

fn fill(jobs: &mut Vec<Job>, up_to: usize, from: &mut mpsc::Receiver<Job>) {
    while jobs.len() < up_to
        && let Ok(job) = from.try_recv()
    {
        jobs.push(job);
    }
}

fn split(job: Job) -> (Order, Asker) {
    let asker = Asker { at: job.order.at, reply: job.reply, private: job.private };
    (job.order, asker)
}

fn fail(replies: impl Iterator<Item = Reply>, error: &EngineError) {
    for reply in replies {
        reply.fail(error.clone());
    }
}
