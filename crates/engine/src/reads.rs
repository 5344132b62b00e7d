//! What readers ask: the chat list, what changed, pages, members.
//!
//! A read of a user's list first commits what this node still holds for it, and brings large groups up to date, so that
//! it includes everything that was dispatched before it began.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Access, AnnexKind, Applied, ConversationId, History, InboxAction, InboxChange, InboxEntry,
    Member, MessageId, Millis, Seq, ShardId, Subject, UnitAt, UserId, UserRev, access,
    limits::{EDITIONS_MAX, PINS_MAX, REPLIES_COUNTED_MAX},
    unread,
};
use ostracon_store::{
    AnnexPage, AnnexRows, Changes, ChangesSince, InboxChanges, InboxPage, InboxRows, MembersPage,
    MembersRows, MessagePage, Messages, Overview, PagePosition, Read, Shard, ShardError,
};

use crate::{
    connection::Connection,
    engine::{Core, Engine},
    error::EngineError,
    heat::Cost,
    limits::HIDDEN_PER_READ,
    router::Patience,
};

/// A line of the chat list, as rows.
#[derive(Debug, Clone)]
pub struct EntryRows {
    /// The conversation with its newest message.
    pub overview: Overview,
    /// The reader's member row.
    pub member: Arc<Member>,
    /// What the reader may see.
    pub access: Access,
    /// The reader's own entry.
    pub inbox: Option<Arc<InboxEntry>>,
}

/// A page of the chat list.
#[derive(Debug, Clone)]
pub struct ChatList {
    /// The lines, latest activity first.
    pub entries: Vec<EntryRows>,
    /// Where the next page begins, if there is one.
    pub next: Option<(Millis, ConversationId)>,
}

/// Messages that answer one.
#[derive(Debug, Clone)]
pub struct RepliesPage {
    /// The rows of the page with their messages.
    pub rows: AnnexRows,
    /// What the reader may see.
    pub access: Access,
    /// Seqs that the reader has deleted for himself, rising.
    pub hidden: Vec<Seq>,
    /// How many answers there are in all, at most [`REPLIES_COUNTED_MAX`].
    pub count: u32,
}

/// An answer to `/sync`.
#[derive(Debug, Clone)]
pub struct SyncPage {
    /// Conversations that changed.
    pub entries: Vec<EntryRows>,
    /// Conversations that are gone for this user.
    pub removed: Vec<ConversationId>,
    /// The user's line of numbers.
    pub history: History,
    /// Everything up to here is included.
    pub user_rev: UserRev,
    /// Whether more follows.
    pub more: bool,
    /// Whether the cursor belonged to another line: this is a listing from the start.
    pub reset: bool,
}

/// What one shard is asked, and where its answers belong.
#[derive(Default)]
struct Questions {
    places: Vec<usize>,
    wanted: Vec<(UnitAt, ConversationId)>,
}

/// Conversations as a user sees them; place n belongs to id n.
struct Seen {
    /// None for what is not there, or not known yet.
    found: Vec<Option<Overview>>,
    /// Places of those whose unit is between two shards.
    fenced: Vec<usize>,
}

impl Core {
    /// Conversations as a user sees them; answer n belongs to id n, none for what is not there. Waits for those whose
    /// unit is between two shards.
    pub(crate) async fn overviews(
        &self,
        reader: UserId,
        ids: &[ConversationId],
    ) -> Result<Vec<Option<Overview>>, EngineError> {
        let mut seen = Seen { found: vec![None; ids.len()], fenced: Vec::new() };
        let all: Vec<usize> = (0..ids.len()).collect();
        self.look(reader, ids, &all, &mut seen).await?;
        let mut patience = Patience::default();
        while !seen.fenced.is_empty() {
            patience.wait(self).await?;
            let places = std::mem::take(&mut seen.fenced);
            self.look(reader, ids, &places, &mut seen).await?;
        }
        Ok(seen.found)
    }

