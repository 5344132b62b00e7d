//! An operator without patience: moves, returns, isolates, spreads hot users, drains, pauses, gives up, takes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ostracon_domain::{Cover, MapChange, PlacementMap, ShardId, UnitId};
use ostracon_reshard::{
    Coordinator,
    plan::{self, Plan, Sizes},
};
use ostracon_store::{
    Cluster, Moves,
    directory::{JobRow, JobState, MovePhase, NewJob, NewMove, ShardAdmission},
};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{ground::Ground, node::START, people::People};

/// Jobs that are open at once.
const OPEN: usize = 3;
/// Virtual time after which the operator stops: in bad weather little gets done.
const LONGEST: Duration = Duration::from_secs(200);
/// Finished jobs that may be taken back.
const REMEMBERED: usize = 8;

/// Why a move may end without having been done: somebody wants it, or everything is too slow.
const EXCUSES: [&str; 2] = ["given up by request", "freezes did not end within"];

/// Where a coordinator stands while it lives.
pub(crate) type Seat = Mutex<Option<Arc<Coordinator>>>;

/// What became of moves and jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Moves that are done, by kind.
    pub done: u64,
    /// Carves and merges among them.
    pub relabelled: u64,
    /// Moves that were given up.
    pub aborted: u64,
    /// Attempts beyond the first freeze.
    pub freezes: u64,
    /// Jobs that ended, by state.
    pub jobs: BTreeMap<&'static str, u64>,
    /// Why moves were given up, in short.
    pub reasons: BTreeMap<String, u64>,
}

pub(crate) struct Operator {
    pub(crate) ground: Arc<Ground>,
    pub(crate) seats: Vec<Arc<Seat>>,
    pub(crate) open: BTreeSet<u64>,
    pub(crate) over: Vec<u64>,
    pub(crate) tally: Tally,
    /// Mostly isolates and brings home, and gives up often.
    pub(crate) carves: bool,
}

impl Operator {
    /// Works until so many moves are over, or it has taken long.
    pub(crate) async fn work(&mut self, moves: u64) -> Result<(), String> {
        let began = Instant::now();
        while self.tally.done + self.tally.aborted < moves && began.elapsed() < LONGEST {
            sleep(Duration::from_millis(self.ground.random.between(10, 200))).await;
            self.look().await?;
            if self.open.len() < OPEN
                && let Some(plan) = self.plan().await?
            {
                self.begin(plan).await?;
            }
            if self.ground.random.percent(if self.carves { 16 } else { 8 }) {
                self.interfere().await?;
            }
        }
        Ok(())
    }

    /// Lets the paused ones go on.
    pub(crate) async fn resume_all(&mut self) -> Result<(), String> {
        for id in self.open.clone() {
            self.set(id, &[JobState::Paused, JobState::Planned], JobState::Running).await?;
        }
        for shard in self.ground.shards.keys() {
            let to = ShardAdmission::Accepting;
            self.ground.directory.set_admission(*shard, to).await.map_err(text)?;
        }
        Ok(())
    }

    /// Counts what has ended.
    pub(crate) async fn look(&mut self) -> Result<(), String> {
        for id in self.open.clone() {
            let job = self.ground.directory.job(id).await.map_err(text)?;
            let Some(job) = job.filter(|job| job.state.is_over()) else { continue };
            let moves = self.ground.directory.moves_of(id).await.map_err(text)?;
            if moves.iter().any(|row| row.phase.is_active()) {
                if job.state == JobState::Done {
                    return Err(format!("job {id} is done, and its moves are not: {moves:?}"));
                }
                continue;
            }
            self.open.remove(&id);
            *self.tally.jobs.entry(job.state.as_str()).or_default() += 1;
            for row in moves {
                let relabels = !matches!(row.change, MapChange::Move { .. });
                match row.phase {
                    MovePhase::Done => {
                        self.tally.done += 1;
                        self.tally.relabelled += u64::from(relabels);
                    }
                    MovePhase::Aborted => {
                        self.tally.aborted += 1;
                        let why = row.error.clone().unwrap_or_default();
                        let why: String =
                            why.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
                        // Rows differ, or are where nobody put them: then something is wrong.
                        if !EXCUSES.iter().any(|excuse| why.contains(excuse)) && !why.is_empty() {
                            return Err(format!("move {} was given up: {:?}", row.id, row.error));
                        }
                        *self.tally.reasons.entry(why).or_default() += 1;
                    }
                    _ => {}
                }
                self.tally.freezes += row.freeze;
            }
            self.over.push(id);
            if self.over.len() > REMEMBERED {
                self.over.remove(0);
            }
        }
        Ok(())
    }

