//! A directory in memory: the twin of the stored ones, for tests of what stands on a directory.
//!
//! It is deterministic: its cluster id and secrets come from a seed. It keeps nothing over its end.

mod audit;
mod errands;
mod invites;
mod media;
mod moves;
mod people;
mod push;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use ostracon_domain::{Millis, PlacementMap, ShardId, UserId};
use parking_lot::Mutex;

use self::{errands::Queue, invites::Kept, media::MediaState, moves::MoveState, push::Subscribed};
use crate::directory::{
    AccountRole, Accounts, AuditRow, Cluster, DirectoryError, NewSession, NewUser, NodeLease,
    Person, Session, Sessions, ShardRow, User,
};

type Result<T> = std::result::Result<T, DirectoryError>;

/// The twin. Safe to share; the lock is held for one call and never over an await.
pub struct MemoryDirectory {
    seed: u64,
    state: Mutex<State>,
}

struct State {
    users: BTreeMap<UserId, Account>,
    last_user: u64,
    sessions: BTreeMap<u64, Device>,
    last_session: u64,
    shards: BTreeMap<ShardId, ShardRow>,
    map: PlacementMap,
    nodes: BTreeMap<u16, Millis>,
    moves: MoveState,
    audit: Vec<AuditRow>,
    invites: Vec<Kept>,
    people: BTreeMap<UserId, Person>,
    media: MediaState,
    push: Subscribed,
    queue: Queue,
}

#[derive(Clone)]
struct Account {
    user: User,
    password_hash: Option<String>,
}

struct Device {
    session: Session,
    token_hash: [u8; 32],
}

impl MemoryDirectory {
    /// An empty directory; the same seed gives the same cluster id and secrets.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            state: Mutex::new(State {
                users: BTreeMap::new(),
                last_user: 0,
                sessions: BTreeMap::new(),
                last_session: 0,
                shards: BTreeMap::new(),
                map: PlacementMap::new(0, [], [], []),
                nodes: BTreeMap::new(),
                moves: MoveState::new(),
                audit: Vec::new(),
                invites: Vec::new(),
                people: BTreeMap::new(),
                media: MediaState::default(),
                push: Subscribed::default(),
                queue: Queue::default(),
            }),
        }
    }

    /// Replaces the map, as a move of a unit would.
    pub fn set_map(&self, map: PlacementMap) {
        self.state.lock().map = map;
    }

    fn change(&self, id: UserId, change: impl FnOnce(&mut Account)) -> Option<User> {
        let mut state = self.state.lock();
        let account = state.users.get_mut(&id)?;
        change(account);
        Some(account.user.clone())
    }
}

impl State {
    fn create_users(&mut self, new: Vec<NewUser>, now: Millis) -> Result<Vec<User>> {
        let mut usernames = BTreeSet::new();
        let mut external_ids = BTreeSet::new();
        for account in self.users.values() {
            usernames.extend(account.user.username.clone());
            external_ids.extend(account.user.external_id.clone());
        }
        for user in &new {
            if user.username.is_none() && user.external_id.is_none() {
                return Err(DirectoryError::Refused(
                    "an account needs a username or an external id".to_owned(),
                ));
            }
            if user.username.as_ref().is_some_and(|name| !usernames.insert(name.clone())) {
                return Err(DirectoryError::Taken("username"));
            }
            if user.external_id.as_ref().is_some_and(|id| !external_ids.insert(id.clone())) {
                return Err(DirectoryError::Taken("external id"));
            }
        }
        let mut created = Vec::with_capacity(new.len());
        for new in new {
            let id = UserId::new(self.last_user + 1)
                .map_err(|e| DirectoryError::Refused(e.to_string()))?;
            self.last_user = id.get();
            let user = User {
                id,
                username: new.username,
                external_id: new.external_id,
                display_name: new.display_name,
                role: new.role,
                created_at: now,
                is_active: true,
                version: 1,
            };
            created.push(user.clone());
            self.users.insert(id, Account { user, password_hash: new.password_hash });
        }
        Ok(created)
    }
}

