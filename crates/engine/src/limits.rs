//! Every bound of the live part, each with its unit and what happens beyond it.

use std::time::Duration;

use ostracon_proto::frame::live::PRESENCE_USERS_MAX;

/// Bounds of what waits inside the engine. A server has the default; tests make them small.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Commands that wait for one shard's committer; one more is refused with `busy`. At least 1.
    pub committer_queue: usize,
    /// Commands in one batch; the rest waits for the next. At least 1.
    pub batch: usize,
    /// Batches that wait for one dispatcher; the committer waits for room before it commits. At least 1.
    pub dispatch_queue: usize,
    /// List changes that wait in one lane, one for each user and conversation; beyond it new commands are refused
    /// with `busy`.
    pub lane_entries: usize,
    /// Events that wait for one connection; beyond it they are dropped and the client is told `sync_required`.
    pub outbox_events: u32,
    /// Bytes of commands that wait for a unit between two shards; beyond it new ones are refused with `busy`. What a
    /// committer gives back always has room: its queue has a bound.
    pub parked_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            committer_queue: 16_384,
            batch: 1_024,
            dispatch_queue: 8,
            lane_entries: 200_000,
            outbox_events: 4_096,
            parked_bytes: PARKED_BYTES_MAX,
        }
    }
}

/// Bytes of commands that wait for a unit between two shards, on one node.
pub const PARKED_BYTES_MAX: usize = 64 << 20;
/// How long a command or read waits for a unit between two shards; then it is refused with `busy`.
pub const PARKING_MAX: Duration = Duration::from_secs(5);
/// How often the map is read, and a unit between two shards is asked for, while something waits for it.
pub const ROUTER_PERIOD: Duration = Duration::from_millis(5);
/// How long a shard that is to be removed may take to hand over what it still holds.
pub const REMOVAL_MAX: Duration = Duration::from_secs(30);
/// Entries of lists whose unread messages are counted with one question to a shard.
pub const TELLER_AT_ONCE: usize = 100;
/// Entries of lists that wait for such a question to one shard; of one more nobody is told before he asks.
pub const TELLER_WAITING_MAX: usize = 100_000;
/// How long such a question may take; then its users are not told before they ask.
pub const TELLER_PATIENCE: Duration = Duration::from_secs(5);
/// Changes of users' lists in one batch, besides one for every four commands in it.
pub const LISTS_PER_BATCH: usize = 16;
/// Users whose list changes are committed in one go.
pub const LANE_USERS_PER_FLUSH: usize = 2_000;
/// A lane is drained at most this often for users with a connection here.
pub const LANE_PERIOD: Duration = Duration::from_millis(250);
/// A lane is drained at least this often for everybody else.
pub const LANE_PERIOD_OFFLINE: Duration = Duration::from_secs(3);
/// Pause after a lane could not be drained.
pub const LANE_RETRY: Duration = Duration::from_millis(500);
/// Bytes that wait for one connection; beyond it events are dropped and the client is told `sync_required`.
pub const OUTBOX_BYTES_MAX: usize = 4 << 20;
/// Commands of one connection that wait for an answer; beyond it the socket is not read.
pub const IN_FLIGHT_MAX: u32 = 256;
/// Events of a large group are held back at most this long, so that many leave at once.
pub const LARGE_COALESCE: Duration = Duration::from_millis(25);
/// Events that wait to leave together; one more makes them leave now.
pub const LARGE_COALESCE_EVENTS: usize = 64;
/// Conversations whose members a dispatcher remembers; beyond it some are forgotten and loaded again.
pub const AUDIENCES_MAX: usize = 50_000;
/// Users known to exist; beyond it all are forgotten and looked up again.
pub const KNOWN_USERS_MAX: usize = 1_000_000;
/// Changes of the use of files that may wait for the directory; with more, commands are `busy`.
pub const MEDIA_CHANGES_MAX: usize = 100_000;
/// Pause before a dispatcher reads members again that it could not read.
pub const READ_RETRY: Duration = Duration::from_millis(200);
/// How long another shard may take to say who is a member, before what a crash left of its conversations is set aside.
pub const HOME_PATIENCE: Duration = Duration::from_secs(5);
/// Longest pause before what was set aside is tried again.
pub const ASIDE_RETRY_MAX: Duration = Duration::from_secs(5);
/// How often dispatch cursors are noted; what a crash repeats is at most as old as this and a lane's flush.
pub const CURSOR_PERIOD: Duration = Duration::from_millis(500);
/// How often rate limits forget who is idle.
pub const RATE_TIDY_PERIOD: Duration = Duration::from_secs(60);
/// Member rows read at once.
pub const MEMBERS_PER_READ: u32 = 1_000;
/// Counters of what is busy, for each kind; what costs less than a share of 1 in half so many may be unseen.
pub const HEAT_COUNTERS: usize = 4_096;
/// Costs are collected for so long before they count.
pub const HEAT_WINDOW: Duration = Duration::from_secs(10);
/// Which part of the newest window is in the smoothed cost.
pub const HEAT_FADES_BY: f64 = 0.5;
/// Users that one connection watches; one more is refused.
pub const WATCHED_MAX: usize = PRESENCE_USERS_MAX;
/// Changes of presence are collected for so long, then told together.
pub const PRESENCE_BATCH: Duration = Duration::from_millis(100);
/// Users whose changes are told under one lock.
pub const PRESENCE_TOLD_AT_ONCE: usize = 64;
/// Who was heard so recently is still there: a page is loaded again, a network changes.
pub const PRESENCE_GRACE: Duration = Duration::from_secs(5);
/// When users were last online is written at most so often.
pub const LAST_SEEN_PERIOD: Duration = Duration::from_secs(2);
/// It is written for who is still online as often as this: a crash loses no more of it.
pub const LAST_SEEN_REFRESH: Duration = Duration::from_secs(300);
/// Users whose time is written at once.
pub const LAST_SEEN_PER_WRITE: usize = 1_000;
/// Users whose time waits to be written; of more it is not.
pub const LAST_SEEN_WAITING_MAX: usize = 200_000;
/// Users with settings of their own that are read at once at a start.
pub const PRIVATE_PER_READ: u32 = 1_000;
/// The newest messages of a direct conversation that are looked through for one of a user's.
pub const CONTACT_MESSAGES_MAX: u32 = 1_000;
/// Messages read at once for it.
pub const CONTACT_MESSAGES_PER_READ: u32 = 200;
/// Direct conversations that are looked through at the same time for one request.
pub const CONTACTS_AT_ONCE: usize = 16;
/// Answers of it that are remembered; beyond it all are forgotten.
pub const CONTACTS_KNOWN_MAX: usize = 200_000;
/// How long it is believed that a user has not written.
pub const NO_CONTACT_LIFE: Duration = Duration::from_secs(30);
/// Changes of one user's typing in one conversation are told at most this often.
pub const TYPING_GAP: Duration = Duration::from_secs(1);
/// Who goes on typing is told again after so long.
pub const TYPING_AGAIN: Duration = Duration::from_secs(4);
/// Who does not say again that he types has stopped after so long.
pub const TYPING_LIFE: Duration = Duration::from_secs(6);
/// Conversations in which one connection types at the same time; in more, nobody is told.
pub const TYPING_PER_CONNECTION_MAX: usize = 16;
/// Conversations whose members are remembered for typing; beyond it all are forgotten and read again.
pub const TYPING_ROOMS_MAX: usize = 50_000;
/// Users of a large group of whom it is remembered that they are members; beyond it all are asked for again.
pub const TYPING_LARGE_KNOWN_MAX: usize = 1_000;
/// How long they are believed.
pub const TYPING_ROOM_LIFE: Duration = Duration::from_secs(60);
/// Marks of one connection in one conversation within so long are one commit.
pub const MARK_WINDOW: Duration = Duration::from_millis(250);
/// Such windows that are open; beyond it marks are committed one by one.
pub const MARK_WINDOWS_MAX: usize = 100_000;
/// Hint to a client that was refused with `busy`, milliseconds.
pub const BUSY_RETRY_MS: u64 = 250;
/// Hint to a client whose shard does not answer, milliseconds.
pub const UNAVAILABLE_RETRY_MS: u64 = 1_000;
/// Id time that a node reserves ahead, milliseconds.
pub const ID_RESERVE_MS: i64 = 5_000;

