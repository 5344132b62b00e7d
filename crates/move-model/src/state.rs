//! One state of the world: the directory, both shards, both routers, the readers, the
//! coordinators, and what is under way. All of it is a plain value without pointers.

use crate::{
    configuration::Configuration,
    fence::Fence,
    list::List,
    map::Map,
    names::{
        CommandNumber, Conversation, Epoch, Incarnation, JobNumber, Lease, PerConversation,
        PerShard, PerUnit, Shard, Unit, Version,
    },
    request::{Cursor, Garbage, Late, PurgePage, Sent},
    step::Step,
    subject::{Content, Row},
};

/// Unanswered commands of a router.
pub const IN_FLIGHT_MAX: usize = 4;

/// Where a move stands in the directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// There was no move yet.
    Never,
    /// Rows are copied; the source serves.
    Copying,
    /// The source is frozen, or about to be.
    Freezing,
    /// Decided: only forward.
    Committed,
    /// Over.
    Done,
    /// Decided: only back.
    Aborting,
    /// Over, without effect.
    Aborted,
}

impl Phase {
    /// True if no move is active.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Never | Self::Done | Self::Aborted)
    }

    /// Its name in the directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "none",
            Self::Copying => "COPYING",
            Self::Freezing => "FREEZING",
            Self::Committed => "COMMITTED",
            Self::Done => "DONE",
            Self::Aborting => "ABORTING",
            Self::Aborted => "ABORTED",
        }
    }
}

/// A command parked until its unit is served again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parked {
    /// Which command.
    pub command: CommandNumber,
    /// The map at that time; kept only where parking is by unit.
    pub map: Option<Map>,
}

/// A router: it has a map of some age and its own senders.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Router {
    /// Its copy of the map.
    pub map: Map,
    /// The parking lot of the slot, first in first.
    pub lot: List<Parked, IN_FLIGHT_MAX>,
    /// Sent, not yet begun by the shard; each shard works in order.
    pub channel: List<Sent, IN_FLIGHT_MAX>,
    /// The next of its own commands.
    pub next: u8,
}

/// A command that has passed the fence and holds its locks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Running {
    /// Whose it is.
    pub router: u8,
    /// Where it runs, and as what.
    pub sent: Sent,
    /// The unit was capturing when it began: it leaves a note.
    pub noted: bool,
}

/// A reader of `x`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reader {
    /// Has not asked, or was fenced and asks again.
    Idle,
    /// Has passed the fence.
    Passed {
        /// The shard that it asks.
        shard: Shard,
        /// The epoch that it names.
        epoch: Epoch,
        /// The version that was acknowledged before it asked.
        need: Version,
    },
    /// Its table snapshot has begun.
    Snapshot {
        /// The shard that it asks.
        shard: Shard,
        /// The epoch that it names.
        epoch: Epoch,
        /// The version that was acknowledged before it asked.
        need: Version,
        /// The version that it saw.
        seen: Version,
    },
    /// Has answered and is about to fill the cache.
    Filling {
        /// The shard that it asked.
        shard: Shard,
        /// The epoch that it named.
        epoch: Epoch,
        /// The version that it saw.
        seen: Version,
    },
    /// Is done.
    Done,
}

/// What a cache holds of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cached {
    /// The unit at that time.
    pub unit: Unit,
    /// The epoch at that time.
    pub epoch: Epoch,
    /// The version.
    pub version: Version,
}

/// A coordinator of a move. The older one of two may be a zombie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Coordinator {
    /// What it does next.
    pub step: Step,
    /// Its lease.
    pub lease: Lease,
    /// The freeze that it is in.
    pub freeze: u8,
    /// The epoch of the unit when the move began.
    pub epoch: Epoch,
    /// Its move.
    pub job: JobNumber,
}

/// What an importing shard finds after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Durable {
    /// Its rows at the last sync.
    pub rows: PerConversation<Option<Row>>,
    /// The cursor at the last sync.
    pub cursor: Cursor,
}

/// A stored change that is not yet an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event {
    /// What was changed.
    pub conversation: Conversation,
    /// The version that the change took.
    pub rev: Version,
}

