//! A device that follows the rules of the wire ("How a client stays right") and nothing else. Frames and answers reach
//! it when the test says so; between a request's answer and its arrival anything may happen.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use ostracon_domain::{ConversationId, History, MarkRev, RefusalCode, Rev, Seq, UserId, UserRev};
use ostracon_engine::{Connection, Drained, Engine, EngineError, view};
use ostracon_proto::{
    Conversation, Encoding, Entry, Member, Message, Receipt,
    frame::{FrameRef, ServerFrame},
};
use ostracon_store::{ChangesSince, MembersPage, MessagePage, PagePosition};
use serde_json::json;
use tokio::task::JoinHandle;

/// What a device holds of a conversation that it has opened.
pub(crate) struct Opened {
    pub(crate) rev: Rev,
    mark_rev: MarkRev,
    midway: bool,
    /// First seq held; everything from it to the head is.
    pub(crate) lo: Seq,
    pub(crate) rows: BTreeMap<Seq, Message<'static>>,
    pub(crate) members: BTreeMap<UserId, Member>,
    pub(crate) info: Conversation<'static>,
    /// A page that is older than the own rev, with the rev it has been brought to.
    held: Option<(Rev, Vec<Message<'static>>)>,
}

pub(crate) struct Known {
    history: History,
    pub(crate) heard: Rev,
    heard_mark: MarkRev,
    /// Newest unread count told, and the user rev it came with.
    pub(crate) unread: (UserRev, u64),
    pub(crate) opened: Option<Opened>,
    wanted: bool,
    /// Requests from before the conversation was dropped are thrown away.
    generation: u64,
}

/// From where to where somebody is a member.
#[derive(Clone, Copy)]
struct Span(Seq, Option<Seq>);

impl Span {
    const fn of(member: &Member) -> Self {
        Self(member.joined_seq, member.left_seq)
    }

    const fn came_back_since(self, held: Self) -> bool {
        held.0 < self.0 || (held.1.is_some() && self.1.is_none())
    }
}

enum Ask {
    Sync,
    Open(ConversationId, u64),
    Changes(ConversationId, u64, Rev),
    Older(ConversationId, u64),
}

enum Answer {
    Sync(SyncAnswer),
    Open(Box<OpenAnswer>),
    Changes(Box<ChangesAnswer>),
    Older(Rev, Vec<Message<'static>>),
    Gone,
    Again,
}

pub(crate) struct SyncAnswer {
    pub(crate) entries: Vec<Entry<'static>>,
    removed: Vec<ConversationId>,
    cursor: (History, UserRev),
    more: bool,
    reset: bool,
}

impl SyncAnswer {
    /// Whether more follows, and from where.
    pub(crate) fn next(&self) -> (bool, (History, UserRev)) {
        (self.more, self.cursor)
    }
}

pub(crate) struct OpenAnswer {
    pub(crate) rev: Rev,
    mark_rev: MarkRev,
    pub(crate) info: Conversation<'static>,
    pub(crate) messages: Vec<Message<'static>>,
    pub(crate) members: Vec<Member>,
}

struct ChangesAnswer {
    info: Option<Conversation<'static>>,
    messages: Vec<Message<'static>>,
    members: Vec<Member>,
    receipts: Vec<Receipt>,
    rev: Rev,
    mark_rev: MarkRev,
    more: bool,
    reset: bool,
}

pub(crate) struct Device {
    pub(crate) user: UserId,
    session: u64,
    encoding: Encoding,
    connection: Option<Arc<Connection>>,
    connecting: Option<JoinHandle<Result<Arc<Connection>, EngineError>>>,
    hello: bool,
    network: VecDeque<String>,
    cursor: Option<(History, UserRev)>,
    need_sync: bool,
    /// Conversations that the listing under way has named, if it began anew.
    listing: Option<BTreeSet<ConversationId>>,
    pub(crate) list: BTreeMap<ConversationId, Entry<'static>>,
    pub(crate) known: BTreeMap<ConversationId, Known>,
    requests: Vec<(Ask, JoinHandle<Answer>)>,
    /// Deletions that wait for their answer.
    deletions: BTreeMap<i64, (ConversationId, Seq)>,
    next_id: i64,
}

impl Device {
    pub(crate) fn new(user: UserId, session: u64, encoding: Encoding) -> Self {
        Self {
            user,
            session,
            encoding,
            connection: None,
            connecting: None,
            hello: false,
            network: VecDeque::new(),
            cursor: None,
            need_sync: false,
            listing: None,
            list: BTreeMap::new(),
            known: BTreeMap::new(),
            requests: Vec::new(),
            deletions: BTreeMap::new(),
            next_id: 1,
        }
    }

