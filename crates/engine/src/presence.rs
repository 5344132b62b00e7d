//! Who is online: connections come and go, others watch, changes are told in batches.
//!
//! Nothing here is asked of a store while it happens: when a user was last seen is read when somebody begins to watch,
//! and written behind, many at once. It is lost with the process; so nobody is online after a crash who is not there.

pub(crate) mod contacts;
pub(crate) mod privacy;
pub(crate) mod table;

use std::sync::{Arc, atomic::Ordering};

use futures_util::{StreamExt as _, stream};
use ostracon_domain::{
    ConversationId, Millis, PresenceFor, Privacy, Refusal, UserId,
    privacy::{Side, see_each_other},
};
use ostracon_proto::{
    Encoding,
    frame::{Presence, PresenceStatus},
};
use ostracon_store::{MessagePage, PagePosition};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::{sync::Notify, time::Instant};

use self::{
    contacts::Contacts,
    table::{Seen, Table, Tick, Told},
};
use crate::{
    connection::Connection,
    engine::{Core, Engine},
    error::EngineError,
    event,
    limits::{
        CONTACT_MESSAGES_MAX, CONTACT_MESSAGES_PER_READ, CONTACTS_AT_ONCE, LAST_SEEN_PER_WRITE,
        LAST_SEEN_PERIOD, LAST_SEEN_REFRESH, LAST_SEEN_WAITING_MAX, PRESENCE_GRACE,
        PRESENCE_TOLD_AT_ONCE,
    },
};

/// The live state of users. Safe from any task; the lock is held for a few instructions, or to tell some changes.
pub(crate) struct PresenceBoard {
    state: Mutex<State>,
    contacts: Mutex<Contacts>,
    began: Instant,
    /// Something has become due earlier than before.
    pub(crate) wake: Notify,
    /// Settings are changed one at a time.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    table: Table,
    /// Those that watch somebody.
    connections: FxHashMap<u64, Arc<Connection>>,
    /// When users were last online, to be written.
    seen: FxHashMap<UserId, Millis>,
}

impl PresenceBoard {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            contacts: Mutex::default(),
            began: Instant::now(),
            wake: Notify::new(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Milliseconds since the start, on a clock that never goes back.
    pub(crate) fn now(&self) -> Tick {
        self.began.elapsed().as_millis() as Tick
    }

    /// The moment of a tick.
    pub(crate) fn moment(&self, tick: Tick) -> Instant {
        self.began + std::time::Duration::from_millis(tick)
    }

    /// From now on this connection makes its user online.
    pub(crate) fn arrive(&self, connection: &Connection) {
        connection.is_present.store(true, Ordering::Release);
        self.state.lock().table.arrive(connection.user, self.now());
        self.wake.notify_one();
    }

    /// The connection is gone.
    pub(crate) fn depart(&self, connection: &Connection, clock: Millis) {
        let was_present = connection.is_present.swap(false, Ordering::AcqRel);
        let silent = ticks(connection.heard_at().elapsed());
        let mut state = self.state.lock();
        if was_present {
            let grace = ticks(PRESENCE_GRACE).saturating_sub(silent);
            let last_seen = clock.saturating_sub_unsigned(silent);
            state.table.depart(connection.user, self.now(), grace, last_seen);
        }
        if state.connections.remove(&connection.id).is_some() {
            state.table.forget(connection.id);
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(crate) fn next_due(&self) -> Option<Tick> {
        self.state.lock().table.next_due()
    }

    /// Ends what has come to its end and tells changes; whether more wait to be told.
    pub(crate) fn tell(&self, clock: Millis) -> bool {
        let now = self.now();
        let mut state = self.state.lock();
        state.table.pass(now);
        let told = state.table.take(now, PRESENCE_TOLD_AT_ONCE);
        for Told { user, seen, watchers } in &told {
            state.note(*user, seen.last_seen.filter(|_| !seen.online).unwrap_or(clock));
            let mut frames = Frames::new(*user, *seen, clock);
            for watcher in watchers {
                if let Some(connection) = state.connections.get(watcher) {
                    frames.give(connection);
                }
            }
        }
        told.len() == PRESENCE_TOLD_AT_ONCE
    }

    /// When users were last online, as far as it is to be written.
    fn to_write(&self) -> Vec<(UserId, Millis)> {
        self.state.lock().seen.iter().map(|(user, at)| (*user, *at)).collect()
    }

    /// These are stored; what came later is kept.
    fn written(&self, seen: &[(UserId, Millis)]) {
        let mut state = self.state.lock();
        for (user, at) in seen {
            if state.seen.get(user) == Some(at) {
                state.seen.remove(user);
            }
        }
    }
}

impl State {
    fn note(&mut self, user: UserId, at: Millis) {
        if self.seen.len() >= LAST_SEEN_WAITING_MAX && !self.seen.contains_key(&user) {
            return;
        }
        let known = self.seen.entry(user).or_insert(at);
        *known = (*known).max(at);
    }

    fn note_everybody(&mut self, clock: Millis) {
        let online: Vec<_> = self.table.online().collect();
        for (user, last_seen) in online {
            self.note(user, last_seen.unwrap_or(clock));
        }
    }

    /// A user as this state knows one, with what the store says.
    fn seen(&self, user: UserId, stored: Option<Millis>) -> Seen {
        let seen = self.table.seen(user);
        let waiting = self.seen.get(&user).copied();
        Seen { last_seen: seen.last_seen.max(stored).max(waiting), ..seen }
    }
}

fn ticks(span: std::time::Duration) -> Tick {
    span.as_millis() as Tick
}

fn shown(user: UserId, seen: Seen, clock: Millis) -> Presence {
    let (status, last_seen) = if seen.online {
        (PresenceStatus::Online, Some(clock))
    } else {
        (PresenceStatus::Offline, seen.last_seen)
    };
    Presence { user_id: user, status, last_seen }
}

const HIDDEN: Seen = Seen { online: false, last_seen: None };

/// One change in the encodings that are asked for.
struct Frames {
    presence: Presence,
    made: [Option<bytes::Bytes>; 2],
}

impl Frames {
    fn new(user: UserId, seen: Seen, clock: Millis) -> Self {
        Self { presence: shown(user, seen, clock), made: [None, None] }
    }

    fn give(&mut self, connection: &Connection) {
        let encoding = connection.encoding;
        let at = usize::from(encoding == Encoding::Cbor);
        let presence = &self.presence;
        let frame = self.made[at].get_or_insert_with(|| event::plain(encoding, presence));
        connection.events([&*frame]);
    }
}

/// Writes behind when users were last online, until the lanes end; then for everybody who is here.
pub(crate) async fn write_behind(core: Arc<Core>) {
    let mut refreshed = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LAST_SEEN_PERIOD) => {}
            () = core.stop_lanes.cancelled() => break,
        }
        if refreshed.elapsed() >= LAST_SEEN_REFRESH {
            refreshed = Instant::now();
            core.presence.state.lock().note_everybody(core.clock.now());
        }
        write_seen(&core).await;
    }
    core.presence.state.lock().note_everybody(core.clock.now());
    write_seen(&core).await;
}

