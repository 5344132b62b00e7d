//! The coordinator: one in a cluster. It takes over what another left, begins what jobs ask for, and purges.
//!
//! Its state is in the directory; what is here is only who is at work. A task that dies is noticed and its move taken over.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use ostracon_domain::{Cover, MapChange, Millis, ShardId, UnitId};
use ostracon_store::{
    Directory,
    directory::{JobRow, JobState, MovePhase, MoveRefusal, MoveRow},
};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    call::{Trouble, directory},
    freeze_gate::FreezeGate,
    host::Host,
    mover::{Attempt, Ended, Surroundings},
    options::Options,
    purge::{Next, purge},
    reconcile::reconcile,
    throttle::Throttle,
};

/// Planned moves of a job that are looked at in one round.
const LOOK_AHEAD: usize = 256;
/// Jobs that are read at once.
const JOBS: u32 = 100;
/// Longest pause before a move is tried again that something stands in the way of.
const LATER_MAX: Duration = Duration::from_secs(10);
/// Rounds between two looks at leftovers when none becomes due soon.
const ROUNDS_A_PURGE: u32 = 10;
/// Pause before a shard that did not answer is compared with the map again: that reads the whole map, and all shards.
const SILENT: Duration = Duration::from_secs(1);
/// How long a stop waits for units that are frozen: longer than a freeze and its way back take.
const THAW_MAX: Duration = Duration::from_secs(2);

/// Drives the moves of a cluster, if it has the right to.
pub struct Coordinator {
    around: Surroundings,
    /// The number of this node: the same holder takes its right back at once after a restart.
    holder: u64,
    wake: Notify,
    /// Moves under way here. Locked for a few instructions only.
    running: Mutex<BTreeMap<u64, Running>>,
}

struct Running {
    job: u64,
    shards: BTreeSet<ShardId>,
    stop: CancellationToken,
    gate: Arc<FreezeGate>,
    task: Option<AbortHandle>,
}

/// What a round of the coordinator remembers until the next.
#[derive(Default)]
struct Memory {
    /// Planned moves of running jobs, in order.
    queues: BTreeMap<u64, VecDeque<MoveRow>>,
    /// Jobs that are not over; of all up to `known_to` none other is open.
    open: BTreeSet<u64>,
    known_to: u64,
    /// Moves that wait before they are tried again, and how long they waited last.
    later: BTreeMap<u64, (Instant, Duration)>,
    /// When the right to coordinate was renewed last.
    held_at: Option<Millis>,
    reconciled: bool,
    /// When shards are compared with the map again, after one did not answer.
    compare_at: Option<Instant>,
    rounds: u32,
    purging: bool,
}

/// What a task of the coordinator ended with.
enum Finished {
    Move(u64, Ended),
    Purge(Next),
}

impl Coordinator {
    /// A coordinator that has not begun.
    pub fn new(
        host: Arc<dyn Host>,
        directory: Arc<dyn Directory>,
        options: Options,
        holder: u64,
    ) -> Arc<Self> {
        let throttle = Arc::new(Throttle::new(options.rows_per_s));
        let around = Surroundings { host, directory, throttle, options };
        Arc::new(Self { around, holder, wake: Notify::new(), running: Mutex::default() })
    }

    /// Tells it that there is something new to do.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the moves of a job that are under way here; they go back, unless they are committed.
    pub fn stop_job(&self, job: u64) {
        for running in self.running.lock().values().filter(|running| running.job == job) {
            running.stop.cancel();
        }
        self.wake();
    }

    /// Kills the task of a move, as if it had died: for tests of what follows.
    pub fn kill(&self, id: u64) -> bool {
        let running = self.running.lock();
        let task = running.get(&id).and_then(|running| running.task.clone());
        task.inspect(AbortHandle::abort).is_some()
    }

    /// The moves that are under way here.
    pub fn moves_under_way(&self) -> Vec<u64> {
        self.running.lock().keys().copied().collect()
    }

