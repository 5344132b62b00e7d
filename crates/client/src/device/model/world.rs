//! The small server, the real device, and every step that either can take.

use super::configs::{Config, Restore, Start};
use crate::device::{
    Answer, Device, Failure, Options, Output, Request, RequestId,
    faults::{Fault, Faults},
};
use ostracon_domain::{
    ConversationId, ConversationKind, GroupSettings, History, MessageId, MessageKind, Rev, Role,
    Seq, UserId, UserRev,
};
use ostracon_proto::{
    Conversation, Entry, Inbox, Membership, Message, Position,
    cursor::{Cursor as _, SyncCursor},
    frame::{
        ConversationUpdated, HeartbeatAnswer, Hello, InboxUpdated, MessageDeleted, MessageUpdated,
        NewMessage, Received, ServerFrame, SyncRequired,
    },
    rest::{Anchor, Changes, MessagePage, Sync},
};
use std::hash::{Hash, Hasher};

/// A row image: the rev that wrote it, and 100 more on a line that goes on from a restored prefix.
pub(super) type Image = u64;

const ME: u64 = 1;
const OTHER: u64 = 2;
const RESTORED: Image = 100;

/// What the server holds at each (history, rev).
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) config: &'static Config,
    lines: [Line; 2],
}

#[derive(Debug, Default)]
struct Line {
    len: usize,
    /// Images by seq, at each rev.
    rows: Vec<Vec<Image>>,
    /// Seq and image that each rev wrote; seq 0: the conversation row.
    events: Vec<(Seq, Image, u8)>,
    large: Vec<bool>,
    /// The rev of the conversation row, at each rev.
    info: Vec<Rev>,
}

/// A frame on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Frame {
    Event { history: usize, rev: usize },
    Inbox { history: usize, rev: usize, user_rev: UserRev },
    Other { user_rev: UserRev },
    SyncRequired,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Asked,
    /// Its rev is noted, its rows are not yet read.
    Noted(usize),
    Computed(Computed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Computed {
    /// Rows of `now`, declared at most `noted`.
    Rows {
        history: usize,
        now: usize,
        noted: usize,
    },
    Reset,
    Sync {
        history: usize,
        user_rev: UserRev,
        entry: Option<(usize, usize)>,
        reset: bool,
    },
}

/// One moment.
#[derive(Debug, Clone)]
pub(super) struct World<'a> {
    tables: &'a Tables,
    history: usize,
    /// Committed; handed to the hub; taken by the inbox map; on disk as the dispatch cursor.
    committed: usize,
    handed: usize,
    mapped: usize,
    saved: usize,
    /// Newest pending inbox entry, 0 for none; the inbox row: applied rev and its user rev.
    pending: usize,
    applied: usize,
    applied_user: UserRev,
    user_rev: UserRev,
    user_history: u64,
    /// 0 none, 1 in the hub, 2 hello read.
    connection: u8,
    overflowed: bool,
    frames: Vec<Frame>,
    cuts: u8,
    crashes: u8,
    overflows: u8,
    restores: u8,
    losses: u8,
    others: u8,
    loads: usize,
    requests: Vec<(RequestId, Request, Stage)>,
    pub(super) device: Device,
}

/// A step: what happened, whether it needs nobody's help, and the moment after.
pub(super) struct Step<'a> {
    pub(super) label: (&'static str, usize),
    pub(super) quiet: bool,
    pub(super) world: World<'a>,
}

pub(super) fn conversation() -> ConversationId {
    ConversationId::new_group(1, [7; 10])
}

fn history_of(index: usize) -> History {
    History(1 + index as u64)
}

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

impl Tables {
    pub(super) fn new(config: &'static Config) -> Self {
        let restored = [&config.line[..config.keep], config.line1].concat();
        let lines = [config.line.to_vec(), restored];
        Self { config, lines: [0, 1].map(|index| Line::new(&lines[index], index, config.keep)) }
    }

