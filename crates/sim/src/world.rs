//! One world from a seed: it is built, shaken, left to come to rest, and looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use ostracon_domain::{Action, Command, ConversationCommand, Outcome, Row, ShardId, Subject};
use ostracon_store::{
    Cluster, Directory, Moves, Shard, Transfer, UnitPhase,
    directory::ShardRow,
    memory::{CountingIds, MemoryShard, directory::MemoryDirectory},
};
use parking_lot::Mutex;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    chaos::{Chaos, supervise},
    clients::{Talker, new_message},
    dispatchers::Lanes,
    faulty_directory::{FaultyDirectory, Outage},
    faulty_shard::FaultyShard,
    ground::Ground,
    link::Link,
    node::{Node, SimHost},
    operator::{Operator, Seat, Tally},
    oracle::Counts,
    people::People,
    random::Random,
    router::{Reply, Router},
    weather::{Faults, Sky, Weather},
};

/// Nodes; those before [`COORDINATORS`] have a coordinator too.
const NODES: u64 = 3;
const COORDINATORS: usize = 2;
/// Virtual time in which everything must have come to rest.
const REST: Duration = Duration::from_secs(90);

/// How a world is made.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Everything follows from it.
    pub seed: u64,
    /// Moves after which the operator stops.
    pub moves: u64,
    /// What goes wrong.
    pub weather: Weather,
}

/// What came of a world in which nothing happened that must not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Moves and jobs.
    pub tally: Tally,
    /// What clients did.
    pub counts: Counts,
    /// What went wrong on purpose.
    pub faults: Faults,
    /// Commands that waited for a map.
    pub parked: u64,
    /// The longest that a command waited.
    pub longest: Duration,
    /// Virtual time.
    pub time: Duration,
    /// Events, and the hash over all of them.
    pub journal: (u64, u64),
}

/// Something happened that must never happen.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Of the world in which it did.
    pub seed: u64,
    /// What.
    pub why: String,
    /// The newest events before it.
    pub events: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(f, "{event}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.why)
    }
}

impl std::error::Error for Failure {}

impl Report {
    /// Adds what came of another world.
    pub fn add(&mut self, other: &Self) {
        let tally = &mut self.tally;
        tally.done += other.tally.done;
        tally.relabelled += other.tally.relabelled;
        tally.aborted += other.tally.aborted;
        tally.freezes += other.tally.freezes;
        for (state, count) in &other.tally.jobs {
            *tally.jobs.entry(state).or_default() += count;
        }
        for (why, count) in &other.tally.reasons {
            *tally.reasons.entry(why.clone()).or_default() += count;
        }
        let counts = &mut self.counts;
        counts.sent += other.counts.sent;
        counts.unknown += other.counts.unknown;
        counts.changed += other.counts.changed;
        counts.reads += other.counts.reads;
        counts.events += other.counts.events;
        for (at, count) in &other.faults {
            *self.faults.entry(*at).or_default() += count;
        }
        self.parked += other.parked;
        self.longest = self.longest.max(other.longest);
        self.time += other.time;
        self.journal.0 += other.journal.0;
        self.journal.1 ^= other.journal.1;
    }
}

/// Runs a world to its end, on a clock of its own.
///
/// # Errors
/// With the first thing that must never happen.
pub fn run(setup: Setup) -> Result<Report, Box<Failure>> {
    let nothing = |why: std::io::Error| {
        Box::new(Failure { seed: setup.seed, why: why.to_string(), events: Vec::new() })
    };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().map_err(nothing)?;
    runtime.block_on(async {
        let world = World::new(setup).await;
        let ended = world.live(setup).await;
        let ground = &world.ground;
        let failed = ground.failed().or_else(|| ended.as_ref().err().cloned());
        match (failed, ended) {
            (None, Ok(report)) => Ok(report),
            (why, _) => Err(Box::new(Failure {
                seed: setup.seed,
                why: why.unwrap_or_default(),
                events: ground.journal.newest(),
            })),
        }
    })
}

struct World {
    ground: Arc<Ground>,
    nodes: Vec<Arc<Node>>,
    routers: Vec<Arc<Router>>,
    lanes: Arc<Lanes>,
    seats: Vec<Arc<Seat>>,
    outage: Arc<Outage>,
}