    // ---- connection

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    pub(crate) async fn connect(&mut self, engine: &Arc<Engine>) {
        if self.connection.is_some() {
            return;
        }
        let connecting = self.connecting.get_or_insert_with(|| {
            let (engine, user) = (Arc::clone(engine), self.user);
            let (session, encoding) = (self.session, self.encoding);
            tokio::spawn(async move { engine.connect(user, session, encoding).await })
        });
        if connecting.is_finished() {
            self.connection = connecting.await.unwrap().ok();
            self.connecting = None;
        }
    }

    /// The connection is lost with what was on its way; answers to requests may still come.
    pub(crate) fn cut(&mut self, engine: Option<&Engine>, requests_too: bool) {
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        if let (Some(connection), Some(engine)) = (self.connection.take(), engine) {
            engine.disconnect(&connection);
        }
        self.network.clear();
        self.deletions.clear();
        self.hello = false;
        if requests_too {
            let lost = self.requests.drain(..).map(|(ask, task)| {
                task.abort();
                matches!(ask, Ask::Sync)
            });
            let sync_lost = lost.fold(false, |any, sync| any | sync);
            self.need_sync |= sync_lost;
        }
    }

    pub(crate) async fn send(&mut self, engine: &Engine, kind: &str, data: serde_json::Value) {
        let Some(connection) = self.connection.clone() else { return };
        let id = self.next_id;
        self.next_id += 1;
        if kind == "delete_message" {
            let conversation = serde_json::from_value(data["conversation_id"].clone()).unwrap();
            self.deletions.insert(id, (conversation, data["seq"].as_u64().unwrap()));
        }
        let frame = json!({ "type": kind, "id": id, "data": data });
        let mut bytes = frame.to_string().into_bytes();
        if self.encoding == Encoding::Cbor {
            let json = std::mem::take(&mut bytes);
            ostracon_proto::cbor::from_json(&json, &mut bytes).unwrap();
        }
        engine.receive(&connection, &bytes).await;
    }

    /// Frames leave the server.
    pub(crate) fn drain(&mut self) {
        let Some(connection) = &self.connection else { return };
        let mut out = Vec::new();
        while connection.drain(&mut out) != Drained::Empty {}
        let text = |frame: &bytes::Bytes| self.encoding.text(frame).unwrap().into_owned();
        self.network.extend(out.iter().map(text));
    }

    /// Frames arrive; how many did.
    pub(crate) fn receive(&mut self, at_most: usize) -> usize {
        let frames: Vec<String> = self.network.drain(..at_most.min(self.network.len())).collect();
        for frame in &frames {
            self.frame(frame);
        }
        frames.len()
    }

