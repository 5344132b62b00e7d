//! The engine as a value: built from seams, started, asked, stopped.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ostracon_domain::{
    Action, Command, ConversationCommand, ConversationId, GroupSettings, InboxAction, InboxCommand,
    Limits, MapChange, NewGroup, PlacementMap, Refusal, RulesChange, ShardId, Subject, UnitAt,
    UnitId, UserId, limits::USERS_PER_REQUEST_MAX,
};
use ostracon_proto::{CloseCode, Encoding, frame::Hello};
use ostracon_store::{Directory, DirectoryError, Position, Shard, Shards};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    addresses::Addresses,
    attachments::MediaUses,
    away::{self, Away, AwayOptions},
    clock::Clock,
    committer::{Committer, Handed, Job, Unsent, committer},
    connection::Connection,
    dispatcher::Dispatcher,
    error::EngineError,
    gate::Gate,
    heat::{Heat, Hottest},
    hub::Hub,
    keys::Keys,
    known_users::KnownUsers,
    lane::Lane,
    limits::{Bounds, CURSOR_PERIOD, IN_FLIGHT_MAX, LANE_PERIOD, RATE_TIDY_PERIOD, REMOVAL_MAX},
    lists::Lists,
    live,
    marks::Marks,
    node_ids::NodeIds,
    presence::{self, PresenceBoard, privacy::PrivacyBook},
    rate_limit::RateLimits,
    reply::{Done, Reply},
    router::{self, Router},
    search::{Indexer, Search},
    sweep::{self, Timetable},
    teller::Teller,
    topology::Topology,
    typing::TypingBoard,
};

/// What an engine is told about its surroundings.
pub struct EngineOptions {
    /// Limits of the rules.
    pub limits: Limits,
    /// Limits of users and sessions; none for load tests.
    pub rate_limits: Option<RateLimits>,
    /// Largest frame that is read, bytes; told to clients.
    pub max_frame_bytes: u64,
    /// How often a client must be heard, seconds; told to clients.
    pub heartbeat_s: u32,
    /// Whether messages can be searched.
    pub search: bool,
    /// Where attached files are.
    pub addresses: Arc<dyn Addresses>,
    /// How long a file is kept for who is about to send it, and after its last message went.
    pub media_kept: Duration,
    /// Messages are removed so long after they were sent, milliseconds; none: they stay.
    pub retention: Option<ostracon_domain::Millis>,
    /// What is to be told outside; none: nothing.
    pub away: Option<AwayOptions>,
}

/// What every task of an engine shares.
pub(crate) struct Core {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) ids: Arc<NodeIds>,
    pub(crate) map: ArcSwap<PlacementMap>,
    pub(crate) topology: ArcSwap<Topology>,
    /// Held while lanes are marked, and while one appears.
    pub(crate) marking: parking_lot::Mutex<()>,
    pub(crate) router: Router,
    pub(crate) lists: Lists,
    pub(crate) heat: Heat,
    pub(crate) teller: Teller,
    pub(crate) hub: Hub,
    pub(crate) presence: PresenceBoard,
    pub(crate) privacy: PrivacyBook,
    pub(crate) typing: TypingBoard,
    pub(crate) marks: parking_lot::Mutex<Marks>,
    pub(crate) keys: Keys,
    pub(crate) known_users: KnownUsers,
    pub(crate) limits: Limits,
    pub(crate) retention: Option<ostracon_domain::Millis>,
    pub(crate) timetable: Timetable,
    pub(crate) rate_limits: Option<RateLimits>,
    pub(crate) max_frame_bytes: u64,
    pub(crate) heartbeat_s: u32,
    pub(crate) addresses: Arc<dyn Addresses>,
    pub(crate) media_kept_ms: i64,
    pub(crate) media_uses: MediaUses,
    pub(crate) bounds: Bounds,
    /// None where it is switched off.
    pub(crate) search: Option<Arc<Search>>,
    /// None where nobody is told anything outside.
    pub(crate) away: Option<Arc<Away>>,
    pub(crate) dispatch_gate: Gate,
    pub(crate) stop_lanes: CancellationToken,
    pub(crate) stop_committers: CancellationToken,
}

