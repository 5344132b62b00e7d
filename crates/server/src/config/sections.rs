//! Every section with its keys, units and defaults. Nothing is read here.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{secret::Secret, section::section, shard_url::ShardUrl};

section! {
    /// Configuration of a server. Every key can be left out.
    pub struct Config {
        /// Where to listen, address and port.
        pub listen: String = "127.0.0.1:8080".to_owned(),
        /// The folder that holds everything stored.
        pub data_dir: PathBuf = PathBuf::from("data"),
        /// Whether a reverse proxy stands in front: then the last address of `X-Forwarded-For` is the client's.
        pub behind_proxy: bool = false,
    }
    with {
        /// The directory.
        pub directory: Directory,
        /// Shards of a new cluster; none: four embedded ones.
        pub shards: Vec<Shard>,
        /// Other systems that are told of events.
        pub webhooks: Vec<Webhook>,
        /// Sizes and counts.
        pub limits: Limits,
        /// New groups.
        pub groups: Groups,
        /// How often.
        pub rate_limits: RateLimits,
        /// How long what may take.
        pub connections: Connections,
        /// Accounts.
        pub auth: Auth,
        /// Tokens of an existing system.
        pub jwt: Jwt,
        /// Logs.
        pub log: Log,
        /// The operator's calls.
        pub admin: Admin,
        /// Live moves between shards.
        pub moves: Moves,
        /// Search in messages.
        pub search: Search,
        /// Uploaded files.
        pub media: Media,
        /// What may become of messages.
        pub messages: Messages,
        /// Reaching people who are away.
        pub push: Push,
    }
}

section! {
    /// The directory: accounts, sessions, shards and the map. It never moves: a data directory belongs to one.
    pub struct Directory {
        /// `embedded`: in the data directory. `postgres://user:password@host:port/database?schema=name`: there; without
        /// a schema it is `ostracon_directory`.
        pub url: ShardUrl = ShardUrl::default(),
    }
}

section! {
    /// Shards of a new cluster. Read only while the directory is empty; then the directory decides.
    pub struct Shard {
        /// Its number, never reused.
        pub id: u16 = 0,
        /// `embedded`: in the data directory. `postgres://user:password@host:port/database?schema=name`: there; without
        /// a schema it is `shard_<id>`. Of a known shard on PostgreSQL this address is used, not the stored one.
        pub url: ShardUrl = ShardUrl::default(),
        /// Of a shard on PostgreSQL: a streaming replica of its server, in the same form. While the server does not serve,
        /// pages of messages are read there for those who ask with `min_rev`. Empty: none.
        pub replica: ShardUrl = ShardUrl::none(),
    }
}

section! {
    /// Sizes and counts.
    pub struct Limits {
        /// Members of one group; one more is `conflict`.
        pub group_members_max: u32 = 500,
        /// Bytes of a request's body; more is `too_large`. Requests that list users may have eight times as much.
        pub body_bytes_max: usize = 64 << 10,
        /// Bytes of a WebSocket message; more closes it with 4413.
        pub frame_bytes_max: usize = 64 << 10,
        /// Open sockets in all; one more is closed at once. The process needs as many file descriptors.
        pub connections_max: usize = 100_000,
    }
}

section! {
    /// What new groups begin with.
    pub struct Groups {
        /// Whether the server says in messages of type `system` who joined, left and so on. Each group may change it.
        pub system_messages: bool = true,
    }
}

section! {
    /// How often users may call. Beyond it a call is `rate_limited`; far beyond it a WebSocket is closed with 4429.
    pub struct RateLimits {
        /// Whether there are any.
        pub enabled: bool = true,
        /// Calls and commands of a user at once; one session may use three quarters of it.
        pub burst: u32 = 200,
        /// Calls and commands of a user a second, in the long run.
        pub per_second: u32 = 50,
        /// Attempts to sign in or up from one address with one name, a minute; ten times as many with any name.
        pub sign_ins_per_minute: u32 = 10,
    }
}

