//! The configurations: small worlds, each made to let one part of the protocol go wrong.
//! Every bound is here: how many commands, moves, take-overs, restarts, aborts and late requests.

use crate::{
    names::{
        Conversation::{self, X, Y},
        Shard, Unit,
    },
    subject::Act,
};

/// A command that a client gives to one router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// The router; one sender's commands all go through it, in order.
    pub router: u8,
    /// The conversation that it changes.
    pub conversation: Conversation,
    /// What it does.
    pub act: Act,
}

/// What kind a move is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobKind {
    /// A unit goes from one shard to another.
    Move,
    /// `y` leaves `p` for the new unit `c`, on the same shard.
    Carve,
    /// `c` goes back into `p`, on the same shard.
    Merge,
}

/// A move of the script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    /// Its kind.
    pub kind: JobKind,
    /// The unit that is frozen.
    pub unit: Unit,
    /// Where it is.
    pub source: Shard,
    /// Where it goes; the source again unless it moves.
    pub destination: Shard,
}

/// Which side of the present move restarts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// Which requests may be late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LateKinds {
    /// All of them.
    Any,
    /// Pages of a purge and deletions of garbage.
    Purge,
    /// Commands of clients.
    Commands,
}

/// A bounded world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// Its name.
    pub name: &'static str,
    /// What it is made to find.
    pub about: &'static str,
    /// For each conversation, `x` first: messages it begins with. None: it is born here.
    pub messages: &'static [u8],
    /// The commands, in order; a router gives its own in this order.
    pub commands: &'static [Command],
    /// The moves, one after the other.
    pub script: &'static [Job],
    /// Freezes before a coordinator no longer gives up for lack of time.
    pub freezes: u8,
    /// Take-overs by another coordinator; the older one lives on as a zombie.
    pub takeovers: u8,
    /// Restarts, in this order.
    pub restarts: &'static [Side],
    /// Decisions to abort.
    pub aborts: u8,
    /// Requests that stay under way.
    pub late: u8,
    /// Which requests those are.
    pub late_kinds: LateKinds,
    /// Commands that a router has unanswered at once.
    pub pipeline: usize,
    /// A command takes two steps: it has passed the fence, it is stored.
    pub slow_commands: bool,
    /// Pages of a conversation: 2 puts the messages after the first into a page of their own.
    pub parts: u8,
    /// Two readers of `x` ask while it moves.
    pub readers: bool,
    /// Stored changes go out as events through a queue.
    pub dispatch: bool,
    /// Garbage is purged, and a clean end has none.
    pub purge: bool,
    /// A command of a client may arrive twice.
    pub late_commands: bool,
}

const DEFAULT: Configuration = Configuration {
    name: "",
    about: "",
    messages: &[1],
    commands: &[],
    script: &[P_TO_B],
    freezes: 1,
    takeovers: 0,
    restarts: &[],
    aborts: 0,
    late: 0,
    late_kinds: LateKinds::Any,
    pipeline: 1,
    slow_commands: false,
    parts: 1,
    readers: false,
    dispatch: false,
    purge: false,
    late_commands: false,
};

const P_TO_B: Job =
    Job { kind: JobKind::Move, unit: Unit::P, source: Shard::A, destination: Shard::B };
const P_TO_A: Job =
    Job { kind: JobKind::Move, unit: Unit::P, source: Shard::B, destination: Shard::A };
const C_TO_B: Job = Job { unit: Unit::C, ..P_TO_B };
const C_TO_A: Job = Job { unit: Unit::C, ..P_TO_A };
const CARVE_ON_A: Job = Job { kind: JobKind::Carve, destination: Shard::A, ..P_TO_B };
const CARVE_ON_B: Job = Job { kind: JobKind::Carve, destination: Shard::B, ..P_TO_A };
const MERGE_ON_A: Job = Job { kind: JobKind::Merge, unit: Unit::C, ..CARVE_ON_A };

const fn append(router: u8, conversation: Conversation) -> Command {
    Command { router, conversation, act: Act::Append }
}

