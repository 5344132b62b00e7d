//! The read methods over the tables: pages, changes, lists, scans. Fences were checked by the caller.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use ostracon_domain::{
    Access, Annex, AnnexKey, AnnexKind, Conversation, ConversationId, InboxEntry, Member,
    MessageView, Reaction, Row, Seq, Subject, UnitId, UserId, UserRev, access,
    limits::LARGE_PER_USER_MAX, unread::unread_floor,
};

use super::tables::Tables;
use crate::{
    read::{
        AnnexPage, AnnexRows, Changes, ChangesSince, InboxChanges, InboxPage, InboxRows,
        MembersPage, MembersRows, MessagePage, Messages, Overview, PagePosition, Place, Unread,
    },
    transfer::{ScanCursor, ScanPage},
};

impl Tables {
    pub(super) fn overview(&self, conversation: &Arc<Conversation>, reader: UserId) -> Overview {
        let id = conversation.id;
        let member = self.members.get(&(id, reader)).cloned();
        let readable = access(Some(conversation), member.as_deref()).ok();
        let last_message = readable
            .filter(|access| access.from <= access.to)
            .and_then(|access| self.view(id, access.to));
        let uncounted = member.as_deref().map_or(0, |member| self.uncounted(conversation, member));
        let mentions = member.as_deref().map_or(0, |member| self.mentions(conversation, member));
        let last_hidden =
            last_message.as_ref().is_some_and(|view| self.hides(id, reader, view.message.seq));
        Overview {
            conversation: Arc::clone(conversation),
            member,
            last_message,
            last_hidden,
            uncounted,
            mentions,
        }
    }

    pub(super) fn unread(&self, conversation: &Conversation, user: UserId) -> Unread {
        let member = self.members.get(&(conversation.id, user)).cloned();
        let count = member.as_deref().map_or(0, |member| {
            ostracon_domain::unread(conversation, member, self.uncounted(conversation, member))
        });
        Unread { member, count }
    }

    /// Messages above a member's floor that do not count.
    fn uncounted(&self, conversation: &Conversation, member: &Member) -> u64 {
        let (id, floor) = (conversation.id, unread_floor(conversation, member));
        let above = self.messages.range((id, floor.saturating_add(1))..=(id, Seq::MAX));
        let uncounted = above.filter(|(_, message)| message.uncounted).count();
        let hidden = self.annexes_with(id, AnnexKind::Hidden, member.user.get());
        let counted = hidden.filter(|row| row.key.second > floor && row.value.is_empty());
        (uncounted + counted.count()) as u64
    }

    /// Messages above a member's floor that mention him or everybody, each once.
    fn mentions(&self, conversation: &Conversation, member: &Member) -> u64 {
        let (id, floor) = (conversation.id, unread_floor(conversation, member));
        let of = |first| self.annexes_with(id, AnnexKind::Mention, first);
        let seqs: BTreeSet<Seq> =
            of(0).chain(of(member.user.get())).map(|row| row.key.second).collect();
        let counts = |seq: &&Seq| **seq > floor && !self.hides(id, member.user, **seq);
        seqs.iter().filter(counts).count() as u64
    }

    fn hides(&self, id: ConversationId, user: UserId, seq: Seq) -> bool {
        self.annexes.contains_key(&(id, AnnexKey::hidden(user, seq)))
    }

    fn annexes_with(
        &self,
        id: ConversationId,
        kind: AnnexKind,
        first: u64,
    ) -> impl DoubleEndedIterator<Item = &Arc<Annex>> {
        let key = |second| (id, AnnexKey { kind, first, second });
        self.annexes.range(key(0)..=key(u64::MAX)).map(|(_, row)| row)
    }

    pub(super) fn annex_page(
        &self,
        conversation: &Arc<Conversation>,
        reader: UserId,
        page: AnnexPage,
    ) -> AnnexRows {
        let id = conversation.id;
        let member = self.members.get(&(id, reader)).cloned();
        let access = access(Some(conversation), member.as_deref()).ok();
        let readable = |row: &&Arc<Annex>| {
            let seq = row.key.seq();
            access.is_some_and(|access| seq == 0 || access.covers(seq))
                && (page.from..=page.to).contains(&row.key.second)
        };
        let mut annexes: Vec<_> =
            self.annexes_with(id, page.kind, page.first).filter(readable).cloned().collect();
        if page.descending {
            annexes.reverse();
        }
        let more = annexes.len() > page.limit as usize;
        annexes.truncate(page.limit as usize);
        let messages = if page.with_messages {
            annexes.iter().filter_map(|row| self.view(id, row.key.seq())).collect()
        } else {
            Vec::new()
        };
        AnnexRows { conversation: Arc::clone(conversation), member, annexes, messages, more }
    }