    fn message(&self, seq: Seq, image: Image) -> Message<'static> {
        let rev = image % RESTORED;
        // Deletions come second on a row: what a rev above its birth left behind.
        let op = self.lines[usize::from(image > RESTORED)].events[rev as usize].2;
        let deleted = self.config.deletes && op.is_ascii_digit();
        Message {
            message_id: MessageId::new(seq).unwrap(),
            conversation_id: conversation(),
            seq,
            rev,
            content_rev: image,
            sender_id: user(OTHER),
            kind: MessageKind::Text,
            content: (!deleted).then_some("text".into()),
            timestamp: 1,
            client_id: None,
            edited_at: None,
            deleted_at: deleted.then_some(1),
            deleted_by: deleted.then(|| user(OTHER)),
            reply_to: None,
            mentions: Vec::new(),
            reactions: Vec::new(),
            withheld: false,
            history: None,
            mark_rev: None,
        }
    }

    fn rows(&self, history: usize, rev: usize) -> &[Image] {
        &self.lines[history].rows[rev]
    }

    fn conversation(&self, history: usize, rev: usize) -> Conversation<'static> {
        Conversation {
            conversation_id: conversation(),
            kind: ConversationKind::Group,
            name: None,
            member_count: 2,
            head_seq: self.rows(history, rev).len() as Seq,
            rev: rev as Rev,
            mark_rev: 0,
            history: history_of(history),
            large: self.lines[history].large[rev],
            created_at: 0,
            settings: GroupSettings::default(),
        }
    }

    fn changes(
        &self,
        history: usize,
        since: Rev,
        limit: u32,
        now: usize,
        noted: usize,
    ) -> Changes<'static> {
        let line = &self.lines[history];
        let images = line.rows[now].iter().zip(1..);
        let mut rows: Vec<(Rev, Seq, Image)> =
            images.map(|(image, seq)| (image % RESTORED, seq, *image)).collect();
        rows.push((line.info[now], 0, 0));
        rows.retain(|(rev, ..)| *rev > since);
        rows.sort_unstable();
        let limit = limit as usize;
        let more = rows.len() > limit;
        let rev = if more { (rows[limit].0 - 1).min(noted as Rev) } else { noted as Rev };
        rows.truncate(limit);
        let info = rows.iter().any(|(_, seq, _)| *seq == 0);
        let messages = rows.into_iter().filter(|(_, seq, _)| *seq > 0);
        Changes {
            conversation: info.then(|| self.conversation(history, now)),
            messages: messages.map(|(_, seq, image)| self.message(seq, image)).collect(),
            members: Vec::new(),
            receipts: Vec::new(),
            rev,
            mark_rev: 0,
            history: history_of(history),
            more,
            reset: false,
        }
    }

    fn page(
        &self,
        history: usize,
        anchor: Anchor,
        size: u32,
        now: usize,
        noted: usize,
    ) -> MessagePage<'static> {
        let head = self.rows(history, noted).len() as Seq;
        let size = Seq::from(size);
        let (first, last) = match anchor {
            Anchor::Newest => ((head + 1).saturating_sub(size).max(1), head),
            Anchor::Around(_) => (1, head.min(1)),
            Anchor::Before(Position::Seq(seq)) => (seq.saturating_sub(size).max(1), seq - 1),
            Anchor::After(Position::Seq(seq)) => (seq + 1, head.min(seq + size)),
            Anchor::Before(_) | Anchor::After(_) => unreachable!("the device asks by seq"),
        };
        let images = self.rows(history, now);
        MessagePage {
            messages: (first..=last)
                .filter_map(|seq| Some(self.message(seq, *images.get(seq as usize - 1)?)))
                .collect(),
            has_more_before: first > 1,
            has_more_after: last < head,
            first_seq: 1,
            head_seq: head,
            rev: noted as Rev,
            history: history_of(history),
            stale: false,
        }
    }
}

