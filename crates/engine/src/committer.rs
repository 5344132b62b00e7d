//! One shard's committer: makes batches of what waits and commits them, one at a time.
//!
//! Batches are formed by what waits while the one before is being synced, never by a timer: a lone message goes at once.

use std::sync::Arc;

use ostracon_domain::{Command, ConversationId, UnitAt};
use ostracon_store::{Answer, Batch, Order, Position, Shard};
use tokio::sync::mpsc;

use crate::{engine::Core, error::EngineError, limits::Bounds, reply::Reply};

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
    /// The conversation it is about, if it is about one.
    pub(crate) conversation: Option<ConversationId>,
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
    batch: usize,
}

/// A committer, the way into it, and the way out of it.
pub(crate) fn committer(
    shard: Arc<dyn Shard>,
    bounds: &Bounds,
) -> (Committer, CommitterQueue, mpsc::Receiver<Committed>) {
    let batch = bounds.batch.max(1);
    let (commands_in, commands) = mpsc::channel(bounds.committer_queue.max(1));
    let (inbox_in, inbox) = mpsc::channel(batch);
    let (dispatcher, committed) = mpsc::channel(bounds.dispatch_queue.max(1));
    let queue = CommitterQueue { commands: commands_in, inbox: inbox_in };
    (Committer { shard, commands, inbox, dispatcher, batch }, queue, committed)
}

impl Committer {
    /// Runs until it is told to stop and nothing waits any more.
    pub(crate) async fn run(mut self, core: Arc<Core>) {
        let mut jobs = Vec::with_capacity(self.batch);
        let sizes =
            metrics::histogram!("commit_batch_commands", "shard" => self.shard.id().to_string());
        let commits = metrics::histogram!("commit_seconds", "shard" => self.shard.id().to_string());
        while self.collect(&core, &mut jobs).await {
            // Room for what follows a commit comes before the commit.
            let Ok(room) = self.dispatcher.reserve().await else {
                return fail(jobs.drain(..).map(|job| job.reply), &EngineError::Unavailable);
            };
            let now = core.clock.now();
            if let Err(error) = core.ids.ready(now).await {
                fail(jobs.drain(..).map(|job| job.reply), &error.into());
                continue;
            }
            sizes.record(jobs.len() as f64);
            let (orders, mut askers): (Vec<Order>, Vec<Asker>) = jobs.drain(..).map(split).unzip();
            let batch = Batch { now, limits: core.limits, orders };
            let begun = std::time::Instant::now();
            match self.shard.commit(batch).await {
                Ok(commit) => {
                    commits.record(begun.elapsed());
                    // A store may stop half-way; what is durable by then goes its way.
                    let unknown = askers.split_off(commit.answers.len().min(askers.len()));
                    let items = askers.into_iter().zip(commit.answers).collect();
                    room.send(Committed { position: commit.position, items });
                    fail(unknown.into_iter().map(|asker| asker.reply), &EngineError::Unavailable);
                }
                Err(error) => fail(askers.into_iter().map(|asker| asker.reply), &error.into()),
            }
        }
    }

    /// Takes what waits, at least one command; `false` when the engine stops and nothing is left.
    async fn collect(&mut self, core: &Core, jobs: &mut Vec<Job>) -> bool {
        jobs.clear();
        let first = loop {
            let stopping = core.stop_committers.is_cancelled();
            if stopping {
                // What is queued is still committed; nothing more comes in.
                self.commands.close();
                self.inbox.close();
            }
            tokio::select! {
                biased;
                Some(job) = self.commands.recv() => break job,
                Some(job) = self.inbox.recv() => break job,
                () = core.stop_committers.cancelled(), if !stopping => {}
                else => return false,
            }
        };
        jobs.push(first);
        // Lists of users get their share of every batch: a flood of commands must not hold them up.
        fill(jobs, 1 + self.batch / 4, &mut self.inbox);
        fill(jobs, self.batch, &mut self.commands);
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

fn split(Job { order, reply, private }: Job) -> (Order, Asker) {
    let conversation = match &order.command {
        Command::Conversation(command) => Some(command.conversation),
        Command::Inbox(_) => None,
    };
    let asker = Asker { at: order.at, conversation, reply, private };
    (order, asker)
}

fn fail(replies: impl Iterator<Item = Reply>, error: &EngineError) {
    for reply in replies {
        reply.fail(error.clone());
    }
}