    pub(super) fn page(
        &self,
        conversation: &Arc<Conversation>,
        reader: UserId,
        page: MessagePage,
    ) -> Messages {
        let id = conversation.id;
        let member = self.members.get(&(id, reader)).cloned();
        let messages = match access(Some(conversation), member.as_deref()) {
            Ok(access) => {
                let place = page
                    .position()
                    .map_or(Place::before(0), |position| self.place(id, access, position));
                let seqs = page.span(place, access);
                seqs.filter_map(|seq| self.view(id, seq)).collect()
            }
            Err(_) => Vec::new(),
        };
        let hidden = messages
            .iter()
            .map(|view: &MessageView| view.message.seq)
            .filter(|seq| self.hides(id, reader, *seq))
            .collect();
        Messages { conversation: Arc::clone(conversation), member, messages, hidden }
    }

    /// Message ids and times rise with seq: a binary search.
    fn place(&self, id: ConversationId, access: Access, position: PagePosition) -> Place {
        let first = |is_before: &dyn Fn(Seq) -> bool| {
            let (mut low, mut high) = (access.from, access.to.saturating_add(1));
            while low < high {
                let middle = low + (high - low) / 2;
                if is_before(middle) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        let message = |seq| self.messages.get(&(id, seq));
        match position {
            PagePosition::Seq(seq) => Place::message(seq),
            PagePosition::Time(time) => {
                let earlier = |seq| message(seq).is_some_and(|m| m.created_at < time);
                Place::before(first(&earlier))
            }
            PagePosition::Id(wanted) => {
                let at = first(&|seq| message(seq).is_some_and(|m| m.message_id < wanted));
                if message(at).is_some_and(|m| m.message_id == wanted) {
                    Place::message(at)
                } else {
                    Place::before(at)
                }
            }
        }
    }

    pub(super) fn changes(&self, conversation: &Arc<Conversation>, since: ChangesSince) -> Changes {
        let id = conversation.id;
        let member = self.members.get(&(id, since.reader)).cloned();
        let readable = access(Some(conversation), member.as_deref()).ok();
        let sees = |row: &Member| match &member {
            None => false,
            Some(own) => {
                row.user == own.user || (own.is_present() && conversation.deleted_at.is_none())
            }
        };
        enum Changed {
            Info,
            Member(Arc<Member>),
            Message(Seq),
        }
        let mut changed = Vec::new();
        if member.is_some() && conversation.info_rev > since.rev {
            changed.push((conversation.info_rev, Changed::Info));
        }
        for row in self.members_of(id).filter(|row| sees(row)) {
            if row.rev > since.rev {
                changed.push((row.rev, Changed::Member(Arc::clone(row))));
            }
        }
        if let Some(access) = readable.filter(|access| access.from <= access.to) {
            for ((_, seq), row) in self.messages.range((id, access.from)..=(id, access.to)) {
                if row.rev > since.rev {
                    changed.push((row.rev, Changed::Message(*seq)));
                }
            }
        }
        changed.sort_by_key(|(rev, _)| *rev);
        let left_out = changed.get(since.limit as usize).map(|(rev, _)| *rev);
        changed.truncate(since.limit as usize);
        let mut receipts: Vec<_> = self
            .members_of(id)
            .filter(|row| sees(row) && row.mark_rev > since.mark_rev)
            .filter(|row| !conversation.large || row.user == since.reader)
            .cloned()
            .collect();
        receipts.sort_by_key(|row| row.mark_rev);
        let hidden = self
            .annexes_with(id, AnnexKind::Hidden, since.reader.get())
            .filter(|row| {
                row.number > since.mark_rev && readable.is_some_and(|a| a.covers(row.key.second))
            })
            .cloned()
            .collect();
        let mut answer = Changes {
            conversation: Arc::clone(conversation),
            hidden,
            info_changed: false,
            member,
            messages: Vec::new(),
            members: Vec::new(),
            receipts,
            rev: left_out.map_or(conversation.rev, |rev| rev - 1),
            mark_rev: conversation.mark_rev,
            more: left_out.is_some(),
        };
        for (_, row) in changed {
            match row {
                Changed::Info => answer.info_changed = true,
                Changed::Member(row) => answer.members.push(row),
                Changed::Message(seq) => answer.messages.extend(self.view(id, seq)),
            }
        }
        answer
    }

    pub(super) fn member_page(
        &self,
        conversation: &Arc<Conversation>,
        page: MembersPage,
    ) -> MembersRows {
        let mut above = self
            .members_of(conversation.id)
            .filter(|row| page.after.is_none_or(|after| row.user > after));
        let members = above.by_ref().take(page.limit as usize).cloned().collect();
        MembersRows {
            conversation: Arc::clone(conversation),
            members,
            more: above.next().is_some(),
        }
    }

    pub(super) fn entries_of(&self, user: UserId) -> impl Iterator<Item = &Arc<InboxEntry>> {
        self.inbox.iter().filter(move |((of, _), _)| *of == user).map(|(_, entry)| entry)
    }

    pub(super) fn inbox_page(&self, user: UserId, page: InboxPage) -> InboxRows {
        let place = |entry: &InboxEntry| (entry.last_activity_at, entry.conversation);
        let mut entries: Vec<_> = self
            .entries_of(user)
            .filter(|entry| !entry.is_hidden())
            .filter(|entry| page.after.is_none_or(|after| place(entry) < after))
            .cloned()
            .collect();
        entries.sort_by_key(|entry| Reverse(place(entry)));
        let more = entries.len() > page.limit as usize;
        entries.truncate(page.limit as usize);
        InboxRows { state: self.users.get(&user).cloned(), entries, more }
    }

    pub(super) fn inbox_large(&self, user: UserId) -> InboxRows {
        let mut large =
            self.entries_of(user).filter(|entry| entry.large && !entry.removed).cloned();
        let entries = large.by_ref().take(LARGE_PER_USER_MAX as usize).collect();
        InboxRows { state: self.users.get(&user).cloned(), entries, more: large.next().is_some() }
    }

    pub(super) fn inbox_since(&self, user: UserId, since: UserRev, limit: u32) -> InboxChanges {
        let state = self.users.get(&user).cloned();
        let mut entries: Vec<_> =
            self.entries_of(user).filter(|entry| entry.user_rev > since).cloned().collect();
        entries.sort_by_key(|entry| entry.user_rev);
        let left_out = entries.get(limit as usize).map(|entry| entry.user_rev);
        entries.truncate(limit as usize);
        InboxChanges {
            user_rev: match left_out {
                Some(rev) => rev - 1,
                None => state.as_ref().map_or(0, |state| state.user_rev),
            },
            state,
            entries,
            more: left_out.is_some(),
        }
    }

    pub(super) fn scan(&self, unit: UnitId, from: Option<ScanCursor>, limit: u32) -> ScanPage {
        let conversations = self.conversations_of(unit).map(|row| Subject::Conversation(row.id));
        let users = self.users_of(unit).map(|row| Subject::User(row.user));
        let mut rows = Vec::new();
        for subject in conversations.chain(users) {
            // `None`: the small rows too; `Some(seq)`: messages after it only.
            let after = match from {
                Some(cursor) if subject < cursor.subject => continue,
                Some(cursor) if subject == cursor.subject => match cursor.after_seq {
                    Some(seq) => Some(seq),
                    None => continue,
                },
                _ => None,
            };
            match subject {
                Subject::Conversation(id) => {
                    if after.is_none() {
                        rows.extend(self.conversations.get(&id).cloned().map(Row::Conversation));
                        rows.extend(self.members_of(id).cloned().map(Row::Member));
                        rows.extend(self.annexes_on_their_own(id).cloned().map(Row::Annex));
                    }
                    let mut last = after.unwrap_or(0);
                    for ((_, seq), message) in self.messages.range((id, last + 1)..=(id, Seq::MAX))
                    {
                        if rows.len() >= limit as usize {
                            return page_end(rows, subject, Some(last));
                        }
                        rows.push(Row::Message(Arc::clone(message)));
                        let reaction = |row: &Reaction| Row::Reaction(Arc::new(row.clone()));
                        rows.extend(self.reactions_of(id, *seq).map(reaction));
                        rows.extend(self.annexes_of_message(id, *seq).cloned().map(Row::Annex));
                        last = *seq;
                    }
                }
                Subject::User(user) => {
                    rows.extend(self.users.get(&user).cloned().map(Row::User));
                    rows.extend(self.entries_of(user).cloned().map(Row::Inbox));
                }
            }
            if rows.len() >= limit as usize {
                return page_end(rows, subject, None);
            }
        }
        ScanPage { rows, next: None }
    }
}

const fn page_end(rows: Vec<Row>, subject: Subject, after_seq: Option<Seq>) -> ScanPage {
    ScanPage { rows, next: Some(ScanCursor { subject, after_seq }) }
}