/// Writes what waits. What fails is tried again with what comes next.
async fn write_seen(core: &Core) {
    for seen in core.presence.to_write().chunks(LAST_SEEN_PER_WRITE) {
        match core.directory.note_seen(seen).await {
            Ok(()) => core.presence.written(seen),
            Err(error) => {
                return tracing::warn!(%error, "when users were last online was not noted");
            }
        }
    }
}

impl Engine {
    /// Has a connection watch users, and tells it how each is now.
    pub(crate) async fn watch(
        &self,
        connection: &Arc<Connection>,
        users: &[UserId],
    ) -> Result<(), EngineError> {
        let core = self.core();
        let board = &core.presence;
        loop {
            let version = core.privacy.version();
            let stored = self.last_seen(users).await?;
            let sees = self.sees(connection.user, users).await;
            let mut state = board.state.lock();
            // Somebody has hidden meanwhile: who looks for watchers finds this one, or it looks again.
            if core.privacy.version() != version {
                continue;
            }
            let watched: Vec<_> = users
                .iter()
                .zip(&sees)
                .map(|(user, sees)| {
                    let seen = state.seen(*user, stored.get(user).copied().flatten());
                    (*user, *sees, seen.last_seen)
                })
                .collect();
            if state.table.watch(connection.id, &watched).is_err() {
                let why = "A connection watches at most 500 users.";
                return Err(Refusal::invalid("user_ids", why).into());
            }
            if state.table.is_watching(connection.id) {
                state.connections.insert(connection.id, Arc::clone(connection));
            }
            for (user, sees, _) in watched {
                let seen = if sees { state.table.told(user) } else { HIDDEN };
                Frames::new(user, seen, core.clock.now()).give(connection);
            }
            drop(state);
            // It may have been closed while it asked.
            if !core.hub.holds(connection) {
                board.depart(connection, core.clock.now());
            }
            return Ok(());
        }
    }

    /// Ends what [`watch`](Self::watch) began.
    pub(crate) fn unwatch(&self, connection: &Connection, users: &[UserId]) {
        let mut state = self.core().presence.state.lock();
        users.iter().for_each(|user| state.table.unwatch(connection.id, *user));
        if !state.table.is_watching(connection.id) {
            state.connections.remove(&connection.id);
        }
    }