/// How much of a configuration's bounds is used up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Used {
    /// Take-overs.
    pub takeovers: u8,
    /// Restarts.
    pub restarts: u8,
    /// Decisions to abort.
    pub aborts: u8,
    /// Late requests.
    pub late: u8,
}

/// One state of the world.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// Directory: the phase of the present move.
    pub phase: Phase,
    /// Directory: which move that is.
    pub job: JobNumber,
    /// Directory: the lease that owns it.
    pub lease: Lease,
    /// Directory: its freeze number.
    pub freeze: u8,
    /// Directory: the newest map.
    pub map: Map,
    /// Directory: rows left behind, as an ordered set.
    pub garbage: List<Garbage, 8>,
    /// Shards: the fences.
    pub fences: PerShard<PerUnit<Fence>>,
    /// Shards: the rows.
    pub rows: PerShard<PerConversation<Option<Row>>>,
    /// Shards: noted subjects with the version of their last change, 0 if not noted.
    pub notes: PerShard<PerConversation<Version>>,
    /// Shards: which life each is in.
    pub incarnations: PerShard<Incarnation>,
    /// Destination: how far the copy is.
    pub cursor: Cursor,
    /// Destination: what a restart keeps; only where it may restart.
    pub durable: Option<Durable>,
    /// Shards: the caches.
    pub caches: PerShard<PerConversation<Option<Cached>>>,
    /// Shards: stored changes that are not yet events.
    pub undispatched: PerShard<List<Event, 4>>,
    /// Clients: the rev of the last event.
    pub dispatched: PerConversation<Version>,
    /// What was acknowledged: the truth that every serving shard must show.
    pub truth: PerConversation<Option<Content>>,
    /// The routers.
    pub routers: [Router; 2],
    /// Commands that run on a shard, in the order they began.
    pub running: List<Running, 4>,
    /// The readers.
    pub readers: [Reader; 2],
    /// The coordinators.
    pub coordinators: [Option<Coordinator>; 2],
    /// Requests under way that may arrive at any time.
    pub late: List<Late, 2>,
    /// A purge that has read keys.
    pub purge: Option<PurgePage>,
    /// How much of the bounds is used up.
    pub used: Used,
}

impl State {
    /// How a configuration begins: `p` on shard A at epoch 1, and no move yet.
    pub fn first(configuration: &Configuration) -> Self {
        let mut truth = PerConversation::both(None);
        let mut dispatched = PerConversation::both(0);
        let mut rows = PerConversation::both(None);
        for (conversation, count) in
            configuration.conversations().iter().zip(configuration.messages)
        {
            if *count > 0 {
                let content = Content::with_messages(*count);
                truth[*conversation] = Some(content);
                rows[*conversation] = Some(Row { unit: Unit::P, content });
            }
            dispatched[*conversation] = *count;
        }
        let router = Router { map: Map::FIRST, lot: List::new(), channel: List::new(), next: 0 };
        Self {
            phase: Phase::Never,
            job: 0,
            lease: Lease(0),
            freeze: 0,
            map: Map::FIRST,
            garbage: List::new(),
            fences: PerShard::new(
                PerUnit::new(Fence::SERVING, Fence::NEVER),
                PerUnit::both(Fence::NEVER),
            ),
            rows: PerShard::new(rows, PerConversation::both(None)),
            notes: PerShard::both(PerConversation::both(0)),
            incarnations: PerShard::both(0),
            cursor: Cursor::default(),
            durable: None,
            caches: PerShard::both(PerConversation::both(None)),
            undispatched: PerShard::both(List::new()),
            dispatched,
            truth,
            routers: [router; 2],
            running: List::new(),
            readers: [Reader::Idle; 2],
            coordinators: [None; 2],
            late: List::new(),
            purge: None,
            used: Used::default(),
        }
    }

    /// True if a command runs on that shard.
    pub fn runs_at(&self, shard: Shard) -> bool {
        self.running.iter().any(|running| running.sent.shard == shard)
    }
}