#[async_trait]
impl Accounts for MemoryDirectory {
    async fn create_users(&self, new: Vec<NewUser>, now: Millis) -> Result<Vec<User>> {
        self.state.lock().create_users(new, now)
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let state = self.state.lock();
        let ids: BTreeSet<_> = ids.iter().collect();
        let found = ids.into_iter().filter_map(|id| state.users.get(id));
        Ok(found.map(|account| account.user.clone()).collect())
    }

    async fn users_by_external_id(&self, ids: &[String]) -> Result<Vec<User>> {
        let ids: BTreeSet<_> = ids.iter().collect();
        let state = self.state.lock();
        let users = state.users.values().map(|account| &account.user);
        let found = users.filter(|user| user.external_id.as_ref().is_some_and(|x| ids.contains(x)));
        Ok(found.cloned().collect())
    }

    async fn credentials(&self, username: &str) -> Result<Option<(User, Option<String>)>> {
        let state = self.state.lock();
        let mut accounts = state.users.values();
        let found = accounts.find(|account| account.user.username.as_deref() == Some(username));
        Ok(found.map(|account| (account.user.clone(), account.password_hash.clone())))
    }

    async fn find_users(
        &self,
        query: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>> {
        let query = query.to_lowercase();
        let state = self.state.lock();
        let users = state.users.values().map(|account| &account.user);
        let found = users.filter(|user| Some(user.id) > after).filter(|user| {
            let username = user.username.as_ref();
            username.is_some_and(|name| name.starts_with(&query))
                || user.display_name.to_lowercase().contains(&query)
        });
        Ok(found.take(limit as usize).cloned().collect())
    }

    async fn set_display_name(&self, id: UserId, name: &str) -> Result<Option<User>> {
        Ok(self.change(id, |account| account.user.display_name = name.to_owned()))
    }

    async fn set_password(&self, id: UserId, password_hash: &str) -> Result<Option<User>> {
        Ok(self.change(id, |account| {
            account.password_hash = Some(password_hash.to_owned());
            account.user.version += 1;
        }))
    }

    async fn set_role(&self, id: UserId, role: AccountRole) -> Result<Option<User>> {
        Ok(self.change(id, |account| {
            account.user.version += u64::from(account.user.role != role);
            account.user.role = role;
        }))
    }

    async fn set_active(&self, id: UserId, active: bool) -> Result<Option<User>> {
        Ok(self.change(id, |account| {
            account.user.version += u64::from(account.user.is_active != active);
            account.user.is_active = active;
        }))
    }
}

#[async_trait]
impl Sessions for MemoryDirectory {
    async fn create_sessions(&self, new: Vec<NewSession>, now: Millis) -> Result<Vec<Session>> {
        let mut state = self.state.lock();
        let mut tokens: BTreeSet<_> = state.sessions.values().map(|d| d.token_hash).collect();
        for session in &new {
            if !state.users.contains_key(&session.user) {
                return Err(DirectoryError::Refused(format!("there is no user {}", session.user)));
            }
            if !tokens.insert(session.token_hash) {
                return Err(DirectoryError::Taken("token"));
            }
        }
        let mut created = Vec::with_capacity(new.len());
        for new in new {
            state.last_session += 1;
            let session = Session {
                id: state.last_session,
                user: new.user,
                device_name: new.device_name,
                created_at: now,
                last_seen_at: now,
                expires_at: new.expires_at,
            };
            created.push(session.clone());
            state.sessions.insert(session.id, Device { session, token_hash: new.token_hash });
        }
        Ok(created)
    }

