//! Large groups: their local connections, and events that are held back a moment so that many leave at once.
//!
//! Events of one group keep their order. A connection that is to get an answer first gets what is held back for it.
//! Only dispatchers end subscriptions of somebody who left; a connection that subscribes itself must prove that nobody
//! left since it read who is a member.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use ostracon_domain::{Conversation, ConversationId, HistoryFor, Seq, UserId};
use ostracon_proto::Encoding;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::{connection::Connection, event::Frames, limits::LARGE_COALESCE_EVENTS};

/// Departures that are known by their group. Who read for longer than so many took reads again.
const RECENT_MAX: usize = 1_024;

/// Safe from any task. The outer lock comes before that of a group.
#[derive(Default)]
pub(crate) struct LargeGroups(RwLock<State>);

#[derive(Default)]
struct State {
    groups: FxHashMap<ConversationId, Arc<LargeGroup>>,
    /// Rises whenever somebody left a large group, or one may have stopped being large.
    departures: u64,
    /// The groups of the last departures, the newest at the end.
    recent: VecDeque<ConversationId>,
}

/// One large group with connections here.
#[derive(Default)]
pub(crate) struct LargeGroup(Mutex<GroupState>);

#[derive(Default)]
struct GroupState {
    subscribers: FxHashMap<u64, Subscriber>,
    /// Events held back; event `first + n` is `held[n]`.
    held: Vec<Held>,
    first: u64,
}

struct Subscriber {
    connection: Arc<Connection>,
    joined_seq: Seq,
    /// Number of the next event this connection has not been given.
    next: u64,
}

/// One event: a frame for each encoding, and for the sender's other connections.
struct Held {
    common: [Option<Bytes>; 2],
    own: Option<(UserId, [Option<Bytes>; 2])>,
    /// For those who joined after the answered message.
    unquoted: [Option<Bytes>; 2],
    /// The connection that gets an answer instead.
    origin: Option<u64>,
    /// Of an event about a message that new members must not learn of: its seq.
    seq: Option<Seq>,
    /// Seq of the answered message, whose excerpt new members must not see.
    quoted: Option<Seq>,
}

/// Somebody left between reading who is a member and subscribing.
#[derive(Debug)]
pub(crate) struct Departed;

impl LargeGroups {
    /// To be noted before reading who is a member.
    pub(crate) fn departures(&self) -> u64 {
        self.0.read().departures
    }

    /// Subscribes a connection to groups of which its user was a member when `departures` was noted, each with the
    /// seq of joining.
    pub(crate) fn subscribe_all(
        &self,
        connection: &Arc<Connection>,
        groups: &[(ConversationId, Seq)],
        departures: u64,
    ) -> Result<(), Departed> {
        if groups.is_empty() {
            return Ok(());
        }
        let mut state = self.0.write();
        if state.departed_since(departures, groups) {
            return Err(Departed);
        }
        for (id, joined_seq) in groups {
            state.subscribe(*id, connection, *joined_seq);
        }
        Ok(())
    }

    /// Subscribes a connection of somebody who is a member as of the change that is being dispatched.
    pub(crate) fn subscribe(
        &self,
        id: ConversationId,
        connection: &Arc<Connection>,
        joined_seq: Seq,
    ) {
        self.0.write().subscribe(id, connection, joined_seq);
    }

    /// Ends the subscriptions of somebody who left, after giving out what was said before.
    pub(crate) fn leave(&self, id: ConversationId, user: UserId) {
        let mut state = self.0.write();
        state.depart(id);
        if let Some(group) = state.groups.get(&id) {
            group.0.lock().leave(user);
        }
    }

    /// Forgets a group that is not large any more, after giving out what is held back.
    pub(crate) fn end(&self, id: ConversationId) {
        let mut state = self.0.write();
        state.depart(id);
        if let Some(group) = state.groups.remove(&id) {
            group.flush();
        }
    }

    /// Forgets a closed connection.
    pub(crate) fn forget(&self, connection: &Connection) {
        let subscribed =
            |group: &Arc<LargeGroup>| group.0.lock().subscribers.contains_key(&connection.id);
        if !self.0.read().groups.values().any(subscribed) {
            return;
        }
        self.0.write().groups.retain(|_, group| {
            let mut group = group.0.lock();
            group.subscribers.remove(&connection.id);
            !group.subscribers.is_empty()
        });
    }