    /// Asks for some of the ids.
    async fn look(
        &self,
        reader: UserId,
        ids: &[ConversationId],
        places: &[usize],
        seen: &mut Seen,
    ) -> Result<(), EngineError> {
        let mut by_shard: BTreeMap<ShardId, Questions> = BTreeMap::new();
        for place in places {
            let (at, shard) = self.place(ids[*place])?;
            self.count_override(at.unit, Subject::Conversation(ids[*place]));
            let questions = by_shard.entry(shard).or_default();
            questions.places.push(*place);
            questions.wanted.push((at, ids[*place]));
        }
        for (shard, Questions { places, wanted }) in by_shard {
            let answers = self.shard(shard)?.overviews(reader, &wanted).await?;
            let cost = |(at, id): &(UnitAt, _)| Cost::of_read(at.unit, Subject::Conversation(*id));
            self.heat.add(wanted.iter().map(cost));
            for (place, answer) in places.into_iter().zip(answers) {
                match answer {
                    Read::Rows(overview) => seen.found[place] = Some(overview),
                    Read::Absent => {}
                    Read::Fenced(_) => seen.fenced.push(place),
                }
            }
        }
        Ok(())
    }

    /// Asks the shard of a subject. Where its unit is between two shards it waits and asks again, by the newest map.
    pub(crate) async fn ask<T, F>(
        &self,
        subject: Subject,
        ask: impl Fn(Arc<dyn Shard>, UnitAt) -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<Read<T>, ShardError>>,
    {
        let mut patience = Patience::default();
        loop {
            let (at, shard) = self.place_subject(subject)?;
            self.count_override(at.unit, subject);
            match ask(self.shard(shard)?, at).await? {
                Read::Rows(rows) => {
                    self.heat.add([Cost::of_read(at.unit, subject)]);
                    return Ok(rows);
                }
                Read::Absent => return Err(ostracon_domain::Refusal::no_conversation().into()),
                Read::Fenced(_) => patience.wait(self).await?,
            }
        }
    }

    pub(crate) fn shard(&self, id: ShardId) -> Result<Arc<dyn Shard>, EngineError> {
        self.topology.load().shards.get(&id).cloned().ok_or(EngineError::Internal)
    }

    /// A page of a user's list.
    async fn inbox(&self, user: UserId, page: InboxPage) -> Result<InboxRows, EngineError> {
        let ask = |shard: Arc<dyn Shard>, at| async move { shard.inbox(at, user, page).await };
        self.ask(Subject::User(user), ask).await
    }

    async fn inbox_large(&self, user: UserId) -> Result<InboxRows, EngineError> {
        let ask = |shard: Arc<dyn Shard>, at| async move { shard.inbox_large(at, user).await };
        self.ask(Subject::User(user), ask).await
    }

    async fn inbox_changes(
        &self,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<InboxChanges, EngineError> {
        let ask = |shard: Arc<dyn Shard>, at| async move {
            shard.inbox_changes(at, user, since, limit).await
        };
        self.ask(Subject::User(user), ask).await
    }

    /// Commits what waits for a user's list.
    pub(crate) async fn flush(&self, user: UserId) -> Result<(), EngineError> {
        // All of them: where the user lives may just have changed.
        let topology = self.topology.load_full();
        for lane in topology.all_lanes() {
            lane.flush_user(self, user).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// Subscribes a connection to its user's large groups; the user rev that the list stands at.
    pub(crate) async fn subscribe(
        &self,
        connection: &Arc<Connection>,
    ) -> Result<UserRev, EngineError> {
        let core = self.core();
        let user = connection.user;
        loop {
            let departures = core.hub.large.departures();
            core.flush(user).await?;
            let large = core.inbox_large(user).await?;
            let ids: Vec<_> = large.entries.iter().map(|entry| entry.conversation).collect();
            // The list keeps what its owner has left; the member row decides.
            let overviews = core.overviews(user, &ids).await?;
            let groups: Vec<_> = overviews.iter().flatten().filter_map(large_group).collect();
            if core.hub.large.subscribe_all(connection, &groups, departures).is_ok() {
                return Ok(large.state.map_or(0, |state| state.user_rev));
            }
        }
    }

    /// Makes a user's list include everything: what waits in the lane, large groups, and if named one conversation.
    pub(crate) async fn bring_up_to_date(
        &self,
        user: UserId,
        named: Option<ConversationId>,
    ) -> Result<(), EngineError> {
        let core = self.core();
        core.flush(user).await?;
        let large = core.inbox_large(user).await?.entries;
        let known: BTreeMap<_, _> =
            large.iter().map(|entry| (entry.conversation, entry.applied)).collect();
        let mut ids: Vec<_> = known.keys().copied().collect();
        ids.extend(named.filter(|id| !known.contains_key(id)));
        if ids.is_empty() {
            return Ok(());
        }
        let overviews = core.overviews(user, &ids).await?;
        let behind: Vec<InboxChange> = overviews
            .into_iter()
            .flatten()
            .filter(|overview| overview.member.as_ref().is_some_and(|row| row.is_present()))
            .filter(|overview| {
                let row = &overview.conversation;
                known.get(&row.id).is_none_or(|applied| {
                    applied.history != row.history
                        || applied.rev < row.rev
                        || applied.mark_rev < row.mark_rev
                })
            })
            .map(|overview| change_of(&overview))
            .collect();
        if !behind.is_empty() {
            let action = InboxAction::Apply(behind);
            let command = ostracon_domain::InboxCommand { user, action };
            self.call(ostracon_domain::Command::Inbox(command)).await?;
        }
        Ok(())
    }

    /// A page of the chat list.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn chat_list(
        &self,
        user: UserId,
        after: Option<(Millis, ConversationId)>,
        limit: u32,
    ) -> Result<ChatList, EngineError> {
        if after.is_none() {
            self.bring_up_to_date(user, None).await?;
        }
        let core = self.core();
        let page = core.inbox(user, InboxPage { after, limit }).await?;
        let next = page.entries.last().filter(|_| page.more);
        let next = next.map(|entry| (entry.last_activity_at, entry.conversation));
        Ok(ChatList { entries: self.entries(user, page.entries).await?, next })
    }

    /// What changed in a user's list since a cursor; none: from the start.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn sync(
        &self,
        user: UserId,
        since: Option<(History, UserRev)>,
        limit: u32,
    ) -> Result<SyncPage, EngineError> {
        self.bring_up_to_date(user, None).await?;
        let core = self.core();
        let from = since.map_or(0, |(_, user_rev)| user_rev);
        let mut changes = core.inbox_changes(user, from, limit).await?;
        let history = changes.state.as_ref().map_or(History(0), |state| state.history);
        let newest = changes.state.as_ref().map_or(0, |state| state.user_rev);
        // A cursor from before the user's first row has no line yet: it is the start of any.
        let reset = since.is_some_and(|(line, user_rev)| {
            (line != history && line != History(0)) || user_rev > newest
        });
        if reset {
            changes = core.inbox_changes(user, 0, limit).await?;
        }
        let (gone, there): (Vec<_>, Vec<_>) =
            changes.entries.into_iter().partition(|entry| entry.removed);
        let mut removed: Vec<_> = gone.iter().map(|entry| entry.conversation).collect();
        let named: Vec<_> = there.iter().map(|entry| entry.conversation).collect();
        let entries = self.entries(user, there).await?;
        // What was deleted a moment ago is in nobody's list any more.
        removed.extend(
            named
                .into_iter()
                .filter(|id| entries.iter().all(|rows| rows.overview.conversation.id != *id)),
        );
        Ok(SyncPage {
            entries,
            removed,
            history,
            user_rev: changes.user_rev,
            more: changes.more,
            reset,
        })
    }

    async fn entries(
        &self,
        user: UserId,
        inbox: Vec<Arc<InboxEntry>>,
    ) -> Result<Vec<EntryRows>, EngineError> {
        let ids: Vec<_> = inbox.iter().map(|entry| entry.conversation).collect();
        let overviews = self.core().overviews(user, &ids).await?;
        let pairs = inbox.into_iter().zip(overviews);
        Ok(pairs.filter_map(|(entry, overview)| entry_rows(overview?, Some(entry))).collect())
    }

    /// One line of the chat list.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation.
    pub async fn entry(&self, user: UserId, id: ConversationId) -> Result<EntryRows, EngineError> {
        let core = self.core();
        core.flush(user).await?;
        let overview = core.overviews(user, &[id]).await?.pop().flatten();
        let ask = |shard: Arc<dyn Shard>, at| async move { shard.inbox_entry(at, user, id).await };
        let inbox = core.ask(Subject::User(user), ask).await?;
        overview
            .and_then(|overview| entry_rows(overview, inbox))
            .ok_or(EngineError::Refused(ostracon_domain::Refusal::no_conversation()))
    }

    /// Unread counts of every conversation that has any, by id, and whether each is part of the total.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn unread(
        &self,
        user: UserId,
    ) -> Result<(u64, BTreeMap<ConversationId, u64>), EngineError> {
        const AT_ONCE: u32 = 500;
        self.bring_up_to_date(user, None).await?;
        let core = self.core();
        let now = core.clock.now();
        let (mut total, mut counts, mut after) = (0, BTreeMap::new(), None);
        loop {
            let page = InboxPage { after, limit: AT_ONCE };
            let page = core.inbox(user, page).await?;
            after = page.entries.last().map(|entry| (entry.last_activity_at, entry.conversation));
            for rows in self.entries(user, page.entries).await? {
                let count =
                    unread(&rows.overview.conversation, &rows.member, rows.overview.uncounted);
                if count == 0 {
                    continue;
                }
                counts.insert(rows.overview.conversation.id, count);
                let muted = rows.member.muted_until.is_some_and(|until| until > now);
                let archived =
                    rows.inbox.as_ref().is_some_and(|entry| entry.archived_seq.is_some());
                if !muted && !archived {
                    total += count;
                }
            }
            if !page.more || after.is_none() {
                return Ok((total, counts));
            }
        }
    }

    /// A page of messages with what the reader may see.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation.
    pub async fn messages(
        &self,
        reader: UserId,
        id: ConversationId,
        page: MessagePage,
    ) -> Result<(Messages, Access), EngineError> {
        let ask =
            |shard: Arc<dyn Shard>, at| async move { shard.messages(at, id, reader, page).await };
        let found = self.core().ask(Subject::Conversation(id), ask).await?;
        let access = access(Some(&found.conversation), found.member.as_deref())?;
        Ok((found, access))
    }

    /// The pinned messages of a conversation that a reader may see, by seq.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation.
    pub async fn pins(
        &self,
        reader: UserId,
        id: ConversationId,
    ) -> Result<(AnnexRows, Access), EngineError> {
        let page = AnnexPage {
            kind: AnnexKind::Pin,
            first: 0,
            from: 0,
            to: Seq::MAX,
            descending: false,
            limit: PINS_MAX as u32,
            with_messages: true,
        };
        let ask =
            |shard: Arc<dyn Shard>, at| async move { shard.annexes(at, id, reader, page).await };
        let found = self.core().ask(Subject::Conversation(id), ask).await?;
        let access = access(Some(&found.conversation), found.member.as_deref())?;
        Ok((found, access))
    }

    /// A page of the messages that answer one, after a seq, and how many there are in all.
    ///
    /// # Errors
    /// `NotFound` for what the reader may not see.
    pub async fn replies(
        &self,
        reader: UserId,
        id: ConversationId,
        root: Seq,
        after: Seq,
        limit: u32,
    ) -> Result<RepliesPage, EngineError> {
        let page = MessagePage::Around { position: PagePosition::Seq(root), limit: 1 };
        let (found, access) = self.messages(reader, id, page).await?;
        let is_there = found.messages.iter().any(|view| view.message.seq == root);
        if !is_there || !access.covers(root) {
            return Err(ostracon_domain::Refusal::no_message().into());
        }
        let page = AnnexPage {
            kind: AnnexKind::Reply,
            first: root,
            from: after.saturating_add(1),
            to: i64::MAX as u64,
            descending: false,
            limit,
            with_messages: true,
        };
        let all = AnnexPage { from: 0, limit: REPLIES_COUNTED_MAX, with_messages: false, ..page };
        let rows = self.annexes(reader, id, page).await?;
        let count = self.annexes(reader, id, all).await?.annexes.len() as u32;
        let hidden = self.hidden(reader, id, &rows).await?;
        Ok(RepliesPage { rows, access, hidden, count })
    }

    async fn annexes(
        &self,
        reader: UserId,
        id: ConversationId,
        page: AnnexPage,
    ) -> Result<AnnexRows, EngineError> {
        let ask =
            |shard: Arc<dyn Shard>, at| async move { shard.annexes(at, id, reader, page).await };
        self.core().ask(Subject::Conversation(id), ask).await
    }

    /// Which messages of these rows their reader has deleted for himself, by seq.
    async fn hidden(
        &self,
        reader: UserId,
        id: ConversationId,
        rows: &AnnexRows,
    ) -> Result<Vec<Seq>, EngineError> {
        let hides = rows.member.as_ref().and_then(|row| row.extra.as_ref());
        let seqs = || rows.messages.iter().map(|view| view.message.seq);
        let (Some(from), Some(to)) = (seqs().min(), seqs().max()) else { return Ok(Vec::new()) };
        if !hides.is_some_and(|extra| extra.hides) {
            return Ok(Vec::new());
        }
        let page = AnnexPage {
            kind: AnnexKind::Hidden,
            first: reader.get(),
            from,
            to,
            descending: false,
            limit: HIDDEN_PER_READ,
            with_messages: false,
        };
        let found = self.annexes(reader, id, page).await?;
        Ok(found.annexes.iter().map(|row| row.key.seq()).collect())
    }

    /// What a message said before its edits, oldest first, as far as that was kept and the reader may see it.
    ///
    /// # Errors
    /// `NotFound` for what the reader may not see, or has deleted for himself.
    pub async fn edits(
        &self,
        reader: UserId,
        id: ConversationId,
        seq: Seq,
    ) -> Result<AnnexRows, EngineError> {
        let page = MessagePage::Around { position: PagePosition::Seq(seq), limit: 1 };
        let (found, access) = self.messages(reader, id, page).await?;
        let view = found.messages.iter().find(|view| view.message.seq == seq);
        view.filter(|view| access.covers(seq) && view.message.deleted.is_none())
            .filter(|_| found.hidden.binary_search(&seq).is_err())
            .ok_or(ostracon_domain::Refusal::no_message())?;
        let page = AnnexPage {
            kind: AnnexKind::Edition,
            first: seq,
            from: 0,
            // What was said after leaving is not for former members.
            to: access.content_until.unwrap_or(i64::MAX as u64),
            descending: false,
            limit: EDITIONS_MAX,
            with_messages: false,
        };
        let ask =
            |shard: Arc<dyn Shard>, at| async move { shard.annexes(at, id, reader, page).await };
        self.core().ask(Subject::Conversation(id), ask).await
    }

    /// The seq of a message by its id.
    ///
    /// # Errors
    /// `NotFound` when the reader may not see such a message.
    pub async fn seq_of(
        &self,
        reader: UserId,
        id: ConversationId,
        message: MessageId,
    ) -> Result<Seq, EngineError> {
        let page = MessagePage::Around { position: PagePosition::Id(message), limit: 1 };
        let (found, _) = self.messages(reader, id, page).await?;
        let view = found.messages.iter().find(|view| view.message.message_id == message);
        view.map(|view| view.message.seq)
            .ok_or(EngineError::Refused(ostracon_domain::Refusal::no_message()))
    }

    /// What changed in a conversation, with what the reader may see.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation.
    pub async fn changes(&self, since: ChangesSince) -> Result<(Changes, Access), EngineError> {
        let ask = |shard: Arc<dyn Shard>, at| async move { shard.changes(at, since).await };
        let found = self.core().ask(Subject::Conversation(since.conversation), ask).await?;
        let access = access(Some(&found.conversation), found.member.as_deref())?;
        Ok((found, access))
    }

    /// A page of members, for a reader who is or was one; a former member sees only the own row.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation.
    pub async fn members(
        &self,
        reader: UserId,
        id: ConversationId,
        page: MembersPage,
    ) -> Result<MembersRows, EngineError> {
        let core = self.core();
        let own = core.overviews(reader, &[id]).await?.pop().flatten();
        let row = own.as_ref().and_then(|overview| overview.member.clone());
        access(own.as_ref().map(|overview| &*overview.conversation), row.as_deref())?;
        let ask = |shard: Arc<dyn Shard>, at| async move { shard.members(at, id, page).await };
        let mut found = core.ask(Subject::Conversation(id), ask).await?;
        if let Some(own) = row.filter(|row| !row.is_present()) {
            found.members =
                if page.after.is_none_or(|after| after < reader) { vec![own] } else { Vec::new() };
            found.more = false;
        }
        Ok(found)
    }
}

/// A large group that its reader is in, and the seq of joining.
fn large_group(overview: &Overview) -> Option<(ConversationId, Seq)> {
    let member = overview.member.as_ref().filter(|row| row.is_present())?;
    let row = &overview.conversation;
    (row.large && row.deleted_at.is_none()).then_some((row.id, member.joined_seq))
}

fn change_of(overview: &Overview) -> InboxChange {
    let row = &overview.conversation;
    InboxChange {
        conversation: row.id,
        applied: Applied { history: row.history, rev: row.rev, mark_rev: row.mark_rev },
        last_seq: row.head_seq,
        last_activity_at: row.last_activity_at,
        view: overview.member.as_ref().map(|member| (member.hidden_to, member.muted_until)),
        large: row.large,
        removed: row.deleted_at.is_some(),
    }
}

fn entry_rows(overview: Overview, inbox: Option<Arc<InboxEntry>>) -> Option<EntryRows> {
    let access = access(Some(&overview.conversation), overview.member.as_deref()).ok()?;
    let member = overview.member.clone()?;
    Some(EntryRows { overview, member, access, inbox })
}