    async fn session_by_token(
        &self,
        token_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<(Session, User)>> {
        let state = self.state.lock();
        let mut devices = state.sessions.values();
        let found = devices.find(|device| device.token_hash == *token_hash);
        Ok(found.filter(|d| runs(&d.session, now)).and_then(|device| {
            let account = state.users.get(&device.session.user)?;
            account.user.is_active.then(|| (device.session.clone(), account.user.clone()))
        }))
    }

    async fn sessions(&self, user: UserId, now: Millis) -> Result<Vec<Session>> {
        let state = self.state.lock();
        let newest_first = state.sessions.values().rev().map(|device| &device.session);
        let found = newest_first.filter(|session| session.user == user && runs(session, now));
        Ok(found.cloned().collect())
    }

    async fn revoke_session(&self, user: UserId, id: u64) -> Result<bool> {
        let mut state = self.state.lock();
        let own = |device: &Device| device.session.user == user;
        if !state.sessions.get(&id).is_some_and(own) {
            return Ok(false);
        }
        Ok(state.sessions.remove(&id).is_some())
    }

    async fn touch_sessions(&self, seen: &[(u64, Millis)]) -> Result<()> {
        let mut state = self.state.lock();
        for (id, at) in seen {
            if let Some(device) = state.sessions.get_mut(id) {
                device.session.last_seen_at = device.session.last_seen_at.max(*at);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Cluster for MemoryDirectory {
    async fn cluster_id(&self) -> Result<u128> {
        let mut bits = Bits::new(self.seed, "cluster");
        Ok(u128::from(bits.next()) << 64 | u128::from(bits.next()))
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        Ok(self.state.lock().shards.values().cloned().collect())
    }

    async fn found(&self, shards: &[ShardRow]) -> Result<()> {
        let mut state = self.state.lock();
        if !state.shards.is_empty() {
            return Ok(());
        }
        if shards.is_empty() {
            return Err(DirectoryError::Refused("a cluster needs at least one shard".to_owned()));
        }
        let rows: BTreeMap<_, _> = shards.iter().map(|row| (row.id, row.clone())).collect();
        if rows.len() < shards.len() {
            return Err(DirectoryError::Taken("shard number"));
        }
        let ids: Vec<_> = shards.iter().map(|row| row.id).collect();
        state.moves.last_shard = ids.iter().map(|id| id.0).max().unwrap_or_default();
        state.shards = rows;
        state.map = PlacementMap::initial(&ids);
        Ok(())
    }

    async fn map(&self) -> Result<PlacementMap> {
        Ok(self.state.lock().map.clone())
    }

    async fn lease_node(&self, _now: Millis) -> Result<NodeLease> {
        let mut state = self.state.lock();
        let ids_from = *state.nodes.entry(0).or_insert(0);
        Ok(NodeLease { number: 0, ids_from })
    }

    async fn reserve_ids(&self, node: u16, until: Millis) -> Result<()> {
        let mut state = self.state.lock();
        let Some(reserved) = state.nodes.get_mut(&node) else {
            return Err(DirectoryError::Refused(format!("node number {node} was never leased")));
        };
        *reserved = until.max(*reserved);
        Ok(())
    }

    async fn secret(&self, name: &str) -> Result<[u8; 32]> {
        let mut bits = Bits::new(self.seed, &format!("secret {name}"));
        let mut secret = [0; 32];
        for eight in secret.chunks_exact_mut(8) {
            eight.copy_from_slice(&bits.next().to_le_bytes());
        }
        Ok(secret)
    }
}

fn runs(session: &Session, now: Millis) -> bool {
    session.expires_at.is_none_or(|end| end > now)
}

/// Bits from a seed and a name (FNV-1a, then SplitMix64). No secret in any sense but the twin's.
struct Bits(u64);

impl Bits {
    fn new(seed: u64, name: &str) -> Self {
        let basis = 0xcbf2_9ce4_8422_2325 ^ seed;
        Self(
            name.bytes().fold(basis, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            }),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MemoryDirectory;
    use crate::{
        Directory,
        contract::directory::{Fixture, run_all},
    };

    struct Twin;

    #[async_trait::async_trait]
    impl Fixture for Twin {
        async fn fresh(&self) -> Arc<dyn Directory> {
            Arc::new(MemoryDirectory::new(7))
        }

        async fn reopened(&self, directory: Arc<dyn Directory>) -> Arc<dyn Directory> {
            directory
        }
    }

    #[tokio::test]
    async fn the_twin_keeps_the_contract() {
        run_all(&Twin).await;
    }
}