impl Line {
    fn new(ops: &[u8], index: usize, keep: usize) -> Self {
        let mut line = Self { len: ops.len(), ..Self::default() };
        let (mut rows, mut info) = (Vec::new(), 0);
        let mut large = ops.first() == Some(&b'G');
        line.rows.push(Vec::new());
        line.events.push((0, 0, b' '));
        line.large.push(false);
        line.info.push(0);
        for (at, op) in ops.iter().enumerate() {
            let rev = at as Rev + 1;
            let image = rev + if index == 1 && at >= keep { RESTORED } else { 0 };
            let seq = match op {
                b's' => {
                    rows.push(image);
                    rows.len()
                }
                b'1'..=b'9' => {
                    rows[usize::from(op - b'1')] = image;
                    usize::from(op - b'0')
                }
                _ => {
                    large = matches!(op, b'L' | b'G');
                    info = rev;
                    0
                }
            };
            line.rows.push(rows.clone());
            line.events.push((seq as Seq, image, *op));
            line.large.push(large);
            line.info.push(info);
        }
        line
    }
}

impl<'a> World<'a> {
    pub(super) fn new(tables: &'a Tables, fault: Option<Fault>) -> Self {
        let config = tables.config;
        let options = Options {
            page_limit: config.page,
            changes_limit: config.limit,
            sync_limit: 9,
            send_window: 1,
            members: false,
            marks: false,
            auto_delivered: false,
        };
        let mut device = Device::new(user(ME), options);
        device.faults = Faults::of(fault);
        let at = config.init;
        let mut world = Self {
            tables,
            history: 0,
            committed: at,
            handed: at,
            mapped: at,
            saved: at,
            pending: 0,
            applied: at,
            applied_user: at as UserRev,
            user_rev: at as UserRev,
            user_history: 0,
            connection: 0,
            overflowed: false,
            frames: Vec::new(),
            cuts: config.cuts,
            crashes: config.crashes,
            overflows: config.overflows,
            restores: config.restores,
            losses: config.losses,
            others: config.others,
            loads: 0,
            requests: Vec::new(),
            device,
        };
        if config.start != Start::Fresh {
            world.connection = 2;
            world.hello();
            world.settle();
        }
        if config.start == Start::Loaded {
            world.device.open(conversation());
            world.take_outputs();
            world.settle();
        }
        world
    }

    /// Answers everything at once.
    fn settle(&mut self) {
        while !self.requests.is_empty() {
            self.compute(0);
            if !matches!(self.requests[0].2, Stage::Computed(_)) {
                self.compute(0);
            }
            self.apply(0);
        }
    }

    fn emit(&mut self, frame: Frame) {
        if self.connection > 0 {
            self.frames.push(frame);
        }
    }

    fn large(&self) -> bool {
        self.tables.lines[self.history].large[self.committed]
    }

    fn take_outputs(&mut self) {
        for output in self.device.take_outputs() {
            match output {
                Output::Ask(id, request) => self.requests.push((id, request, Stage::Asked)),
                Output::Cancel(id) => self.requests.retain(|(asked, ..)| *asked != id),
                Output::Frame(_) | Output::Hold { .. } | Output::Notify(_) => {}
            }
        }
    }

    fn deliver(&mut self, frame: ServerFrame<'_>) {
        self.device.frame(Received { id: None, frame });
        self.take_outputs();
    }

    fn hello(&mut self) {
        self.deliver(ServerFrame::Hello(Hello {
            session_id: "s".into(),
            user_id: user(ME),
            heartbeat_s: 30,
            max_frame_bytes: 1,
            max_in_flight: 1,
            server_time: 0,
            user_rev: self.user_rev,
        }));
    }

    /// The device reads the oldest frame.
    fn read_frame(&mut self) {
        let frame = match self.frames.remove(0) {
            Frame::Event { history, rev } => self.event(history, rev),
            Frame::Inbox { history, rev, user_rev } => {
                inbox(conversation(), history, rev, user_rev)
            }
            Frame::Other { user_rev } => {
                inbox(ConversationId::direct(user(ME), user(OTHER)), 0, 0, user_rev)
            }
            Frame::SyncRequired => ServerFrame::SyncRequired(SyncRequired {}),
        };
        self.deliver(frame);
    }