const fn edit(router: u8, conversation: Conversation) -> Command {
    Command { router, conversation, act: Act::Edit }
}

const fn remove(router: u8, conversation: Conversation) -> Command {
    Command { router, conversation, act: Act::Remove }
}

/// Every configuration; the protocol holds in all of them.
pub const CONFIGURATIONS: &[Configuration] = &[
    Configuration {
        name: "base",
        about: "one move under slow commands of two routers",
        commands: &[append(0, X), edit(1, X), append(1, X)],
        slow_commands: true,
        freezes: 2,
        ..DEFAULT
    },
    Configuration {
        name: "birth",
        about: "the conversation is born during the move",
        messages: &[0],
        commands: &[append(0, X), append(1, X), edit(0, X)],
        slow_commands: true,
        freezes: 2,
        ..DEFAULT
    },
    Configuration {
        name: "pages",
        about: "a conversation in two pages, edited and cut while it is copied",
        messages: &[2],
        parts: 2,
        commands: &[edit(0, X), append(1, X), remove(1, X)],
        freezes: 2,
        ..DEFAULT
    },
    Configuration {
        name: "two",
        about: "two conversations of one unit, one of them born during the move",
        messages: &[1, 0],
        commands: &[edit(0, X), append(1, Y), append(0, Y)],
        freezes: 2,
        ..DEFAULT
    },
    Configuration {
        name: "late",
        about: "any one request arrives late or twice",
        commands: &[append(0, X), edit(1, X)],
        freezes: 2,
        late: 1,
        slow_commands: true,
        ..DEFAULT
    },
    Configuration {
        name: "late2",
        about: "two late requests and an abort",
        commands: &[append(0, X)],
        freezes: 2,
        late: 2,
        aborts: 1,
        ..DEFAULT
    },
    Configuration {
        name: "abort",
        about: "two attempts, both may abort, with purges between",
        commands: &[append(0, X), edit(1, X)],
        script: &[P_TO_B, P_TO_B],
        aborts: 2,
        late: 1,
        purge: true,
        ..DEFAULT
    },
    Configuration {
        name: "takeover",
        about: "another coordinator takes over; the older one goes on, and one request is late",
        commands: &[append(0, X), edit(1, X)],
        freezes: 2,
        takeovers: 1,
        late: 1,
        ..DEFAULT
    },
    Configuration {
        name: "takeover2",
        about: "two take-overs and an abort",
        commands: &[append(0, X), edit(1, X)],
        takeovers: 2,
        aborts: 1,
        slow_commands: true,
        ..DEFAULT
    },
    Configuration {
        name: "s-restart",
        about: "the source restarts, with a take-over",
        commands: &[append(0, X), edit(1, X), append(1, X)],
        freezes: 2,
        restarts: &[Side::Source],
        takeovers: 1,
        ..DEFAULT
    },
    Configuration {
        name: "d-restart",
        about: "the destination restarts and loses unsynced pages, with a take-over",
        messages: &[2],
        parts: 2,
        commands: &[edit(0, X), append(1, X)],
        freezes: 2,
        restarts: &[Side::Destination],
        takeovers: 1,
        ..DEFAULT
    },
    Configuration {
        name: "moveback",
        about: "there and back, with purges and one late request",
        commands: &[append(0, X), remove(1, X)],
        messages: &[2],
        script: &[P_TO_B, P_TO_A],
        late: 1,
        purge: true,
        ..DEFAULT
    },
    Configuration {
        name: "carve",
        about: "a child is carved and moves, with a birth and a take-over",
        messages: &[1, 0],
        commands: &[append(0, Y), append(1, Y), edit(1, X)],
        script: &[CARVE_ON_A, C_TO_B],
        takeovers: 1,
        ..DEFAULT
    },
    Configuration {
        name: "carve-late",
        about: "a child is carved and moves, with an abort and one late request",
        messages: &[1, 1],
        commands: &[append(0, Y), edit(1, Y)],
        script: &[CARVE_ON_A, C_TO_B],
        freezes: 2,
        late: 1,
        aborts: 1,
        ..DEFAULT
    },
    Configuration {
        name: "carve-back",
        about: "the slot moves, a child is carved there and comes home to the slot's garbage",
        messages: &[1, 1],
        commands: &[append(0, Y)],
        script: &[P_TO_B, CARVE_ON_B, C_TO_A],
        late: 1,
        late_kinds: LateKinds::Purge,
        purge: true,
        ..DEFAULT
    },
    Configuration {
        name: "merge",
        about: "a child is carved and merged again, with a birth, a take-over and an abort",
        messages: &[1, 0],
        commands: &[append(0, Y), append(1, Y)],
        script: &[CARVE_ON_A, MERGE_ON_A],
        takeovers: 1,
        aborts: 1,
        ..DEFAULT
    },
    Configuration {
        name: "carve-zombie",
        about: "a child is carved and moves, with a zombie and one late request",
        messages: &[1, 0],
        commands: &[append(0, Y)],
        script: &[CARVE_ON_A, C_TO_B],
        takeovers: 1,
        late: 1,
        ..DEFAULT
    },
    Configuration {
        name: "pipeline",
        about: "one sender with three commands in flight",
        commands: &[append(0, X), append(0, X), append(0, X)],
        pipeline: 3,
        freezes: 2,
        aborts: 1,
        slow_commands: true,
        ..DEFAULT
    },
    Configuration {
        name: "pipe-carve",
        about: "one sender with three commands in flight while their unit is carved and moves",
        messages: &[1, 0],
        commands: &[append(0, Y), append(0, Y), append(0, Y)],
        pipeline: 3,
        script: &[CARVE_ON_A, C_TO_B],
        ..DEFAULT
    },
    Configuration {
        name: "reads",
        about: "two readers with caches, there and back",
        commands: &[append(0, X), append(1, X)],
        readers: true,
        script: &[P_TO_B, P_TO_A],
        purge: true,
        ..DEFAULT
    },
    Configuration {
        name: "dispatch",
        about: "events keep their order through a move",
        commands: &[append(0, X), edit(1, X), append(1, X)],
        dispatch: true,
        freezes: 2,
        aborts: 1,
        ..DEFAULT
    },
    Configuration {
        name: "retry",
        about: "a command arrives twice, there and back",
        messages: &[0],
        commands: &[append(0, X), append(1, X)],
        late_commands: true,
        late: 1,
        late_kinds: LateKinds::Commands,
        freezes: 2,
        script: &[P_TO_B, P_TO_A],
        purge: true,
        ..DEFAULT
    },
    Configuration {
        name: "s-restart-late",
        about: "the source restarts and one request is late",
        commands: &[append(0, X), edit(1, X)],
        restarts: &[Side::Source],
        late: 1,
        ..DEFAULT
    },
    Configuration {
        name: "d-restart-late",
        about: "the destination restarts and one request is late",
        messages: &[2],
        parts: 2,
        commands: &[edit(0, X)],
        restarts: &[Side::Destination],
        late: 1,
        ..DEFAULT
    },
    Configuration {
        name: "sd-restart",
        about: "the source restarts, then the destination",
        messages: &[2],
        parts: 2,
        commands: &[edit(0, X), append(1, X)],
        restarts: &[Side::Source, Side::Destination],
        ..DEFAULT
    },
    Configuration {
        name: "zombie-late2",
        about: "a zombie and two late requests",
        commands: &[append(0, X)],
        takeovers: 1,
        late: 2,
        ..DEFAULT
    },
    Configuration {
        name: "moveback-zombie",
        about: "there and back, with a zombie, purges and one late request",
        commands: &[append(0, X)],
        script: &[P_TO_B, P_TO_A],
        takeovers: 1,
        late: 1,
        purge: true,
        ..DEFAULT
    },
];

impl Configuration {
    /// The configuration with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CONFIGURATIONS.iter().find(|configuration| configuration.name == name)
    }

    /// The conversations that exist in this world.
    pub fn conversations(&self) -> &'static [Conversation] {
        if self.messages.len() == 1 { &[X] } else { &[X, Y] }
    }
}
