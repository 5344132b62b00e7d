//! A small cluster in memory: shards, a directory, a coordinator, and clients that look at the map again when fenced.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ostracon_domain::{
    Action, Command, ConversationCommand, ConversationId, Limits, MapChange, MessageKind, Millis,
    NewMessage, Outcome, PlacementMap, Row, Seq, ShardId, UnitAt, UnitId, UserId,
};
use ostracon_reshard::{Coordinator, Host, Options, Unreachable, plan::Plan};
use ostracon_store::{
    Answer, Batch, Cluster, Directory, Moves, Order, Shard, UnitPhase,
    directory::{JobState, MoveRow, NewJob, NewMove, ShardAdmission, ShardRow},
    memory::{CountingIds, MemoryShard, directory::MemoryDirectory},
};
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) const START: Millis = 1_700_000_000_000;

pub(crate) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn talk(a: u64, b: u64) -> ConversationId {
    ConversationId::direct(user(a), user(b))
}

pub(crate) struct Node {
    pub(crate) shards: Mutex<BTreeMap<ShardId, Arc<dyn Shard>>>,
    now: AtomicI64,
    /// While true, dispatchers do not hand over what they have.
    pub(crate) dispatch_held: watch::Sender<bool>,
}

#[async_trait]
impl Host for Node {
    fn shard(&self, id: ShardId) -> Option<Arc<dyn Shard>> {
        self.shards.lock().get(&id).cloned()
    }

    async fn dispatched(&self, _: ShardId) -> Result<(), Unreachable> {
        // The sender lives as long as this.
        let _ = self.dispatch_held.subscribe().wait_for(|held| !held).await;
        Ok(())
    }

    async fn map_changed(&self, _: u64, _: &MapChange) {}

    async fn units_changed(&self) {}

    fn now(&self) -> Millis {
        self.now.fetch_add(1, Ordering::Relaxed)
    }

    fn foreground_p99(&self) -> Option<Duration> {
        None
    }
}

pub(crate) struct World {
    pub(crate) directory: Arc<MemoryDirectory>,
    pub(crate) memory: BTreeMap<ShardId, Arc<MemoryShard>>,
    pub(crate) node: Arc<Node>,
    pub(crate) coordinator: Arc<Coordinator>,
    stop: CancellationToken,
}

pub(crate) fn options() -> Options {
    Options { page_rows: 7, subjects_at_once: 3, backlog_small: 2, ..Options::default() }
}

impl World {
    /// Shards 0 … n−1 with the slots spread over them; copies go in small pages, so that they have many.
    pub(crate) async fn new(shards: u32) -> Self {
        Self::with(shards, options()).await
    }

    /// The same with pages as they usually are.
    pub(crate) async fn wide(shards: u32) -> Self {
        Self::with(shards, Options::default()).await
    }

    async fn with(shards: u32, options: Options) -> Self {
        let directory = Arc::new(MemoryDirectory::new(1));
        let rows: Vec<ShardRow> = (0..shards)
            .map(|id| ShardRow {
                id: ShardId(id),
                url: format!("memory-{id}"),
                state: ShardAdmission::Accepting,
            })
            .collect();
        directory.found(&rows).await.unwrap();
        let map = directory.map().await.unwrap();
        let ids = Arc::new(CountingIds::new(1, 1));
        let memory: BTreeMap<_, _> = rows
            .iter()
            .map(|row| {
                let here = map.units().filter(|(_, home)| home.shard == row.id);
                let units: Vec<UnitId> = here.map(|(unit, _)| unit).collect();
                let shard = MemoryShard::serving(row.id, Arc::clone(&ids) as _, units);
                (row.id, Arc::new(shard))
            })
            .collect();
        let dynamic = memory.iter().map(|(id, shard)| (*id, Arc::clone(shard) as Arc<dyn Shard>));
        let node = Arc::new(Node {
            shards: Mutex::new(dynamic.collect()),
            now: AtomicI64::new(START),
            dispatch_held: watch::Sender::default(),
        });
        let known: Arc<dyn Directory> = Arc::clone(&directory) as _;
        let coordinator = Coordinator::new(Arc::clone(&node) as _, known, options, 1);
        Self { directory, memory, node, coordinator, stop: CancellationToken::new() }
    }