impl Core {
    /// Where a conversation lives.
    pub(crate) fn place(&self, id: ConversationId) -> Result<(UnitAt, ShardId), EngineError> {
        let map = self.map.load();
        let unit = map.unit_of(id);
        let home = map.home(unit).ok_or(EngineError::Internal)?;
        Ok((UnitAt { unit, epoch: home.epoch }, home.shard))
    }

    /// Where a user's own rows live.
    pub(crate) fn place_user(&self, user: UserId) -> Result<(UnitAt, ShardId), EngineError> {
        let map = self.map.load();
        let unit = map.unit_of_user(user);
        let home = map.home(unit).ok_or(EngineError::Internal)?;
        Ok((UnitAt { unit, epoch: home.epoch }, home.shard))
    }

    /// Where a subject lives.
    pub(crate) fn place_subject(&self, subject: Subject) -> Result<(UnitAt, ShardId), EngineError> {
        match subject {
            Subject::Conversation(id) => self.place(id),
            Subject::User(user) => self.place_user(user),
        }
    }

    /// Counts a question that was routed by an override rather than by its slot.
    pub(crate) fn count_override(&self, unit: UnitId, subject: Subject) {
        if unit.slot().is_some() {
            return;
        }
        let by_user = match subject {
            Subject::User(_) => true,
            Subject::Conversation(id) => self
                .map
                .load()
                .hot_user_of(id)
                .is_some_and(|hot| hot.table.get(&id.slot()) == Some(&unit)),
        };
        let kind = if by_user { "user" } else { "conversation" };
        metrics::counter!("override_hits_total", "kind" => kind).increment(1);
    }

    /// Where a command goes.
    pub(crate) fn place_command(
        &self,
        command: &Command,
    ) -> Result<(UnitAt, ShardId), EngineError> {
        match command {
            Command::Conversation(command) => self.place(command.conversation),
            Command::Inbox(command) => self.place_user(command.user),
        }
    }

    /// Puts a job into the queue of its shard, by the newest map.
    pub(crate) fn send(&self, mut job: Job) -> Result<(), Box<Unsent>> {
        let (at, shard) = match self.place_command(&job.order.command) {
            Ok(place) => place,
            Err(error) => return Err(Box::new(Unsent::Never(job, error))),
        };
        job.order.at = at;
        match self.topology.load().committers.get(&shard) {
            Some(queue) => queue.send(job),
            None => Err(Box::new(Unsent::Never(job, EngineError::Unavailable))),
        }
    }

    /// Queues a command. An answer goes to `reply`, also the refusal by a full queue.
    pub(crate) fn submit(&self, command: Command, reply: Reply) {
        // What a user does to the own list puts nothing into a lane, and reading it must go on.
        let fills_lanes = matches!(command, Command::Conversation(_));
        let is_full = || self.topology.load().lanes.values().any(|lane| lane.is_full());
        if fills_lanes && (is_full() || self.media_uses.is_full()) {
            metrics::counter!("commands_refused_busy_total").increment(1);
            return reply.fail(EngineError::Busy);
        }
        self.router.submit(self, command, reply);
    }
}

/// The tasks of one shard.
struct ShardTasks {
    indexer: Option<JoinHandle<()>>,
    lane: JoinHandle<()>,
    pipeline: [JoinHandle<()>; 2],
    stop_lane: CancellationToken,
    stop_pipeline: CancellationToken,
}

/// The live part of one node. Dropping it without [`stop`](Engine::stop) is like a crash: nothing that was answered is
/// lost, and the next start makes up for the rest.
pub struct Engine {
    core: Arc<Core>,
    shards: parking_lot::Mutex<BTreeMap<ShardId, ShardTasks>>,
    /// Tasks of the node: those that end with the lanes, and those that end with the committers.
    cursors: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    routers: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    /// Shards come and go one at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Engine {
    /// Starts the tasks of every shard. Dispatches what a crash may have left before it returns; of a shard that does not
    /// answer, as soon as it does.
    ///
    /// # Errors
    /// When the directory does not answer, or a shard is damaged.
    pub async fn start(
        directory: Arc<dyn Directory>,
        ids: Arc<NodeIds>,
        shards: Shards,
        clock: Arc<dyn Clock>,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        Self::start_within(directory, ids, shards, clock, options, Bounds::default()).await
    }