    fn frame(&mut self, text: &str) {
        let received = ServerFrame::decode(text).unwrap();
        assert!(self.hello || matches!(received.frame, ServerFrame::Hello(_)), "{text}");
        match received.frame {
            ServerFrame::Hello(_) => {
                self.hello = true;
                self.need_sync = true;
            }
            ServerFrame::MessageSent(sent) => {
                let message = sent.message.into_owned();
                assert_eq!(message.history, Some(sent.history));
                self.message(message);
            }
            ServerFrame::NewMessage(new) => self.message(new.0.into_owned()),
            ServerFrame::MessageUpdated(changed) => self.message(changed.0.into_owned()),
            ServerFrame::Done(done) => {
                let deleted = received.id.as_ref().and_then(FrameRef::as_number);
                let deleted = deleted.and_then(|id| self.deletions.remove(&id));
                if let Some(message) = done.message {
                    self.message(message.into_owned());
                } else if let (Some((id, seq)), Some(rev)) = (deleted, done.rev) {
                    let tombstone = (done.deleted_at.unwrap(), done.deleted_by.unwrap());
                    self.deleted(id, seq, rev, done.history.unwrap(), tombstone);
                }
            }
            ServerFrame::MessageDeleted(gone) => {
                let tombstone = (gone.deleted_at, gone.deleted_by);
                self.deleted(gone.conversation_id, gone.seq, gone.rev, gone.history, tombstone);
            }
            // Content is compared as others see it.
            ServerFrame::MessageHidden(_) => {}
            ServerFrame::Receipt(receipt) => {
                if let Some(opened) = self.opened(receipt.conversation_id, receipt.history) {
                    opened.mark(&Receipt {
                        user_id: receipt.user_id,
                        read_seq: receipt.read_seq.unwrap_or(0),
                        delivered_seq: receipt.delivered_seq.unwrap_or(0),
                        mark_rev: receipt.mark_rev,
                    });
                }
            }
            ServerFrame::ConversationUpdated(changed) => {
                let info = changed.0.into_owned();
                let id = info.conversation_id;
                self.shared(id, info.history, info.rev, |opened| opened.inform(info));
            }
            ServerFrame::MemberUpdated(changed) => {
                let (id, member) = (changed.conversation_id, changed.member);
                if member.user_id == self.user {
                    self.own_span(id, Span::of(&member));
                }
                self.shared(id, changed.history, changed.rev, |opened| opened.member(member));
            }
            ServerFrame::InboxUpdated(update) => {
                let known = self.heard(update.conversation_id, update.history, update.rev);
                if update.user_rev >= known.unread.0 {
                    known.unread = (update.user_rev, update.unread);
                }
            }
            ServerFrame::Typing(_) | ServerFrame::Presence(_) => {}
            ServerFrame::SyncRequired(_) => self.need_sync = true,
            ServerFrame::Heartbeat(beat) => {
                self.need_sync |= self.cursor.is_none_or(|(_, user_rev)| user_rev < beat.user_rev);
            }
            // Refusals: retried or not, they say nothing about state.
            ServerFrame::Error(_) => {}
            ServerFrame::Unknown(kind) => panic!("unknown frame {kind}"),
        }
    }

    fn message(&mut self, message: Message<'static>) {
        let (id, rev) = (message.conversation_id, message.rev);
        let history = message.history.unwrap();
        self.shared(id, history, rev, |opened| {
            if let Some(mark_rev) = message.mark_rev {
                let (user_id, seq) = (message.sender_id, message.seq);
                opened.mark(&Receipt { user_id, read_seq: seq, delivered_seq: seq, mark_rev });
            }
            opened.put(message);
        });
    }

    fn deleted(
        &mut self,
        id: ConversationId,
        seq: Seq,
        rev: Rev,
        history: History,
        (at, by): (i64, UserId),
    ) {
        self.shared(id, history, rev, |opened| {
            if let Some(row) = opened.rows.get(&seq).cloned() {
                opened.put(Message {
                    rev,
                    content_rev: rev,
                    content: None,
                    edited_at: None,
                    deleted_at: Some(at),
                    deleted_by: Some(by),
                    reply_to: None,
                    mentions: Vec::new(),
                    reactions: Vec::new(),
                    pinned_at: None,
                    expires_at: None,
                    ..row
                });
            }
        });
    }

    /// A rev heard of belongs to a history: another one than one's own drops what one holds.
    fn heard(&mut self, id: ConversationId, history: History, rev: Rev) -> &mut Known {
        let known = self.known.entry(id).or_insert_with(|| Known::new(history));
        if known.history != history {
            known.drop_for(history);
        }
        known.heard = known.heard.max(rev);
        known
    }

    fn opened(&mut self, id: ConversationId, history: History) -> Option<&mut Opened> {
        self.known.get_mut(&id).filter(|known| known.history == history)?.opened.as_mut()
    }

    /// An event that every member gets: the next one is applied, a jump is asked for.
    fn shared(
        &mut self,
        id: ConversationId,
        history: History,
        rev: Rev,
        apply: impl FnOnce(&mut Opened),
    ) {
        let known = self.heard(id, history, rev);
        if let Some(opened) = known.opened.as_mut().filter(|opened| opened.rev + 1 == rev) {
            apply(opened);
            opened.rev = rev;
        }
    }

