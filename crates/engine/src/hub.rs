//! Who is connected here: users with their connections, and large groups with theirs.
//!
//! Safe from any task. Locks are per part of the users, held for a look-up or an insert.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use ostracon_domain::{UserId, UserRev};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::{connection::Connection, large::LargeGroups};

const PARTS: usize = 64;

/// Connections of this node.
pub(crate) struct Hub {
    parts: Vec<RwLock<FxHashMap<UserId, OnlineUser>>>,
    count: AtomicUsize,
    next_id: AtomicU64,
    pub(crate) large: LargeGroups,
}

struct OnlineUser {
    connections: Vec<Arc<Connection>>,
    /// Newest user rev heard of; what the heartbeat tells.
    user_rev: UserRev,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            count: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            large: LargeGroups::default(),
        }
    }

    fn part(&self, user: UserId) -> &RwLock<FxHashMap<UserId, OnlineUser>> {
        &self.parts[user.get() as usize % PARTS]
    }

    pub(crate) fn next_connection_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn register(&self, connection: &Arc<Connection>) {
        let mut part = self.part(connection.user).write();
        let user = part
            .entry(connection.user)
            .or_insert_with(|| OnlineUser { connections: Vec::with_capacity(1), user_rev: 0 });
        user.connections.push(Arc::clone(connection));
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unregister(&self, connection: &Arc<Connection>) {
        let mut part = self.part(connection.user).write();
        if let Some(user) = part.get_mut(&connection.user) {
            let before = user.connections.len();
            user.connections.retain(|other| other.id != connection.id);
            self.count.fetch_sub(before - user.connections.len(), Ordering::Relaxed);
            if user.connections.is_empty() {
                part.remove(&connection.user);
            }
        }
        drop(part);
        self.large.forget(connection);
    }

    /// Whether a connection is still known.
    pub(crate) fn holds(&self, connection: &Connection) -> bool {
        let part = self.part(connection.user).read();
        let user = part.get(&connection.user);
        user.is_some_and(|user| user.connections.iter().any(|known| known.id == connection.id))
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn is_online(&self, user: UserId) -> bool {
        self.part(user).read().contains_key(&user)
    }

    /// Calls `visit` with each connection of a user; no other work may happen in it than queueing.
    pub(crate) fn each(&self, user: UserId, mut visit: impl FnMut(&Arc<Connection>)) {
        if let Some(user) = self.part(user).read().get(&user) {
            user.connections.iter().for_each(&mut visit);
        }
    }

    pub(crate) fn connections(&self, user: UserId) -> Vec<Arc<Connection>> {
        self.part(user).read().get(&user).map_or_else(Vec::new, |user| user.connections.clone())
    }

    /// Every connection of this node.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        let of = |part: &RwLock<FxHashMap<UserId, OnlineUser>>| {
            part.read().values().flat_map(|user| user.connections.clone()).collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(of).collect()
    }

    pub(crate) fn heard_of(&self, user: UserId, user_rev: UserRev) {
        if let Some(user) = self.part(user).write().get_mut(&user) {
            user.user_rev = user.user_rev.max(user_rev);
        }
    }

    pub(crate) fn user_rev(&self, user: UserId) -> UserRev {
        self.part(user).read().get(&user).map_or(0, |user| user.user_rev)
    }
}
