//! Bodies of the operator's calls, for the server and for the command line.

use ostracon_domain::{ConversationId, MessageId, Millis, Rev, Seq, UserId};
use serde::{Deserialize, Serialize};

/// `GET status`: what the process is and does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Its process.
    pub process_id: u32,
    /// Since when it serves.
    pub started_at: Millis,
    /// How long that is, seconds.
    pub uptime_s: u64,
    /// Open WebSockets.
    pub connections: u64,
    /// Open sockets, WebSockets included.
    pub open_sockets: u64,
    /// Bytes that are durable but not yet in the tables; 0 when all is drained.
    pub pending_bytes: u64,
    /// Why tables cannot be written now, if they cannot.
    pub failure: Option<String>,
    /// Resident memory of the process.
    pub resident_bytes: u64,
    /// CPU time the process has used, seconds, in hundredths.
    pub cpu_seconds: f64,
}

/// `GET sharding`: what each shard holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharding {
    /// Version of the map.
    pub map_version: u64,
    /// Conversations that live in a unit of their own, as the map says.
    pub overrides: u64,
    /// By number.
    pub shards: Vec<ShardHolds>,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardHolds {
    /// Its number.
    pub shard: u32,
    /// Units the map gives it.
    pub units: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages, tombstones included.
    pub messages: u64,
    /// Users with rows of their own.
    pub users: u64,
    /// Bytes on disk of its tables.
    pub bytes: u64,
    /// Conversations that live in a unit of their own.
    pub overridden: u64,
    /// Bytes that are durable but not yet in the tables.
    pub pending_bytes: u64,
    /// Why it does not answer; then its counts are 0.
    #[serde(default)]
    pub error: Option<String>,
}

/// `GET messages`: where messages are, by rising seq.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePlaces {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its shard.
    pub shard: u32,
    /// Its unit.
    pub unit: u32,
    /// The unit's epoch.
    pub epoch: u64,
    /// Seq of its newest message.
    pub head_seq: Seq,
    /// Its newest change.
    pub rev: Rev,
    /// The messages.
    pub messages: Vec<MessagePlace>,
}

/// One message, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePlace {
    /// Its place in the conversation.
    pub seq: Seq,
    /// Its newest change.
    pub rev: Rev,
    /// Its id.
    pub message_id: MessageId,
    /// Who sent it.
    pub sender_id: UserId,
    /// When.
    pub created_at: Millis,
    /// Whether only its tombstone is left.
    pub deleted: bool,
}

/// `GET deleted`: what was deleted for everyone, by rising seq, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedMessages {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The messages.
    pub messages: Vec<DeletedMessage>,
    /// `before` of the next page, which is older; null at the end.
    pub before: Option<Seq>,
}

/// One message that was deleted for everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedMessage {
    /// Its place in the conversation.
    pub seq: Seq,
    /// Who sent it.
    pub sender_id: UserId,
    /// When.
    pub created_at: Millis,
    /// When it was deleted.
    pub deleted_at: Millis,
    /// Who deleted it.
    pub deleted_by: UserId,
    /// What it said last.
    pub content: String,
}

/// What an account may do besides talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nothing.
    User,
    /// Everything an operator may.
    Admin,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its number.
    pub user_id: UserId,
    /// Its name to sign in with.
    pub username: Option<String>,
    /// Its id in an existing system.
    pub external_id: Option<String>,
    /// Its name to show.
    pub display_name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may be used.
    pub active: bool,
    /// When it was created.
    pub created_at: Millis,
}

/// `GET users`: a page by rising number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// The accounts.
    pub users: Vec<User>,
    /// `after` of the next page; null at the end.
    pub next: Option<UserId>,
}

/// `POST users`: named ones, or `count` of them with names `prefix1`, `prefix2` …
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateUsers {
    /// By name.
    pub users: Vec<NewUser>,
    /// How many more, with made-up names.
    pub count: u32,
    /// What the made-up names begin with; `user` when left out.
    pub prefix: Option<String>,
    /// A name that exists already is signed in instead of refused.
    pub reuse: bool,
}

/// One account to create.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewUser {
    /// Its name to sign in with; it or the external id is needed.
    pub username: Option<String>,
    /// Its password; none: it cannot sign in with one.
    pub password: Option<String>,
    /// Its name to show; the user name when left out.
    pub display_name: Option<String>,
    /// Its id in an existing system.
    pub external_id: Option<String>,
    /// What it may do; `user` when left out.
    pub role: Option<Role>,
}

/// Passwords never reach a log.
impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The accounts, in the order of the request: named ones, then the others.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedUsers {
    /// Each signed in.
    pub users: Vec<CreatedUser>,
}