    /// Who comes back to a group sees another part of it, and missed what happened meanwhile: load again.
    fn own_span(&mut self, id: ConversationId, now: Span) {
        let user = self.user;
        let Some(known) = self.known.get_mut(&id) else { return };
        let held = known.opened.as_ref().and_then(|opened| opened.members.get(&user));
        if held.is_some_and(|held| now.came_back_since(Span::of(held))) {
            known.drop_for(known.history);
        }
    }

    // ---- requests

    /// Asks for the list again.
    pub(crate) fn look_again(&mut self) {
        self.need_sync |= self.list.values().any(|entry| entry.conversation.large);
    }

    /// Wants to see a conversation.
    pub(crate) fn open(&mut self, id: ConversationId) {
        if let Some(known) = self.known.get_mut(&id) {
            known.wanted = true;
        }
    }

    /// Wants an older page of a conversation.
    pub(crate) fn page_back(&mut self, engine: &Arc<Engine>, id: ConversationId) {
        let Some(known) = self.known.get(&id) else { return };
        let Some(opened) = &known.opened else { return };
        if opened.held.is_some() || self.asks(id, |ask| matches!(ask, Ask::Older(..))) {
            return;
        }
        let (engine, user, before) = (Arc::clone(engine), self.user, opened.lo);
        let task = tokio::spawn(async move {
            let position = PagePosition::Seq(before);
            match page(&engine, user, id, MessagePage::Before { position, limit: 3 }).await {
                Ok((rev, _, messages)) => Answer::Older(rev, messages),
                Err(error) => failed(&error),
            }
        });
        self.requests.push((Ask::Older(id, known.generation), task));
    }

    fn asks(&self, id: ConversationId, kind: impl Fn(&Ask) -> bool) -> bool {
        self.requests.iter().any(|(ask, _)| {
            let of_it = match ask {
                Ask::Sync => false,
                Ask::Open(of, _) | Ask::Changes(of, ..) | Ask::Older(of, _) => *of == id,
            };
            of_it && kind(ask)
        })
    }