section! {
    /// Sockets: how long what may take.
    pub struct Connections {
        /// How often the server sends a ping and a client should be heard, seconds.
        pub heartbeat_s: u32 = 30,
        /// A client that was not heard for so long is closed with 4408, seconds; found at the next ping.
        pub silence_s: u32 = 60,
        /// A client that takes nothing for so long is dropped, seconds.
        pub write_stall_s: u32 = 30,
        /// How long the head of a request may take, and an idle HTTP connection may wait for its next one, seconds.
        pub request_head_s: u32 = 30,
    }
}

section! {
    /// Accounts.
    pub struct Auth {
        /// Who may sign up: `open`: anybody; `invite`: who has a code of the operator's; `closed`: nobody.
        pub registration: Registration = Registration::Open,
        /// How long a session lasts after its sign-in, days; 0: until it is signed out.
        pub session_days: u32 = 365,
    }
}

section! {
    /// Tokens (JWT) of an existing system, instead of our own; their `sub` is the external id of a user.
    pub struct Jwt {
        /// The only algorithm that is accepted: `HS256`, `RS256`, `ES256`, `EdDSA`; `off`: none.
        pub algorithm: JwtAlgorithm = JwtAlgorithm::Off,
        /// File with the key: for `HS256` the secret itself (at least 32 bytes), else a public key in PEM.
        pub key_file: PathBuf = PathBuf::new(),
        /// Instead of a file: where the other system publishes its keys (JWKS), an https address or a file. It is read again
        /// when a token names a key that is not known, and now and then.
        pub key_set: String = String::new(),
        /// What `aud` must hold; empty: it is not looked at.
        pub audience: String = String::new(),
        /// What `iss` must be; empty: it is not looked at.
        pub issuer: String = String::new(),
        /// Whether a user who is not known yet is created at the first token.
        pub create_unknown_users: bool = true,
        /// How far clocks may differ when `exp` and `nbf` are checked, seconds.
        pub leeway_s: u32 = 30,
    }
}

