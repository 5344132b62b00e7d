//! What a dispatcher noted and the queue does not have yet. Bounded; what does not fit is dropped and counted.

use ostracon_domain::{ConversationId, Message, Seq, UserId};
use ostracon_store::Position;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::limits::AWAY_WAITING_MAX;

/// Messages of one conversation that one user may have to be told of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) seq: Seq,
    /// The newest that mentions the user; 0 for none.
    pub(super) mention_seq: Seq,
    pub(super) count: u32,
}

/// A message of which it is not known yet whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) seq: Seq,
    pub(super) sender: UserId,
    pub(super) mentions: Vec<UserId>,
}

impl Said {
    pub(super) fn of(message: &Message) -> Self {
        let mentions = message.mentions.iter().map(|one| one.user_id).collect();
        Self { seq: message.seq, sender: message.sender, mentions }
    }
}

/// What was taken at once.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) told: FxHashMap<(UserId, ConversationId), Noted>,
    pub(super) whole: Vec<(ConversationId, Said)>,
    pub(super) created: Vec<(ConversationId, Seq, UserId)>,
    /// Everything up to here is in it, or was put before.
    mark: Position,
}

impl Taken {
    fn len(&self) -> usize {
        self.told.len() + self.whole.len() + self.created.len()
    }

    pub(super) fn note(&mut self, user: UserId, conversation: ConversationId, new: Noted) {
        let known = self.told.entry((user, conversation)).or_default();
        known.seq = known.seq.max(new.seq);
        known.mention_seq = known.mention_seq.max(new.mention_seq);
        known.count = known.count.saturating_add(new.count);
    }
}

/// The notes of one shard.
#[derive(Default)]
pub(super) struct Feed(Mutex<State>);

#[derive(Default)]
struct State {
    noted: Taken,
    /// Some of it is on its way into the queue.
    in_flight: bool,
    done: Position,
}

impl State {
    fn has_room(&self) -> bool {
        let has_room = self.noted.len() < AWAY_WAITING_MAX;
        if !has_room {
            metrics::counter!("push_dropped_total").increment(1);
        }
        has_room
    }
}

impl Feed {
    pub(super) fn tell(
        &self,
        conversation: ConversationId,
        seq: Seq,
        users: impl Iterator<Item = (UserId, bool)>,
    ) {
        let mut state = self.0.lock();
        for (user, mentioned) in users {
            if state.has_room() {
                let mention_seq = if mentioned { seq } else { 0 };
                state.noted.note(user, conversation, Noted { seq, mention_seq, count: 1 });
            }
        }
    }

    pub(super) fn whole(&self, conversation: ConversationId, said: Said) {
        let mut state = self.0.lock();
        if state.has_room() {
            state.noted.whole.push((conversation, said));
        }
    }

    pub(super) fn created(&self, conversation: ConversationId, seq: Seq, sender: UserId) {
        let mut state = self.0.lock();
        if state.has_room() {
            state.noted.created.push((conversation, seq, sender));
        }
    }

    pub(super) fn mark(&self, position: Position) {
        let mut state = self.0.lock();
        state.noted.mark = state.noted.mark.max(position);
        if state.noted.len() == 0 && !state.in_flight {
            state.done = state.noted.mark;
        }
    }

    pub(super) fn done(&self) -> Position {
        self.0.lock().done
    }

    pub(super) fn is_done(&self) -> bool {
        let state = self.0.lock();
        state.noted.len() == 0 && !state.in_flight
    }

    /// Takes everything; it is given back or settled before the next taking.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut state = self.0.lock();
        if state.noted.len() == 0 {
            return None;
        }
        let mark = state.noted.mark;
        state.in_flight = true;
        Some(std::mem::replace(&mut state.noted, Taken { mark, ..Taken::default() }))
    }

    pub(super) fn give_back(&self, taken: Taken) {
        let mut state = self.0.lock();
        let newer = std::mem::replace(&mut state.noted, taken);
        for ((user, conversation), noted) in newer.told {
            state.noted.note(user, conversation, noted);
        }
        state.noted.whole.extend(newer.whole);
        state.noted.created.extend(newer.created);
        state.noted.mark = newer.mark;
        state.in_flight = false;
    }

    pub(super) fn settled(&self, taken: &Taken) {
        let mut state = self.0.lock();
        state.in_flight = false;
        state.done = if state.noted.len() == 0 { state.noted.mark } else { taken.mark };
    }
}

#[cfg(test)]
mod tests;
