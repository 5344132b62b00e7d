//! Typing: told to the other members who are connected, never stored, and off in large groups.
//!
//! Who is a member is asked of the shard once and remembered for a while; a change of the members makes it forgotten.

pub(crate) mod typers;

use std::sync::Arc;

use ostracon_domain::{ConversationId, Refusal, Subject, UserId};
use ostracon_proto::{
    Encoding,
    frame::{Typing, TypingNotice},
};
use ostracon_store::{MembersPage, Shard};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use self::typers::{Place, Typers};
use crate::{
    connection::Connection,
    engine::{Core, Engine},
    error::EngineError,
    event,
    limits::{MEMBERS_PER_READ, TYPING_LARGE_KNOWN_MAX, TYPING_ROOM_LIFE, TYPING_ROOMS_MAX},
    presence::table::Tick,
};

const ROOM_LIFE: Tick = TYPING_ROOM_LIFE.as_millis() as Tick;
/// So often members are read again that changed while they were read; then they are used once and not remembered.
const READS_MAX: usize = 3;

/// Safe from any task; the lock is held for a few instructions.
#[derive(Default)]
pub(crate) struct TypingBoard(Mutex<State>);

#[derive(Default)]
struct State {
    typers: Typers,
    rooms: FxHashMap<ConversationId, Room>,
    /// Rises whenever the members of some conversation change.
    changes: u64,
}

/// The members of a conversation, in order.
#[derive(Clone)]
struct Room {
    /// In a large group only those that were asked about.
    members: Arc<[UserId]>,
    is_large: bool,
    until: Tick,
}

impl Room {
    fn has(&self, user: UserId) -> bool {
        self.members.binary_search(&user).is_ok()
    }
}

impl TypingBoard {
    /// Members of a conversation have changed, or the conversation has.
    pub(crate) fn changed(&self, id: ConversationId) {
        let mut state = self.0.lock();
        state.changes += 1;
        state.rooms.remove(&id);
    }

    /// A connection is gone.
    pub(crate) fn depart(&self, connection: u64, now: Tick) {
        self.0.lock().typers.forget(connection, now);
    }

    pub(crate) fn next_due(&self) -> Option<Tick> {
        self.0.lock().typers.next_due()
    }

    fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    fn room(&self, id: ConversationId, user: UserId, now: Tick) -> Option<Room> {
        let state = self.0.lock();
        state.rooms.get(&id).filter(|room| room.until > now && room.has(user)).cloned()
    }

    /// Remembers a room, if nobody came or went since `changes` was noted.
    fn keep(&self, id: ConversationId, mut room: Room, changes: u64) -> bool {
        let mut state = self.0.lock();
        if state.changes != changes {
            return false;
        }
        if state.rooms.len() >= TYPING_ROOMS_MAX {
            state.rooms.clear();
        }
        if let Some(before) = state.rooms.get(&id).filter(|before| before.is_large && room.is_large)
            && before.members.len() < TYPING_LARGE_KNOWN_MAX
        {
            let mut members = [&before.members[..], &room.members[..]].concat();
            members.sort_unstable();
            members.dedup();
            room = Room { members: members.into(), until: before.until, ..room };
        }
        state.rooms.insert(id, room);
        true
    }
}

/// Tells what has come to its end by itself.
pub(crate) fn tell_due(core: &Core) {
    let told: Vec<(Place, bool, Room)> = {
        let mut state = core.typing.0.lock();
        let told = state.typers.pass(core.presence.now());
        // Where the members are not known any more, nobody is told: whoever shows it lets it end by himself.
        let with_room = |(place, is_typing): (Place, bool)| {
            Some((place, is_typing, state.rooms.get(&place.0)?.clone()))
        };
        told.into_iter().filter_map(with_room).collect()
    };
    for (place, is_typing, room) in told {
        tell(core, place, is_typing, &room);
    }
}

fn tell(core: &Core, (conversation_id, user_id): Place, is_typing: bool, room: &Room) {
    let notice = TypingNotice { conversation_id, user_id, is_typing };
    let mut made = [None, None];
    for member in room.members.iter().filter(|member| **member != user_id) {
        core.hub.each(*member, |connection| {
            let at = usize::from(connection.encoding == Encoding::Cbor);
            connection
                .hint(made[at].get_or_insert_with(|| event::plain(connection.encoding, &notice)));
        });
    }
}

impl Engine {
    /// A user types, or has stopped.
    pub(crate) async fn typing(
        &self,
        connection: &Connection,
        typing: Typing,
    ) -> Result<(), EngineError> {
        let (core, user) = (self.core(), connection.user);
        let id = typing.conversation_id;
        let known = core.typing.room(id, user, core.presence.now());
        let room = match known {
            Some(room) => room,
            None => self.room(user, id).await?,
        };
        if room.is_large {
            return Ok(());
        }
        let place = (id, user);
        let told = {
            let now = core.presence.now();
            let typers = &mut core.typing.0.lock().typers;
            typers.heard(place, connection.id, typing.is_typing, now)
        };
        if let Some(is_typing) = told {
            tell(core, place, is_typing, &room);
        }
        core.presence.wake.notify_one();
        Ok(())
    }

    /// Reads who is a member, for one of them.
    async fn room(&self, user: UserId, id: ConversationId) -> Result<Room, EngineError> {
        let core = self.core();
        let mut reads = 0;
        loop {
            reads += 1;
            let changes = core.typing.changes();
            let found = core.overviews(user, &[id]).await?.pop().flatten();
            let found = found.ok_or(Refusal::no_conversation())?;
            if found.conversation.deleted_at.is_some() {
                return Err(Refusal::no_conversation().into());
            }
            let member = found.member.ok_or(Refusal::no_conversation())?;
            if !member.is_present() {
                return Err(Refusal::not_member().into());
            }
            let is_large = found.conversation.large;
            let members = if is_large { vec![user] } else { self.everybody(id).await? };
            let until = core.presence.now() + ROOM_LIFE;
            let room = Room { members: members.into(), is_large, until };
            if core.typing.keep(id, room.clone(), changes) || reads == READS_MAX {
                return Ok(room);
            }
        }
    }

    /// The present members, in order.
    async fn everybody(&self, id: ConversationId) -> Result<Vec<UserId>, EngineError> {
        let (mut members, mut after) = (Vec::new(), None);
        loop {
            let page = MembersPage { after, limit: MEMBERS_PER_READ };
            let ask = |shard: Arc<dyn Shard>, at| async move { shard.members(at, id, page).await };
            let found = self.core().ask(Subject::Conversation(id), ask).await?;
            let present = found.members.iter().filter(|row| row.is_present());
            members.extend(present.map(|row| row.user));
            after = found.members.last().map(|row| row.user);
            if !found.more || after.is_none() {
                return Ok(members);
            }
        }
    }
}
