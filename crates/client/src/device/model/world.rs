//! The small server, the real device, and every step that either can take.

use super::{
    configs::{Restore, Start},
    tables::{ME, OTHER, Tables, conversation, history_of, user},
};
use crate::device::{
    Answer, Device, Failure, Options, Output, Request, RequestId,
    faults::{Fault, Faults},
};
use ostracon_domain::{ConversationId, History, Rev, Role, Seq, UserRev};
use ostracon_proto::{
    Entry, Inbox, Membership, Message, Position,
    cursor::{Cursor as _, SyncCursor},
    frame::{
        ConversationUpdated, HeartbeatAnswer, Hello, InboxUpdated, MessageDeleted, MessageUpdated,
        NewMessage, Received, ServerFrame, SyncRequired,
    },
    rest::{Changes, Sync},
};

/// A frame on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Frame {
    Event { history: usize, rev: usize },
    Inbox { history: usize, rev: usize, user_rev: UserRev },
    Other { user_rev: UserRev },
    SyncRequired,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Asked,
    /// Its rev is noted, its rows are not yet read.
    Noted(usize),
    Computed(Computed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Computed {
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
    pub(super) tables: &'a Tables,
    pub(super) history: usize,
    /// Committed; handed to the hub; taken by the inbox map; on disk as the dispatch cursor.
    pub(super) committed: usize,
    pub(super) handed: usize,
    pub(super) mapped: usize,
    pub(super) saved: usize,
    /// Newest pending inbox entry, 0 for none; the inbox row: applied rev and its user rev.
    pub(super) pending: usize,
    pub(super) applied: usize,
    pub(super) applied_user: UserRev,
    pub(super) user_rev: UserRev,
    pub(super) user_history: u64,
    /// 0 none, 1 in the hub, 2 hello read.
    pub(super) connection: u8,
    pub(super) overflowed: bool,
    pub(super) frames: Vec<Frame>,
    pub(super) cuts: u8,
    pub(super) crashes: u8,
    pub(super) overflows: u8,
    pub(super) restores: u8,
    pub(super) losses: u8,
    pub(super) others: u8,
    pub(super) loads: usize,
    pub(super) requests: Vec<(RequestId, Request, Stage)>,
    pub(super) device: Device,
}

/// A step: what happened, whether it needs nobody's help, and the moment after.
pub(super) struct Step<'a> {
    pub(super) label: (&'static str, usize),
    pub(super) quiet: bool,
    pub(super) world: World<'a>,
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
            unread_mentions: 0,
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
