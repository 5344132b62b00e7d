//! The seam of the directory: the one small transactional store of accounts, sessions, shards, the map and its moves.
//!
//! Ten traits by noun; a directory is all of them.

pub mod audit;
pub mod errands;
pub mod invites;
pub mod job_row;
pub mod media;
pub mod move_error;
pub mod move_row;
pub mod move_rules;
pub mod moves;
pub mod people;
pub mod push;

pub use audit::{Audit, AuditEntry, AuditRow};
pub use errands::{
    Errand, ErrandEnd, ErrandKind, ErrandSort, ErrandState, ErrandStats, Errands, NewErrand,
};
pub use invites::{Invite, Invites, NewInvite};
pub use job_row::{JobRow, JobState, NewJob};
pub use media::{
    ContentHash, MediaId, MediaIndex, MediaObject, MediaRow, MediaTotals, MediaUse, MessagesGone,
    NoMediaId, USED_AGAIN_MS,
};
pub use move_error::{MoveLost, MoveRefusal};
pub use move_row::{FREEZES_KEPT, Garbage, MoveKind, MovePhase, MoveRow, NewMove, Progress};
pub use moves::Moves;
pub use people::{People, Person};
pub use push::{NewSubscription, Push, Subscription};

use std::fmt;

use async_trait::async_trait;
use ostracon_domain::{Millis, PlacementMap, ShardId, UserId};
use serde::{Deserialize, Serialize};

use crate::redacted;

/// A person or bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number everything else uses.
    pub id: UserId,
    /// Name to sign in with; lower case, unique. None for users of an existing system only.
    pub username: Option<String>,
    /// Id in an existing system, unique.
    pub external_id: Option<String>,
    /// Name to show.
    pub display_name: String,
    /// What the account may do.
    pub role: AccountRole,
    /// When it was created.
    pub created_at: Millis,
    /// Whether it may be used; nobody is signed in to one that may not.
    pub is_active: bool,
    /// Rises when the password, the role or whether it may be used changes; cached sessions of a smaller one are looked up again.
    pub version: u64,
}

/// What an account may do besides talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountRole {
    /// Nothing.
    User,
    /// Everything an operator may.
    Admin,
}

/// An account to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Lower case; at least one of this and the external id.
    pub username: Option<String>,
    /// Id in an existing system.
    pub external_id: Option<String>,
    /// Name to show.
    pub display_name: String,
    /// Password hash in PHC form; none: cannot sign in with a password.
    pub password_hash: Option<String>,
    /// What the account may do.
    pub role: AccountRole,
}

/// A signed-in device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number; never reused.
    pub id: u64,
    /// Whose.
    pub user: UserId,
    /// What the user called the device.
    pub device_name: Option<String>,
    /// When it signed in.
    pub created_at: Millis,
    /// About when it was last used.
    pub last_seen_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
}

/// A device to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Whose.
    pub user: UserId,
    /// Hash of the token; the token itself is never stored.
    pub token_hash: [u8; 32],
    /// What the user called the device.
    pub device_name: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
}

/// A shard as the directory knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ShardRow {
    /// Its number; never reused.
    pub id: ShardId,
    /// How to reach it: `embedded`, or the URL of a database.
    pub url: String,
    /// Whether moves bring units to it.
    pub state: ShardAdmission,
}

impl ShardRow {
    /// A shard that takes units.
    pub fn new(id: ShardId, url: impl Into<String>) -> Self {
        Self { id, url: url.into(), state: ShardAdmission::Accepting }
    }
}

/// A password may stand in the address.
impl fmt::Debug for ShardRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = if self.url.contains(':') { redacted(&self.url) } else { self.url.clone() };
        f.debug_struct("ShardRow")
            .field("id", &self.id)
            .field("url", &url)
            .field("state", &self.state)
            .finish()
    }
}

/// Whether moves bring units to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardAdmission {
    /// They do.
    Accepting,
    /// They only take away: the shard is being emptied.
    Draining,
}

/// A node's lease: its number and from when on its ids may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLease {
    /// 0 … 1023.
    pub number: u16,
    /// End of the id time reserved before under this number.
    pub ids_from: Millis,
}

/// What a caller can do about a directory that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// A unique value is taken.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// Not reachable or out of space; try again.
    #[error("directory is unavailable: {0}")]
    Unavailable(String),
    /// Foreign, newer or damaged; a person must look.
    #[error("{0}")]
    Refused(String),
}

type Result<T> = std::result::Result<T, DirectoryError>;

/// Accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Creates an account with the next free number.
    ///
    /// # Errors
    /// Those of [`create_users`](Self::create_users).
    async fn create_user(&self, new: NewUser, now: Millis) -> Result<User> {
        first(self.create_users(vec![new], now).await?)
    }
    /// Creates accounts with rising numbers, all or none; the answer is in the order of the argument.
    ///
    /// # Errors
    /// `Taken("username")` or `Taken("external id")`; `Refused` for one that has neither.
    async fn create_users(&self, new: Vec<NewUser>, now: Millis) -> Result<Vec<User>>;
    /// Accounts by number; unknown ones are left out, order is by number.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>>;
    /// Accounts by external id; unknown ones are left out, order is by number.
    async fn users_by_external_id(&self, ids: &[String]) -> Result<Vec<User>>;
    /// The account and password hash of a lower-case username.
    async fn credentials(&self, username: &str) -> Result<Option<(User, Option<String>)>>;
    /// Accounts whose username begins with, or whose display name contains, the text (any case); all for an empty text. By number, after `after`, at most `limit`.
    async fn find_users(&self, query: &str, after: Option<UserId>, limit: u32)
    -> Result<Vec<User>>;
    /// Changes the name to show; the account, or none if unknown.
    async fn set_display_name(&self, id: UserId, name: &str) -> Result<Option<User>>;
    /// Replaces the password hash; the account, or none if unknown.
    async fn set_password(&self, id: UserId, password_hash: &str) -> Result<Option<User>>;
    /// Replaces the role; the account, or none if unknown.
    async fn set_role(&self, id: UserId, role: AccountRole) -> Result<Option<User>>;
    /// Says whether the account may be used; the account, or none if unknown.
    async fn set_active(&self, id: UserId, active: bool) -> Result<Option<User>>;
}

/// Sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Signs a device in.
    ///
    /// # Errors
    /// Those of [`create_sessions`](Self::create_sessions).
    async fn create_session(&self, new: NewSession, now: Millis) -> Result<Session> {
        first(self.create_sessions(vec![new], now).await?)
    }
    /// Signs devices in, all or none; the answer is in the order of the argument.
    ///
    /// # Errors
    /// `Taken("token")`; `Refused` when a user is unknown.
    async fn create_sessions(&self, new: Vec<NewSession>, now: Millis) -> Result<Vec<Session>>;
    /// The session of a token, with its user, unless it ended at `now` or before, or the account must not be used.
    async fn session_by_token(
        &self,
        token_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<(Session, User)>>;
    /// A user's sessions that have not ended, newest first.
    async fn sessions(&self, user: UserId, now: Millis) -> Result<Vec<Session>>;
    /// Ends a session of this user; whether there was one.
    async fn revoke_session(&self, user: UserId, id: u64) -> Result<bool>;
    /// Notes when sessions were last used; lossy, called now and then with many. Never goes back; unknown ones are left out.
    async fn touch_sessions(&self, seen: &[(u64, Millis)]) -> Result<()>;
}

/// The cluster: identity, shards, the map, nodes, secrets.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Random id of this cluster; every shard is formatted with it.
    async fn cluster_id(&self) -> Result<u128>;
    /// The shards, by number.
    async fn shards(&self) -> Result<Vec<ShardRow>>;
    /// Makes an empty directory know its first shards and their initial map, in one step. Does nothing if it knows any.
    ///
    /// # Errors
    /// `Refused` without a shard; `Taken("shard number")`.
    async fn found(&self, shards: &[ShardRow]) -> Result<()>;
    /// The newest map; version 0 and empty before the cluster is founded.
    async fn map(&self) -> Result<PlacementMap>;
    /// Leases a node number.
    async fn lease_node(&self, now: Millis) -> Result<NodeLease>;
    /// Reserves id time for a node up to `until`; it is durable when this returns, and never goes back.
    ///
    /// # Errors
    /// `Refused` for a number that was never leased.
    async fn reserve_ids(&self, node: u16, until: Millis) -> Result<()>;
    /// A random secret of the cluster, made at the first call with this name.
    async fn secret(&self, name: &str) -> Result<[u8; 32]>;
}

fn first<T>(created: Vec<T>) -> Result<T> {
    let nothing = || DirectoryError::Refused("the directory created nothing".to_owned());
    created.into_iter().next().ok_or_else(nothing)
}

/// All of a directory.
pub trait Directory:
    Accounts + Sessions + People + Push + Errands + Invites + Cluster + Moves + Audit + MediaIndex
{
}

impl<
    T: Accounts + Sessions + People + Push + Errands + Invites + Cluster + Moves + Audit + MediaIndex,
> Directory for T
{
}