    /// Starts the coordinator.
    pub(crate) fn start(&self) -> JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.coordinator).run(self.stop.clone()))
    }

    /// Stops it; another one may be started by [`restart`](Self::restart).
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// The next process of the node, with a coordinator that runs.
    pub(crate) fn restart(&mut self) -> JoinHandle<()> {
        let known: Arc<dyn Directory> = Arc::clone(&self.directory) as _;
        self.coordinator = Coordinator::new(Arc::clone(&self.node) as _, known, options(), 1);
        self.stop = CancellationToken::new();
        self.start()
    }

    pub(crate) async fn map(&self) -> PlacementMap {
        self.directory.map().await.unwrap()
    }

    /// Runs a plan to its end; the moves.
    pub(crate) async fn run(&self, plan: Plan) -> (JobState, Vec<MoveRow>) {
        let job = self.begin(plan).await;
        let state = self.over(job).await;
        (state, self.directory.moves_of(job).await.unwrap())
    }

    pub(crate) async fn begin(&self, plan: Plan) -> u64 {
        if let Some(change) = &plan.before {
            self.directory.change_overrides(change).await.unwrap();
        }
        self.begin_moves(plan.moves).await
    }

    pub(crate) async fn begin_moves(&self, moves: Vec<NewMove>) -> u64 {
        let new = NewJob {
            title: "a job".to_owned(),
            request: "{}".to_owned(),
            by: "a test".to_owned(),
            moves,
        };
        let job = self.directory.plan_job(new, START).await.unwrap();
        let from = [JobState::Planned];
        self.directory.set_job(job.id, &from, JobState::Running, None, START).await.unwrap();
        self.coordinator.wake();
        job.id
    }

    pub(crate) async fn over(&self, job: u64) -> JobState {
        for _ in 0..10_000 {
            let state = self.directory.job(job).await.unwrap().unwrap().state;
            if state.is_over() {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the job does not end: {:?}", self.directory.moves_of(job).await);
    }

    /// Waits until nothing is left behind.
    pub(crate) async fn clean(&self) {
        for _ in 0..10_000 {
            if self.directory.garbage().await.unwrap().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("leftovers stay");
    }

    pub(crate) fn one(&self, unit: UnitId, from: u32, to: u32) -> Vec<NewMove> {
        let change = MapChange::Move { units: vec![unit], to: ShardId(to) };
        vec![NewMove { source: ShardId(from), destination: ShardId(to), change }]
    }

    /// Sends like a router: looks at the map again when it is fenced.
    pub(crate) async fn act(&self, id: ConversationId, actor: UserId, action: Action) -> Outcome {
        self.act_within(Limits::default().group_members_max, id, actor, action).await
    }

    /// The same, where groups may have so many members.
    pub(crate) async fn act_within(
        &self,
        group_members_max: u32,
        id: ConversationId,
        actor: UserId,
        action: Action,
    ) -> Outcome {
        let limits = Limits { group_members_max, ..Limits::default() };
        for _ in 0..10_000 {
            let map = self.map().await;
            let unit = map.unit_of(id);
            let home = map.home(unit).unwrap();
            let command = ConversationCommand { conversation: id, actor, action: action.clone() };
            let order = Order {
                at: UnitAt { unit, epoch: home.epoch },
                command: Command::Conversation(command),
            };
            let now = self.node.now();
            let batch = Batch { now, limits, orders: vec![order].into() };
            let shard = self.node.shard(home.shard).unwrap();
            match shard.commit(batch).await.map(|mut commit| commit.answers.remove(0)) {
                Ok(Answer::Done { outcome, .. }) => return outcome,
                Ok(Answer::Fenced(_)) | Err(_) => {
                    tokio::time::sleep(Duration::from_millis(1)).await
                }
                Ok(Answer::Refused(refusal)) => panic!("{refusal:?}"),
            }
        }
        panic!("fenced for ever");
    }

    pub(crate) async fn say(&self, id: ConversationId, actor: UserId, text: &str) -> Seq {
        let message = NewMessage {
            kind: MessageKind::Text,
            content: text.to_owned(),
            client_id: None,
            payload_hash: 0,
            reply_to: None,
            mentions: Vec::new(),
            attachments: Some(Vec::new()),
        };
        match self.act(id, actor, Action::Send(message)).await {
            Outcome::Sent { message, .. } => message.message.seq,
            other => panic!("{other:?}"),
        }
    }

    /// The texts of a conversation where the map says it lives.
    pub(crate) async fn texts(&self, id: ConversationId) -> Vec<String> {
        let map = self.map().await;
        let unit = map.unit_of(id);
        let shard = self.node.shard(map.home(unit).unwrap().shard).unwrap();
        let page = shard.scan_unit(unit, None, 2_000_000).await.unwrap();
        let of = |row: &Row| match row {
            Row::Message(row) if row.conversation == id => Some(row.content.clone()),
            _ => None,
        };
        page.rows.iter().filter_map(of).collect()
    }

    /// What must be true whenever no move is under way.
    pub(crate) async fn check(&self) {
        let map = self.map().await;
        for (id, shard) in &self.memory {
            for state in ostracon_store::Transfer::unit_states(&**shard).await.unwrap() {
                let here = map.home(state.unit).is_some_and(|home| home.shard == *id);
                let wanted = if here { UnitPhase::Open } else { UnitPhase::Moved };
                assert_eq!(state.phase, wanted, "unit {} on shard {id}", state.unit);
                if here {
                    assert_eq!(map.home(state.unit).unwrap().epoch, state.epoch);
                }
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
