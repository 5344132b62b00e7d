//! The waiting rows of one conversation. Each knows the journal position of its last change.

use std::{
    collections::{BTreeMap, VecDeque},
    mem::size_of,
    ops::RangeInclusive,
    sync::Arc,
};

use ostracon_domain::{
    Conversation, Member, Message, Reaction, ReactionGroup, Rev, Row, Seq, UnitId, UserId,
};
use ostracon_store::SubjectVersion;
use rustc_hash::FxHashMap;

use super::{Found, RangeNow, WaitingConversation};
use crate::{
    duplicate_filter::{ClientKey, ClientKeys},
    journal::Position,
};

/// Bytes that an entry of a map costs besides its row.
const ENTRY_BYTES: usize = 96;

/// A reaction that was put or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReactionNow {
    pub(crate) seq: Seq,
    pub(crate) user: UserId,
    pub(crate) emoji: String,
    pub(crate) there: bool,
}

impl ReactionNow {
    /// Brings the groups of a message up to date: by emoji, users by number.
    pub(crate) fn apply(&self, groups: &mut Vec<ReactionGroup>) {
        let place = groups.binary_search_by(|group| group.emoji.as_str().cmp(&self.emoji));
        match (place, self.there) {
            (Ok(at), there) => {
                let users = &mut groups[at].users;
                match (users.binary_search(&self.user), there) {
                    (Err(place), true) => users.insert(place, self.user),
                    (Ok(place), false) => {
                        users.remove(place);
                        if users.is_empty() {
                            groups.remove(at);
                        }
                    }
                    _ => {}
                }
            }
            (Err(at), true) => groups
                .insert(at, ReactionGroup { emoji: self.emoji.clone(), users: vec![self.user] }),
            (Err(_), false) => {}
        }
    }
}

struct Entry {
    row: Arc<Message>,
    at: Position,
    client: Option<ClientKey>,
}

/// Rows of one conversation.
#[derive(Default)]
pub(super) struct ConversationRows {
    row: Option<(Arc<Conversation>, Position)>,
    members: BTreeMap<UserId, (Arc<Member>, Position)>,
    /// Messages whose insert waits too, without a gap, with the position of the insert: the tables know nothing of them.
    fresh: VecDeque<(Entry, Position)>,
    /// Messages that the tables may know in an older state.
    changed: BTreeMap<Seq, Entry>,
    /// Of all of them those changed after their insert, by rev.
    by_rev: BTreeMap<Rev, Seq>,
    by_client: FxHashMap<ClientKey, Seq>,
    /// Of all of them those that do not count.
    uncounted: BTreeMap<Seq, ()>,
    reactions: BTreeMap<(Seq, UserId, String), (bool, Position)>,
    gone: Option<(Seq, Position)>,
}

fn cost(message: &Message) -> usize {
    size_of::<Message>()
        + ENTRY_BYTES
        + message.content.len()
        + message.mentions.len() * 16
        + message.client_id.as_ref().map_or(0, |id| id.as_str().len() + 48)
}

impl ConversationRows {
    pub(super) fn is_empty(&self) -> bool {
        self.row.is_none()
            && self.gone.is_none()
            && self.members.is_empty()
            && self.fresh.is_empty()
            && self.changed.is_empty()
            && self.reactions.is_empty()
    }

    /// Takes a row; answers by how many bytes this grew.
    pub(super) fn put(&mut self, at: Position, row: &Row, born: bool, keys: ClientKeys) -> isize {
        match row {
            Row::Conversation(row) => {
                let cost = size_of::<Conversation>() + ENTRY_BYTES;
                let new = self.row.replace((Arc::clone(row), at)).is_none();
                if new { cost.cast_signed() } else { 0 }
            }
            Row::Member(row) => {
                let cost = size_of::<Member>() + ENTRY_BYTES;
                let new = self.members.insert(row.user, (Arc::clone(row), at)).is_none();
                if new { cost.cast_signed() } else { 0 }
            }
            Row::Message(row) => self.put_message(at, row, born, keys),
            Row::Reaction(row) => self.put_reaction(at, row, true),
            Row::ReactionGone(row) => self.put_reaction(at, row, false),
            Row::MessagesGone { below, .. } => self.put_gone(at, *below),
            Row::User(_) | Row::Inbox(_) => 0,
        }
    }

    fn put_message(
        &mut self,
        at: Position,
        row: &Arc<Message>,
        born: bool,
        keys: ClientKeys,
    ) -> isize {
        let mut change = cost(row).cast_signed();
        let client = row.client_id.as_ref().map(|id| keys.of(row.sender, id));
        if let Some(key) = client {
            self.by_client.insert(key, row.seq);
        }
        if row.uncounted {
            self.uncounted.insert(row.seq, ());
        }
        if row.rev > row.created_rev {
            self.by_rev.insert(row.rev, row.seq);
        }
        let entry = Entry { row: Arc::clone(row), at, client };
        let next = self.fresh.back().map_or(row.seq, |(last, _)| last.row.seq + 1);
        let is_insert = born && row.rev == row.created_rev;
        if is_insert && row.seq == next && !self.changed.contains_key(&row.seq) {
            self.fresh.push_back((entry, at));
            return change;
        }
        let before = match self.fresh_index(row.seq) {
            Some(index) => Some(std::mem::replace(&mut self.fresh[index].0, entry)),
            None => self.changed.insert(row.seq, entry),
        };
        if let Some(before) = before {
            change -= cost(&before.row).cast_signed();
            if before.row.rev != row.rev {
                self.by_rev.remove(&before.row.rev);
            }
        }
        change
    }