    fn event(&self, history: usize, rev: usize) -> ServerFrame<'static> {
        let (seq, image, op) = self.tables.lines[history].events[rev];
        if seq == 0 {
            return ServerFrame::ConversationUpdated(ConversationUpdated(
                self.tables.conversation(history, rev),
            ));
        }
        let message =
            Message { history: Some(history_of(history)), ..self.tables.message(seq, image) };
        match op {
            b's' => ServerFrame::NewMessage(NewMessage(message)),
            _ if self.tables.config.deletes => ServerFrame::MessageDeleted(MessageDeleted {
                conversation_id: conversation(),
                seq,
                message_id: message.message_id,
                rev: message.rev,
                history: history_of(history),
                deleted_at: 1,
                deleted_by: user(OTHER),
            }),
            _ => ServerFrame::MessageUpdated(MessageUpdated(message)),
        }
    }

    /// One more moment of the server's side of a request.
    fn compute(&mut self, at: usize) {
        let (history, now) = (self.history, self.committed);
        let config = self.tables.config;
        let (_, request, stage) = &self.requests[at];
        let rows = |noted| Stage::Computed(Computed::Rows { history, now, noted });
        let next = match (request, *stage) {
            (Request::Sync { cursor, .. }, _) => {
                let cursor = cursor.as_deref().map(|text| SyncCursor::decode(text).unwrap());
                self.list(cursor)
            }
            (_, Stage::Noted(noted)) => rows(noted),
            (Request::Changes { since_rev, history: own, .. }, _)
                if *own != Some(history_of(history)) || *since_rev > now as Rev =>
            {
                Stage::Computed(Computed::Reset)
            }
            _ if config.split_read => Stage::Noted(now),
            _ => rows(now),
        };
        self.requests[at].2 = next;
    }

    fn list(&mut self, cursor: Option<SyncCursor>) -> Stage {
        let config = self.tables.config;
        if self.large() && self.committed > self.applied {
            self.applied = self.committed;
            self.touch();
        }
        let other_line = cursor.is_none_or(|cursor| cursor.history.0 != 10 + self.user_history);
        let pending = self.pending > 0 && !config.two_nodes;
        let since = cursor.map_or(0, |cursor| cursor.user_rev);
        let named = other_line || self.applied_user > since || pending;
        let rev = if config.applied_rev { self.applied.max(self.pending) } else { self.committed };
        Stage::Computed(Computed::Sync {
            history: self.user_history as usize,
            user_rev: self.user_rev,
            entry: named.then_some((self.history, rev)),
            reset: cursor.is_some() && other_line,
        })
    }

    fn touch(&mut self) {
        self.user_rev += 1;
        self.applied_user = self.user_rev;
    }

    /// The device gets an answer.
    fn apply(&mut self, at: usize) {
        let (id, request, stage) = self.requests.remove(at);
        let Stage::Computed(computed) = stage else { unreachable!("computed before") };
        let tables = self.tables;
        let answer = match (request, computed) {
            (Request::Changes { since_rev, limit, .. }, Computed::Rows { history, now, noted }) => {
                Answer::Changes(tables.changes(history, since_rev, limit, now, noted))
            }
            (Request::Changes { .. }, _) => {
                Answer::Changes(Changes { reset: true, ..tables.changes(self.history, 0, 1, 0, 0) })
            }
            (Request::Page { anchor, limit, .. }, Computed::Rows { history, now, noted }) => {
                Answer::Page(tables.page(history, anchor, limit, now, noted))
            }
            (Request::Sync { .. }, Computed::Sync { history, user_rev, entry, reset }) => {
                let cursor =
                    SyncCursor { history: History(10 + history as u64), user_rev, after: None };
                Answer::Sync(Sync {
                    conversations: entry.into_iter().map(|(h, rev)| self.entry(h, rev)).collect(),
                    removed: Vec::new(),
                    cursor: cursor.encode(),
                    user_rev,
                    more: false,
                    reset,
                })
            }
            (request, computed) => unreachable!("{request:?} {computed:?}"),
        };
        self.device.answer(id, answer);
        self.take_outputs();
    }

    fn entry(&self, history: usize, rev: usize) -> Entry<'static> {
        let rows = self.tables.rows(history, rev);
        let last = rows.last().map(|image| self.tables.message(rows.len() as Seq, *image));
        Entry {
            conversation: self.tables.conversation(history, rev),
            membership: Membership {
                role: Role::Member,
                joined_seq: 1,
                left_seq: None,
                read_seq: 0,
                delivered_seq: 0,
                unread_floor: 0,
            },
            last_message: last,
            unread: rows.len() as u64,
            inbox: Inbox::default(),
        }
    }

    /// Everything that can happen next.
    pub(super) fn steps(&self) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        self.world_steps(&mut steps);
        self.server_steps(&mut steps);
        self.device_steps(&mut steps);
        steps
    }

    fn step(
        &self,
        steps: &mut Vec<Step<'a>>,
        label: (&'static str, usize),
        quiet: bool,
        change: impl FnOnce(&mut Self),
    ) {
        let mut world = self.clone();
        change(&mut world);
        if world.crashes == 0 {
            // Nobody will look at it any more.
            world.saved = 0;
        }
        steps.push(Step { label, quiet, world });
    }

    fn world_steps(&self, steps: &mut Vec<Step<'a>>) {
        let config = self.tables.config;
        if self.committed < self.tables.lines[self.history].len {
            self.step(steps, ("commit", self.committed + 1), false, |w| w.committed += 1);
        }
        if self.cuts > 0 && self.connection > 0 {
            self.cut(steps, ("cut", 0), false, |w| w.cuts -= 1);
        }
        if self.crashes > 0 {
            self.cut(steps, ("crash", self.saved), config.two_nodes, |w| {
                w.crashes -= 1;
                w.handed = w.saved;
                w.mapped = w.saved;
                w.pending = 0;
            });
            let safe = if self.pending == 0 { self.mapped } else { self.saved };
            if safe > self.saved {
                self.step(steps, ("cursor saved", safe), false, |w| w.saved = safe);
            }
        }
        if self.overflows > 0 {
            for keep in 0..self.frames.len() {
                self.step(steps, ("outbox overflows, kept", keep), false, |w| {
                    w.overflows -= 1;
                    w.frames.truncate(keep);
                    w.overflowed = true;
                });
            }
        }
        if self.restores > 0 && self.history == 0 && self.committed > config.keep {
            for back in 0..2 {
                let live = config.restore == Restore::Live;
                self.cut(steps, ("restore, dispatched back by", back), live, |w| {
                    w.restores -= 1;
                    w.restore(back);
                });
            }
        }
        if self.losses > 0 && !self.frames.is_empty() {
            self.step(steps, ("bus loses a message", 0), false, |w| {
                w.losses -= 1;
                w.frames.pop();
                w.overflowed |= config.bus_heartbeat;
            });
        }
        if self.others > 0 {
            self.step(steps, ("another conversation", 0), false, |w| {
                w.others -= 1;
                w.user_rev += 1;
                w.emit(Frame::Other { user_rev: w.user_rev });
            });
        }
        if let Some(load) = config.loads.get(self.loads)
            && self.may_load(*load)
        {
            self.step(steps, ("page wanted", self.loads), false, |w| {
                w.loads += 1;
                let id = conversation();
                match load {
                    b'L' => w.device.open(id),
                    b'F' => w.device.open_at(id, Position::Seq(1)),
                    b'B' => _ = w.device.load_older(id),
                    _ => _ = w.device.load_newer(id),
                }
                w.take_outputs();
            });
        }
    }

    fn may_load(&self, load: u8) -> bool {
        let held = self.device.conversations.get(&conversation());
        let free = held.is_none_or(|held| {
            held.intent().want.is_none()
                && held.under_way().1.is_none()
                && held.window.as_ref().is_none_or(|window| window.held.is_none())
        });
        let window = held.and_then(|held| held.window.as_ref());
        free && match load {
            b'L' | b'F' => window.is_none(),
            b'B' => window.is_some_and(|window| window.lo > 1),
            _ => window.is_some(),
        }
    }

    /// Only the conversation, or all, goes back to the backup; a new history begins.
    fn restore(&mut self, back: usize) {
        let keep = self.tables.config.keep;
        let dispatched = keep - back;
        self.history = 1;
        self.committed = keep;
        self.handed = dispatched;
        self.mapped = dispatched;
        self.saved = dispatched;
        self.pending = 0;
        if self.tables.config.restore == Restore::Full {
            self.applied = dispatched;
            self.applied_user = dispatched as UserRev;
            self.user_rev = dispatched as UserRev;
            self.user_history = 1;
        } else {
            self.applied = keep;
            self.touch();
            if self.tables.config.restore == Restore::Live {
                let (rev, user_rev) = (self.applied, self.user_rev);
                self.emit(Frame::Inbox { history: 1, rev, user_rev });
            }
        }
    }

    /// Connections go; answers under way come all the same, or not.
    fn cut(
        &self,
        steps: &mut Vec<Step<'a>>,
        label: (&'static str, usize),
        keep_connection: bool,
        change: impl Fn(&mut Self),
    ) {
        let apply = |w: &mut Self| {
            change(w);
            if !keep_connection {
                w.connection = 0;
                w.frames.clear();
                w.overflowed = false;
                w.device.disconnected();
                w.take_outputs();
            }
            // A read that was interrupted has no answer.
            w.lose(|stage| matches!(stage, Stage::Noted(_)));
        };
        self.step(steps, label, false, apply);
        if !self.requests.is_empty() {
            self.step(steps, (label.0, label.1 + 1000), false, |w| {
                apply(w);
                w.lose(|_| true);
            });
        }
    }

    fn lose(&mut self, which: impl Fn(Stage) -> bool) {
        let lost: Vec<_> = self.requests.iter().filter(|(.., stage)| which(*stage)).collect();
        let ids: Vec<RequestId> = lost.into_iter().map(|(id, ..)| *id).collect();
        self.requests.retain(|(id, ..)| !ids.contains(id));
        for id in ids {
            self.device.failed(id, &Failure::Again);
        }
        self.take_outputs();
    }

    fn server_steps(&self, steps: &mut Vec<Step<'a>>) {
        let config = self.tables.config;
        if self.handed < self.committed {
            self.step(steps, ("dispatch", self.handed + 1), true, |w| {
                w.handed += 1;
                w.emit(Frame::Event { history: w.history, rev: w.handed });
                if !config.split_dispatch {
                    w.take_into_map(w.handed);
                }
            });
        }
        if self.mapped < self.handed {
            self.step(steps, ("inbox map takes", self.mapped + 1), true, |w| {
                w.take_into_map(w.mapped + 1);
            });
        }
        if self.pending > 0 {
            self.step(steps, ("inbox row commits", self.pending), true, |w| {
                let rev = std::mem::take(&mut w.pending);
                if rev > w.applied {
                    w.applied = rev;
                    w.touch();
                    w.emit(Frame::Inbox { history: w.history, rev, user_rev: w.user_rev });
                }
            });
        }
        if self.overflowed {
            self.step(steps, ("sync_required", 0), true, |w| {
                w.overflowed = false;
                w.emit(Frame::SyncRequired);
            });
        }
    }

    fn take_into_map(&mut self, rev: usize) {
        self.mapped = rev;
        if !self.tables.lines[self.history].large[rev] {
            self.pending = self.pending.max(rev);
        }
    }

    fn device_steps(&self, steps: &mut Vec<Step<'a>>) {
        let listing = &self.device.listing;
        match self.connection {
            0 => self.step(steps, ("in the hub", 0), true, |w| w.connection = 1),
            1 => self.step(steps, ("hello", 0), true, |w| {
                w.connection = 2;
                w.hello();
            }),
            _ if !self.frames.is_empty() => {
                self.step(steps, ("device reads a frame", 0), true, Self::read_frame);
            }
            _ => {}
        }
        if self.tables.config.heartbeat
            && self.connection == 2
            && !listing.due
            && listing.asked.is_none()
            && listing.user_rev < self.user_rev
        {
            self.step(steps, ("heartbeat", 0), true, |w| {
                let user_rev = w.user_rev;
                w.deliver(ServerFrame::Heartbeat(HeartbeatAnswer { server_time: 0, user_rev }));
            });
        }
        for at in 0..self.requests.len() {
            let what = match self.requests[at].1 {
                Request::Sync { .. } => 0,
                Request::Changes { .. } => 1,
                Request::Page { .. } | Request::Members { .. } => 2,
            };
            if matches!(self.requests[at].2, Stage::Computed(_)) {
                self.step(steps, ("device applies answer", what), true, |w| w.apply(at));
            } else {
                self.step(steps, ("server computes answer", what), true, |w| w.compute(at));
            }
        }
    }

    /// What must hold in every state.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some((line, window)) = self.shown() else { return Ok(()) };
        let rev = window.rev as usize;
        let line = &self.tables.lines[line];
        let Some(at) = line.rows.get(rev) else {
            return Err("mixture: claims a rev its history does not have".to_owned());
        };
        for seq in window.lo..=window.hi {
            let index = seq as usize - 1;
            let Some(row) = window.rows.get(&seq) else {
                return Err(format!("hole: seq {seq} is missing inside the interval"));
            };
            let image = self.image(row);
            if !line.rows.iter().any(|rows| rows.get(index) == Some(&image)) {
                return Err(format!("ghost: seq {seq} has image {image} of another history"));
            }
            if at.get(index).is_some_and(|held| row.rev < held % RESTORED) {
                return Err(format!("stale: seq {seq} at rev {}, claimed {rev}", row.rev));
            }
        }
        if window.tail && !window.midway && (window.hi as usize) < at.len() {
            return Err(format!("hole: claims rev {rev}, the newest message is missing"));
        }
        Ok(())
    }

    /// A tombstone that the device made itself says with its rev which image it is.
    fn image(&self, row: &Message<'_>) -> Image {
        match row.deleted_at {
            Some(_) if row.content_rev < RESTORED && self.device_line() == 1 => {
                let restored = row.rev > self.tables.config.keep as Rev;
                row.rev + if restored { RESTORED } else { 0 }
            }
            _ => row.content_rev,
        }
    }

    fn device_line(&self) -> usize {
        self.shown().map_or(0, |(line, _)| line)
    }

    /// What must hold between two states.
    pub(super) fn check_step(&self, next: &Self) -> Result<(), String> {
        let (Some((a, old)), Some((b, new))) = (self.shown(), next.shown()) else {
            return Ok(());
        };
        if a != b {
            return Ok(());
        }
        if new.rev < old.rev {
            return Err("own rev goes back".to_owned());
        }
        for seq in old.lo.max(new.lo)..=old.hi.min(new.hi) {
            if let (Some(before), Some(after)) = (old.rows.get(&seq), new.rows.get(&seq))
                && after.rev < before.rev
            {
                return Err(format!("back: seq {seq} shown older than before"));
            }
        }
        Ok(())
    }

    /// What must hold when nothing more happens by itself.
    pub(super) fn good(&self) -> Result<(), String> {
        let Some(held) = self.device.conversations.get(&conversation()) else {
            return Err("stuck: the conversation was never heard of".to_owned());
        };
        if held.history != Some(history_of(self.history)) {
            return Err("stuck: device in another history".to_owned());
        }
        if held.heard != self.committed as Rev {
            return Err(format!("stuck: heard of {}, server at {}", held.heard, self.committed));
        }
        if !self.device.is_level() {
            return Err("stuck: the device waits for something".to_owned());
        }
        let rows = self.tables.rows(self.history, self.committed);
        let listed = held.line.as_ref().and_then(|line| line.last_message.as_ref());
        if listed.map_or(0, |row| row.seq) != rows.len() as Seq {
            return Err("stuck: the chat list shows an older message".to_owned());
        }
        let Some(window) = &held.window else {
            let loaded = self.tables.config.start == Start::Loaded;
            return if loaded { Err("stuck: not loaded again".to_owned()) } else { Ok(()) };
        };
        if window.rev != self.committed as Rev {
            return Err(format!("stuck: device at {}, server at {}", window.rev, self.committed));
        }
        let shown: Vec<Image> = window.shown().map(|row| self.image(row)).collect();
        let ends = window.tail && window.hi != rows.len() as Seq;
        if ends || shown[..] != rows[window.lo as usize - 1..window.hi as usize] {
            return Err("stuck: rows differ for good".to_owned());
        }
        Ok(())
    }

    fn shown(&self) -> Option<(usize, &crate::device::window::Window)> {
        let held = self.device.conversations.get(&conversation())?;
        let line = usize::from(held.history? == history_of(1));
        Some((line, held.window.as_ref()?))
    }

    /// Everything that later steps depend on.
    pub(super) fn hash_into(&self, state: &mut impl Hasher) {
        let server = (self.history, self.committed, self.handed, self.mapped, self.saved);
        (server, self.pending, self.applied, self.applied_user, self.user_rev).hash(state);
        (self.user_history, self.connection, self.overflowed, &self.frames).hash(state);
        (self.cuts, self.crashes, self.overflows, self.restores, self.losses).hash(state);
        (self.others, self.loads).hash(state);
        let mut requests: Vec<_> = self.requests.iter().map(request_key).collect();
        requests.sort_unstable_by_key(|(place, ..)| *place);
        requests.hash(state);
        let device = &self.device;
        let listing = &device.listing;
        (device.connected, listing.due, listing.asked.is_some()).hash(state);
        (&listing.cursor, listing.user_rev).hash(state);
        for (id, held) in &device.conversations {
            id.hash(state);
            (held.history.map(|line| line.0), held.heard, held.open, held.fresh).hash(state);
            held.line.as_ref().map(|l| l.last_message.as_ref().map(|m| (m.seq, m.rev))).hash(state);
            held.intent().hash(state);
            let Some(w) = &held.window else { continue };
            (w.lo, w.hi, w.tail, w.rev, w.midway, w.shown_from, w.first_seq).hash(state);
            for row in w.rows.values() {
                (row.seq, row.rev, row.content_rev).hash(state);
            }
            let Some(page) = &w.held else { continue };
            (page.rev, page.lo, page.hi, page.tail).hash(state);
            for row in page.rows.values() {
                (row.seq, row.rev, row.content_rev).hash(state);
            }
        }
    }
}