    /// Asks for what the rules say must be asked for now; how many requests that are.
    pub(crate) fn ask(&mut self, engine: &Arc<Engine>, limit: u32) -> usize {
        let before = self.requests.len();
        let user = self.user;
        let syncing = self.requests.iter().any(|(ask, _)| matches!(ask, Ask::Sync));
        if self.need_sync && self.hello && !syncing {
            self.need_sync = false;
            let (engine, cursor) = (Arc::clone(engine), self.cursor);
            let task = tokio::spawn(async move {
                match sync(&engine, user, cursor, limit).await {
                    Ok(answer) => Answer::Sync(answer),
                    Err(_) => Answer::Again,
                }
            });
            self.requests.push((Ask::Sync, task));
        }
        let ids: Vec<ConversationId> = self.known.keys().copied().collect();
        for id in ids {
            if self.asks(id, |ask| matches!(ask, Ask::Open(..) | Ask::Changes(..))) {
                continue;
            }
            let known = &self.known[&id];
            let generation = known.generation;
            let engine = Arc::clone(engine);
            match &known.opened {
                None if known.wanted => {
                    let task = tokio::spawn(async move {
                        match open(&engine, user, id, limit).await {
                            Ok(answer) => Answer::Open(Box::new(answer)),
                            Err(error) => failed(&error),
                        }
                    });
                    self.requests.push((Ask::Open(id, generation), task));
                }
                Some(opened) if opened.is_behind(known) => {
                    let since = opened.held.as_ref().map_or(opened.rev, |(rev, _)| *rev);
                    let since = since.min(opened.rev);
                    let (mark_rev, history) = (opened.mark_rev, known.history);
                    let task = tokio::spawn(async move {
                        match changes(&engine, user, id, since, mark_rev, history, limit).await {
                            Ok(answer) => Answer::Changes(Box::new(answer)),
                            Err(error) => failed(&error),
                        }
                    });
                    self.requests.push((Ask::Changes(id, generation, since), task));
                }
                _ => {}
            }
        }
        self.requests.len() - before
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// The answer to one request arrives, if it has been computed.
    pub(crate) async fn arrive(&mut self, which: usize) -> bool {
        if self.requests.is_empty() {
            return false;
        }
        let which = which % self.requests.len();
        if !self.requests[which].1.is_finished() {
            return false;
        }
        let (ask, task) = self.requests.remove(which);
        let answer = task.await.unwrap();
        match (ask, answer) {
            (Ask::Sync, Answer::Sync(answer)) => self.synced(answer),
            (Ask::Sync, _) => self.need_sync = true,
            (Ask::Open(id, generation), answer) if self.is_current(id, generation) => {
                self.loaded(id, answer);
            }
            (Ask::Changes(id, generation, since), answer) if self.is_current(id, generation) => {
                self.changed(id, since, answer);
            }
            (Ask::Older(id, generation), Answer::Older(rev, rows))
                if self.is_current(id, generation) =>
            {
                let opened = self.known.get_mut(&id).and_then(|known| known.opened.as_mut());
                if let Some(opened) = opened {
                    opened.older(rev, rows);
                }
            }
            _ => {}
        }
        true
    }

    fn is_current(&self, id: ConversationId, generation: u64) -> bool {
        self.known.get(&id).is_some_and(|known| known.generation == generation)
    }

    fn synced(&mut self, answer: SyncAnswer) {
        let user_rev = answer.cursor.1;
        self.cursor = Some(answer.cursor);
        if answer.reset {
            self.listing = Some(BTreeSet::new());
        }
        for entry in answer.entries {
            let (id, history) = (entry.conversation.conversation_id, entry.conversation.history);
            let known = self.heard(id, history, entry.conversation.rev);
            known.heard_mark = known.heard_mark.max(entry.conversation.mark_rev);
            if user_rev >= known.unread.0 {
                known.unread = (user_rev, entry.unread);
            }
            // Most are opened at once, some later or never.
            let opens = !(id.as_u128() as u64 ^ self.session).is_multiple_of(3);
            let known = self.heard(id, history, 0);
            known.wanted |= opens;
            let membership = &entry.membership;
            self.own_span(id, Span(membership.joined_seq, membership.left_seq));
            if let Some(named) = &mut self.listing {
                named.insert(id);
            }
            self.list.insert(id, entry);
        }
        for id in answer.removed {
            self.forget(id);
        }
        if answer.more {
            self.need_sync = true;
        } else if let Some(named) = self.listing.take() {
            let gone: Vec<_> = self.list.keys().filter(|id| !named.contains(id)).copied().collect();
            gone.into_iter().for_each(|id| self.forget(id));
        }
    }

    fn forget(&mut self, id: ConversationId) {
        self.list.remove(&id);
        self.known.remove(&id);
    }

    fn loaded(&mut self, id: ConversationId, answer: Answer) {
        let Some(known) = self.known.get_mut(&id) else { return };
        match answer {
            Answer::Open(answer) => {
                if answer.info.history != known.history {
                    return known.drop_for(answer.info.history);
                }
                known.heard = known.heard.max(answer.rev);
                known.opened = Some(Opened::new(*answer));
            }
            Answer::Gone => {
                known.wanted = false;
                self.need_sync = true;
            }
            _ => {}
        }
    }

    fn changed(&mut self, id: ConversationId, since: Rev, answer: Answer) {
        let user = self.user;
        let Some(known) = self.known.get_mut(&id) else { return };
        match answer {
            Answer::Changes(answer) if answer.reset => known.drop_for(known.history),
            Answer::Changes(answer) => {
                known.heard = known.heard.max(answer.rev);
                let own = answer.members.iter().find(|member| member.user_id == user);
                let held = known.opened.as_ref().and_then(|o| o.members.get(&user));
                let came_back = own
                    .zip(held)
                    .is_some_and(|(now, held)| Span::of(now).came_back_since(Span::of(held)));
                if came_back {
                    return known.drop_for(known.history);
                }
                if let Some(opened) = &mut known.opened {
                    opened.change(since, *answer);
                }
            }
            Answer::Gone => {
                known.opened = None;
                known.wanted = false;
                self.need_sync = true;
            }
            _ => {}
        }
    }
}

impl Known {
    fn new(history: History) -> Self {
        Self {
            history,
            heard: 0,
            heard_mark: 0,
            unread: (0, 0),
            opened: None,
            wanted: false,
            generation: 0,
        }
    }