    fn fresh_index(&self, seq: Seq) -> Option<usize> {
        let first = self.fresh.front()?.0.row.seq;
        let index = usize::try_from(seq.checked_sub(first)?).ok()?;
        (index < self.fresh.len()).then_some(index)
    }

    fn put_reaction(&mut self, at: Position, row: &Reaction, there: bool) -> isize {
        let key = (row.seq, row.user, row.emoji.clone());
        let cost = ENTRY_BYTES + row.emoji.len();
        let new = self.reactions.insert(key, (there, at)).is_none();
        if new { cost.cast_signed() } else { 0 }
    }

    fn put_gone(&mut self, at: Position, below: Seq) -> isize {
        let below = self.gone.map_or(below, |(before, _)| before.max(below));
        self.gone = Some((below, at));
        let mut change = 0;
        while self.fresh.front().is_some_and(|(e, _)| e.row.seq < below) {
            if let Some((entry, _)) = self.fresh.pop_front() {
                change -= self.forget(&entry);
            }
        }
        let stay = self.changed.split_off(&below);
        for entry in std::mem::replace(&mut self.changed, stay).into_values() {
            change -= self.forget(&entry);
        }
        self.reactions.retain(|(seq, _, emoji), _| {
            let stays = *seq >= below;
            if !stays {
                change -= (ENTRY_BYTES + emoji.len()).cast_signed();
            }
            stays
        });
        change
    }

    /// Clears what the indexes say of a message that leaves; answers its bytes.
    fn forget(&mut self, entry: &Entry) -> isize {
        let row = &entry.row;
        if row.rev > row.created_rev {
            self.by_rev.remove(&row.rev);
        }
        if row.uncounted {
            self.uncounted.remove(&row.seq);
        }
        if let Some(key) = entry.client {
            self.by_client.remove(&key);
        }
        cost(row).cast_signed()
    }

    /// Drops what has not changed since `up_to`; answers by how many bytes this changed.
    pub(super) fn evict(&mut self, up_to: Position) -> isize {
        let mut change = 0;
        if self.row.as_ref().is_some_and(|(_, at)| *at <= up_to) {
            self.row = None;
            change -= (size_of::<Conversation>() + ENTRY_BYTES).cast_signed();
        }
        if self.gone.is_some_and(|(_, at)| at <= up_to) {
            self.gone = None;
        }
        self.members.retain(|_, (_, at)| {
            let stays = *at > up_to;
            if !stays {
                change -= (size_of::<Member>() + ENTRY_BYTES).cast_signed();
            }
            stays
        });
        while self.fresh.front().is_some_and(|(_, inserted)| *inserted <= up_to) {
            let Some((entry, _)) = self.fresh.pop_front() else {
                break;
            };
            if entry.at <= up_to {
                change -= self.forget(&entry);
            } else {
                self.changed.insert(entry.row.seq, entry);
            }
        }
        let leaving: Vec<Seq> = self
            .changed
            .iter()
            .filter(|(_, entry)| entry.at <= up_to)
            .map(|(seq, _)| *seq)
            .collect();
        for seq in leaving {
            if let Some(entry) = self.changed.remove(&seq) {
                change -= self.forget(&entry);
            }
        }
        self.reactions.retain(|(_, _, emoji), (_, at)| {
            let stays = *at > up_to;
            if !stays {
                change -= (ENTRY_BYTES + emoji.len()).cast_signed();
            }
            stays
        });
        change
    }

    pub(super) fn row(&self) -> Option<Arc<Conversation>> {
        self.row.as_ref().map(|(row, _)| Arc::clone(row))
    }

    /// The unit that the own row carries, if that waits.
    pub(super) fn unit(&self) -> Option<UnitId> {
        self.row.as_ref().map(|(row, _)| row.unit)
    }

    /// What waits above a version.
    pub(super) fn above(&self, since: SubjectVersion) -> WaitingConversation {
        let all = 0..=Seq::MAX;
        let unchanged = self.unchanged_since(since.rev, &all, usize::MAX);
        let changed = self.changed_since(since.rev, &all, usize::MAX);
        let messages: BTreeMap<Seq, Arc<Message>> =
            unchanged.into_iter().chain(changed).map(|row| (row.seq, row)).collect();
        let of_them = |((seq, ..), _): &(&(Seq, UserId, String), _)| messages.contains_key(seq);
        let reactions = self
            .reactions
            .iter()
            .filter(of_them)
            .map(|((seq, user, emoji), (there, _))| (*seq, *user, emoji.clone(), *there))
            .collect();
        let members = self.members.values().map(|(row, _)| row);
        let is_above = |row: &&Arc<Member>| row.rev > since.rev || row.mark_rev > since.mark_rev;
        WaitingConversation {
            row: self.row(),
            members: members.filter(is_above).cloned().collect(),
            reactions,
            messages,
            gone_below: self.gone_below(),
        }
    }

