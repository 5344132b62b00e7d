//! The engine as a value: built from seams, started, asked, stopped.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use ostracon_domain::{
    Action, Command, ConversationCommand, ConversationId, InboxAction, InboxCommand, Limits,
    NewGroup, PlacementMap, ShardId, UnitAt, UserId, limits::USERS_PER_REQUEST_MAX,
};
use ostracon_proto::{CloseCode, Encoding, frame::Hello};
use ostracon_store::{Directory, DirectoryError, Order, Position, Shards};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    committer::{CommitterQueue, Job, committer},
    connection::Connection,
    dispatcher::Dispatcher,
    error::EngineError,
    gate::Gate,
    hub::Hub,
    keys::Keys,
    known_users::KnownUsers,
    lane::Lane,
    limits::{Bounds, CURSOR_PERIOD, IN_FLIGHT_MAX, RATE_TIDY_PERIOD},
    node_ids::NodeIds,
    rate_limit::RateLimits,
    reply::{Done, Reply},
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
}

/// What every task of an engine shares.
pub(crate) struct Core {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) ids: Arc<NodeIds>,
    pub(crate) map: ArcSwap<PlacementMap>,
    pub(crate) shards: Shards,
    pub(crate) committers: BTreeMap<ShardId, CommitterQueue>,
    pub(crate) lanes: BTreeMap<ShardId, Arc<Lane>>,
    pub(crate) hub: Hub,
    pub(crate) keys: Keys,
    pub(crate) known_users: KnownUsers,
    pub(crate) limits: Limits,
    pub(crate) rate_limits: Option<RateLimits>,
    pub(crate) max_frame_bytes: u64,
    pub(crate) heartbeat_s: u32,
    pub(crate) bounds: Bounds,
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

    fn place_command(&self, command: &Command) -> Result<(UnitAt, ShardId), EngineError> {
        match command {
            Command::Conversation(command) => self.place(command.conversation),
            Command::Inbox(command) => self.place_user(command.user),
        }
    }

    /// Queues a command. An answer goes to `reply`, also the refusal by a full queue.
    pub(crate) fn submit(&self, command: Command, reply: Reply) {
        // What a user does to the own list puts nothing into a lane, and reading it must go on.
        let fills_lanes = matches!(command, Command::Conversation(_));
        if fills_lanes && self.lanes.values().any(|lane| lane.is_full()) {
            metrics::counter!("commands_refused_busy_total").increment(1);
            return reply.fail(EngineError::Busy);
        }
        let (at, shard) = match self.place_command(&command) {
            Ok(place) => place,
            Err(error) => return reply.fail(error),
        };
        let Some(queue) = self.committers.get(&shard) else {
            return reply.fail(EngineError::Internal);
        };
        let private = matches!(
            &command,
            Command::Conversation(ConversationCommand { action: Action::ChangeView(_), .. })
        );
        queue.send(Job { order: Order { at, command }, reply, private });
    }
}

/// The live part of one node. Dropping it without [`stop`](Engine::stop) is like a crash: nothing that was answered is
/// lost, and the next start makes up for the rest.
pub struct Engine {
    core: Arc<Core>,
    lanes: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    pipelines: parking_lot::Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the tasks of every shard. Dispatches what a crash may have left before it returns.
    ///
    /// # Errors
    /// When the directory or a shard does not answer.
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
        let map = directory.map().await?;
        let mut committers = BTreeMap::new();
        let mut parts = Vec::new();
        for (id, shard) in &shards {
            let (committer, queue, committed) = committer(Arc::clone(shard), &bounds);
            committers.insert(*id, queue);
            parts.push((committer, committed, Dispatcher::new(Arc::clone(shard))));
        }
        let lanes: BTreeMap<_, _> =
            shards.keys().map(|id| (*id, Arc::new(Lane::new(bounds.lane_entries)))).collect();
        let core = Arc::new(Core {
            clock,
            known_users: KnownUsers::new(Arc::clone(&directory)),
            directory,
            ids,
            map: ArcSwap::from_pointee(map),
            shards,
            committers,
            lanes,
            hub: Hub::new(),
            keys,
            limits: options.limits,
            rate_limits: options.rate_limits,
            max_frame_bytes: options.max_frame_bytes,
            heartbeat_s: options.heartbeat_s,
            bounds,
            dispatch_gate: Gate::new(),
            stop_lanes: CancellationToken::new(),
            stop_committers: CancellationToken::new(),
        });
        for (_, _, dispatcher) in &mut parts {
            dispatcher.repeat(&core).await?;
        }
        let mut pipelines = Vec::new();
        for (committer, committed, dispatcher) in parts {
            pipelines.push(tokio::spawn(committer.run(Arc::clone(&core))));
            pipelines.push(tokio::spawn(dispatcher.run(Arc::clone(&core), committed)));
        }
        let mut lanes: Vec<_> = core
            .lanes
            .values()
            .map(|lane| tokio::spawn(Arc::clone(lane).run(Arc::clone(&core))))
            .collect();
        lanes.push(tokio::spawn(advance_cursors(Arc::clone(&core))));
        Ok(Self {
            core,
            lanes: parking_lot::Mutex::new(lanes),
            pipelines: parking_lot::Mutex::new(pipelines),
        })
    }

    /// Stops in order: lists are committed, then what waits is committed and answered, then cursors are noted.
    /// Nothing is accepted any more once this was called.
    pub async fn stop(&self) {
        self.core.stop_lanes.cancel();
        join(&self.lanes).await;
        self.core.stop_committers.cancel();
        join(&self.pipelines).await;
        note_cursors(&self.core, &mut BTreeMap::new()).await;
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
        self.run(creator, id, Action::CreateGroup(NewGroup { name, members, create_hash })).await
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
        let core = &self.core;
        let id = core.hub.next_connection_id();
        let connection = Connection::new(id, user, session, encoding, core.bounds.outbox_events);
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

    /// The newest map this node knows.
    pub fn map(&self) -> Arc<PlacementMap> {
        self.core.map.load_full()
    }

    /// The shards, for operators' questions.
    pub fn shards(&self) -> &Shards {
        &self.core.shards
    }
}

/// Waits for tasks that have been told to end.
async fn join(tasks: &parking_lot::Mutex<Vec<JoinHandle<()>>>) {
    loop {
        let Some(task) = tasks.lock().pop() else { return };
        if let Err(error) = task.await {
            tracing::error!(%error, "a task of the engine failed");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for task in self.lanes.get_mut().drain(..).chain(self.pipelines.get_mut().drain(..)) {
            task.abort();
        }
    }
}

pub(crate) fn no_user() -> ostracon_domain::Refusal {
    ostracon_domain::Refusal {
        code: ostracon_domain::RefusalCode::NotFound,
        message: "No such user.".into(),
        field: None,
    }
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
    for (id, shard) in &core.shards {
        let done = core.lanes.values().map(|lane| lane.done(*id)).min().unwrap_or(0);
        let known = noted.entry(*id).or_default();
        if done <= *known {
            continue;
        }
        match shard.dispatched(done).await {
            Ok(()) => *known = done,
            Err(error) => {
                tracing::warn!(%error, shard = id.0, "dispatch cursor was not noted");
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