    fn drop_for(&mut self, history: History) {
        let wanted = self.wanted || self.opened.is_some();
        let same = self.history == history;
        let (heard, heard_mark) = if same { (self.heard, self.heard_mark) } else { (0, 0) };
        let generation = self.generation + 1;
        let unread = self.unread;
        *self = Self { wanted, generation, heard, heard_mark, unread, ..Self::new(history) };
    }
}

impl Opened {
    fn new(answer: OpenAnswer) -> Self {
        let lo = answer.messages.first().map_or(answer.info.head_seq + 1, |row| row.seq);
        Self {
            rev: answer.rev,
            mark_rev: answer.mark_rev,
            midway: false,
            lo,
            rows: answer.messages.into_iter().map(|row| (row.seq, row)).collect(),
            members: answer.members.into_iter().map(|row| (row.user_id, row)).collect(),
            info: answer.info,
            held: None,
        }
    }

    fn is_behind(&self, known: &Known) -> bool {
        let behind = self.rev < known.heard || self.mark_rev < known.heard_mark;
        behind || self.midway || self.held.is_some()
    }

    fn put(&mut self, row: Message<'static>) {
        if row.seq < self.lo {
            return;
        }
        let row = Message { history: None, mark_rev: None, ..row };
        match self.rows.get_mut(&row.seq) {
            Some(held) if held.rev >= row.rev => {}
            Some(held) => *held = row,
            None => {
                self.rows.insert(row.seq, row);
            }
        }
        self.retain();
    }

    fn member(&mut self, row: Member) {
        let Some(held) = self.members.get_mut(&row.user_id) else {
            self.members.insert(row.user_id, row);
            return;
        };
        let marks = held.clone();
        if held.rev < row.rev {
            *held = row;
        }
        // Marks have their own number, and may not have been shown.
        if marks.mark_rev > held.mark_rev {
            held.read_seq = marks.read_seq;
            held.delivered_seq = marks.delivered_seq;
            held.mark_rev = marks.mark_rev;
        }
    }

    fn mark(&mut self, receipt: &Receipt) {
        if let Some(held) = self.members.get_mut(&receipt.user_id) {
            held.read_seq = held.read_seq.max(Some(receipt.read_seq));
            held.delivered_seq = held.delivered_seq.max(Some(receipt.delivered_seq));
            held.mark_rev = held.mark_rev.max(Some(receipt.mark_rev));
        }
    }

    fn inform(&mut self, info: Conversation<'static>) {
        if self.info.large && !info.large {
            // Marks of others were not shown meanwhile.
            self.mark_rev = 0;
        }
        self.info = info;
        self.retain();
    }

    /// What was removed is dropped, and what replies quote of it.
    fn retain(&mut self) {
        let Some(from) = self.info.retained_from else { return };
        self.rows = self.rows.split_off(&from);
        self.lo = self.lo.max(from);
        for row in self.rows.values_mut() {
            row.reply_to.take_if(|reply| reply.seq < from);
        }
    }

    fn older(&mut self, rev: Rev, rows: Vec<Message<'static>>) {
        if rev < self.rev {
            self.held = Some((rev, rows));
        } else {
            self.extend(rows);
        }
    }

    fn extend(&mut self, rows: Vec<Message<'static>>) {
        if let (Some(first), Some(last)) = (rows.first(), rows.last())
            && last.seq + 1 >= self.lo
        {
            self.lo = self.lo.min(first.seq);
            rows.into_iter().for_each(|row| self.put(row));
            self.retain();
        }
    }