    async fn begin(&mut self, plan: Plan) -> Result<(), String> {
        let directory = &self.ground.directory;
        if let Some(change) = &plan.before {
            // Refused when the map has changed meanwhile: then another time.
            if let Err(why) = directory.change_overrides(change).await {
                self.ground.journal.note(format_args!("operator: refused: {why}"));
                return Ok(());
            }
            self.learn().await?;
        }
        if plan.moves.is_empty() {
            return Ok(());
        }
        let new = NewJob {
            title: "a job".to_owned(),
            request: "{}".to_owned(),
            by: "the operator".to_owned(),
            moves: plan.moves,
        };
        let changes: Vec<&MapChange> = new.moves.iter().map(|new| &new.change).collect();
        self.ground.journal.note(format_args!("operator: {changes:?}"));
        let job = directory.plan_job(new, START).await.map_err(text)?;
        self.open.insert(job.id);
        self.set(job.id, &[JobState::Planned], JobState::Running).await?;
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        for seat in &self.seats {
            if let Some(coordinator) = &*seat.lock() {
                coordinator.wake();
            }
        }
    }

    async fn learn(&self) -> Result<(), String> {
        let map = self.ground.directory.map().await.map_err(text)?;
        self.ground.set_map(map);
        Ok(())
    }

    async fn set(
        &self,
        id: u64,
        from: &[JobState],
        to: JobState,
    ) -> Result<Option<JobRow>, String> {
        self.ground.directory.set_job(id, from, to, None, START).await.map_err(text)
    }

    /// Pauses, resumes and gives up; drains begin and end.
    async fn interfere(&mut self) -> Result<(), String> {
        let random = &self.ground.random;
        let open: Vec<u64> = self.open.iter().copied().collect();
        let Some(job) = random.pick(&open).copied() else { return Ok(()) };
        match random.below(10) {
            0..4 => {
                self.set(job, &[JobState::Running], JobState::Paused).await?;
            }
            4..9 => {
                for job in open {
                    self.set(job, &[JobState::Paused], JobState::Running).await?;
                }
                self.wake();
            }
            _ => {
                let from = [JobState::Running, JobState::Paused];
                if self.set(job, &from, JobState::Aborted).await?.is_some() {
                    self.ground.journal.note(format_args!("operator: job {job} is given up"));
                    // Whoever drives it need not be the one that is told.
                    if let Some(seat) = random.pick(&self.seats)
                        && let Some(coordinator) = &*seat.lock()
                    {
                        coordinator.stop_job(job);
                    }
                }
            }
        }
        Ok(())
    }

    async fn plan(&mut self) -> Result<Option<Plan>, String> {
        let ground = Arc::clone(&self.ground);
        let random = &ground.random;
        let map = ground.map();
        let shards: Vec<ShardId> = ground.shards.keys().copied().collect();
        let to = random.pick(&shards).copied().unwrap_or(ShardId(0));
        let people = People::some();
        let carved = map.overrides().count() + map.user_overrides().count();
        let low = if self.carves { 50 } else { 0 };
        Ok(match random.between(low, 99) {
            0..45 => Some(self.some_units(&map, to)),
            45..58 => there_and_back(&map, &self.units(&map), to),
            58..72 if carved < 6 => {
                let Some((id, _)) = random.pick(&people.talks) else { return Ok(None) };
                let child = ground.directory.reserve_units(1).await.map_err(text)?;
                plan::conversation(&map, *id, to, child).ok()
            }
            72..82 if carved < 8 => {
                let Some(user) = random.pick(&people.users).copied() else { return Ok(None) };
                let mut slots = people.slots_of(user);
                if random.percent(40) {
                    slots.retain(|slot| slot.get() % 2 == 0);
                }
                let targets: Vec<ShardId> =
                    shards.iter().copied().filter(|_| random.percent(60)).collect();
                let rank = ground.directory.next_rank().await.map_err(text)?;
                let count = (shards.len() * shards.len()) as u32;
                let first = ground.directory.reserve_units(count).await.map_err(text)?;
                plan::user(&map, user, &slots, &targets, rank, first).ok()
            }
            82..86 => {
                let accepting: Vec<ShardId> =
                    shards.iter().copied().filter(|shard| *shard != to).collect();
                plan::drain(&map, &Sizes::default(), &accepting, to).ok()
            }
            86..93 => {
                let Some(job) = random.pick(&self.over).copied() else { return Ok(None) };
                let moves = ground.directory.moves_of(job).await.map_err(text)?;
                plan::undo(&map, &moves).ok()
            }
            _ => bring_home(&map, random.next()),
        })
    }