section! {
    /// Logs, to standard error. Never texts of messages, never tokens.
    pub struct Log {
        /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,ostracon_engine=debug`.
        pub level: String = "info".to_owned(),
        /// `text` or `json`.
        pub format: LogFormat = LogFormat::Text,
    }
}

section! {
    /// The operator's calls. They always listen on `admin.sock` in the data directory, for its owner.
    pub struct Admin {
        /// Address and port of their own for `/api/v1/admin/*` and `/metrics`; empty: they are beside all other calls, for users with the admin role.
        pub listen: String = String::new(),
    }
}

section! {
    /// Live moves of units between shards.
    pub struct Moves {
        /// Rows copied in a second by all moves together; less while clients wait longer than usual.
        pub rows_per_s: u64 = 200_000,
        /// Moves at once; a shard takes part in one at a time.
        pub moves_max: usize = 4,
        /// How long units may be frozen at the end of a move, milliseconds; beyond it they thaw and the end is tried again.
        pub freeze_budget_ms: u32 = 250,
    }
}

section! {
    /// Uploaded files.
    pub struct Media {
        /// Where they lie: `local`, in the data directory, or `s3`, in a bucket. It is not changed while there are any.
        pub store: MediaStore = MediaStore::Local,
        /// Bytes of one file; a larger one is `too_large`.
        pub file_bytes_max: u64 = 100 << 20,
        /// Bytes of all files of one user that are still there; one more is `too_large`. 0: no limit.
        pub user_bytes_max: u64 = 10 << 30,
        /// Width times height of one picture; a larger one is `too_large`. It may need eight times as many bytes of memory.
        pub picture_pixels_max: u64 = 50_000_000,
        /// Files looked into at once, each on a thread of low priority; others wait, and when too many wait they are `busy`.
        pub threads: usize = 2,
        /// Uploads of one user a minute, where there are rate limits.
        pub uploads_per_minute: u32 = 60,
        /// What addresses of files begin with, such as `https://media.example`, where a CDN stands in front; empty: they begin
        /// with the path.
        pub base_url: String = String::new(),
        /// How long an address of a file is good at least, hours; at most it is twice as long.
        pub url_hours: u32 = 24,
        /// How long a file is kept that no message uses, hours.
        pub unused_hours: u32 = 24,
        /// How long a file is kept after the last message with it was deleted, minutes.
        pub deleted_minutes: u32 = 5,
        /// Of `s3`: the server, such as `https://s3.eu-central-1.amazonaws.com`.
        pub s3_endpoint: String = String::new(),
        /// Of `s3`: its region.
        pub s3_region: String = "us-east-1".to_owned(),
        /// Of `s3`: the bucket, which must be there.
        pub s3_bucket: String = String::new(),
        /// Of `s3`: the folder in the bucket; empty: none.
        pub s3_prefix: String = String::new(),
        /// Of `s3`: the id of the key.
        pub s3_key_id: String = String::new(),
        /// Of `s3`: a file with the secret key.
        pub s3_secret_file: PathBuf = PathBuf::new(),
    }
}

/// Where uploaded files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaStore {
    /// In the data directory.
    Local,
    /// In a bucket of S3.
    S3,
}

/// Whether anyone may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Yes.
    Open,
    /// Who was invited: the operator makes codes.
    Invite,
    /// No: the operator creates accounts.
    Closed,
}

/// The algorithm of JWTs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JwtAlgorithm {
    /// JWTs are not accepted.
    #[serde(rename = "off")]
    Off,
    /// A shared secret.
    HS256,
    /// RSA.
    RS256,
    /// P-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

section! {
    /// Search in messages. Each shard has an index, made from its messages and made again when it is missing.
    pub struct Search {
        /// Whether there is any. Switched off, indexes stay as they are and are brought up to date when it is on again.
        pub enabled: bool = true,
    }
}

section! {
    /// What may become of messages.
    pub struct Messages {
        /// How long after its sending the sender may edit a message, seconds; 0: always. Admins of groups always may.
        pub edit_window_s: u32 = 0,
        /// How long after its sending the sender may delete a message for everyone, seconds; 0: always. Admins of groups always may.
        pub delete_window_s: u32 = 0,
        /// Whether members may read what a message said before its edits. What was edited while it is off is not kept.
        pub edit_history: bool = false,
        /// Whether operators may still read what was deleted for everyone, as long as its place is kept: a soft deletion. What was
        /// deleted while it is off is gone, and so is what disappears by a timer. Reading it is in the audit log.
        pub keep_deleted: bool = false,
        /// How long messages are kept, days; what is older is removed, within two hours. 0: they stay. A conversation may keep
        /// its messages for a shorter time.
        pub retention_days: u32 = 0,
    }
}

impl Messages {
    /// How long messages are kept, milliseconds.
    pub fn retention(&self) -> Option<i64> {
        (self.retention_days > 0).then(|| i64::from(self.retention_days) * 86_400_000)
    }
}

impl Config {
    /// What the rules of conversations are held to.
    pub fn rules(&self) -> ostracon_domain::Limits {
        let window = |seconds: u32| (seconds > 0).then(|| i64::from(seconds) * 1_000);
        ostracon_domain::Limits {
            group_members_max: self.limits.group_members_max,
            system_messages: self.groups.system_messages,
            edit_window: window(self.messages.edit_window_s),
            delete_window: window(self.messages.delete_window_s),
            edit_history: self.messages.edit_history,
            keep_deleted: self.messages.keep_deleted,
        }
    }
}

section! {
    /// Reaching people who are away, over Web Push. The key that the server signs with is made at its first start.
    pub struct Push {
        /// Whether devices can be reached. Switched off, what is known of them stays as it is.
        pub enabled: bool = true,
        /// Where a push service can reach you, `mailto:you@example.org` or an https address. Some services refuse a server
        /// without it.
        pub subject: String = String::new(),
        /// How long a device that is online gets to take a message itself before others are pushed, milliseconds.
        pub delay_ms: u32 = 2_000,
        /// Whether push services may have private addresses, and plain http on this machine. For tests and closed networks.
        pub private_addresses: bool = false,
    }
}

section! {
    /// Other systems that are told of events, each request signed with its secret; docs/push.md says how.
    pub struct Webhook {
        /// Its name: letters, digits, `-` and `_`. What waits for it is kept under this name.
        pub name: String = String::new(),
        /// Where it is told: http or https. It may be in a private network.
        pub url: String = String::new(),
        /// What events are signed with, at least 16 characters.
        pub secret: Secret = Secret::default(),
        /// Which events: `message.offline` (somebody who is away would be pushed), `message.created` (all messages),
        /// `user.created`.
        pub events: Vec<String> = Vec::new(),
    }
}
