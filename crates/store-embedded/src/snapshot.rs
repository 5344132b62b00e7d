//! The newest rows of a shard as one reader sees them: the overlay over one read transaction of the tables.
//!
//! The order is what makes it right. First the overlay is asked how far it has evicted, then the transaction begins,
//! then both are asked. As long as nothing more is evicted, a row that was acked before the reader came is in the
//! transaction or still in the overlay, and what the overlay has is not older. When something was evicted
//! meanwhile, the reader starts again ([`Snapshot::is_whole`]).

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, ClientId, Conversation, ConversationId, InboxEntry, Member,
    Message, MessageView, Millis, Quote, Rev, Seq, UserId, UserState,
};
use rusqlite::Connection;
use rustc_hash::FxHashSet;

use crate::{
    error::TableError,
    journal::Position,
    overlay::{Found, Overlay, RangeNow, ReactionNow},
    tables::TableReader,
};

type Result<T> = std::result::Result<T, TableError>;

/// No limit.
const ALL: usize = usize::MAX >> 1;

/// What one reader sees.
pub(crate) struct Snapshot<'a> {
    overlay: &'a Overlay,
    tables: TableReader<'a>,
    evicted: Position,
}

/// A conversation as a reader noted it first.
pub(crate) struct Noted {
    pub(crate) row: Arc<Conversation>,
    key: Option<i64>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn begin(overlay: &'a Overlay, conn: &'a Connection) -> Result<Self> {
        let evicted = overlay.evicted();
        Ok(Self { overlay, tables: TableReader::begin(conn)?, evicted })
    }