impl World {
    async fn new(setup: Setup) -> Self {
        let random = Random::new(setup.seed);
        let people = People::some();
        let ids: Vec<ShardId> = (0..random.between(2, 4) as u32).map(ShardId).collect();
        let directory = Arc::new(MemoryDirectory::new(setup.seed));
        let rows: Vec<ShardRow> =
            ids.iter().map(|id| ShardRow::new(*id, format!("memory-{id}"))).collect();
        // The twin knows its shards from here on; its map is replaced by a smaller one.
        drop(directory.found(&rows).await);
        let map = people.map(&ids);
        directory.set_map(map.clone());
        let numbers = Arc::new(CountingIds::new(1, 1));
        let shard = |id: &ShardId| {
            let here = map.units().filter(|(_, home)| home.shard == *id).map(|(unit, _)| unit);
            (*id, Arc::new(MemoryShard::serving(*id, Arc::clone(&numbers) as _, here)))
        };
        let shards: BTreeMap<_, _> = ids.iter().map(shard).collect();
        let slowness = [1, 1, 2, 4].get(random.below(4) as usize).copied().unwrap_or(1);
        let weather = match setup.weather.crashes {
            0 => setup.weather,
            _ => Weather { slowness, ..setup.weather },
        };
        let sky = Sky::new(weather);
        let ground = Ground::new(random, sky, directory, shards, map.clone());
        let nodes: Vec<Arc<Node>> = (1..=NODES).map(Node::new).collect();
        let link = |node: &Arc<Node>| Link { ground: Arc::clone(&ground), node: Arc::clone(node) };
        let reach = |node: &Arc<Node>| -> BTreeMap<ShardId, Arc<FaultyShard>> {
            let one = |(id, shard): (&ShardId, &Arc<MemoryShard>)| {
                let faulty = FaultyShard { link: link(node), shard: Arc::clone(shard) };
                (*id, Arc::new(faulty))
            };
            ground.shards.iter().map(one).collect()
        };
        let routers: Vec<Arc<Router>> =
            nodes.iter().map(|node| Router::new(&ground, node, reach(node))).collect();
        routers.iter().for_each(Router::start);
        let lanes = Lanes::new(&ground, &routers, &people.talks, &people.users);
        lanes.start();
        let outage = Arc::new(Outage::new());
        let mut seats = Vec::new();
        for node in nodes.iter().take(COORDINATORS) {
            let faulty = FaultyDirectory { link: link(node), outage: Arc::clone(&outage) };
            let directory: Arc<dyn Directory> = Arc::new(faulty);
            let host = SimHost {
                ground: Arc::clone(&ground),
                node: Arc::clone(node),
                shards: reach(node),
                routers: routers.clone(),
            };
            let seat: Arc<Seat> = Arc::new(Mutex::new(None));
            seats.push(Arc::clone(&seat));
            tokio::spawn(supervise(Arc::clone(&ground), Arc::new(host), directory, seat));
        }
        Self { ground, nodes, routers, lanes, seats, outage }
    }

