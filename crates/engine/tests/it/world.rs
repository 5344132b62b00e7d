//! An engine with shards, a clock and people, and short words for what the stories do with it.

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ostracon_domain::{
    Action, ConversationId, History, Limits, MessageId, Millis, Outcome, ShardId, UnitId, UserId,
};
use ostracon_engine::{
    Allowance, AwayOptions, Connection, Done, Drained, Engine, EngineError, EngineOptions,
    ManualClock, NodeIds, RateLimits, lease, limits::Bounds,
};
use ostracon_proto::{Encoding, frame::OutgoingMessage};
use ostracon_store::{
    Cluster, Directory, Ids, Shard, Shards,
    directory::{AccountRole, Accounts, NewUser, ShardRow},
    memory::{MemoryShard, directory::MemoryDirectory},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{faults::TestShard, words};

pub(crate) const START: Millis = 1_700_000_000_000;

pub(crate) const fn user(id: u64) -> UserId {
    match UserId::new(id) {
        Ok(user) => user,
        Err(_) => panic!("not a user id"),
    }
}

pub(crate) const ALICE: UserId = user(1);
pub(crate) const BOB: UserId = user(2);
pub(crate) const CAROL: UserId = user(3);
pub(crate) const DAVE: UserId = user(4);

/// Ids of whichever engine runs now: shards live longer than an engine.
#[derive(Default)]
pub(crate) struct PresentIds(Mutex<Option<Arc<NodeIds>>>);

impl Ids for PresentIds {
    fn message_id(&self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId> {
        self.0.lock().as_ref()?.message_id(now, later_than)
    }

    fn history(&self) -> History {
        self.0.lock().as_ref().map_or(History(0), |ids| ids.history())
    }
}

/// How a world is built.
pub(crate) struct Plan {
    pub(crate) shards: u32,
    pub(crate) users: u64,
    pub(crate) bounds: Bounds,
    pub(crate) allowance: Option<(u32, u32)>,
    pub(crate) group_members_max: u32,
    pub(crate) search: bool,
    pub(crate) away: Option<AwayOptions>,
}

impl Default for Plan {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self {
            shards: 2,
            users: 6,
            bounds,
            allowance: None,
            group_members_max: 2_000,
            away: None,
            search: false,
        }
    }
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) directory: Arc<MemoryDirectory>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) shards: Vec<Arc<TestShard>>,
    pub(crate) ids: Arc<PresentIds>,
    engine: Option<Arc<Engine>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::planned(Plan::default()).await
    }

    pub(crate) async fn planned(plan: Plan) -> Self {
        let directory = Arc::new(MemoryDirectory::new(7));
        let row = |id| ShardRow::new(ShardId(id), "memory");
        directory.found(&(0..plan.shards).map(row).collect::<Vec<_>>()).await.unwrap();
        let new = |n: u64| NewUser {
            username: Some(format!("user{n}")),
            external_id: Some(format!("x{n}")),
            display_name: String::new(),
            password_hash: None,
            role: AccountRole::User,
        };
        directory.create_users((1..=plan.users).map(new).collect(), START).await.unwrap();
        let map = directory.map().await.unwrap();
        let ids = Arc::new(PresentIds::default());
        let shard = |id| {
            let homes = map.units().filter(|(_, home)| home.shard == ShardId(id));
            let units: Vec<UnitId> = homes.map(|(unit, _)| unit).collect();
            let ids = Arc::clone(&ids) as Arc<dyn Ids>;
            let shard = TestShard::new(MemoryShard::serving(ShardId(id), ids, units));
            shard.searchable.store(plan.search, Ordering::SeqCst);
            shard
        };
        let shards = (0..plan.shards).map(shard).collect();
        let clock = Arc::new(ManualClock::new(START));
        let mut world = Self { plan, directory, clock, shards, ids, engine: None };
        world.start().await;
        world
    }

    /// Starts an engine over what the one before left.
    pub(crate) async fn start(&mut self) {
        let directory = Arc::clone(&self.directory) as Arc<dyn Directory>;
        let ids = lease(&directory, &*self.clock).await.unwrap();
        *self.ids.0.lock() = Some(Arc::clone(&ids));
        let by_id = |shard: &Arc<TestShard>| (shard.id(), Arc::clone(shard) as Arc<dyn Shard>);
        let shards: Shards = self.shards.iter().map(by_id).collect();
        let number = |n| NonZeroU32::new(n).unwrap();
        let rate_limits = self.plan.allowance.map(|(burst, per_second)| {
            RateLimits::new(Allowance { burst: number(burst), per_second: number(per_second) })
        });
        let options = EngineOptions {
            limits: Limits {
                group_members_max: self.plan.group_members_max,
                edit_history: true,
                ..Limits::default()
            },
            rate_limits,
            max_frame_bytes: 65_536,
            heartbeat_s: 30,
            search: self.plan.search,
            addresses: Arc::new(ostracon_engine::NoAddresses),
            media_kept: std::time::Duration::from_secs(300),
            retention: None,
            away: self.plan.away.clone(),
        };
        let clock = Arc::clone(&self.clock) as _;
        let bounds = self.plan.bounds;
        let engine = Engine::start_within(directory, ids, shards, clock, options, bounds).await;
        self.engine = Some(Arc::new(engine.unwrap_or_else(|error| panic!("{error}"))));
    }

    /// The process dies: nobody may hold the engine any more.
    pub(crate) async fn crash(&mut self) {
        let engine = self.engine.take().unwrap();
        let Ok(engine) = Arc::try_unwrap(engine) else { panic!("the engine is still in use") };
        drop(engine);
        // Its tasks end when they are next looked at.
        pass(1).await;
    }

    /// A clean stop, and the end of the process.
    pub(crate) async fn stop(&mut self) {
        self.engine().stop().await;
        self.crash().await;
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().unwrap()
    }

    pub(crate) async fn connect(&self, user: UserId) -> Line {
        self.connect_as(user, user.get(), Encoding::Json).await
    }

    pub(crate) async fn connect_as(&self, user: UserId, session: u64, encoding: Encoding) -> Line {
        let connection = self.engine().connect(user, session, encoding).await.unwrap();
        Line { connection }
    }

    /// Does something without a connection, as a REST call does.
    pub(crate) async fn run(
        &self,
        actor: UserId,
        conversation: ConversationId,
        action: Action,
    ) -> Result<Done, EngineError> {
        self.engine().run(actor, conversation, action).await
    }

    /// A text sent without a connection; its seq.
    pub(crate) async fn say(&self, actor: UserId, conversation: ConversationId, text: &str) -> u64 {
        let action = self.text(text);
        match self.run(actor, conversation, action).await.unwrap().outcome {
            Outcome::Sent { message, .. } => message.message.seq,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn text(&self, text: &str) -> Action {
        Action::Send(self.engine().plain_message(&OutgoingMessage::text(text)).unwrap())
    }

    /// A group of the first one and the others; the name is its client id too.
    pub(crate) async fn group(
        &self,
        owner: UserId,
        name: &str,
        others: &[UserId],
    ) -> ConversationId {
        let engine = self.engine();
        let done = engine
            .create_group(owner, name.into(), others.to_vec(), Some(name), Default::default())
            .await;
        match done.unwrap().outcome {
            Outcome::Opened { conversation, .. } => conversation.id,
            other => panic!("{other:?}"),
        }
    }

    /// Tries to create a group, but not for long: `Ok` when it was accepted, whatever became of it.
    pub(crate) async fn group_now(&self, owner: UserId, name: &str) -> Result<(), EngineError> {
        let (engine, name) = (Arc::clone(self.engine()), name.to_owned());
        let creating = tokio::spawn(async move {
            engine.create_group(owner, name, vec![], None, Default::default()).await
        });
        pass(1).await;
        if creating.is_finished() {
            return creating.await.unwrap().map(drop);
        }
        creating.abort();
        Ok(())
    }

    /// Lets everything that is under way come to an end: lanes and held events too.
    pub(crate) async fn settle(&self) {
        pass(4_000).await;
    }

    /// Batches that a crash now would repeat.
    pub(crate) async fn undispatched(&self) -> usize {
        let mut count = 0;
        for shard in &self.shards {
            count += shard.undispatched(None, 1_000).await.unwrap().len();
        }
        count
    }

    pub(crate) fn shard_of_user(&self, user: UserId) -> &Arc<TestShard> {
        let map = self.engine().map();
        let home = map.home(map.unit_of_user(user)).unwrap();
        &self.shards[home.shard.0 as usize]
    }

    pub(crate) fn shard_of(&self, id: ConversationId) -> &Arc<TestShard> {
        let map = self.engine().map();
        let home = map.home(map.unit_of(id)).unwrap();
        &self.shards[home.shard.0 as usize]
    }

    pub(crate) fn fail_busy(&self, shard: usize, commits: usize) {
        self.shards[shard].busy.fetch_add(commits, Ordering::Relaxed);
    }
}

/// Moves the paused clock: whatever is due runs before this returns.
pub(crate) async fn pass(ms: u64) {
    let nothing = std::future::pending::<()>();
    drop(tokio::time::timeout(Duration::from_millis(ms), nothing).await);
}

/// Lets tasks that can run do so, without moving time.
pub(crate) async fn yield_all() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// One socket.
pub(crate) struct Line {
    pub(crate) connection: Arc<Connection>,
}

impl Line {
    /// Sends a frame.
    pub(crate) async fn send(&self, world: &World, kind: &str, id: u64, data: Value) {
        let frame = json!({ "type": kind, "id": id, "data": data });
        world.engine().receive(&self.connection, frame.to_string().as_bytes()).await;
    }

    pub(crate) async fn say(
        &self,
        world: &World,
        id: u64,
        conversation: ConversationId,
        text: &str,
    ) {
        let data = json!({ "conversation_id": conversation, "content": text });
        self.send(world, "send_message", id, data).await;
    }

    /// Every frame that waits, as JSON text.
    pub(crate) fn read(&self) -> Vec<String> {
        let mut out = Vec::new();
        while self.connection.drain(&mut out) != Drained::Empty {}
        let encoding = self.connection.encoding;
        out.iter().map(|frame| encoding.text(frame).unwrap().into_owned()).collect()
    }

    /// Every frame that waits, in words; without what was only said about the list.
    pub(crate) fn words(&self) -> Vec<String> {
        let frames = self.read();
        let words = frames.iter().map(|frame| words::of(frame));
        words.filter(|words| !words.starts_with("inbox ") && !words.starts_with("hello")).collect()
    }

    /// Only what was said about the list.
    pub(crate) fn inbox_words(&self) -> Vec<String> {
        let frames = self.read();
        frames.iter().map(|frame| words::of(frame)).filter(|w| w.starts_with("inbox ")).collect()
    }
}