    /// Users as this one sees them now, in the order of the argument.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub async fn presence(
        &self,
        viewer: UserId,
        users: &[UserId],
    ) -> Result<Vec<Presence>, EngineError> {
        let core = self.core();
        let stored = self.last_seen(users).await?;
        let sees = self.sees(viewer, users).await;
        let (state, now) = (core.presence.state.lock(), core.clock.now());
        let shown = users.iter().zip(sees).map(|(user, sees)| {
            let seen = state.seen(*user, stored.get(user).copied().flatten());
            shown(*user, if sees { seen } else { HIDDEN }, now)
        });
        Ok(shown.collect())
    }

    /// When users were last seen, as it is stored; those are left out of whom it is known here.
    async fn last_seen(
        &self,
        users: &[UserId],
    ) -> Result<FxHashMap<UserId, Option<Millis>>, EngineError> {
        let core = self.core();
        let unknown = core.presence.state.lock().table.unknown(users.iter().copied());
        if unknown.is_empty() {
            return Ok(FxHashMap::default());
        }
        let people = core.directory.people(&unknown).await?;
        Ok(people.into_iter().map(|person| (person.user, person.last_seen_at)).collect())
    }

    /// What a user lets others know.
    pub fn privacy(&self, user: UserId) -> Privacy {
        self.core().privacy.of(user)
    }

    /// Whether this viewer does not see how far that user has read.
    pub fn hides_reads(&self, viewer: UserId, user: UserId) -> bool {
        self.core().privacy.hides_reads(viewer, user)
    }

    /// Changes what a user lets others know. Nobody sees any more what is hidden when this returns; who may see it now
    /// is told.
    ///
    /// # Errors
    /// `NotFound` for no user; when the directory does not answer, nothing was changed.
    pub async fn set_privacy(&self, user: UserId, privacy: Privacy) -> Result<(), EngineError> {
        let core = self.core();
        let board = &core.presence;
        let _one = board.changing.lock().await;
        let stored = core.directory.set_privacy(user, privacy).await?;
        stored.ok_or_else(crate::engine::no_user)?;
        core.privacy.put(user, privacy);
        // Who watches the user, and whom the user watches: it holds both ways.
        let pairs: Vec<(Arc<Connection>, UserId)> = {
            let state = board.state.lock();
            let find = |id: &u64| state.connections.get(id).cloned();
            let watchers = state.table.watchers_of(user);
            let mut pairs: Vec<_> =
                watchers.iter().filter_map(find).map(|connection| (connection, user)).collect();
            let own = state.connections.values().filter(|connection| connection.user == user);
            for connection in own {
                let watched = state.table.watched_by(connection.id);
                pairs.extend(watched.into_iter().map(|other| (Arc::clone(connection), other)));
            }
            pairs
        };
        let look = |(connection, user): (Arc<Connection>, UserId)| async move {
            let sees = self.sees(connection.user, &[user]).await == [true];
            (connection, user, sees)
        };
        let mut seen = stream::iter(pairs).map(look).buffer_unordered(CONTACTS_AT_ONCE);
        while let Some((connection, user, sees)) = seen.next().await {
            let mut state = board.state.lock();
            if let Some(seen) = state.table.set_sees(connection.id, user, sees) {
                Frames::new(user, seen, core.clock.now()).give(&connection);
            }
        }
        Ok(())
    }

    /// Which of the users this viewer may see.
    async fn sees(&self, viewer: UserId, users: &[UserId]) -> Vec<bool> {
        let core = self.core();
        let own = core.privacy.of(viewer).presence;
        let look = |user: UserId| async move {
            if user == viewer {
                return true;
            }
            let theirs = core.privacy.of(user).presence;
            let open = Side { presence: PresenceFor::Everyone, has_written: true };
            let hidden = |presence| presence == PresenceFor::Nobody;
            if hidden(own) || hidden(theirs) {
                return false;
            }
            let one = self.side(open, own, viewer, user).await;
            let other = self.side(open, theirs, user, viewer).await;
            see_each_other(one, other)
        };
        // Usually nobody has set anything, and nothing is asked.
        stream::iter(users.iter().copied()).map(look).buffered(CONTACTS_AT_ONCE).collect().await
    }

    async fn side(
        &self,
        open: Side,
        presence: PresenceFor,
        writer: UserId,
        reader: UserId,
    ) -> Side {
        if presence == PresenceFor::Contacts {
            Side { presence, has_written: self.has_written(writer, reader).await }
        } else {
            Side { presence, ..open }
        }
    }

    /// Whether the one has written to the other directly, within the newest messages. What cannot be found out is no.
    async fn has_written(&self, writer: UserId, reader: UserId) -> bool {
        let board = &self.core().presence;
        if let Some(known) = board.contacts.lock().get(writer, reader, board.now()) {
            return known;
        }
        match self.look_for_message(writer, ConversationId::direct(writer, reader)).await {
            Ok(found) => {
                board.contacts.lock().put(writer, reader, found, board.now());
                found
            }
            Err(error) => {
                tracing::debug!(%error, "it could not be found out who has written to whom");
                false
            }
        }
    }

    async fn look_for_message(
        &self,
        writer: UserId,
        id: ConversationId,
    ) -> Result<bool, EngineError> {
        let limit = CONTACT_MESSAGES_PER_READ;
        let mut page = MessagePage::Newest { limit };
        for _ in 0..CONTACT_MESSAGES_MAX / CONTACT_MESSAGES_PER_READ {
            let found = match self.messages(writer, id, page).await {
                Ok((found, _)) => found,
                Err(EngineError::Refused(_)) => return Ok(false),
                Err(error) => return Err(error),
            };
            if found.messages.iter().any(|view| view.message.sender == writer) {
                return Ok(true);
            }
            let Some(first) = found.messages.first() else { return Ok(false) };
            page = MessagePage::Before { position: PagePosition::Seq(first.message.seq), limit };
        }
        Ok(false)
    }
}