    /// As [`start`](Self::start), with other bounds.
    ///
    /// # Errors
    /// When the directory or a shard does not answer.
    pub async fn start_within(
        directory: Arc<dyn Directory>,
        ids: Arc<NodeIds>,
        shards: Shards,
        clock: Arc<dyn Clock>,
        options: EngineOptions,
        bounds: Bounds,
    ) -> Result<Self, EngineError> {
        let keys = Keys::load(&*directory).await?;
        let privacy = PrivacyBook::load(&*directory).await?;
        let map = directory.map().await?;
        let away = match options.away {
            Some(options) => Some(Arc::new(Away::load(options, &*directory).await?)),
            None => None,
        };
        let core = Arc::new(Core {
            clock,
            known_users: KnownUsers::new(Arc::clone(&directory)),
            directory,
            ids,
            map: ArcSwap::from_pointee(map),
            topology: ArcSwap::default(),
            marking: parking_lot::Mutex::default(),
            router: Router::new(bounds.parked_bytes),
            lists: Lists::new(),
            heat: Heat::new(),
            teller: Teller::default(),
            hub: Hub::new(),
            presence: PresenceBoard::new(),
            privacy,
            typing: TypingBoard::default(),
            marks: parking_lot::Mutex::default(),
            keys,
            limits: options.limits,
            retention: options.retention,
            timetable: Timetable::default(),
            rate_limits: options.rate_limits,
            max_frame_bytes: options.max_frame_bytes,
            heartbeat_s: options.heartbeat_s,
            addresses: options.addresses,
            media_kept_ms: i64::try_from(options.media_kept.as_millis()).unwrap_or(i64::MAX),
            media_uses: MediaUses::new(),
            bounds,
            search: options.search.then(|| Arc::new(Search::new())),
            away,
            dispatch_gate: Gate::new(),
            stop_lanes: CancellationToken::new(),
            stop_committers: CancellationToken::new(),
        });
        let mut parts: Vec<_> =
            shards.into_values().map(|shard| Parts::new(&core, shard)).collect();
        for Parts { dispatcher, .. } in &mut parts {
            dispatcher.repeat_at_start(&core).await?;
        }
        let tasks = parts.into_iter().map(|parts| (parts.shard, parts.spawn(&core))).collect();
        let cursors = vec![
            tokio::spawn(advance_cursors(Arc::clone(&core))),
            tokio::spawn(live::run(Arc::clone(&core))),
            tokio::spawn(presence::write_behind(Arc::clone(&core))),
            tokio::spawn(MediaUses::run(Arc::clone(&core), core.stop_lanes.clone())),
            tokio::spawn(sweep::run(Arc::clone(&core))),
        ];
        let routers = vec![
            tokio::spawn(router::look_after_lots(Arc::clone(&core))),
            tokio::spawn(router::follow_map(Arc::clone(&core))),
            tokio::spawn(away::run(Arc::clone(&core))),
        ];
        Ok(Self {
            core,
            shards: parking_lot::Mutex::new(tasks),
            cursors: parking_lot::Mutex::new(cursors),
            routers: parking_lot::Mutex::new(routers),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// Stops in order: lists are committed, then what waits is committed and answered, then cursors are noted.
    /// Nothing is accepted any more once this was called.
    pub async fn stop(&self) {
        let _one = self.changing.lock().await;
        let shards = std::mem::take(&mut *self.shards.lock());
        let mut indexers = Vec::new();
        let (lanes, pipelines): (Vec<_>, Vec<_>) = shards
            .into_values()
            .map(|tasks| {
                indexers.extend(tasks.indexer);
                (tasks.lane, tasks.pipeline)
            })
            .unzip();
        self.core.stop_lanes.cancel();
        join(indexers).await;
        join(lanes).await;
        let cursors = std::mem::take(&mut *self.cursors.lock());
        join(cursors).await;
        self.core.stop_committers.cancel();
        join(pipelines.into_iter().flatten()).await;
        let routers = std::mem::take(&mut *self.routers.lock());
        join(routers).await;
        away::drain_last(&self.core).await;
        note_cursors(&self.core, &mut BTreeMap::new()).await;
    }

    /// Takes a shard in while everything runs. What a crash may have left of it is dispatched before this returns;
    /// the map may name it from then on.
    ///
    /// # Errors
    /// `Refused` when it is here already; otherwise when it does not answer: then it is not here.
    pub async fn add_shard(&self, shard: Arc<dyn Shard>) -> Result<(), EngineError> {
        let _one = self.changing.lock().await;
        let id = shard.id();
        if self.core.topology.load().shards.contains_key(&id) {
            return Err(Refusal::conflict("This shard is here already.").into());
        }
        let mut parts = Parts::new(&self.core, shard);
        if let Err(error) = parts.dispatcher.repeat(&self.core).await {
            // Its lane may hold something by now: that goes on until it is committed.
            let now = self.core.topology.load();
            self.core.topology.store(Arc::new(now.with_lane_leaving(id).without(id, None)));
            drop(tokio::spawn(parts.lane.run(Arc::clone(&self.core), parts.stop_lane)));
            return Err(error.into());
        }
        let tasks = parts.spawn(&self.core);
        self.shards.lock().insert(id, tasks);
        Ok(())
    }

    /// Lets a shard go while everything runs: what it committed is dispatched, what its lane holds is committed where
    /// these users live now, then its tasks end.
    ///
    /// # Errors
    /// `Refused` while the map names it; `Unavailable` when what it holds does not get away in time: then it stays.
    pub async fn remove_shard(&self, id: ShardId) -> Result<(), EngineError> {
        let _one = self.changing.lock().await;
        let core = &self.core;
        if core.map.load().units().any(|(_, home)| home.shard == id) {
            return Err(Refusal::conflict("The shard still has units.").into());
        }
        let before = core.topology.load_full();
        let Some(shard) = before.shards.get(&id) else { return Ok(()) };
        let lane = before.lanes.get(&id);
        core.topology.store(Arc::new(before.with_lane_leaving(id)));
        lane.iter().for_each(|lane| lane.hurry(true));
        let drained = tokio::time::timeout(REMOVAL_MAX, drained(core, shard, lane)).await;
        let noted = match drained {
            Ok(Ok(position)) => shard.dispatched(position).await.map_err(EngineError::from),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(EngineError::Unavailable),
        };
        if let Err(error) = noted {
            lane.iter().for_each(|lane| lane.hurry(false));
            core.topology.store(before);
            return Err(error);
        }
        core.topology.store(Arc::new(core.topology.load().without(id, lane)));
        lane.iter().for_each(|lane| lane.end());
        core.search.iter().for_each(|search| search.forget(id));
        core.away.iter().for_each(|away| away.forget(id));
        let tasks = self.shards.lock().remove(&id);
        if let Some(tasks) = tasks {
            tasks.stop_lane.cancel();
            join(tasks.indexer).await;
            join([tasks.lane]).await;
            tasks.stop_pipeline.cancel();
            join(tasks.pipeline).await;
        }
        Ok(())
    }

    /// Reads the map and lets everything that waits for a unit try again: to be called when the map or the state of a
    /// unit has changed. The newest map is in force when this returns.
    ///
    /// # Errors
    /// When the directory does not answer; what waits has tried again nevertheless.
    pub async fn refresh_map(&self) -> Result<(), EngineError> {
        router::refresh(&self.core).await
    }

    /// A commit has made this version of the map by this change. Where the version before is known here, nothing is read.
    ///
    /// # Errors
    /// When the map has to be read and the directory does not answer.
    pub async fn map_changed(&self, version: u64, change: &MapChange) -> Result<(), EngineError> {
        router::map_changed(&self.core, version, change).await
    }

    /// The state of a unit has changed, and the map has not: everything that waits for a unit tries again.
    pub fn units_changed(&self) {
        self.core.router.tell(&self.core);
    }

    /// Returns when the dispatcher of a shard has handed over everything that was committed before this call.
    ///
    /// # Errors
    /// `Unavailable` when the shard is not here or the engine stops.
    pub async fn dispatch_barrier(&self, shard: ShardId) -> Result<(), EngineError> {
        barrier(&self.core, shard).await
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Does something in a conversation and waits until it is durable.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn run(
        &self,
        actor: UserId,
        conversation: ConversationId,
        action: Action,
    ) -> Result<Done, EngineError> {
        self.call(Command::Conversation(ConversationCommand { conversation, actor, action })).await
    }

    /// Opens the direct conversation of two users.
    ///
    /// # Errors
    /// `NotFound` when the other user does not exist.
    pub async fn open_direct(&self, actor: UserId, peer: UserId) -> Result<Done, EngineError> {
        self.must_exist(&[peer]).await?;
        self.run(actor, ConversationId::direct(actor, peer), Action::OpenDirect).await
    }

    /// Creates a group; with a client id a retry finds the same one.
    ///
    /// # Errors
    /// `NotFound` when a member does not exist.
    pub async fn create_group(
        &self,
        creator: UserId,
        name: String,
        members: Vec<UserId>,
        client_id: Option<&str>,
        settings: (GroupSettings, RulesChange),
    ) -> Result<Done, EngineError> {
        self.must_exist(&members).await?;
        let id = match client_id {
            Some(client_id) => self.core.keys.group_id(creator, client_id),
            None => {
                let mut random = [0; 10];
                getrandom::fill(&mut random).map_err(|_| EngineError::Internal)?;
                ConversationId::new_group(self.core.clock.now(), random)
            }
        };
        let create_hash = client_id.map(|_| self.core.keys.create(&name, &members));
        let (settings, rules) = settings;
        let new = NewGroup { name, members, create_hash, settings, rules };
        self.run(creator, id, Action::CreateGroup(new)).await
    }

    /// Adds users to a group.
    ///
    /// # Errors
    /// `NotFound` when one of them does not exist.
    pub async fn add_members(
        &self,
        actor: UserId,
        conversation: ConversationId,
        users: Vec<UserId>,
    ) -> Result<Done, EngineError> {
        self.must_exist(&users).await?;
        self.run(actor, conversation, Action::AddMembers { users }).await
    }

    /// Changes the user's own entry of a conversation. A conversation that is not in the list yet is brought in first.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn set_inbox(
        &self,
        user: UserId,
        conversation: ConversationId,
        action: InboxAction,
    ) -> Result<Done, EngineError> {
        self.bring_up_to_date(user, Some(conversation)).await?;
        self.call(Command::Inbox(InboxCommand { user, action })).await
    }

    pub(crate) async fn call(&self, command: Command) -> Result<Done, EngineError> {
        let (answer, waiting) = oneshot::channel();
        self.core.submit(command, Reply::Call(answer));
        // The sender only goes away without an answer when the engine has been stopped.
        waiting.await.map_err(|_| EngineError::Unavailable)?
    }

    async fn must_exist(&self, users: &[UserId]) -> Result<(), EngineError> {
        // The rules refuse so many anyway.
        if users.len() > USERS_PER_REQUEST_MAX {
            return Ok(());
        }
        match self.core.known_users.first_unknown(users).await? {
            None => Ok(()),
            Some(_) => Err(EngineError::Refused(no_user())),
        }
    }

    /// Makes a connection of a session known; `hello` is its first frame and events flow from then on.
    ///
    /// # Errors
    /// When the user's list cannot be read.
    pub async fn connect(
        &self,
        user: UserId,
        session: u64,
        encoding: Encoding,
    ) -> Result<Arc<Connection>, EngineError> {
        let connection = self.connect_in_background(user, session, encoding).await?;
        self.core.presence.arrive(&connection);
        Ok(connection)
    }

    /// The same for a connection that does not make its user look online.
    ///
    /// # Errors
    /// When the user's list cannot be read.
    pub async fn connect_in_background(
        &self,
        user: UserId,
        session: u64,
        encoding: Encoding,
    ) -> Result<Arc<Connection>, EngineError> {
        let core = &self.core;
        let id = core.hub.next_connection_id();
        let connection = Connection::new(
            id,
            user,
            session,
            encoding,
            core.bounds.outbox_events,
            Arc::clone(&core.addresses),
        );
        // Registered first, read second: what is dispatched in between arrives as an event.
        let registered = Registered::new(core, &connection);
        let user_rev = self.subscribe(&connection).await?;
        core.hub.heard_of(user, user_rev);
        let hello = Hello {
            session_id: session.to_string().into(),
            user_id: user,
            heartbeat_s: core.heartbeat_s,
            max_frame_bytes: core.max_frame_bytes,
            max_in_flight: IN_FLIGHT_MAX,
            server_time: core.clock.now(),
            user_rev,
        };
        connection.hello(&hello);
        registered.keep();
        Ok(connection)
    }

    /// Forgets a connection that is closed.
    pub fn disconnect(&self, connection: &Arc<Connection>) {
        self.core.hub.unregister(connection);
        live::depart(&self.core, connection);
    }

    /// Connections of this node.
    pub fn connection_count(&self) -> usize {
        self.core.hub.connection_count()
    }

    /// Closes the connections of a session.
    pub fn close_session(&self, user: UserId, session: u64, code: CloseCode, reason: &str) {
        for connection in self.core.hub.connections(user) {
            if connection.session == session {
                connection.close(code, reason);
            }
        }
    }

    /// Closes every connection of a user.
    pub fn close_user(&self, user: UserId, code: CloseCode, reason: &str) {
        for connection in self.core.hub.connections(user) {
            connection.close(code, reason);
        }
    }

    /// Closes every connection, for a stop.
    pub fn close_all(&self, code: CloseCode, reason: &str) {
        for connection in self.core.hub.all() {
            connection.close(code, reason);
        }
    }

    /// Takes one command from the allowance of a session; nothing to say when there are no limits.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn check_rate(
        &self,
        user: UserId,
        session: u64,
    ) -> Result<Option<crate::rate_limit::Remaining>, EngineError> {
        self.core.rate_limits.as_ref().map(|limits| limits.check(user, session)).transpose()
    }

    /// Holds dispatching back until [`resume_dispatch`](Self::resume_dispatch): for tests of what overtakes what.
    pub fn pause_dispatch(&self) {
        self.core.dispatch_gate.close();
    }

    /// Ends a pause.
    pub fn resume_dispatch(&self) {
        self.core.dispatch_gate.open();
    }

    /// What was busiest on this node, at most so many of each kind, as of the last window that is over.
    pub fn hottest(&self, count: usize) -> Hottest {
        self.core.heat.hottest(count)
    }

    /// The newest map this node knows.
    pub fn map(&self) -> Arc<PlacementMap> {
        self.core.map.load_full()
    }

    /// The shards that are here now, for operators' questions.
    pub fn shards(&self) -> Shards {
        self.core.topology.load().shards.clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let shards = std::mem::take(self.shards.get_mut()).into_values();
        let tasks = shards
            .flat_map(|tasks| [tasks.lane].into_iter().chain(tasks.pipeline).chain(tasks.indexer));
        let node = [self.cursors.get_mut(), self.routers.get_mut()].map(std::mem::take);
        tasks.chain(node.into_iter().flatten()).for_each(|task| task.abort());
    }
}

/// A shard that is in the topology and whose tasks do not run yet.
struct Parts {
    shard: ShardId,
    committer: Committer,
    committed: mpsc::Receiver<Handed>,
    dispatcher: Dispatcher,
    lane: Arc<Lane>,
    stop_lane: CancellationToken,
    stop_pipeline: CancellationToken,
}

impl Parts {
    fn new(core: &Core, shard: Arc<dyn Shard>) -> Self {
        let id = shard.id();
        let (committer, queue, committed) = committer(Arc::clone(&shard), &core.bounds);
        let (stop_lane, stop_pipeline) =
            (core.stop_lanes.child_token(), core.stop_committers.child_token());
        let dispatcher = Dispatcher::new(Arc::clone(&shard), stop_pipeline.clone());
        let lane = Arc::new(Lane::new(id, core.bounds.lane_entries));
        let marking = core.marking.lock();
        let before = core.topology.load_full();
        let other = before.lane(id);
        // What was marked in the others went into them: of that, nothing is missing here.
        other.iter().for_each(|other| lane.begin_like(other));
        core.topology.store(Arc::new(before.with(shard, queue, Arc::clone(&lane))));
        drop(marking);
        other.iter().for_each(|other| core.lists.appeared(id, other));
        Self { shard: id, committer, committed, dispatcher, lane, stop_lane, stop_pipeline }
    }

    fn spawn(self, core: &Arc<Core>) -> ShardTasks {
        let Self { shard, committer, committed, dispatcher, lane, stop_lane, stop_pipeline } = self;
        let here = core.topology.load().shards.get(&shard).cloned();
        let indexer = here.and_then(|shard| Indexer::of(core, &shard, stop_lane.clone()));
        ShardTasks {
            indexer: indexer.map(|indexer| tokio::spawn(indexer.run())),
            lane: tokio::spawn(lane.run(Arc::clone(core), stop_lane.clone())),
            pipeline: [
                tokio::spawn(committer.run(Arc::clone(core), stop_pipeline.clone())),
                tokio::spawn(dispatcher.run(Arc::clone(core), committed)),
            ],
            stop_lane,
            stop_pipeline,
        }
    }
}

async fn barrier(core: &Core, shard: ShardId) -> Result<(), EngineError> {
    let queue = core.topology.load().committers.get(&shard).cloned();
    queue.ok_or(EngineError::Unavailable)?.barrier().await
}

/// Returns when nothing of a shard that leaves is missing elsewhere, and where its dispatch cursor may stand then.
async fn drained(
    core: &Core,
    leaving: &Arc<dyn Shard>,
    lane: Option<&Arc<Lane>>,
) -> Result<Position, EngineError> {
    let id = leaving.id();
    let topology = core.topology.load_full();
    // Behind it nobody puts anything into the lane that leaves, and all that the shard committed is in lanes.
    for shard in topology.committers.keys() {
        barrier(core, *shard).await?;
    }
    loop {
        let empty = lane.is_none_or(|lane| lane.is_empty());
        let is_noted = core.media_uses.is_done_with(id);
        let queued = core.away.as_ref().is_none_or(|away| away.is_done_with(id));
        if empty && is_noted && queued && topology.all_lanes().all(|lane| lane.is_done_with(id)) {
            let done = topology.done(id);
            // What was set aside or could not be told would go with the shard.
            if leaving.undispatched(Some(done), 1).await?.is_empty() {
                return Ok(done);
            }
        }
        tokio::time::sleep(LANE_PERIOD).await;
    }
}

/// Waits for tasks that have been told to end.
async fn join(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
    for task in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "a task of the engine failed");
        }
    }
}

