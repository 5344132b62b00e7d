//! Rows that are acked but not yet in the tables, as readers see them: nothing unsynced ever stands here.
//!
//! The committer publishes a batch when it is synced, the applier evicts what its transaction has committed.
//! One lock a shard, held for a few look-ups, never over I/O or an await. Not a queue: the applier has its own.

mod conversation;
mod subjects;
#[cfg(test)]
mod tests;
mod user;

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Conversation, ConversationId, InboxEntry, Member, Message, Rev,
    Row, Seq, Subject, UnitId, UserId, UserRev, UserState,
};
use ostracon_store::UnitState;
use parking_lot::{RwLock, RwLockReadGuard};
use rustc_hash::{FxHashMap, FxHashSet};

use conversation::ConversationRows;
pub(crate) use conversation::{ReactionNow, WaitingAnnexes};
use subjects::ByUnit;
pub(crate) use subjects::{Waiting, WaitingConversation, WaitingUser};
use user::UserRows;

use crate::{
    duplicate_filter::{ClientKey, ClientKeys},
    journal::Position,
};

/// The rows of one shard that wait for the tables.
pub(crate) struct Overlay {
    rows: RwLock<Rows>,
    units: RwLock<FxHashMap<UnitId, UnitState>>,
    /// Taken by each eviction; shared by a reader that was overtaken by too many of them.
    gate: RwLock<()>,
    /// Everything up to here may have left the overlay. A reader that sees it move starts again.
    evicted: AtomicU64,
    client_keys: ClientKeys,
    /// Bytes of this shard's rows.
    own: AtomicUsize,
    /// Bytes of the rows of all shards: what the bound is about.
    total: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Rows {
    conversations: FxHashMap<ConversationId, ConversationRows>,
    users: FxHashMap<UserId, UserRows>,
    /// Subjects whose own row waits, by the unit that it carries.
    by_unit: ByUnit,
}

/// What the overlay knows of a message.
pub(crate) enum Found {
    /// Nothing: the tables know.
    Nothing,
    /// It was removed; the tables may still have it.
    Gone,
    /// Its newest state.
    Row(Arc<Message>),
}

/// Messages of a range of seqs as the overlay knows them.
#[derive(Default)]
pub(crate) struct RangeNow {
    /// Those that wait for the tables, by seq.
    pub(crate) messages: Vec<Arc<Message>>,
    /// Reactions that changed.
    pub(crate) reactions: Vec<ReactionNow>,
    /// Messages below this one are removed, whatever the tables have.
    pub(crate) gone_below: Seq,
    /// Messages from this one on that stand here have never been in the tables: with their reactions, this is all there is.
    pub(crate) whole_from: Seq,
}

impl Overlay {
    pub(crate) fn new(client_keys: ClientKeys, total: Arc<AtomicUsize>) -> Self {
        Self {
            client_keys,
            rows: RwLock::default(),
            units: RwLock::default(),
            gate: RwLock::default(),
            evicted: AtomicU64::new(0),
            own: AtomicUsize::new(0),
            total,
        }
    }

    /// How client ids are hashed here.
    pub(crate) const fn hashes(&self) -> ClientKeys {
        self.client_keys
    }

    /// Bytes of this shard's rows.
    pub(crate) fn bytes(&self) -> usize {
        self.own.load(Ordering::Relaxed)
    }