    /// Runs until it is told to stop. What is frozen then is brought to where it serves, within a bound; apart from that,
    /// what is under way is left as it is: whoever starts next takes it over.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks: JoinSet<Finished> = JoinSet::new();
        let mut memory = Memory::default();
        let mut at_work: BTreeMap<tokio::task::Id, Option<u64>> = BTreeMap::new();
        let mut next = Instant::now();
        // What was said last: the same is not said again at every tick.
        let mut waits_for = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = tasks.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, _)) => *id,
                        Err(error) => error.id(),
                    };
                    let of = at_work.remove(&id).flatten();
                    self.ended(ended.ok().map(|(_, finished)| finished), of, &mut memory);
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
            next = Instant::now() + self.around.options.tick;
            let round = self.round(&mut memory, &mut tasks, &mut at_work);
            // A round waits as long as the directory does not answer; whoever wants an end does not.
            let Some(round) = stop.run_until_cancelled(round).await else { break };
            let trouble = round.err().map(|trouble| trouble.to_string());
            if let Some(trouble) = trouble.as_ref().filter(|_| trouble != waits_for) {
                tracing::warn!(trouble, "the coordinator waits");
            }
            waits_for = trouble;
        }
        self.thaw().await;
        tasks.shutdown().await;
        let given_back =
            self.around.directory.hold_coordinator(self.holder, self.around.host.now(), 0);
        drop(given_back.await);
    }

    /// Returns when no move has anything frozen, and none can freeze anything any more.
    async fn thaw(&self) {
        let gates: Vec<_> = {
            let running = self.running.lock();
            running.values().map(|running| Arc::clone(&running.gate)).collect()
        };
        gates.iter().for_each(|gate| gate.close());
        let all = async {
            for gate in &gates {
                gate.left().await;
            }
        };
        if tokio::time::timeout(THAW_MAX, all).await.is_err() {
            tracing::warn!("units stay frozen until a coordinator runs again");
        }
    }

    fn ended(&self, finished: Option<Finished>, of: Option<u64>, memory: &mut Memory) {
        match (finished, of) {
            (Some(Finished::Move(id, ended)), _) => {
                self.running.lock().remove(&id);
                if !matches!(ended, Ended::Later(_)) {
                    memory.later.remove(&id);
                }
                match ended {
                    Ended::Done => tracing::info!(id, "moved"),
                    Ended::Aborted(why) => tracing::warn!(id, why, "a move was given up"),
                    Ended::Superseded => tracing::warn!(id, "a move was taken over"),
                    Ended::Later(why) => {
                        tracing::error!(id, why, "a move waits");
                        let pause =
                            memory.later.get(&id).map_or(self.around.options.tick, |x| x.1 * 2);
                        let pause = pause.min(LATER_MAX);
                        memory.later.insert(id, (Instant::now() + pause, pause));
                    }
                }
            }
            (Some(Finished::Purge(next)), _) => {
                memory.purging = false;
                memory.rounds = match next {
                    Next::Soon => 0,
                    Next::Later => 1,
                };
            }
            (None, Some(id)) => {
                tracing::error!(id, "the task of a move died");
                self.running.lock().remove(&id);
            }
            (None, None) => memory.purging = false,
        }
    }

    /// One look at everything.
    async fn round(
        &self,
        memory: &mut Memory,
        tasks: &mut JoinSet<Finished>,
        at_work: &mut BTreeMap<tokio::task::Id, Option<u64>>,
    ) -> Result<(), Trouble> {
        let Surroundings { host, directory: known, options, .. } = &self.around;
        // Renewed when a quarter of it has passed, and when the clock was set back: each time is a write.
        let now = host.now();
        let passed = memory.held_at.map_or(i64::MAX, |at| now - at);
        if !(0..i64::from(options.lease_ms) / 4).contains(&passed) {
            let held = known.hold_coordinator(self.holder, now, options.lease_ms).await;
            if !held.map_err(|error| Trouble::Hopeless(error.to_string()))? {
                // Another one drives now; what is under way here would only find itself stale.
                tasks.abort_all();
                *memory = Memory::default();
                return Ok(());
            }
            memory.held_at = Some(now);
        }
        let due = memory.compare_at.is_none_or(|at| at <= Instant::now());
        if !memory.reconciled && due {
            memory.reconciled = reconcile(&self.around).await?;
            memory.compare_at = Some(Instant::now() + SILENT);
        }
        let unfinished = directory(options.retry, || known.unfinished_moves()).await?;
        for row in &unfinished {
            let waits = memory.later.get(&row.id).is_some_and(|(until, _)| *until > Instant::now());
            if !waits && !self.running.lock().contains_key(&row.id) {
                self.take_over(row, tasks, at_work).await;
            }
        }
        self.begin_moves(memory, &unfinished, tasks, at_work).await?;
        if memory.rounds.is_multiple_of(ROUNDS_A_PURGE) && !memory.purging {
            memory.purging = true;
            let around = self.around.clone();
            let task = tasks.spawn(async move { Finished::Purge(purge(&around).await) });
            at_work.insert(task.id(), None);
        }
        memory.rounds = memory.rounds.wrapping_add(1);
        Ok(())
    }

    async fn take_over(
        &self,
        row: &MoveRow,
        tasks: &mut JoinSet<Finished>,
        at_work: &mut BTreeMap<tokio::task::Id, Option<u64>>,
    ) {
        match self.around.directory.take_over_move(row.id, self.around.host.now()).await {
            Ok(row) => self.spawn(row, true, tasks, at_work),
            Err(error) => tracing::warn!(id = row.id, %error, "not taken over"),
        }
    }

    /// `taken_over`: whoever drove it before may have left units frozen.
    fn spawn(
        &self,
        row: MoveRow,
        taken_over: bool,
        tasks: &mut JoinSet<Finished>,
        at_work: &mut BTreeMap<tokio::task::Id, Option<u64>>,
    ) {
        let id = row.id;
        let stop = CancellationToken::new();
        let shards = BTreeSet::from([row.source, row.destination]);
        let gate = Arc::new(FreezeGate::new(taken_over));
        let running = Running {
            job: row.job,
            shards,
            stop: stop.clone(),
            gate: Arc::clone(&gate),
            task: None,
        };
        self.running.lock().insert(id, running);
        let around = self.around.clone();
        let task = tasks.spawn(async move {
            let ended = match Attempt::new(around, row, stop, Arc::clone(&gate)).await {
                Ok(mut attempt) => attempt.drive().await,
                Err(why) => Ended::Later(why.to_string()),
            };
            gate.leave();
            Finished::Move(id, ended)
        });
        at_work.insert(task.id(), Some(id));
        if let Some(running) = self.running.lock().get_mut(&id) {
            running.task = Some(task);
        }
    }

    /// Begins moves of running jobs: in order where they share a unit, otherwise as shards are free.
    async fn begin_moves(
        &self,
        memory: &mut Memory,
        unfinished: &[MoveRow],
        tasks: &mut JoinSet<Finished>,
        at_work: &mut BTreeMap<tokio::task::Id, Option<u64>>,
    ) -> Result<(), Trouble> {
        let Surroundings { directory: known, options, .. } = &self.around;
        let open = self.open_jobs(memory).await?;
        memory.queues.retain(|id, _| open.contains_key(id));
        self.stop_given_up(unfinished, &open).await?;
        for job in open.values() {
            if job.state != JobState::Running {
                memory.queues.remove(&job.id);
                continue;
            }
            let queue = match memory.queues.entry(job.id) {
                Entry::Occupied(queue) => queue.into_mut(),
                Entry::Vacant(unknown) => {
                    let moves = directory(options.retry, || known.moves_of(job.id)).await?;
                    let planned = moves.into_iter().filter(|row| row.phase == MovePhase::Planned);
                    unknown.insert(planned.collect())
                }
            };
            let under_way = unfinished.iter().any(|row| row.job == job.id)
                || self.running.lock().values().any(|running| running.job == job.id);
            if queue.is_empty() && !under_way {
                self.close_job(job).await?;
                continue;
            }
            if let Some(why) = self.begin_some(queue, unfinished, tasks, at_work).await? {
                tracing::error!(job = job.id, why, "a job cannot go on");
                self.set_job(job, JobState::Failed, Some(why)).await?;
            }
        }
        Ok(())
    }

    /// The jobs that are not over, as they are now. A job may be older than any number of finished ones.
    async fn open_jobs(&self, memory: &mut Memory) -> Result<BTreeMap<u64, JobRow>, Trouble> {
        let Surroundings { directory: known, options, .. } = &self.around;
        let mut open = BTreeMap::new();
        let (mut after, mut newest, mut older) = (None, memory.known_to, memory.open.clone());
        loop {
            let page = directory(options.retry, || known.jobs(after, JOBS)).await?;
            newest = newest.max(page.first().map_or(0, |job| job.id));
            after = page.last().map(|job| job.id);
            let full = page.len() >= JOBS as usize;
            for job in page {
                older.remove(&job.id);
                if !job.state.is_over() {
                    open.insert(job.id, job);
                }
            }
            if !full || after.is_none_or(|id| id <= memory.known_to) {
                break;
            }
        }
        for id in older {
            let job = directory(options.retry, || known.job(id)).await?;
            open.extend(job.filter(|job| !job.state.is_over()).map(|job| (id, job)));
        }
        memory.open = open.keys().copied().collect();
        memory.known_to = newest;
        Ok(open)
    }

    /// Whoever gave a job up may have told another node, or one that has died since.
    async fn stop_given_up(
        &self,
        unfinished: &[MoveRow],
        open: &BTreeMap<u64, JobRow>,
    ) -> Result<(), Trouble> {
        let Surroundings { directory: known, options, .. } = &self.around;
        let over = unfinished.iter().map(|row| row.job).filter(|id| !open.contains_key(id));
        for id in over.collect::<BTreeSet<u64>>() {
            let job = directory(options.retry, || known.job(id)).await?;
            if job.is_some_and(|job| job.state == JobState::Aborted) {
                for running in self.running.lock().values().filter(|running| running.job == id) {
                    running.stop.cancel();
                }
            }
        }
        Ok(())
    }

    /// Why the job cannot go on, if so.
    async fn begin_some(
        &self,
        queue: &mut VecDeque<MoveRow>,
        unfinished: &[MoveRow],
        tasks: &mut JoinSet<Finished>,
        at_work: &mut BTreeMap<tokio::task::Id, Option<u64>>,
    ) -> Result<Option<String>, Trouble> {
        let mut blocked: BTreeSet<UnitId> = unfinished.iter().flat_map(MoveRow::units).collect();
        let mut at = 0;
        while at < queue.len().min(LOOK_AHEAD) {
            let (busy, count): (BTreeSet<ShardId>, usize) = {
                let running = self.running.lock();
                let shards = running.values().flat_map(|running| running.shards.clone());
                (shards.collect(), running.len())
            };
            if count >= self.around.options.moves_max {
                return Ok(None);
            }
            let Some(row) = queue.get(at) else { return Ok(None) };
            let units = row.units();
            let free = !busy.contains(&row.source)
                && !busy.contains(&row.destination)
                && units.iter().all(|unit| !blocked.contains(unit));
            blocked.extend(units);
            if !free {
                at += 1;
                continue;
            }
            match self.around.directory.begin_move(row.id, self.around.host.now()).await {
                Ok(row) => {
                    queue.remove(at);
                    self.spawn(row, false, tasks, at_work);
                }
                Err(MoveRefusal::NotPlanned { .. }) => {
                    queue.remove(at);
                }
                // Time will tell.
                Err(
                    MoveRefusal::Busy { .. } | MoveRefusal::Garbage { .. } | MoveRefusal::Failed(_),
                ) => {
                    at += 1;
                }
                Err(refusal) => return Ok(Some(refusal.to_string())),
            }
        }
        Ok(None)
    }

    /// All moves of the job are over.
    async fn close_job(&self, job: &JobRow) -> Result<(), Trouble> {
        let known = &self.around.directory;
        let moves = directory(self.around.options.retry, || known.moves_of(job.id)).await?;
        // Another coordinator may have begun one since this one looked.
        if moves.iter().any(|row| row.phase == MovePhase::Planned || row.phase.is_active()) {
            return Ok(());
        }
        let given_up: Vec<&MoveRow> =
            moves.iter().filter(|row| row.phase == MovePhase::Aborted).collect();
        let Some(first) = given_up.first() else {
            self.forget_users(&moves).await;
            return self.set_job(job, JobState::Done, None).await;
        };
        let why = first.error.as_deref().unwrap_or("given up");
        let why = format!("{} of {} moves were given up: {why}", given_up.len(), moves.len());
        self.set_job(job, JobState::Failed, Some(why)).await
    }

    /// Users of whom these moves have brought everything home are hot no longer.
    async fn forget_users(&self, moves: &[MoveRow]) {
        let merged = moves.iter().filter_map(|row| match &row.change {
            MapChange::Merge { cover: Cover::User { user, .. }, .. } => Some(*user),
            _ => None,
        });
        for user in merged.collect::<BTreeSet<_>>() {
            // One that still holds something is refused, and stays.
            let forget = MapChange::ForgetUser { user };
            if let Err(error) = self.around.directory.change_overrides(&forget).await {
                tracing::info!(%error, user = user.get(), "an override stays");
            }
        }
    }

    async fn set_job(
        &self,
        job: &JobRow,
        to: JobState,
        error: Option<String>,
    ) -> Result<(), Trouble> {
        let Surroundings { host, directory: known, options, .. } = &self.around;
        let set = || known.set_job(job.id, &[JobState::Running], to, error.clone(), host.now());
        directory(options.retry, set).await.map(drop)
    }
}