pub(crate) const fn no_user() -> Refusal {
    Refusal::no_user()
}

/// A connection in the hub, until its caller has it; if that fails or goes away, it leaves again.
struct Registered<'a> {
    core: &'a Core,
    connection: Option<&'a Arc<Connection>>,
}

impl<'a> Registered<'a> {
    fn new(core: &'a Core, connection: &'a Arc<Connection>) -> Self {
        core.hub.register(connection);
        Self { core, connection: Some(connection) }
    }

    fn keep(mut self) {
        self.connection = None;
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection {
            self.core.hub.unregister(connection);
        }
    }
}

/// Now and then moves the shards' dispatch cursors to where every lane has committed what came from them.
async fn advance_cursors(core: Arc<Core>) {
    let mut noted = BTreeMap::new();
    let mut tidied = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(CURSOR_PERIOD) => {}
            () = core.stop_lanes.cancelled() => return,
        }
        note_cursors(&core, &mut noted).await;
        if let Some(limits) = &core.rate_limits
            && tidied.elapsed() >= RATE_TIDY_PERIOD
        {
            tidied = Instant::now();
            limits.tidy();
        }
    }
}

async fn note_cursors(core: &Core, noted: &mut BTreeMap<ShardId, Position>) {
    let topology = core.topology.load_full();
    for (id, shard) in &topology.shards {
        let mut done = topology.done(*id).min(core.media_uses.done(*id));
        if let Some(away) = &core.away {
            done = done.min(away.done(*id));
        }
        let known = noted.entry(*id).or_default();
        if done <= *known {
            continue;
        }
        match shard.dispatched(done).await {
            Ok(()) => *known = done,
            Err(error) => {
                tracing::debug!(%error, shard = id.0, "dispatch cursor was not noted");
            }
        }
    }
}

/// Loads a node's lease from the directory.
///
/// # Errors
/// When the directory does not answer.
pub async fn lease(
    directory: &Arc<dyn Directory>,
    clock: &dyn Clock,
) -> Result<Arc<NodeIds>, DirectoryError> {
    let lease = directory.lease_node(clock.now()).await?;
    Ok(Arc::new(NodeIds::new(Arc::clone(directory), lease)))
}