    pub(crate) fn get(&self, id: ConversationId) -> Option<Arc<LargeGroup>> {
        self.0.read().groups.get(&id).cloned()
    }
}

impl State {
    fn depart(&mut self, id: ConversationId) {
        self.departures += 1;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(id);
    }

    /// Whether somebody may have left one of these groups since.
    fn departed_since(&self, departures: u64, groups: &[(ConversationId, Seq)]) -> bool {
        let missed = self.departures - departures;
        let newest = self.recent.iter().rev();
        missed > self.recent.len() as u64
            || newest.take(missed as usize).any(|gone| groups.iter().any(|(id, _)| id == gone))
    }

    fn subscribe(&mut self, id: ConversationId, connection: &Arc<Connection>, joined_seq: Seq) {
        let mut group = self.groups.entry(id).or_default().0.lock();
        let next = group.first + group.held.len() as u64;
        let connection = Arc::clone(connection);
        let subscriber = group.subscribers.entry(connection.id);
        subscriber.or_insert(Subscriber { connection, joined_seq, next }).joined_seq = joined_seq;
    }
}

impl LargeGroup {
    /// Takes an event; `true` when the caller must see to it that [`flush`](Self::flush) is called soon.
    pub(crate) fn hold(
        &self,
        conversation: &Conversation,
        frames: &mut Frames<'_>,
        origin: Option<u64>,
    ) -> bool {
        let mut state = self.0.lock();
        if state.subscribers.is_empty() {
            return false;
        }
        let event = frames.event();
        let private = conversation.settings.history_for == HistoryFor::SinceJoining;
        let seq = event.seq().filter(|_| private);
        let quoted = event.quoted(conversation);
        let mut held =
            Held { common: [None, None], own: None, unquoted: [None, None], origin, seq, quoted };
        for Subscriber { connection, joined_seq, .. } in state.subscribers.values() {
            let at = usize::from(connection.encoding == Encoding::Cbor);
            let place = if quoted.is_some_and(|quoted| quoted < *joined_seq) {
                &mut held.unquoted[at]
            } else if event.owner() == Some(connection.user) {
                &mut held.own.get_or_insert((connection.user, [None, None])).1[at]
            } else {
                &mut held.common[at]
            };
            if place.is_none() {
                *place =
                    Some(frames.get(connection.user, *joined_seq, connection.encoding).clone());
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
        self.0.lock().flush();
    }

    /// Gives out what is held back, and tells everybody to ask what is new.
    pub(crate) fn missed(&self) {
        let mut state = self.0.lock();
        state.flush();
        state.subscribers.values().for_each(|subscriber| subscriber.connection.missed());
    }

    /// Gives one connection what is held back for it, so that an answer may follow.
    pub(crate) fn flush_to(&self, connection: u64) {
        let mut state = self.0.lock();
        let GroupState { subscribers, held, first } = &mut *state;
        if let Some(subscriber) = subscribers.get_mut(&connection) {
            subscriber.catch_up(held, *first);
        }
    }
}

impl GroupState {
    fn flush(&mut self) {
        for subscriber in self.subscribers.values_mut() {
            subscriber.catch_up(&self.held, self.first);
        }
        self.first += self.held.len() as u64;
        self.held.clear();
    }

    fn leave(&mut self, user: UserId) {
        let Self { subscribers, held, first } = self;
        subscribers.retain(|_, subscriber| {
            if subscriber.connection.user == user {
                subscriber.catch_up(held, *first);
                return false;
            }
            true
        });
    }
}

impl Subscriber {
    fn catch_up(&mut self, held: &[Held], first: u64) {
        let from = (self.next - first) as usize;
        self.next = first + held.len() as u64;
        let connection = &self.connection;
        let at = usize::from(connection.encoding == Encoding::Cbor);
        let frames = held[from..]
            .iter()
            .filter(|held| held.origin != Some(connection.id))
            .filter(|held| held.seq.is_none_or(|seq| self.joined_seq <= seq))
            .filter_map(|held| match &held.own {
                _ if held.quoted.is_some_and(|quoted| quoted < self.joined_seq) => {
                    held.unquoted[at].as_ref()
                }
                Some((user, own)) if *user == connection.user => own[at].as_ref(),
                _ => held.common[at].as_ref(),
            });
        connection.events(frames);
    }
}