fn inbox(
    id: ConversationId,
    history: usize,
    rev: usize,
    user_rev: UserRev,
) -> ServerFrame<'static> {
    ServerFrame::InboxUpdated(InboxUpdated {
        conversation_id: id,
        history: history_of(history),
        rev: rev as Rev,
        mark_rev: 0,
        user_rev,
        unread: 0,
        inbox: None,
    })
}

/// A request without its id, which says nothing about what follows; its place first.
fn request_key(
    (_, request, stage): &(RequestId, Request, Stage),
) -> (u8, u64, Option<u64>, Option<&str>, Stage) {
    let (kind, position, history, cursor) = match request {
        Request::Sync { cursor, .. } => (0, 0, None, cursor.as_deref()),
        Request::Changes { since_rev, history, .. } => {
            (1, *since_rev, history.map(|line| line.0), None)
        }
        Request::Page { anchor, .. } => match anchor {
            Anchor::Newest => (2, 0, None, None),
            Anchor::Before(Position::Seq(seq)) => (3, *seq, None, None),
            Anchor::After(Position::Seq(seq)) => (4, *seq, None, None),
            Anchor::Before(_) | Anchor::After(_) | Anchor::Around(_) => (5, 0, None, None),
        },
        Request::Members { .. } => (6, 0, None, None),
    };
    (kind, position, history, cursor, *stage)
}