    /// Bytes of the rows of all shards.
    pub(crate) fn bytes_of_all(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Makes the rows of a synced record visible, all at once. Of messages that were `born` here the tables know nothing
    /// unless an older record does; of imported ones they may.
    pub(crate) fn publish(&self, at: Position, rows: &[Row], born: bool) {
        let mut change = 0;
        let mut all = self.rows.write();
        let Rows { conversations, users, by_unit } = &mut *all;
        for row in rows {
            change += match row {
                Row::User(_) | Row::Inbox(_) => {
                    let user = match row {
                        Row::User(state) => state.user,
                        Row::Inbox(entry) => entry.user,
                        _ => continue,
                    };
                    let known = users.entry(user).or_default();
                    let before = known.unit();
                    let change = known.put(at, row);
                    by_unit.follow(Subject::User(user), before, known.unit());
                    change
                }
                _ => match conversation_of(row) {
                    Some(id) => {
                        let known = conversations.entry(id).or_default();
                        let before = known.unit();
                        let change = known.put(at, row, born, self.client_keys);
                        by_unit.follow(Subject::Conversation(id), before, known.unit());
                        change
                    }
                    None => 0,
                },
            };
        }
        drop(all);
        self.account(change);
    }

    /// Drops what has not changed since `up_to`, of the subjects of these rows: the tables have it.
    pub(crate) fn evict(&self, rows: &[Row], up_to: Position) {
        let mut conversations = FxHashSet::default();
        let mut users = FxHashSet::default();
        for row in rows {
            match row {
                Row::User(state) => users.insert(state.user),
                Row::Inbox(entry) => users.insert(entry.user),
                row => conversation_of(row).is_some_and(|id| conversations.insert(id)),
            };
        }
        let _gate = self.gate.write();
        // Before the first row goes: a reader that misses one must notice.
        self.evicted.store(up_to, Ordering::SeqCst);
        let mut change = 0;
        for id in conversations {
            // Readers get their turn between two subjects.
            let mut all = self.rows.write();
            let Rows { conversations, by_unit, .. } = &mut *all;
            if let Some(known) = conversations.get_mut(&id) {
                let before = known.unit();
                change += known.evict(up_to);
                by_unit.follow(Subject::Conversation(id), before, known.unit());
                if known.is_empty() {
                    conversations.remove(&id);
                }
            }
        }
        for user in users {
            let mut all = self.rows.write();
            let Rows { users, by_unit, .. } = &mut *all;
            if let Some(known) = users.get_mut(&user) {
                let before = known.unit();
                change += known.evict(up_to);
                by_unit.follow(Subject::User(user), before, known.unit());
                if known.is_empty() {
                    users.remove(&user);
                }
            }
        }
        self.account(change);
    }

    fn account(&self, change: isize) {
        for counter in [&self.own, &*self.total] {
            if change >= 0 {
                counter.fetch_add(change.unsigned_abs(), Ordering::Relaxed);
            } else {
                counter.fetch_sub(change.unsigned_abs(), Ordering::Relaxed);
            }
        }
    }

    /// Everything up to here may have left.
    pub(crate) fn evicted(&self) -> Position {
        self.evicted.load(Ordering::SeqCst)
    }

    /// Nothing is evicted while the guard lives. For readers that would never finish otherwise.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read()
    }

    /// The fence of a unit.
    pub(crate) fn unit(&self, unit: UnitId) -> Option<UnitState> {
        self.units.read().get(&unit).copied()
    }

    /// All fences, by unit.
    pub(crate) fn units(&self) -> Vec<UnitState> {
        let mut all: Vec<_> = self.units.read().values().copied().collect();
        all.sort_unstable_by_key(|state| state.unit);
        all
    }

    /// Sets the fence of a unit; its record is synced.
    pub(crate) fn set_unit(&self, state: UnitState) {
        self.units.write().insert(state.unit, state);
    }

    /// Looks at fences while nobody changes one.
    pub(crate) fn with_fences<T>(
        &self,
        work: impl FnOnce(&dyn Fn(UnitId) -> Option<UnitState>) -> T,
    ) -> T {
        let units = self.units.read();
        work(&|unit| units.get(&unit).copied())
    }

    fn of<T>(
        &self,
        id: ConversationId,
        look: impl FnOnce(&ConversationRows) -> Option<T>,
    ) -> Option<T> {
        self.rows.read().conversations.get(&id).and_then(look)
    }

    fn of_user<T>(&self, user: UserId, look: impl FnOnce(&UserRows) -> Option<T>) -> Option<T> {
        self.rows.read().users.get(&user).and_then(look)
    }

    pub(crate) fn conversation(&self, id: ConversationId) -> Option<Arc<Conversation>> {
        self.of(id, ConversationRows::row)
    }

    pub(crate) fn member(&self, id: ConversationId, user: UserId) -> Option<Arc<Member>> {
        self.of(id, |known| known.member(user))
    }

    /// Waiting members above a user, by user.
    pub(crate) fn members_after(&self, id: ConversationId, after: u64) -> Vec<Arc<Member>> {
        self.of(id, |known| Some(known.members_after(after))).unwrap_or_default()
    }