    async fn live(&self, setup: Setup) -> Result<Report, String> {
        let began = tokio::time::Instant::now();
        let closing = Arc::new(AtomicBool::new(false));
        let mut talkers = JoinSet::new();
        for (id, members) in &People::some().talks {
            for user in members {
                let talker = Talker {
                    ground: Arc::clone(&self.ground),
                    routers: self.routers.clone(),
                    closing: Arc::clone(&closing),
                    id: *id,
                    user: *user,
                    members: members.clone(),
                    sent: 0,
                    last: 0,
                    own: Vec::new(),
                    reactions: BTreeMap::new(),
                    version: 0,
                };
                talkers.spawn(talker.talk());
            }
        }
        let calm = CancellationToken::new();
        let chaos = Chaos {
            ground: Arc::clone(&self.ground),
            nodes: self.nodes.clone(),
            seats: self.seats.clone(),
            outage: Arc::clone(&self.outage),
            calm: calm.clone(),
        };
        let stormy = setup.weather.crashes > 0;
        let chaos = tokio::spawn(async move {
            if stormy {
                chaos.reign().await;
            }
        });
        let mut operator = Operator {
            ground: Arc::clone(&self.ground),
            seats: self.seats.clone(),
            open: BTreeSet::new(),
            over: Vec::new(),
            tally: Tally::default(),
            carves: self.ground.random.percent(35),
        };
        let over = &self.ground.over;
        tokio::select! {
            biased;
            () = over.cancelled() => return Err(String::new()),
            worked = operator.work(setup.moves) => worked?,
        }
        self.ground.journal.note(format_args!("the weather clears up"));
        self.ground.sky.clear_up();
        calm.cancel();
        closing.store(true, Ordering::Relaxed);
        let rest = async {
            chaos.await.map_err(|error| error.to_string())?;
            while let Some(ended) = talkers.join_next().await {
                ended.map_err(|error| error.to_string())?;
            }
            operator.resume_all().await?;
            while !self.rests(&mut operator).await? {
                sleep(Duration::from_millis(100)).await;
            }
            Ok::<(), String>(())
        };
        tokio::select! {
            biased;
            () = over.cancelled() => return Err(String::new()),
            rest = tokio::time::timeout(REST, rest) => match rest {
                Ok(rest) => rest?,
                Err(_) => return Err(self.unrest(&operator).await),
            },
        }
        self.look().await?;
        let parked = self.routers.iter().map(|router| router.parked());
        let parked: Vec<_> = parked.collect();
        Ok(Report {
            tally: operator.tally,
            counts: self.ground.oracle.counts(),
            faults: self.ground.sky.faults(),
            parked: parked.iter().map(|(parked, ..)| parked).sum(),
            longest: parked.iter().map(|(_, longest, _)| *longest).max().unwrap_or_default(),
            time: began.elapsed(),
            journal: self.ground.journal.sum(),
        })
    }

    /// Whether nothing is on its way any more.
    async fn rests(&self, operator: &mut Operator) -> Result<bool, String> {
        operator.look().await?;
        let directory = &self.ground.directory;
        let garbage = directory.garbage().await.map_err(|error| error.to_string())?;
        let moves = directory.unfinished_moves().await.map_err(|error| error.to_string())?;
        let mut dispatched = true;
        for shard in self.ground.shards.values() {
            let left = shard.undispatched(None, 1).await.map_err(|error| error.to_string())?;
            dispatched &= left.is_empty();
        }
        let parked: usize = self.routers.iter().map(|router| router.parked().2).sum();
        Ok(operator.open.is_empty()
            && garbage.is_empty()
            && moves.is_empty()
            && dispatched
            && parked == 0
            && self.lanes.are_empty())
    }

    /// What does not come to an end.
    async fn unrest(&self, operator: &Operator) -> String {
        let directory = &self.ground.directory;
        let garbage = directory.garbage().await.unwrap_or_default();
        let moves = directory.unfinished_moves().await.unwrap_or_default();
        let parked: Vec<usize> = self.routers.iter().map(|router| router.parked().2).collect();
        let mut states = Vec::new();
        let moving: BTreeSet<_> = moves
            .iter()
            .flat_map(|row| row.units())
            .chain(garbage.iter().map(|left| left.unit))
            .collect();
        for (id, shard) in &self.ground.shards {
            for state in shard.unit_states().await.unwrap_or_default() {
                if moving.contains(&state.unit) {
                    states.push(format!("{id}: {state:?}"));
                }
            }
        }
        format!(
            "no rest after {REST:?}: jobs {:?}, garbage {garbage:?}, parked {parked:?}, lanes empty {}, moves {moves:?}, states {states:#?}",
            operator.open,
            self.lanes.are_empty(),
        )
    }

