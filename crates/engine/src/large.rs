//! Large groups: their local connections, and events that are held back a moment so that many leave at once.
//!
//! Events of one group keep their order. A connection that is to get an answer first gets what is held back for it.

use std::sync::Arc;

use bytes::Bytes;
use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::Encoding;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::{connection::Connection, event::Frames, limits::LARGE_COALESCE_EVENTS};

#[derive(Default)]
pub(crate) struct LargeGroups {
    groups: RwLock<FxHashMap<ConversationId, Arc<LargeGroup>>>,
}

/// One large group with connections here.
#[derive(Default)]
pub(crate) struct LargeGroup {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: FxHashMap<u64, Subscriber>,
    /// Events held back; event `first + n` is `held[n]`.
    held: Vec<Held>,
    first: u64,
}

struct Subscriber {
    connection: Arc<Connection>,
    /// Number of the next event this connection has not been given.
    next: u64,
}

/// One event: a frame for each encoding, and for the sender's other connections.
struct Held {
    common: [Option<Bytes>; 2],
    own: Option<(UserId, [Option<Bytes>; 2])>,
    /// The connection that gets an answer instead.
    origin: Option<u64>,
}

impl LargeGroups {
    pub(crate) fn subscribe(&self, id: ConversationId, connection: &Arc<Connection>) {
        let group = Arc::clone(self.groups.write().entry(id).or_default());
        let mut state = group.state.lock();
        let next = state.first + state.held.len() as u64;
        let subscriber = Subscriber { connection: Arc::clone(connection), next };
        state.connections.entry(connection.id).or_insert(subscriber);
    }

    pub(crate) fn unsubscribe(&self, id: ConversationId, connection: &Arc<Connection>) {
        if let Some(group) = self.get(id) {
            group.state.lock().leave(connection.id);
        }
    }

    pub(crate) fn unsubscribe_everywhere(&self, connection: &Arc<Connection>) {
        let groups: Vec<_> = self.groups.read().values().cloned().collect();
        for group in groups {
            group.state.lock().connections.remove(&connection.id);
        }
        self.groups.write().retain(|_, group| !group.state.lock().connections.is_empty());
    }

    /// Forgets a group that is not large any more, after giving out what is held back.
    pub(crate) fn end(&self, id: ConversationId) {
        if self.get(id).is_none() {
            return;
        }
        if let Some(group) = self.groups.write().remove(&id) {
            group.flush();
        }
    }

    pub(crate) fn get(&self, id: ConversationId) -> Option<Arc<LargeGroup>> {
        self.groups.read().get(&id).cloned()
    }
}

impl LargeGroup {
    /// Takes an event, of which the owner's connections get a frame of their own; `true` when the caller must see to it that [`flush`](Self::flush) is called soon.
    pub(crate) fn hold(
        &self,
        frames: &mut Frames<'_>,
        owner: Option<UserId>,
        origin: Option<u64>,
    ) -> bool {
        let mut state = self.state.lock();
        if state.connections.is_empty() {
            return false;
        }
        let mut held = Held { common: [None, None], own: None, origin };
        for subscriber in state.connections.values() {
            let connection = &subscriber.connection;
            let at = usize::from(connection.encoding == Encoding::Cbor);
            if owner == Some(connection.user) {
                let own = &mut held.own.get_or_insert((connection.user, [None, None])).1[at];
                if own.is_none() {
                    *own = Some(frames.get(connection.user, connection.encoding).clone());
                }
            } else if held.common[at].is_none() {
                held.common[at] = Some(frames.get(connection.user, connection.encoding).clone());
            }
        }
        state.held.push(held);
        if state.held.len() >= LARGE_COALESCE_EVENTS {
            state.flush();
            return false;
        }
        state.held.len() == 1
    }

    /// Gives every connection what is held back for it.
    pub(crate) fn flush(&self) {
        self.state.lock().flush();
    }

    /// Gives one connection what is held back for it, so that an answer may follow.
    pub(crate) fn flush_to(&self, connection: u64) {
        let mut state = self.state.lock();
        let State { connections, held, first } = &mut *state;
        if let Some(subscriber) = connections.get_mut(&connection) {
            subscriber.catch_up(held, *first);
        }
    }
}

impl State {
    fn flush(&mut self) {
        for subscriber in self.connections.values_mut() {
            subscriber.catch_up(&self.held, self.first);
        }
        self.first += self.held.len() as u64;
        self.held.clear();
    }

    /// Gives a connection what was said while it was there, then forgets it.
    fn leave(&mut self, connection: u64) {
        if let Some(mut subscriber) = self.connections.remove(&connection) {
            subscriber.catch_up(&self.held, self.first);
        }
    }
}

impl Subscriber {
    fn catch_up(&mut self, held: &[Held], first: u64) {
        let from = (self.next - first) as usize;
        let connection = &self.connection;
        let at = usize::from(connection.encoding == Encoding::Cbor);
        let frames = held[from..]
            .iter()
            .filter(|held| held.origin != Some(connection.id))
            .filter_map(|held| match &held.own {
                Some((user, own)) if *user == connection.user => own[at].as_ref(),
                _ => held.common[at].as_ref(),
            });
        connection.events(frames);
        self.next = first + held.len() as u64;
    }
}
