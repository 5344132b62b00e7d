//! The waiting rows of one conversation. Each knows the journal position of its last change.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem::size_of,
    ops::RangeInclusive,
    sync::Arc,
};

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Conversation, Member, Message, Reaction, ReactionGroup, Rev, Row,
    Seq, UnitId, UserId,
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
    /// Small rows; `None`: gone.
    annexes: BTreeMap<AnnexKey, (Option<Arc<Annex>>, Position)>,
    /// Messages of which every small row went, except those that came later.
    annexes_gone: BTreeMap<Seq, Position>,
}

/// Small rows as the overlay knows them.
#[derive(Debug, Clone, Default)]
pub(crate) struct WaitingAnnexes {
    /// Those that changed; `None`: gone.
    pub(crate) rows: BTreeMap<AnnexKey, Option<Arc<Annex>>>,
    /// Of other rows of these messages there is none, whatever the tables have.
    pub(crate) gone: BTreeSet<Seq>,
    /// Nor of messages below this one.
    pub(crate) gone_below: Seq,
}

impl WaitingAnnexes {
    /// Whether what the tables have under a key counts.
    pub(crate) fn leaves(&self, key: &AnnexKey) -> bool {
        let seq = key.seq();
        !self.rows.contains_key(key)
            && (seq == 0 || (seq >= self.gone_below && !self.gone.contains(&seq)))
    }
}

fn cost(message: &Message) -> usize {
    size_of::<Message>()
        + ENTRY_BYTES
        + message.content.len()
        + message.mentions.len() * 16
        + message.client_id.as_ref().map_or(0, |id| id.as_str().len() + 48)
}

fn annex_cost(row: Option<&Arc<Annex>>) -> isize {
    let own = row.map_or(0, |row| size_of::<Annex>() + row.value.len());
    (ENTRY_BYTES + own).cast_signed()
}

impl ConversationRows {
    pub(super) fn is_empty(&self) -> bool {
        self.row.is_none()
            && self.gone.is_none()
            && self.members.is_empty()
            && self.fresh.is_empty()
            && self.changed.is_empty()
            && self.reactions.is_empty()
            && self.annexes.is_empty()
            && self.annexes_gone.is_empty()
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
            Row::Annex(row) => self.put_annex(at, row, true),
            Row::AnnexGone(row) => self.put_annex(at, row, false),
            Row::AnnexesGone { seq, .. } => self.put_annexes_gone(at, *seq),
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

    fn put_annex(&mut self, at: Position, row: &Arc<Annex>, there: bool) -> isize {
        let now = (there.then(|| Arc::clone(row)), at);
        let mut change = annex_cost(now.0.as_ref());
        if let Some((before, _)) = self.annexes.insert(row.key, now) {
            change -= annex_cost(before.as_ref());
        }
        change
    }

    fn put_annexes_gone(&mut self, at: Position, seq: Seq) -> isize {
        let mut change = self.drop_annexes(|of| of == seq);
        if self.annexes_gone.insert(seq, at).is_none() {
            change += ENTRY_BYTES.cast_signed();
        }
        change
    }

    /// Drops the small rows of some messages; answers by how many bytes this changed.
    fn drop_annexes(&mut self, goes: impl Fn(Seq) -> bool) -> isize {
        let mut change = 0;
        self.annexes.retain(|key, (row, _)| {
            let stays = !goes(key.seq());
            if !stays {
                change -= annex_cost(row.as_ref());
            }
            stays
        });
        change
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
        change + self.drop_annexes(|of| of > 0 && of < below)
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
        self.annexes.retain(|_, (row, at)| {
            let stays = *at > up_to;
            if !stays {
                change -= annex_cost(row.as_ref());
            }
            stays
        });
        self.annexes_gone.retain(|_, at| {
            let stays = *at > up_to;
            if !stays {
                change -= ENTRY_BYTES.cast_signed();
            }
            stays
        });
        change
    }

    pub(super) fn annex(&self, key: AnnexKey) -> Option<Option<Arc<Annex>>> {
        if let Some((row, _)) = self.annexes.get(&key) {
            return Some(row.clone());
        }
        let seq = key.seq();
        let gone = seq > 0 && (seq < self.gone_below() || self.annexes_gone.contains_key(&seq));
        gone.then_some(None)
    }

    pub(super) fn annexes(
        &self,
        (kind, first): (AnnexKind, u64),
        range: &RangeInclusive<u64>,
    ) -> WaitingAnnexes {
        if range.is_empty() {
            return WaitingAnnexes::default();
        }
        let key = |second: &u64| AnnexKey { kind, first, second: *second };
        let rows = self.annexes.range(key(range.start())..=key(range.end()));
        self.waiting_annexes(rows.map(|(key, (row, _))| (*key, row.clone())).collect())
    }

    pub(super) fn annexes_of_message(&self, seq: Seq) -> WaitingAnnexes {
        let of_it = |key: &AnnexKey| key.kind.is_of_message() && key.seq() == seq;
        let rows = self.annexes.iter().filter(|(key, _)| of_it(key));
        self.waiting_annexes(rows.map(|(key, (row, _))| (*key, row.clone())).collect())
    }

    fn waiting_annexes(&self, rows: BTreeMap<AnnexKey, Option<Arc<Annex>>>) -> WaitingAnnexes {
        let gone = self.annexes_gone.keys().copied().collect();
        WaitingAnnexes { rows, gone, gone_below: self.gone_below() }
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
            annexes: self.waiting_annexes(
                self.annexes.iter().map(|(key, (row, _))| (*key, row.clone())).collect(),
            ),
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