    pub(super) fn member(&self, user: UserId) -> Option<Arc<Member>> {
        self.members.get(&user).map(|(row, _)| Arc::clone(row))
    }

    pub(super) fn members_after(&self, after: u64) -> Vec<Arc<Member>> {
        self.members
            .values()
            .filter(|(row, _)| row.user.get() > after)
            .map(|(row, _)| Arc::clone(row))
            .collect()
    }

    fn entry(&self, seq: Seq) -> Option<&Entry> {
        match self.fresh_index(seq) {
            Some(index) => self.fresh.get(index).map(|(entry, _)| entry),
            None => self.changed.get(&seq),
        }
    }

    pub(super) fn gone_below(&self) -> Seq {
        self.gone.map_or(0, |(below, _)| below)
    }

    pub(super) fn message(&self, seq: Seq) -> Found {
        match self.entry(seq) {
            Some(entry) => Found::Row(Arc::clone(&entry.row)),
            None if seq < self.gone_below() => Found::Gone,
            None => Found::Nothing,
        }
    }

    pub(super) fn range(&self, first: Seq, last: Seq) -> RangeNow {
        let mut messages: Vec<Arc<Message>> = Vec::new();
        if first > last {
            return RangeNow { whole_from: Seq::MAX, ..RangeNow::default() };
        }
        let changed = self.changed.range(first..=last);
        messages.extend(changed.map(|(_, entry)| Arc::clone(&entry.row)));
        if let Some((front, _)) = self.fresh.front() {
            let start = front.row.seq;
            let from = usize::try_from(first.saturating_sub(start)).unwrap_or(usize::MAX);
            let wanted = (last + 1).saturating_sub(first.max(start));
            let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
            if from < self.fresh.len() {
                let fresh = self.fresh.range(from..).take(wanted);
                messages.extend(fresh.map(|(entry, _)| Arc::clone(&entry.row)));
            }
            messages.sort_unstable_by_key(|message| message.seq);
        }
        let whole_from = self.fresh.front().map_or(Seq::MAX, |(e, _)| e.row.seq);
        RangeNow {
            messages,
            reactions: self.reactions_of(first, last),
            gone_below: self.gone_below(),
            whole_from,
        }
    }

    fn reactions_of(&self, first: Seq, last: Seq) -> Vec<ReactionNow> {
        if self.reactions.is_empty() {
            return Vec::new();
        }
        self.reactions
            .iter()
            .filter(|((seq, _, _), _)| (first..=last).contains(seq))
            .map(|((seq, user, emoji), (there, _))| ReactionNow {
                seq: *seq,
                user: *user,
                emoji: emoji.clone(),
                there: *there,
            })
            .collect()
    }

    pub(super) fn by_client_id(&self, key: ClientKey) -> Option<Arc<Message>> {
        let seq = *self.by_client.get(&key)?;
        self.entry(seq).map(|entry| Arc::clone(&entry.row))
    }

    pub(super) fn client_keys(&self) -> Vec<ClientKey> {
        self.by_client.keys().copied().collect()
    }

    pub(super) fn unchanged_since(
        &self,
        rev: Rev,
        range: &RangeInclusive<Seq>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        let is_unchanged = |entry: &&Entry| {
            let row = &entry.row;
            row.created_rev > rev && row.rev == row.created_rev && range.contains(&row.seq)
        };
        let old = self.changed.values().filter(is_unchanged);
        let start = self.fresh.partition_point(|(entry, _)| entry.row.created_rev <= rev);
        let fresh = self.fresh.range(start..).map(|(entry, _)| entry);
        let mut rows: Vec<_> = old
            .chain(fresh.filter(is_unchanged).take(limit))
            .map(|entry| Arc::clone(&entry.row))
            .collect();
        rows.sort_unstable_by_key(|row| row.seq);
        rows.truncate(limit);
        rows
    }

    pub(super) fn changed_since(
        &self,
        rev: Rev,
        range: &RangeInclusive<Seq>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        self.by_rev
            .range(rev + 1..)
            .filter(|(_, seq)| range.contains(seq))
            .take(limit)
            .filter_map(|(_, seq)| self.entry(*seq))
            .map(|entry| Arc::clone(&entry.row))
            .collect()
    }

    pub(super) fn uncounted(&self, first: Seq, last: Seq) -> Vec<Seq> {
        if first > last {
            return Vec::new();
        }
        self.uncounted.range(first..=last).map(|(seq, ())| *seq).collect()
    }
}