/// Conversations that wait for one index; which others moved on is found by comparing.
pub const INDEX_WAITING_MAX: usize = 100_000;
/// What is committed within so long is indexed together.
pub const INDEX_PERIOD: Duration = Duration::from_millis(400);
/// Pause after an index could not be brought up to date.
pub const INDEX_RETRY: Duration = Duration::from_secs(2);
/// Conversations that are brought up to date in one turn.
pub const INDEX_AT_ONCE: usize = 500;
/// Rows that are read at once; a conversation that is further behind is indexed anew.
pub const INDEX_ROWS: u32 = 4_000;
/// Messages that are written into an index at once.
pub const INDEX_DOCUMENTS: usize = 8_192;
/// How long one turn of an indexer may take; then its shard counts as silent.
pub const INDEX_STEP_MAX: Duration = Duration::from_secs(30);
/// With no commit for so long, indexers do not rest.
pub const INDEX_IDLE_AFTER: Duration = Duration::from_secs(1);
/// Commands in a second at one node from which on its indexers rest much longer.
pub const INDEX_HEAVY_COMMANDS: usize = 20_000;
/// Beside traffic, indexers rest after so much work.
pub const INDEX_REST_AFTER: Duration = Duration::from_millis(5);
/// Conversations that went elsewhere are looked for in an index at most this often.
pub const INDEX_FORGET_PERIOD: Duration = Duration::from_secs(10);
/// How often an index does its upkeep.
pub const INDEX_TEND_PERIOD: Duration = Duration::from_secs(5);
/// How often everything in an index is compared with its shard.
pub const INDEX_COMPARE_PERIOD: Duration = Duration::from_secs(15 * 60);
/// How long an index may take to answer; then its shard is named among those that did not.
pub const SEARCH_PATIENCE: Duration = Duration::from_secs(3);
/// Candidates that are read for one answer; then it has fewer messages, and says where to go on.
pub const SEARCH_EXAMINED_MAX: usize = 2_000;
/// Messages among which the best are chosen.
pub const SEARCH_RANKED_MAX: usize = 300;
/// Messages that are read at the same time for one answer.
pub const SEARCH_READS: usize = 8;
/// Conversations of a list whose names are looked at.
pub const SEARCH_NAMED_MAX: usize = 5_000;
/// Members of a group whose names are looked at by one call.
pub const SEARCH_MEMBERS_MAX: usize = 5_000;
/// Conversations whose names are read at once.
pub const SEARCH_NAMED_AT_ONCE: u32 = 500;