/// One account, signed in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedUser {
    /// Its number.
    pub user_id: UserId,
    /// Its name to sign in with.
    pub username: Option<String>,
    /// For `Authorization: Bearer`; shown this once.
    pub token: String,
    /// The session.
    pub session_id: String,
}

/// `POST users/{user}/password`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetPassword {
    /// The new one; made up when left out.
    pub password: Option<String>,
}

/// A password that was set.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPassword {
    /// Of whom.
    pub user_id: UserId,
    /// Where it was made up; shown this once.
    pub password: Option<String>,
}

/// `POST users/{user}/role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRole {
    /// The new role.
    pub role: Role,
}

/// `POST invites`: a code that lets somebody sign up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewInvite {
    /// How many may sign up with it, at least 1; one without it.
    pub uses: Option<u32>,
    /// For how many days; seven without it, 0: until it is used up or revoked.
    pub days: Option<u32>,
    /// What it is for; at most 200 characters.
    pub note: Option<String>,
}

/// An invite as it was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeInvite {
    /// Shown this once.
    pub code: String,
    /// What is listed of it.
    #[serde(flatten)]
    pub invite: Invite,
}

/// `GET invites`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invites {
    /// Those that can still be used, newest first; at most 1,000.
    pub invites: Vec<Invite>,
}

/// One invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Its number, for revoking it.
    pub invite_id: u64,
    /// What it is for.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// How many may still sign up with it.
    pub uses_left: u32,
}

/// `GET push`: the queue of what is told outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushStatus {
    /// Whether devices are reached.
    pub enabled: bool,
    /// The key that devices subscribe with.
    pub vapid_key: Option<String>,
    /// What devices are told.
    pub push: PushQueue,
    /// What other systems are told.
    pub events: PushQueue,
    /// The other systems.
    pub webhooks: Vec<WebhookState>,
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushQueue {
    /// What waits.
    pub waiting: u64,
    /// What of it has failed at least once.
    pub failing: u64,
    /// What was given up; it can be replayed for 30 days.
    pub dead: u64,
    /// How late the oldest is, seconds.
    pub late_s: u64,
}

/// Another system that is told of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookState {
    /// Its name in the configuration.
    pub name: String,
    /// Host of its address.
    pub host: Option<String>,
    /// The kinds of events it wants.
    pub events: Vec<String>,
}

/// `GET push/dead?of=push|events`: what was given up, the newest first; at most 1,000.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadErrands {
    /// What was given up.
    pub errands: Vec<DeadErrand>,
}

/// Something that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadErrand {
    /// Its number, for replaying it.
    pub id: u64,
    /// `push`, or the kind of event and the name of the other system.
    pub what: String,
    /// Whom it is about.
    pub user_id: Option<UserId>,
    /// Where it happened.
    pub conversation_id: Option<ConversationId>,
    /// The device that could not be reached.
    pub subscription_id: Option<u64>,
    /// The newest message it is about.
    pub seq: Seq,
    /// How often it failed.
    pub attempts: u32,
    /// Since when it waited.
    pub created_at: Millis,
    /// When it was given up.
    pub given_up_at: Millis,
    /// Why it failed last.
    pub error: Option<String>,
}

/// `POST push/replay`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replay {
    /// `push`, which it is when left out, or `events`.
    pub of: Option<String>,
    /// Only this one; all without it.
    pub id: Option<u64>,
}

/// What is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// How many.
    pub replayed: u64,
}

/// `POST push/test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTest {
    /// Whose devices; as in paths.
    pub user: String,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTested {
    /// Whose devices.
    pub user_id: UserId,
    /// Each of them.
    pub devices: Vec<TestedDevice>,
}

/// What became of a test at one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedDevice {
    /// Its number.
    pub subscription_id: u64,
    /// `sent`, or why not.
    pub result: String,
}

/// `POST users/{user}/token`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewToken {
    /// What the list of sessions calls it.
    pub device_name: Option<String>,
}

/// A new session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Of whom.
    pub user_id: UserId,
    /// For `Authorization: Bearer`; shown this once.
    pub token: String,
    /// The session.
    pub session_id: String,
}

/// `POST backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTo {
    /// A folder of the server's machine that does not exist yet or is empty; an absolute path.
    pub dir: std::path::PathBuf,
}

/// The result of a backup, the last line of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Where it is.
    pub dir: std::path::PathBuf,
    /// Its size.
    pub bytes: u64,
}

macro_rules! no_secrets_in_logs {
    ($($name:ident)+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}
no_secrets_in_logs! { CreatedUsers CreatedUser SetPassword NewPassword Token }