    /// What must be true when nothing moves.
    async fn look(&self) -> Result<(), String> {
        let text = |error: ostracon_store::ShardError| error.to_string();
        let map = self.ground.directory.map().await.map_err(|error| error.to_string())?;
        let mut stored: BTreeMap<Subject, (ShardId, Vec<Row>)> = BTreeMap::new();
        for (id, shard) in &self.ground.shards {
            let states = shard.unit_states().await.map_err(text)?;
            for state in &states {
                let home = map.home(state.unit).filter(|home| home.shard == *id);
                let right = match home {
                    Some(home) => state.phase == UnitPhase::Open && state.epoch == home.epoch,
                    None => state.phase == UnitPhase::Moved,
                };
                if !right {
                    return Err(format!("shard {id} has {state:?}, the map says {home:?}"));
                }
            }
            for (unit, home) in map.units() {
                let known = states.iter().any(|state| state.unit == unit);
                if home.shard == *id && !known {
                    return Err(format!("shard {id} knows nothing of its unit {unit}"));
                }
            }
            let mut conversations = 0;
            let units: BTreeSet<_> = states
                .iter()
                .map(|state| state.unit)
                .chain(map.units().map(|(unit, _)| unit))
                .collect();
            for unit in units {
                let page = shard.scan_unit(unit, None, u32::MAX).await.map_err(text)?;
                let mut rows: BTreeMap<Subject, Vec<Row>> = BTreeMap::new();
                for row in page.rows {
                    let subject = match &row {
                        Row::Conversation(row) => Subject::Conversation(row.id),
                        Row::Member(row) => Subject::Conversation(row.conversation),
                        Row::Message(row) => Subject::Conversation(row.conversation),
                        Row::Reaction(row) => Subject::Conversation(row.conversation),
                        Row::User(row) => Subject::User(row.user),
                        Row::Inbox(row) => Subject::User(row.user),
                        _ => continue,
                    };
                    rows.entry(subject).or_default().push(row);
                }
                for (subject, rows) in rows {
                    let wanted = match subject {
                        Subject::Conversation(id) => map.unit_of(id),
                        Subject::User(user) => map.unit_of_user(user),
                    };
                    let home = map.home(unit).map(|home| home.shard);
                    if wanted != unit || home != Some(*id) {
                        return Err(format!(
                            "a ghost: {subject:?} in unit {unit} on shard {id}, it belongs to unit {wanted}, which is on {home:?}"
                        ));
                    }
                    conversations += u64::from(matches!(subject, Subject::Conversation(_)));
                    if let Some((other, _)) = stored.insert(subject, (*id, rows)) {
                        return Err(format!("{subject:?} is on shard {id} and on {other}"));
                    }
                }
            }
            let stats = shard.stats().await.map_err(text)?;
            if stats.conversations != conversations {
                return Err(format!(
                    "shard {id} holds {} conversations, {conversations} of them known",
                    stats.conversations
                ));
            }
        }
        for (id, members) in &People::some().talks {
            let nothing = Vec::new();
            let rows = stored.get(&Subject::Conversation(*id)).map_or(&nothing, |(_, rows)| rows);
            self.ground.oracle.check_stored(*id, rows)?;
            for user in members {
                self.check_list(*user, *id, rows, &stored)?;
            }
        }
        self.retry_old_sends().await
    }

    /// A user's list has followed the conversation.
    fn check_list(
        &self,
        user: ostracon_domain::UserId,
        id: ostracon_domain::ConversationId,
        rows: &[Row],
        stored: &BTreeMap<Subject, (ShardId, Vec<Row>)>,
    ) -> Result<(), String> {
        let head = rows.iter().find_map(|row| match row {
            Row::Conversation(row) => Some((row.head_seq, row.rev)),
            _ => None,
        });
        let Some((head, rev)) = head else { return Ok(()) };
        let list = stored.get(&Subject::User(user)).map(|(_, rows)| rows.iter());
        let entry = list.into_iter().flatten().find_map(|row| match row {
            Row::Inbox(row) if row.conversation == id => Some((row.last_seq, row.applied.rev)),
            _ => None,
        });
        if entry != Some((head, rev)) {
            return Err(format!(
                "the list of {user} has {id} at {entry:?}, it is at {head}, rev {rev}"
            ));
        }
        Ok(())
    }

    /// Who retries for ever learns the same for ever.
    async fn retry_old_sends(&self) -> Result<(), String> {
        let random = &self.ground.random;
        for (id, _) in &People::some().talks {
            let sends = self.ground.oracle.first_sends(*id);
            for _ in 0..3 {
                let Some(((actor, number), seq)) = random.pick(&sends).copied() else { break };
                let (_, message) = new_message(actor, number);
                let command =
                    ConversationCommand { conversation: *id, actor, action: Action::Send(message) };
                let Some(router) = random.pick(&self.routers) else { break };
                let reply = router.submit(Command::Conversation(command));
                let reply = tokio::time::timeout(Duration::from_secs(20), reply).await;
                match reply {
                    Ok(Ok(Reply::Done(Outcome::Sent { message, duplicate: true, .. })))
                        if message.message.seq == seq => {}
                    // A tombstone has no hash: every retry of it is the same.
                    other => {
                        return Err(format!(
                            "the retry of {number} of {actor} in {id}, message {seq}: {other:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}