    pub(crate) fn message(&self, id: ConversationId, seq: Seq) -> Found {
        self.of(id, |known| Some(known.message(seq))).unwrap_or(Found::Nothing)
    }

    /// Messages of a range, both ends included, with their changed reactions.
    pub(crate) fn range(&self, id: ConversationId, first: Seq, last: Seq) -> RangeNow {
        self.of(id, |known| Some(known.range(first, last)))
            .unwrap_or_else(|| RangeNow { whole_from: Seq::MAX, ..RangeNow::default() })
    }

    /// What a sender sent with a client id.
    pub(crate) fn by_client_id(&self, id: ConversationId, key: ClientKey) -> Option<Arc<Message>> {
        self.of(id, |known| known.by_client_id(key))
    }

    /// Keys of all client ids that wait in a conversation.
    pub(crate) fn client_keys(&self, id: ConversationId) -> Vec<ClientKey> {
        self.of(id, |known| Some(known.client_keys())).unwrap_or_default()
    }

    /// Waiting messages of a range that were inserted after a rev and never changed, by seq, at most `limit`.
    pub(crate) fn unchanged_since(
        &self,
        id: ConversationId,
        rev: Rev,
        range: &RangeInclusive<Seq>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        self.of(id, |known| Some(known.unchanged_since(rev, range, limit))).unwrap_or_default()
    }

    /// Waiting messages of a range that were changed after a rev, by rev, at most `limit`.
    pub(crate) fn changed_since(
        &self,
        id: ConversationId,
        rev: Rev,
        range: &RangeInclusive<Seq>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        self.of(id, |known| Some(known.changed_since(rev, range, limit))).unwrap_or_default()
    }

    /// Waiting messages of a range that do not count.
    pub(crate) fn uncounted(&self, id: ConversationId, first: Seq, last: Seq) -> Vec<Seq> {
        self.of(id, |known| Some(known.uncounted(first, last))).unwrap_or_default()
    }

    /// What is known of a small row: `None` when only the tables know.
    pub(crate) fn annex(&self, id: ConversationId, key: AnnexKey) -> Option<Option<Arc<Annex>>> {
        self.of(id, |known| known.annex(key))
    }

    /// Waiting small rows of a kind with the same first part in a range of the second; `None` stands for one that is gone.
    pub(crate) fn annexes(
        &self,
        id: ConversationId,
        of: (AnnexKind, u64),
        range: &RangeInclusive<u64>,
    ) -> WaitingAnnexes {
        self.of(id, |known| Some(known.annexes(of, range))).unwrap_or_default()
    }

    /// Waiting small rows that belong to a message and follow it.
    pub(crate) fn annexes_of_message(&self, id: ConversationId, seq: Seq) -> WaitingAnnexes {
        self.of(id, |known| Some(known.annexes_of_message(seq))).unwrap_or_default()
    }

    /// Messages below this one are removed, whatever the tables have.
    pub(crate) fn gone_below(&self, id: ConversationId) -> Seq {
        self.of(id, |known| Some(known.gone_below())).unwrap_or(0)
    }

    pub(crate) fn user(&self, user: UserId) -> Option<Arc<UserState>> {
        self.of_user(user, UserRows::state)
    }

    pub(crate) fn inbox_entry(&self, user: UserId, id: ConversationId) -> Option<Arc<InboxEntry>> {
        self.of_user(user, |known| known.entry(id))
    }

    /// A user's waiting entries changed after a user rev.
    pub(crate) fn inbox_since(&self, user: UserId, since: UserRev) -> Vec<Arc<InboxEntry>> {
        self.of_user(user, |known| Some(known.since(since))).unwrap_or_default()
    }
}

fn conversation_of(row: &Row) -> Option<ConversationId> {
    Some(match row {
        Row::Conversation(row) => row.id,
        Row::Member(row) => row.conversation,
        Row::Message(row) => row.conversation,
        Row::Reaction(row) | Row::ReactionGone(row) => row.conversation,
        Row::MessagesGone { conversation, .. } | Row::AnnexesGone { conversation, .. } => {
            *conversation
        }
        Row::Annex(row) | Row::AnnexGone(row) => row.conversation,
        Row::User(_) | Row::Inbox(_) => return None,
    })
}