/// Notes of what is to be told outside, of one shard; more are dropped and counted.
pub const AWAY_WAITING_MAX: usize = 200_000;
/// How long they are collected before they are put into the queue.
pub const AWAY_PERIOD: Duration = Duration::from_millis(200);
/// Pause after the queue did not take them.
pub const AWAY_RETRY: Duration = Duration::from_secs(1);
/// Notes that are put in one transaction.
pub const AWAY_AT_ONCE: usize = 500;
/// How long a stop waits for the last of them.
pub const AWAY_LAST_MAX: Duration = Duration::from_secs(3);
/// When it is asked again whether a device that is connected has taken a message.
pub const AWAY_LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Messages that are looked at for the newest that is still there.
pub const AWAY_MESSAGES_MAX: u32 = 20;
/// Users with a device that are read at once.
pub const SUBSCRIBED_PER_READ: u32 = 1_000;
/// How often it is looked whether timers of messages are over.
pub const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// How long after a start every conversation is looked at for what has lived long enough.
pub const SWEEP_FIRST: Duration = Duration::from_secs(5);
/// Rest between two looks at every conversation for what has lived long enough.
pub const SWEEP_PASS_PERIOD: Duration = Duration::from_secs(3_600);
/// Rest after each step of removing.
pub const SWEEP_REST: Duration = Duration::from_millis(20);
/// How long one step may take; then its shard counts as silent.
pub const SWEEP_STEP_MAX: Duration = Duration::from_secs(30);
/// Rows that are read, and messages that are removed, in one step.
pub const SWEEP_ROWS: u32 = 500;
/// Conversations whose timers are looked at in one turn.
pub const SWEEP_AT_ONCE: usize = 200;
/// Messages whose timers end in one command.
pub const EXPIRE_AT_ONCE: usize = 100;
/// When what could not be removed, or was not in the tables yet, is looked at again, milliseconds.
pub const SWEEP_LAG: ostracon_domain::Millis = 2_000;
/// Conversations of which it is known when a timer is over; others are found by looking at all.
pub const TIMETABLE_MAX: usize = 1_000_000;
/// Messages that a reader has deleted for himself, read beside a page of answers; of more, later ones are shown.
pub const HIDDEN_PER_READ: u32 = 100_000;
