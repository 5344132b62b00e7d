//! One shard's committer: makes batches of what waits and commits them, one at a time.
//!
//! Batches are formed by what waits while the one before is being synced, never by a timer: a lone message goes at once.

use std::sync::Arc;

use ostracon_domain::{Command, ConversationId, Outcome, Refusal, Row, UnitAt};
use ostracon_store::{Answer, Batch, Commit, Order, Position, Shard, ShardError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::Core,
    error::EngineError,
    event::Told,
    limits::{Bounds, LISTS_PER_BATCH},
    reply::Reply,
    router::Ticket,
};

/// A command on its way to a commit.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) order: Order,
    pub(crate) reply: Reply,
    /// Who learns of its marks.
    pub(crate) told: Told,
    /// Its place in the order of its slot; a lane's job has none.
    pub(crate) ticket: Option<Ticket>,
}

/// What is left of a job once its order is in a batch.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) at: UnitAt,
    /// The conversation it is about, if it is about one.
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) reply: Reply,
    pub(crate) told: Told,
    pub(crate) ticket: Option<Ticket>,
}

/// What a shard decided about a command that it serves.
#[derive(Debug)]
pub(crate) enum Decided {
    Done { outcome: Outcome, rows: Vec<Row> },
    Refused(Refusal),
}

/// A durable batch on its way to the dispatcher.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) position: Position,
    pub(crate) items: Vec<(Asker, Decided)>,
    /// The store stopped half-way: what came behind these may be durable too.
    pub(crate) more_may_be: bool,
}

/// What a committer hands to its dispatcher, in this order.
#[derive(Debug)]
pub(crate) enum Handed {
    Batch(Committed),
    /// A commit got no answer: it may have been carried out.
    Unknown,
    /// Everything committed before this was asked for has been handed over.
    Barrier(oneshot::Sender<()>),
}

/// A job that is not in a committer's queue.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The queue is full.
    Full(Job),
    /// It has no way to its shard.
    Never(Job, EngineError),
}

/// The way into a committer.
#[derive(Debug, Clone)]
pub(crate) struct CommitterQueue {
    commands: mpsc::Sender<Job>,
    inbox: mpsc::Sender<Job>,
    barriers: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

impl CommitterQueue {
    /// Queues a command, if there is room.
    pub(crate) fn send(&self, job: Job) -> Result<(), Box<Unsent>> {
        self.commands.try_send(job).map_err(|error| {
            Box::new(match error {
                mpsc::error::TrySendError::Full(job) => Unsent::Full(job),
                mpsc::error::TrySendError::Closed(job) => {
                    Unsent::Never(job, EngineError::Unavailable)
                }
            })
        })
    }

    /// Queues a command on a user's own rows; waits for room. Not for dispatchers.
    pub(crate) async fn send_inbox(&self, job: Job) -> Result<(), EngineError> {
        self.inbox.send(job).await.map_err(|_| EngineError::Unavailable)
    }

    /// Returns when the dispatcher has handed over everything that was committed before this call; `Unavailable` also when
    /// it cannot find out whether that is all.
    pub(crate) async fn barrier(&self) -> Result<(), EngineError> {
        let (passed, waiting) = oneshot::channel();
        self.barriers.send(passed).map_err(|_| EngineError::Unavailable)?;
        waiting.await.map_err(|_| EngineError::Unavailable)
    }
}

/// A committer before it runs.
pub(crate) struct Committer {
    shard: Arc<dyn Shard>,
    commands: mpsc::Receiver<Job>,
    inbox: mpsc::Receiver<Job>,
    barriers: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    dispatcher: mpsc::Sender<Handed>,
    batch: usize,
}

/// What a committer does next.
enum Next {
    /// Commits what it took from its queues.
    Commit,
    Barrier(oneshot::Sender<()>),
    End,
}

/// A committer, the way into it, and the way out of it.
pub(crate) fn committer(
    shard: Arc<dyn Shard>,
    bounds: &Bounds,
) -> (Committer, CommitterQueue, mpsc::Receiver<Handed>) {
    let batch = bounds.batch.max(1);
    let (commands_in, commands) = mpsc::channel(bounds.committer_queue.max(1));
    let (inbox_in, inbox) = mpsc::channel(batch);
    let (barriers_in, barriers) = mpsc::unbounded_channel();
    let (dispatcher, committed) = mpsc::channel(bounds.dispatch_queue.max(1));
    let queue = CommitterQueue { commands: commands_in, inbox: inbox_in, barriers: barriers_in };
    (Committer { shard, commands, inbox, barriers, dispatcher, batch }, queue, committed)
}

impl Committer {
    /// Runs until it is told to stop and nothing waits any more.
    pub(crate) async fn run(mut self, core: Arc<Core>, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(self.batch);
        let sizes =
            metrics::histogram!("commit_batch_commands", "shard" => self.shard.id().to_string());
        let commits = metrics::histogram!("commit_seconds", "shard" => self.shard.id().to_string());
        loop {
            match self.next(&core, &stop, &mut jobs).await {
                Next::Commit => {}
                Next::Barrier(barrier) => {
                    // Nobody is left to hear of it if this fails.
                    drop(self.dispatcher.send(Handed::Barrier(barrier)).await);
                    continue;
                }
                Next::End => return,
            }
            // Room for what follows a commit comes before the commit.
            let Ok(room) = self.dispatcher.reserve().await else {
                return fail(&core, jobs.drain(..).map(asker), &EngineError::Unavailable);
            };
            let now = core.clock.now();
            if let Err(error) = core.ids.ready(now).await {
                fail(&core, jobs.drain(..).map(asker), &error.into());
                continue;
            }
            sizes.record(jobs.len() as f64);
            let (orders, askers): (Vec<Order>, Vec<Asker>) = jobs.drain(..).map(split).unzip();
            let orders = Arc::new(orders);
            let batch = Batch { now, limits: core.limits, orders: Arc::clone(&orders) };
            let begun = std::time::Instant::now();
            match self.shard.commit(batch).await {
                Ok(commit) => {
                    commits.record(begun.elapsed());
                    settle(&core, room, &orders, askers, commit);
                }
                Err(error) => {
                    if error != ShardError::Busy {
                        room.send(Handed::Unknown);
                    }
                    fail(&core, askers.into_iter(), &error.into());
                }
            }
        }
    }