    fn change(&mut self, since: Rev, answer: ChangesAnswer) {
        if let Some((rev, rows)) = &mut self.held
            && since <= *rev
        {
            for changed in &answer.messages {
                if let Some(row) = rows.iter_mut().find(|row| row.seq == changed.seq)
                    && row.rev < changed.rev
                {
                    *row = changed.clone();
                }
            }
            *rev = answer.rev.max(*rev);
        }
        answer.messages.into_iter().for_each(|row| self.put(row));
        answer.members.into_iter().for_each(|row| self.member(row));
        answer.receipts.iter().for_each(|receipt| self.mark(receipt));
        self.mark_rev = self.mark_rev.max(answer.mark_rev);
        if let Some(info) =
            answer.info.filter(|info| info.rev > self.info.rev || info.rev > self.rev)
        {
            self.inform(info);
        }
        if since <= self.rev {
            self.rev = self.rev.max(answer.rev);
        }
        self.midway = answer.more;
        if let Some((rev, rows)) = self.held.take() {
            if rev >= self.rev {
                self.extend(rows);
            } else {
                self.held = Some((rev, rows));
            }
        }
    }
}

fn failed(error: &EngineError) -> Answer {
    match error {
        EngineError::Refused(refusal) => {
            assert_eq!(refusal.code, RefusalCode::NotFound, "{refusal:?}");
            Answer::Gone
        }
        EngineError::Busy | EngineError::Unavailable => Answer::Again,
        other => panic!("{other}"),
    }
}

// ---- what a server makes of the engine's rows

pub(crate) async fn sync(
    engine: &Engine,
    user: UserId,
    cursor: Option<(History, UserRev)>,
    limit: u32,
) -> Result<SyncAnswer, EngineError> {
    let page = engine.sync(user, cursor, limit).await?;
    Ok(SyncAnswer {
        entries: page
            .entries
            .iter()
            .map(|rows| view::entry(rows, &ostracon_engine::NoAddresses).into_owned())
            .collect(),
        removed: page.removed,
        cursor: (page.history, page.user_rev),
        more: page.more,
        reset: page.reset,
    })
}

async fn page(
    engine: &Engine,
    user: UserId,
    id: ConversationId,
    page: MessagePage,
) -> Result<(Rev, Conversation<'static>, Vec<Message<'static>>), EngineError> {
    let (found, access) = engine.messages(user, id, page).await?;
    let shown =
        |row| view::message_within(row, user, &access, &ostracon_engine::NoAddresses).into_owned();
    let rows = found.messages.iter().map(shown).collect();
    let info = view::conversation(&found.conversation).into_owned();
    Ok((found.conversation.rev, info, rows))
}

pub(crate) async fn open(
    engine: &Engine,
    user: UserId,
    id: ConversationId,
    limit: u32,
) -> Result<OpenAnswer, EngineError> {
    let (rev, info, messages) = page(engine, user, id, MessagePage::Newest { limit }).await?;
    let (mut members, mut after, mut mark_rev) = (Vec::new(), None, info.mark_rev);
    loop {
        let found = engine.members(user, id, MembersPage { after, limit: 50 }).await?;
        mark_rev = mark_rev.min(found.conversation.mark_rev);
        let large = found.conversation.large;
        let shown = |row: &Arc<_>| {
            let row: &ostracon_domain::Member = row;
            view::member(row, !large || row.user == user)
        };
        members.extend(found.members.iter().map(shown));
        after = found.members.last().map(|row| row.user);
        if !found.more {
            break;
        }
    }
    Ok(OpenAnswer { rev, mark_rev, info, messages, members })
}

async fn changes(
    engine: &Engine,
    user: UserId,
    id: ConversationId,
    rev: Rev,
    mark_rev: MarkRev,
    history: History,
    limit: u32,
) -> Result<ChangesAnswer, EngineError> {
    let since = ChangesSince { conversation: id, reader: user, rev, mark_rev, limit };
    let (found, access) = engine.changes(since).await?;
    let row = &found.conversation;
    let shown = |view: &_| {
        view::message_within(view, user, &access, &ostracon_engine::NoAddresses).into_owned()
    };
    let large = row.large;
    Ok(ChangesAnswer {
        info: found.info_changed.then(|| view::conversation(row).into_owned()),
        messages: found.messages.iter().map(shown).collect(),
        members: found
            .members
            .iter()
            .map(|member| view::member(member, !large || member.user == user))
            .collect(),
        receipts: found.receipts.iter().map(|member| view::receipt(member)).collect(),
        rev: found.rev,
        mark_rev: found.mark_rev,
        more: found.more,
        reset: row.history != history || rev > row.rev,
    })
}