    /// What waits.
    pub(crate) const fn overlay(&self) -> &'a Overlay {
        self.overlay
    }

    /// What is stored, as of the moment it began.
    pub(crate) const fn tables(&self) -> &TableReader<'a> {
        &self.tables
    }

    /// Whether nothing was evicted since it began: only then count the answers it gave.
    pub(crate) fn is_whole(&self) -> bool {
        self.overlay.evicted() == self.evicted
    }

    /// Notes a conversation. It must be the first question about it.
    pub(crate) fn note(&self, id: ConversationId) -> Result<Option<Noted>> {
        let waiting = self.overlay.conversation(id);
        let stored = self.tables.conversation(id)?;
        let key = stored.as_ref().map(|(key, _)| *key);
        // What waits was noted first; the tables count only for who has nothing waiting.
        let row = waiting.or_else(|| stored.map(|(_, row)| row));
        Ok(row.map(|row| Noted { row, key }))
    }

    pub(crate) fn member(&self, noted: &Noted, user: UserId) -> Result<Option<Arc<Member>>> {
        if let Some(row) = self.overlay.member(noted.row.id, user) {
            return Ok(Some(row));
        }
        match noted.key {
            Some(key) => self.tables.member(key, noted.row.id, user),
            None => Ok(None),
        }
    }

    /// Members above a user, by user, at most `limit`.
    pub(crate) fn members_after(
        &self,
        noted: &Noted,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Arc<Member>>> {
        let after = after.map_or(0, UserId::get);
        let mut members: BTreeMap<UserId, Arc<Member>> = BTreeMap::new();
        if let Some(key) = noted.key {
            let stored = self.tables.members_after(key, noted.row.id, after, limit)?;
            members.extend(stored.into_iter().map(|row| (row.user, row)));
        }
        let waiting = self.overlay.members_after(noted.row.id, after);
        members.extend(waiting.into_iter().map(|row| (row.user, row)));
        Ok(members.into_values().take(limit).collect())
    }

    /// Members changed after a rev, in rev order, at most `limit`.
    pub(crate) fn members_since(
        &self,
        noted: &Noted,
        rev: Rev,
        limit: usize,
    ) -> Result<Vec<Arc<Member>>> {
        let id = noted.row.id;
        let waiting = self.overlay.members_after(id, 0);
        let mut members: Vec<_> = waiting.iter().filter(|row| row.rev > rev).cloned().collect();
        if let Some(key) = noted.key {
            let mut room = limit;
            self.tables.members_since(key, id, rev, |row| {
                if waiting.binary_search_by_key(&row.user, |known| known.user).is_err() {
                    members.push(row);
                    room -= 1;
                }
                room > 0
            })?;
        }
        members.sort_unstable_by_key(|row| row.rev);
        members.truncate(limit);
        Ok(members)
    }

    /// Members whose marks changed after a mark rev, in its order.
    pub(crate) fn marks_since(&self, noted: &Noted, mark_rev: Rev) -> Result<Vec<Arc<Member>>> {
        let id = noted.row.id;
        let waiting = self.overlay.members_after(id, 0);
        let mut members: Vec<_> =
            waiting.iter().filter(|row| row.mark_rev > mark_rev).cloned().collect();
        if let Some(key) = noted.key {
            let stored = self.tables.marks_since(key, id, mark_rev)?;
            let is_stored_only = |row: &Arc<Member>| {
                waiting.binary_search_by_key(&row.user, |known| known.user).is_err()
            };
            members.extend(stored.into_iter().filter(is_stored_only));
        }
        members.sort_unstable_by_key(|row| row.mark_rev);
        Ok(members)
    }

    /// A message without what belongs to its image.
    pub(crate) fn message(&self, noted: &Noted, seq: Seq) -> Result<Option<Arc<Message>>> {
        match self.overlay.message(noted.row.id, seq) {
            Found::Row(row) => Ok(Some(row)),
            Found::Gone => Ok(None),
            Found::Nothing => match noted.key {
                Some(key) => self.tables.message(key, noted.row.id, seq),
                None => Ok(None),
            },
        }
    }

    /// Time and id of a message.
    pub(crate) fn message_place(&self, noted: &Noted, seq: Seq) -> Result<Option<(Millis, u64)>> {
        match self.overlay.message(noted.row.id, seq) {
            Found::Row(row) => Ok(Some((row.created_at, row.message_id.get()))),
            Found::Gone => Ok(None),
            Found::Nothing => match noted.key {
                Some(key) => self.tables.message_place(key, seq),
                None => Ok(None),
            },
        }
    }

    /// The rev at which a message was inserted.
    pub(crate) fn created_rev(&self, noted: &Noted, seq: Seq) -> Result<Option<Rev>> {
        match self.overlay.message(noted.row.id, seq) {
            Found::Row(row) => Ok(Some(row.created_rev)),
            Found::Gone => Ok(None),
            Found::Nothing => match noted.key {
                Some(key) => self.tables.created_rev(key, seq),
                None => Ok(None),
            },
        }
    }

    /// A message with its reactions and quote.
    pub(crate) fn view(&self, noted: &Noted, seq: Seq) -> Result<Option<MessageView>> {
        Ok(self.views(noted, seq, seq)?.pop())
    }

    /// Messages of a range of seqs, both ends included, with reactions and quotes, by seq.
    pub(crate) fn views(&self, noted: &Noted, first: Seq, last: Seq) -> Result<Vec<MessageView>> {
        if first > last {
            return Ok(Vec::new());
        }
        let now = self.overlay.range(noted.row.id, first, last);
        let mut views: Vec<MessageView> = Vec::new();
        // All that stand in the overlay and were never in the tables need no look there.
        let last_stored = match now.messages.last() {
            Some(newest) if newest.seq == last => {
                let whole = now.messages.partition_point(|row| row.seq < now.whole_from);
                now.messages.get(whole).map_or(last, |row| row.seq - 1)
            }
            _ => last,
        };
        let first_stored = first.max(now.gone_below);
        if let Some(key) = noted.key
            && first_stored <= last_stored
        {
            let mut waiting = now.messages.iter().peekable();
            self.tables.messages(key, noted.row.id, first_stored, last_stored, |stored| {
                while waiting.peek().is_some_and(|row| row.seq < stored.seq) {
                    views.extend(waiting.next().cloned().map(MessageView::plain));
                }
                match waiting.peek() {
                    Some(row) if row.seq == stored.seq => {
                        views.extend(waiting.next().cloned().map(MessageView::plain));
                    }
                    _ => views.push(MessageView::plain(stored)),
                }
                true
            })?;
            views.extend(waiting.cloned().map(MessageView::plain));
            self.add_stored_reactions(key, first_stored, last_stored, &mut views)?;
        } else {
            views.extend(now.messages.iter().cloned().map(MessageView::plain));
        }
        add_waiting_reactions(&now, &mut views);
        self.add_quotes(noted, &mut views)?;
        Ok(views)
    }

    /// Gives messages, in any order, their reactions and quotes.
    pub(crate) fn views_of(
        &self,
        noted: &Noted,
        rows: Vec<Arc<Message>>,
    ) -> Result<Vec<MessageView>> {
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            let seq = row.seq;
            let mut view = [MessageView::plain(row)];
            if view[0].message.deleted.is_none() {
                let now = self.overlay.range(noted.row.id, seq, seq);
                if let Some(key) = noted.key
                    && seq < now.whole_from
                {
                    self.add_stored_reactions(key, seq, seq, &mut view)?;
                }
                add_waiting_reactions(&now, &mut view);
            }
            views.extend(view);
        }
        self.add_quotes(noted, &mut views)?;
        Ok(views)
    }

    fn add_stored_reactions(
        &self,
        key: i64,
        first: Seq,
        last: Seq,
        views: &mut [MessageView],
    ) -> Result<()> {
        for (seq, user, emoji) in self.tables.reactions(key, first, last)? {
            if let Ok(at) = views.binary_search_by_key(&seq, |view| view.message.seq) {
                let reaction = ReactionNow { seq, user, emoji, there: true };
                reaction.apply(&mut views[at].reactions);
            }
        }
        Ok(())
    }

    fn add_quotes(&self, noted: &Noted, views: &mut [MessageView]) -> Result<()> {
        for at in 0..views.len() {
            let Some(seq) = views[at].message.reply_to else {
                continue;
            };
            let answered = match views.iter().find(|view| view.message.seq == seq) {
                Some(view) => Some(Arc::clone(&view.message)),
                None => self.message(noted, seq)?,
            };
            views[at].quote = answered.map(|message| Quote::of(&message));
        }
        Ok(())
    }

    /// Readable messages inserted or changed after a rev, each with the rev it stands at, in that order.
    ///
    /// None was inserted below `first`. At most about `limit` of each source: those inserted and never changed, and those
    /// changed, in the tables and in the overlay.
    pub(crate) fn messages_since(
        &self,
        noted: &Noted,
        readable: RangeInclusive<Seq>,
        first: Seq,
        rev: Rev,
        limit: usize,
    ) -> Result<Vec<(Rev, Arc<Message>)>> {
        let id = noted.row.id;
        let mut found: BTreeMap<Seq, (Rev, Arc<Message>)> = BTreeMap::new();
        let mut take = |row: Arc<Message>| {
            let at = row.rev;
            let row = match self.overlay.message(id, row.seq) {
                Found::Nothing => row,
                // It changed after the conversation was noted: who is level with what was noted must have it all the same.
                Found::Row(now) if now.rev > noted.row.rev => now,
                // It stands in the overlay with a rev of its own.
                Found::Row(_) | Found::Gone => return 0,
            };
            found.insert(row.seq, (at, row));
            1
        };
        let stays = *readable.start().max(&self.overlay.gone_below(id));
        if let Some(key) = noted.key {
            let mut room = limit;
            self.tables.unchanged_since(key, id, first.max(stays), rev, |row| {
                if row.seq > *readable.end() {
                    return false;
                }
                room -= take(row);
                room > 0
            })?;
            let mut room = limit;
            self.tables.changed_since(key, id, rev, |row| {
                if (stays..=*readable.end()).contains(&row.seq) {
                    room -= take(row);
                }
                room > 0
            })?;
        }
        let waiting = [
            self.overlay.unchanged_since(id, rev, &readable, limit),
            self.overlay.changed_since(id, rev, &readable, limit),
        ];
        for row in waiting.into_iter().flatten() {
            let known = found.entry(row.seq).or_insert_with(|| (row.rev, Arc::clone(&row)));
            if row.rev > known.1.rev {
                known.1 = row;
            }
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_unstable_by_key(|(at, _)| *at);
        Ok(found)
    }

    /// How many messages of a range, both ends included, do not count.
    pub(crate) fn uncounted(&self, noted: &Noted, first: Seq, last: Seq) -> Result<u64> {
        let id = noted.row.id;
        let first = first.max(self.overlay.gone_below(id));
        if first > last {
            return Ok(0);
        }
        let waiting = self.overlay.uncounted(id, first, last);
        let Some(key) = noted.key else {
            return Ok(waiting.len() as u64);
        };
        let mut count = self.tables.uncounted(key, first, last)?;
        for seq in waiting {
            // It may be in both: applied, and not yet evicted.
            if self.tables.uncounted(key, seq, seq)? == 0 {
                count += 1;
            }
        }
        Ok(count)
    }

    /// A small row of a conversation.
    pub(crate) fn annex(&self, noted: &Noted, key: AnnexKey) -> Result<Option<Arc<Annex>>> {
        match (self.overlay.annex(noted.row.id, key), noted.key) {
            (Some(known), _) => Ok(known),
            (None, Some(own)) => self.tables.annex(own, noted.row.id, key),
            (None, None) => Ok(None),
        }
    }

    /// Small rows of a kind with the same first part, by the second, at most `limit`.
    pub(crate) fn annexes(
        &self,
        noted: &Noted,
        of: (AnnexKind, u64),
        range: RangeInclusive<u64>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<Arc<Annex>>> {
        let waiting = self.overlay.annexes(noted.row.id, of, &range);
        let mut rows: BTreeMap<u64, Arc<Annex>> = waiting
            .rows
            .iter()
            .filter_map(|(key, row)| Some((key.second, Arc::clone(row.as_ref()?))))
            .collect();
        if let Some(key) = noted.key {
            let mut room = limit;
            self.tables.annexes(key, noted.row.id, of, range, descending, |row| {
                if waiting.leaves(&row.key) {
                    rows.insert(row.key.second, row);
                    room -= 1;
                }
                room > 0
            })?;
        }
        let rows = rows.into_values();
        Ok(if descending { rows.rev().take(limit).collect() } else { rows.take(limit).collect() })
    }

    /// What a member has deleted for himself in a range of seqs, both ends included, by seq.
    pub(crate) fn hidden(
        &self,
        noted: &Noted,
        member: Option<&Member>,
        range: RangeInclusive<Seq>,
    ) -> Result<Vec<Arc<Annex>>> {
        match member {
            Some(member) if member.extra.as_ref().is_some_and(|extra| extra.hides) => {
                let of = (AnnexKind::Hidden, member.user.get());
                self.annexes(noted, of, range, false, ALL)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// How many messages of a range mention a member or everybody and are not hidden by him.
    pub(crate) fn mentions(
        &self,
        noted: &Noted,
        member: &Member,
        range: RangeInclusive<Seq>,
    ) -> Result<u64> {
        if range.is_empty() || !noted.row.extra.as_ref().is_some_and(|extra| extra.mentioned) {
            return Ok(0);
        }
        let mut seqs = FxHashSet::default();
        for first in [0, member.user.get()] {
            let of = (AnnexKind::Mention, first);
            let rows = self.annexes(noted, of, range.clone(), false, ALL)?;
            seqs.extend(rows.into_iter().map(|row| row.key.second));
        }
        for row in self.hidden(noted, Some(member), range)? {
            seqs.remove(&row.key.second);
        }
        Ok(seqs.len() as u64)
    }

    /// What a sender sent with a client id.
    pub(crate) fn sent(
        &self,
        noted: &Noted,
        sender: UserId,
        client_id: &ClientId,
    ) -> Result<Option<MessageView>> {
        let key = self.overlay.hashes().of(sender, client_id);
        let waiting = self
            .overlay
            .by_client_id(noted.row.id, key)
            .filter(|row| row.sender == sender && row.client_id.as_ref() == Some(client_id));
        let seq = match (waiting, noted.key) {
            (Some(row), _) => Some(row.seq),
            (None, Some(key)) => self
                .tables
                .message_by_client_id(key, noted.row.id, sender, client_id)?
                .map(|row| row.seq),
            (None, None) => None,
        };
        match seq {
            Some(seq) => self.view(noted, seq),
            None => Ok(None),
        }
    }

    /// Every sender and client id that the tables know of a conversation.
    pub(crate) fn stored_client_ids(
        &self,
        noted: &Noted,
        take: impl FnMut(UserId, ClientId),
    ) -> Result<()> {
        match noted.key {
            Some(key) => self.tables.client_ids(key, take),
            None => Ok(()),
        }
    }

    pub(crate) fn user(&self, user: UserId) -> Result<Option<Arc<UserState>>> {
        match self.overlay.user(user) {
            Some(state) => Ok(Some(state)),
            None => self.tables.user_state(user),
        }
    }

    pub(crate) fn inbox_entry(
        &self,
        user: UserId,
        id: ConversationId,
    ) -> Result<Option<Arc<InboxEntry>>> {
        match self.overlay.inbox_entry(user, id) {
            Some(entry) => Ok(Some(entry)),
            None => self.tables.inbox_entry(user, id),
        }
    }

    /// Listed entries after a place, in the list's order, at most `limit`.
    pub(crate) fn inbox_page(
        &self,
        user: UserId,
        after: Option<(Millis, ConversationId)>,
        limit: usize,
    ) -> Result<Vec<Arc<InboxEntry>>> {
        let waiting = self.overlay.inbox_since(user, 0);
        let waits: FxHashSet<_> = waiting.iter().map(|row| row.conversation).collect();
        let place = |row: &InboxEntry| (row.last_activity_at, row.conversation);
        let is_listed = |row: &&Arc<InboxEntry>| {
            !row.is_hidden() && after.is_none_or(|after| place(row) < after)
        };
        let mut entries: Vec<_> = waiting.iter().filter(is_listed).cloned().collect();
        let mut room = limit;
        self.tables.inbox_page(user, after, |row| {
            if !waits.contains(&row.conversation) {
                entries.push(row);
                room -= 1;
            }
            room > 0
        })?;
        entries.sort_unstable_by_key(|row| std::cmp::Reverse(place(row)));
        entries.truncate(limit);
        Ok(entries)
    }

    /// Entries of large conversations that are not removed, by conversation, at most `limit`.
    pub(crate) fn inbox_large(&self, user: UserId, limit: usize) -> Result<Vec<Arc<InboxEntry>>> {
        let waiting = self.overlay.inbox_since(user, 0);
        let waits: FxHashSet<_> = waiting.iter().map(|row| row.conversation).collect();
        let is_large = |row: &&Arc<InboxEntry>| row.large && !row.removed;
        let mut entries: Vec<_> = waiting.iter().filter(is_large).cloned().collect();
        let mut room = limit;
        self.tables.inbox_large(user, |row| {
            if !waits.contains(&row.conversation) {
                entries.push(row);
                room -= 1;
            }
            room > 0
        })?;
        entries.sort_unstable_by_key(|row| row.conversation);
        entries.truncate(limit);
        Ok(entries)
    }

    /// Entries changed after a user rev, in its order, at most `limit`.
    pub(crate) fn inbox_since(
        &self,
        user: UserId,
        since: u64,
        limit: usize,
    ) -> Result<Vec<Arc<InboxEntry>>> {
        let waiting = self.overlay.inbox_since(user, 0);
        let waits: FxHashSet<_> = waiting.iter().map(|row| row.conversation).collect();
        let mut entries: Vec<_> =
            waiting.iter().filter(|row| row.user_rev > since).cloned().collect();
        let mut room = limit;
        self.tables.inbox_since(user, since, |row| {
            if !waits.contains(&row.conversation) {
                entries.push(row);
                room -= 1;
            }
            room > 0
        })?;
        entries.sort_unstable_by_key(|row| row.user_rev);
        entries.truncate(limit);
        Ok(entries)
    }
}

fn add_waiting_reactions(now: &RangeNow, views: &mut [MessageView]) {
    for reaction in &now.reactions {
        if let Ok(at) = views.binary_search_by_key(&reaction.seq, |view| view.message.seq) {
            reaction.apply(&mut views[at].reactions);
        }
    }
}