    /// A few units of one home.
    fn units(&self, map: &PlacementMap) -> (ShardId, Vec<UnitId>) {
        let random = &self.ground.random;
        let all: Vec<_> = map.units().collect();
        let Some((_, home)) = random.pick(&all).copied() else { return (ShardId(0), Vec::new()) };
        let mut units: Vec<UnitId> =
            all.iter().filter(|(_, at)| at.shard == home.shard).map(|(unit, _)| *unit).collect();
        let count = random.between(1, 4) as usize;
        while units.len() > count {
            units.swap_remove(random.below(units.len() as u64) as usize);
        }
        (home.shard, units)
    }

    fn some_units(&self, map: &PlacementMap, to: ShardId) -> Plan {
        let (from, units) = self.units(map);
        let mut plan = Plan::default();
        if from != to && !units.is_empty() {
            plan.moves.push(one(from, to, units));
        }
        plan
    }
}

fn one(source: ShardId, destination: ShardId, units: Vec<UnitId>) -> NewMove {
    NewMove { source, destination, change: MapChange::Move { units, to: destination } }
}

/// There and back at once.
fn there_and_back(
    _: &PlacementMap,
    (from, units): &(ShardId, Vec<UnitId>),
    to: ShardId,
) -> Option<Plan> {
    let moves = vec![one(*from, to, units.clone()), one(to, *from, units.clone())];
    (*from != to && !units.is_empty()).then_some(Plan { before: None, moves })
}

/// What brings something carved back into the units of its slots.
fn bring_home(map: &PlacementMap, chance: u64) -> Option<Plan> {
    let mut covers: Vec<(UnitId, Cover, BTreeSet<UnitId>)> = Vec::new();
    for (id, child) in map.overrides() {
        let claimed = map.hot_user_of(id).and_then(|hot| hot.table.get(&id.slot()).copied());
        let parent = claimed.unwrap_or(id.slot().unit());
        covers.push((child, Cover::Conversation(id), [parent].into()));
    }
    for hot in map.user_overrides() {
        for (slot, child) in &hot.table {
            let cover = Cover::User { user: hot.user, slots: vec![*slot], own: false };
            covers.push((*child, cover, [slot.unit()].into()));
        }
        if let Some(child) = hot.own {
            let cover = Cover::User { user: hot.user, slots: Vec::new(), own: true };
            covers.push((child, cover, [hot.user.slot().unit()].into()));
        }
    }
    let at = usize::try_from(chance % covers.len().max(1) as u64).ok()?;
    let (child, cover, parents) = covers.get(at)?.clone();
    let last = covers.iter().filter(|(unit, ..)| *unit == child).count() == 1;
    let here = map.home(child)?.shard;
    let home = map.home(*parents.first()?)?.shard;
    let mut moves = Vec::new();
    if here != home {
        moves.push(one(here, home, vec![child]));
    }
    let parents = parents.into_iter().collect();
    let change = MapChange::Merge { child, parents, cover, last };
    moves.push(NewMove { source: home, destination: home, change });
    Some(Plan { before: None, moves })
}

fn text(error: ostracon_store::DirectoryError) -> String {
    error.to_string()
}