    /// Takes what waits: at least one command, or a barrier. It ends when the engine stops and nothing is left.
    async fn next(&mut self, core: &Core, stop: &CancellationToken, jobs: &mut Vec<Job>) -> Next {
        jobs.clear();
        while jobs.is_empty() {
            let stopping = stop.is_cancelled();
            if stopping {
                // What is queued is still committed; nothing more comes in.
                self.commands.close();
                self.inbox.close();
                self.barriers.close();
            }
            let first = tokio::select! {
                biased;
                Some(barrier) = self.barriers.recv() => return Next::Barrier(barrier),
                Some(job) = self.commands.recv() => job,
                Some(job) = self.inbox.recv() => job,
                () = stop.cancelled(), if !stopping => continue,
                else => return Next::End,
            };
            jobs.extend(core.router.admit(core, first));
        }
        fill(core, jobs, self.batch - self.batch / 4, &mut self.commands);
        // Lists of users get their share of every batch: a flood of commands must not hold them up. They come many at
        // once, and a change of a list may be of many entries: no more than a share, or commands would wait for them.
        let lists = LISTS_PER_BATCH + jobs.len() / 4;
        fill(core, jobs, self.batch.min(jobs.len() + lists), &mut self.inbox);
        Next::Commit
    }
}

fn fill(core: &Core, jobs: &mut Vec<Job>, up_to: usize, from: &mut mpsc::Receiver<Job>) {
    while jobs.len() < up_to
        && let Ok(job) = from.try_recv()
    {
        jobs.extend(core.router.admit(core, job));
    }
}

/// Gives what is durable to the dispatcher, and what is fenced to the router.
fn settle(
    core: &Core,
    room: mpsc::Permit<'_, Handed>,
    orders: &[Order],
    mut askers: Vec<Asker>,
    commit: Commit,
) {
    let Commit { position, answers } = commit;
    // A store may stop half-way; what is durable by then goes its way.
    let unknown = askers.split_off(answers.len().min(askers.len()));
    let mut items = Vec::with_capacity(askers.len());
    let mut fenced = Vec::new();
    let mut tickets = Vec::with_capacity(askers.len());
    for ((asker, answer), order) in askers.into_iter().zip(answers).zip(orders) {
        let decided = match answer {
            Answer::Done { outcome, rows } => Decided::Done { outcome, rows },
            Answer::Refused(refusal) => Decided::Refused(refusal),
            Answer::Fenced(_) => {
                fenced.push((order, asker));
                continue;
            }
        };
        tickets.extend(asker.ticket);
        items.push((asker, decided));
    }
    let more_may_be = !unknown.is_empty();
    room.send(Handed::Batch(Committed { position, items, more_may_be }));
    for (order, asker) in fenced {
        core.router.fenced(core, order.clone(), asker);
    }
    for ticket in tickets {
        core.router.answered(core, ticket);
    }
    fail(core, unknown.into_iter(), &EngineError::Unavailable);
}

fn split(Job { order, reply, told, ticket }: Job) -> (Order, Asker) {
    let conversation = match &order.command {
        Command::Conversation(command) => Some(command.conversation),
        Command::Inbox(_) => None,
    };
    let asker = Asker { at: order.at, conversation, reply, told, ticket };
    (order, asker)
}

fn asker(job: Job) -> Asker {
    split(job).1
}

fn fail(core: &Core, askers: impl Iterator<Item = Asker>, error: &EngineError) {
    for Asker { reply, ticket, .. } in askers {
        reply.fail(error.clone());
        if let Some(ticket) = ticket {
            core.router.answered(core, ticket);
        }
    }
}
