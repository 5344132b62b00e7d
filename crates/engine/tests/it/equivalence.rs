//! A device that followed events, whatever happened to it, equals a fresh one that loads pages: random stories by seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ostracon_domain::{
    Action, ConversationId, GroupChange, GroupSettings, HistoryFor, InboxAction, Level,
    MessageKind, NewInvite, Outcome, Role, RulesChange, UserId, ViewChange,
};
use ostracon_engine::{Engine, EngineError, limits::Bounds};
use ostracon_proto::{Encoding, Entry, Message};
use ostracon_store::{MessagePage, memory::Hold};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    device::{Device, open, sync},
    world::{Plan, START, World, pass, user},
};

/// SplitMix64: a few lines, the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

const PEOPLE: u64 = 5;

struct Story {
    seed: u64,
    dice: Dice,
    world: World,
    devices: Vec<Device>,
    conversations: Vec<ConversationId>,
    groups: Vec<ConversationId>,
    holds: Vec<Hold>,
    calls: Vec<JoinHandle<Result<(), EngineError>>>,
    crowd: bool,
}

impl Story {
    async fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let crowd = dice.one_in(6);
        let outbox_events = if dice.one_in(3) { 6 } else { 4_096 };
        let batch = if dice.one_in(2) { 2 } else { 1_024 };
        let bounds = Bounds { outbox_events, batch, ..Bounds::default() };
        let plan = Plan { bounds, users: if crowd { 120 } else { PEOPLE }, ..Plan::default() };
        let world = World::planned(plan).await;
        let mut devices = Vec::new();
        for person in 1..=PEOPLE {
            for number in 0..=u64::from(person < 3) {
                let encoding = if dice.one_in(4) { Encoding::Cbor } else { Encoding::Json };
                devices.push(Device::new(user(person), person * 10 + number, encoding));
            }
        }
        let mut story = Self {
            seed,
            dice,
            world,
            devices,
            conversations: Vec::new(),
            groups: Vec::new(),
            holds: Vec::new(),
            calls: Vec::new(),
            crowd,
        };
        for device in 0..story.devices.len() {
            story.connect(device).await;
        }
        for (a, b) in [(1, 2), (1, 3), (2, 2)] {
            story.conversations.push(ConversationId::direct(user(a), user(b)));
        }
        story.create_group().await;
        story
    }

    async fn connect(&mut self, device: usize) {
        let engine = Arc::clone(self.world.engine());
        self.devices[device].connect(&engine).await;
    }

    fn call<F>(&mut self, call: impl FnOnce(Arc<Engine>) -> F)
    where
        F: Future<Output = Result<(), EngineError>> + Send + 'static,
    {
        self.calls.push(tokio::spawn(call(Arc::clone(self.world.engine()))));
    }

    async fn create_group(&mut self) {
        let name = format!("g{}", self.groups.len());
        let owner = user(1 + self.dice.roll(PEOPLE));
        let mut others: Vec<UserId> =
            (1..=PEOPLE).map(user).filter(|_| self.dice.one_in(2)).collect();
        if self.crowd {
            let count = 94 + self.dice.roll(9);
            others.extend((PEOPLE + 1..=PEOPLE + count).map(user));
        }
        let engine = Arc::clone(self.world.engine());
        if !self.holds.is_empty() {
            return;
        }
        let resume = engine.clone();
        resume.resume_dispatch();
        let done =
            engine.create_group(owner, name.clone(), others, Some(&name), Default::default()).await;
        if let Ok(Outcome::Opened { conversation, .. }) = done.map(|done| done.outcome) {
            self.groups.push(conversation.id);
            self.conversations.push(conversation.id);
        }
    }

    async fn step(&mut self) {
        for _ in 0..self.dice.roll(4) {
            tokio::task::yield_now().await;
        }
        let device = self.dice.roll(self.devices.len() as u64) as usize;
        let id = self.conversation(device);
        let engine = Arc::clone(self.world.engine());
        let shard = self.dice.roll(2) as usize;
        match self.dice.roll(200) {
            0..=69 => self.command(device, id).await,
            70..=99 => {
                let frames = self.dice.roll(6) as usize;
                self.devices[device].drain();
                self.devices[device].receive(frames);
            }
            100..=124 => {
                let limit = 1 + self.dice.roll(5) as u32;
                self.devices[device].ask(&engine, limit);
            }
            125..=149 => {
                let which = self.dice.roll(8) as usize;
                self.devices[device].arrive(which).await;
            }
            150..=152 => {
                let requests_too = self.dice.one_in(2);
                self.devices[device].cut(Some(&engine), requests_too);
            }
            153..=168 => self.connect(device).await,
            169..=170 => self.devices[device].page_back(&engine, id),
            171..=172 => self.devices[device].open(id),
            173..=182 => pass(self.dice.roll(300)).await,
            183..=184 => self.world.clock.set(START + self.dice.roll(100_000) as i64 - 50_000),
            185 => self.world.engine().pause_dispatch(),
            186..=188 => self.world.engine().resume_dispatch(),
            189 => self.holds.push(self.world.shards[shard].memory.hold()),
            190..=192 => self.holds.clear(),
            193 => self.world.shards[shard].memory.fail_next_commit(),
            194..=195 => self.devices[device].send(&engine, "heartbeat", json!({})).await,
            196 if self.dice.one_in(3) => {
                drop(engine);
                self.restart().await;
            }
            _ => {}
        }
    }

    /// A conversation that a device knows, or any.
    fn conversation(&mut self, device: usize) -> ConversationId {
        let known: Vec<_> = self.devices[device].list.keys().copied().collect();
        if known.is_empty() || self.dice.one_in(6) {
            return self.dice.pick(&self.conversations.clone());
        }
        self.dice.pick(&known)
    }

    async fn restart(&mut self) {
        let clean = self.dice.one_in(3);
        for device in &mut self.devices {
            device.cut(None, true);
        }
        for call in self.calls.drain(..) {
            call.abort();
            drop(call.await);
        }
        if clean {
            self.holds.clear();
            self.world.engine().resume_dispatch();
            self.world.engine().stop().await;
        }
        // Aborted tasks let go of the engine when they are next looked at.
        pass(1).await;
        self.world.crash().await;
        self.holds.clear();
        self.world.start().await;
    }

    async fn command(&mut self, device: usize, id: ConversationId) {
        let engine = Arc::clone(self.world.engine());
        let actor = self.devices[device].user;
        let head = self.devices[device].list.get(&id).map_or(3, |e| e.conversation.head_seq + 2);
        let seq = 1 + self.dice.roll(head);
        let other = user(1 + self.dice.roll(PEOPLE));
        let number = self.dice.roll(1_000_000);
        let c = json!(id);
        let frame = match self.dice.roll(40) {
            0..=18 => {
                if !self.devices[device].is_connected() {
                    let action = self.world.text(&format!("r{number}"));
                    return self.call(|engine| async move {
                        engine.run(actor, id, action).await.map(drop)
                    });
                }
                let reply_to = self.dice.one_in(6).then_some(seq);
                // Some are sent again, some with another text.
                let client_id = self.dice.one_in(2).then(|| format!("c{}", number % 40));
                let number = if self.dice.one_in(4) { number } else { number % 40 };
                let data = json!({"conversation_id": c, "content": format!("t{number}"),
                    "client_id": client_id, "reply_to": reply_to});
                Some(("send_message", data))
            }
            19 => Some(("send_message", json!({"to": other, "content": format!("d{number}")}))),
            20..=22 => {
                let data =
                    json!({"conversation_id": c, "seq": seq, "content": format!("e{number}")});
                Some(("edit_message", data))
            }
            23..=24 => Some(("delete_message", json!({"conversation_id": c, "seq": seq}))),
            25..=27 => {
                let remove = self.dice.one_in(3);
                let emoji = self.dice.pick(&["👍", "🎉"]);
                let data =
                    json!({"conversation_id": c, "seq": seq, "emoji": emoji, "remove": remove});
                Some(("react", data))
            }
            28..=30 => Some(("mark_read", json!({"conversation_id": c, "seq": seq}))),
            31 => Some(("mark_delivered", json!({"conversation_id": c, "seq": seq}))),
            _ => None,
        };
        if let Some((kind, data)) = frame {
            let direct = ConversationId::direct(actor, other);
            if !self.conversations.contains(&direct) && kind == "send_message" {
                self.conversations.push(direct);
            }
            return self.devices[device].send(&engine, kind, data).await;
        }
        let group = self.dice.pick(&self.groups.clone());
        let group_action = |action| (group, action);
        let (id, action) = match self.dice.roll(23) {
            0..=2 => {
                let mut users = vec![other, user(1 + self.dice.roll(PEOPLE))];
                if self.crowd {
                    users.extend((PEOPLE + 1..=PEOPLE + 100).map(user));
                }
                return self.call(|engine| async move {
                    engine.add_members(actor, group, users).await.map(drop)
                });
            }
            3..=4 => group_action(Action::RemoveMember { user: other }),
            5 => group_action(Action::RemoveMember { user: actor }),
            6 => {
                let role = self.dice.pick(&[Role::Member, Role::Admin, Role::Admin, Role::Owner]);
                group_action(Action::SetRole { user: other, role })
            }
            7 => {
                let name = Some(format!("n{number}"));
                group_action(Action::Change(GroupChange { name, ..Default::default() }))
            }
            8 => {
                let history_for = self.dice.pick(&[HistoryFor::All, HistoryFor::SinceJoining]);
                let settings = Some(GroupSettings { history_for });
                group_action(Action::Change(GroupChange { settings, ..Default::default() }))
            }
            9 if self.dice.one_in(4) => group_action(Action::DeleteGroup),
            10 => {
                let hidden_to = self.dice.one_in(2).then_some(seq);
                let muted_until = self.dice.one_in(2).then_some(Some(START + 5));
                (id, Action::ChangeView(ViewChange { hidden_to, muted_until }))
            }
            11 if self.crowd => {
                // Many leave at once: a large group becomes small.
                let leave = 20 + self.dice.roll(6);
                return self.call(|engine| async move {
                    for gone in PEOPLE + 1..=PEOPLE + leave {
                        let user = user(gone);
                        drop(engine.run(user, group, Action::RemoveMember { user }).await);
                    }
                    Ok(())
                });
            }
            12 => return self.create_group().await,
            13 => (ConversationId::direct(actor, other), Action::OpenDirect),
            14 | 15 => (id, Action::Pin { seq, remove: self.dice.one_in(3) }),
            16 if self.dice.one_in(4) => (id, Action::Retain { from: seq / 2 }),
            16 => (id, Action::Hide { seq }),
            17 => group_action(Action::Ban { user: other, until: None }),
            18 => group_action(Action::Unban { user: other }),
            19 => {
                let rules = RulesChange {
                    system_messages: Some(self.dice.one_in(2)),
                    add_members: Some(self.dice.pick(&[Level::Everyone, Level::Admins])),
                    ..RulesChange::default()
                };
                group_action(Action::Change(GroupChange { rules, ..Default::default() }))
            }
            20 => group_action(Action::CreateInvite(NewInvite {
                place: 0,
                hash: [1; 32],
                expires_at: None,
                max_uses: Some(2),
            })),
            21 => group_action(Action::Join { place: 0, hash: [1; 32] }),
            _ => {
                let flag = |dice: &mut Dice| dice.one_in(2).then(|| dice.one_in(2));
                let (pinned, archived) = (flag(&mut self.dice), flag(&mut self.dice));
                let marked_unread = flag(&mut self.dice);
                let draft = flag(&mut self.dice).map(|text| text.then(|| format!("draft {seq}")));
                let set =
                    InboxAction::Set { conversation: id, pinned, archived, marked_unread, draft };
                return self.call(|engine| async move {
                    engine.set_inbox(actor, id, set).await.map(drop)
                });
            }
        };
        if !self.conversations.contains(&id) {
            self.conversations.push(id);
        }
        self.call(|engine| async move { engine.run(actor, id, action).await.map(drop) });
    }

    /// No more commands: everything under way ends, and what the rules ask for is asked for.
    async fn quiet(&mut self) {
        let engine = Arc::clone(self.world.engine());
        for round in 0.. {
            assert!(round < 1_000, "seed {}: it never becomes quiet", self.seed);
            let mut busy = false;
            for device in &mut self.devices {
                busy |= !device.is_connected();
                device.connect(&engine).await;
                device.drain();
                busy |= device.receive(usize::MAX) > 0;
                busy |= device.ask(&engine, 1 + (round % 7)) > 0;
                busy |= device.requests() > 0;
            }
            if !busy {
                return;
            }
            pass(1).await;
            for device in &mut self.devices {
                for which in (0..device.requests()).rev() {
                    device.arrive(which).await;
                }
            }
        }
    }

    async fn end(mut self) {
        self.holds.clear();
        self.world.engine().resume_dispatch();
        self.world.settle().await;
        for call in std::mem::take(&mut self.calls) {
            drop(call.await);
        }
        self.world.settle().await;
        // What a shard was told to fail and did not yet.
        self.quiet().await;
        self.world.settle().await;
        self.quiet().await;
        for device in &self.devices {
            self.check_events(device).await;
        }
        let engine = Arc::clone(self.world.engine());
        for _ in 0..2 {
            for device in &mut self.devices {
                // Nothing of a user's own rows moves with a large group: its line in the list is that of the last
                // look at it, or of events.
                device.look_again();
                device.send(&engine, "heartbeat", json!({})).await;
            }
            self.world.settle().await;
            self.quiet().await;
        }
        for device in &self.devices {
            self.check_all(device).await;
        }
        assert_eq!(self.world.undispatched().await, 0, "seed {}", self.seed);
    }

    /// What a connected device knows by events and what they made it ask for.
    async fn check_events(&self, device: &Device) {
        let engine = self.world.engine();
        for (id, known) in &device.known {
            let context = format!("seed {}, user {}, {id}", self.seed, device.user);
            let Ok(entry) = engine.entry(device.user, *id).await else { continue };
            let row = &entry.overview.conversation;
            if !entry.member.is_present() {
                continue;
            }
            if let Some(opened) = &known.opened {
                assert_eq!(opened.rev, row.rev, "{context}");
                self.check_rows(device, *id, opened, false).await;
            } else {
                assert!(known.heard >= row.rev, "{context}: heard {} of {}", known.heard, row.rev);
            }
            if !row.large {
                let told = known.unread.1;
                let unread =
                    ostracon_engine::view::entry(&entry, &ostracon_engine::NoAddresses).unread;
                assert_eq!(told, unread, "{context}: unread");
            }
        }
    }

    async fn check_rows(
        &self,
        device: &Device,
        id: ConversationId,
        opened: &crate::device::Opened,
        marks_too: bool,
    ) {
        let context = format!("seed {}, user {}, {id}", self.seed, device.user);
        let fresh = open(self.world.engine(), device.user, id, 10_000).await.unwrap();
        assert_eq!(opened.rev, fresh.rev, "{context}");
        let from = opened.lo.max(fresh.messages.first().map_or(fresh.info.head_seq + 1, |m| m.seq));
        // The quote is the other message as it is now; a client shows it from that message.
        let plain = |message: &Message<'static>| {
            let mut message = message.clone();
            if let Some(reply) = &mut message.reply_to {
                reply.excerpt = "".into();
            }
            message
        };
        let held: Vec<_> = opened.rows.values().filter(|m| m.seq >= from).map(plain).collect();
        let stored: Vec<_> = fresh.messages.iter().filter(|m| m.seq >= from).map(plain).collect();
        assert_eq!(held, stored, "{context}");
        let about = |info: &ostracon_proto::Conversation<'static>| {
            let life = (info.retained_from, info.timer_s, info.retention_s);
            (info.name.clone(), info.member_count, info.large, info.settings, info.history, life)
        };
        assert_eq!(about(&opened.info), about(&fresh.info), "{context}");
        let members: BTreeSet<UserId> = fresh.members.iter().map(|m| m.user_id).collect();
        assert!(opened.members.keys().all(|user| members.contains(user)), "{context}");
        for member in &fresh.members {
            let held = opened.members.get(&member.user_id);
            let held = held.unwrap_or_else(|| panic!("{context}: no member {}", member.user_id));
            let span = |m: &ostracon_proto::Member| (m.role, m.joined_seq, m.left_seq, m.rev);
            assert_eq!(span(held), span(member), "{context}");
            if marks_too && member.mark_rev.is_some() {
                let marks = |m: &ostracon_proto::Member| {
                    (m.read_seq.unwrap_or(0), m.delivered_seq.unwrap_or(0))
                };
                assert_eq!(marks(held), marks(member), "{context}, member {}", member.user_id);
            }
        }
    }

    async fn check_all(&self, device: &Device) {
        let (engine, reader) = (self.world.engine(), device.user);
        let context = format!("seed {}, user {reader}", self.seed);
        let (mut fresh, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = sync(engine, reader, cursor, 3).await.unwrap();
            let (more, next) = page.next();
            fresh.extend(page.entries.into_iter().map(|e| (e.conversation.conversation_id, e)));
            cursor = Some(next);
            if !more {
                break;
            }
        }
        let held: Vec<_> = device.list.keys().collect();
        assert_eq!(held, fresh.keys().collect::<Vec<_>>(), "{context}");
        let (mut total, mut counts) = (0, BTreeMap::new());
        for (id, entry) in &fresh {
            let context = format!("{context}, {id}");
            let held = &device.list[id];
            if entry.membership.left_seq.is_some() {
                assert_eq!(held.membership, entry.membership, "{context}");
                continue;
            }
            let plain = |entry: &Entry<'static>| {
                let mut entry = entry.clone();
                if let Some(reply) = entry.last_message.as_mut().and_then(|m| m.reply_to.as_mut()) {
                    reply.excerpt = "".into();
                }
                entry
            };
            assert_eq!(plain(held), plain(entry), "{context}");
            let messages = open(engine, reader, *id, 10_000).await.unwrap().messages;
            let floor = entry.membership.unread_floor;
            let all = MessagePage::Newest { limit: 10_000 };
            let own = engine.messages(reader, *id, all).await.unwrap().0.hidden;
            let is_unread = |m: &&Message<'_>| {
                let counts = m.deleted_at.is_none() && m.kind != MessageKind::System;
                m.seq > floor && counts && !own.contains(&m.seq)
            };
            let unread = messages.iter().filter(is_unread).count();
            assert_eq!(entry.unread, unread as u64, "{context}");
            let hidden =
                entry.inbox.hidden_to > 0 && entry.inbox.hidden_to >= entry.conversation.head_seq;
            if unread > 0 && !hidden {
                counts.insert(*id, unread as u64);
                let muted = entry.inbox.muted_until.is_some_and(|until| {
                    use ostracon_engine::Clock as _;
                    until > self.world.clock.now()
                });
                if !muted && !entry.inbox.archived {
                    total += unread as u64;
                }
            }
            if let Some(opened) = &device.known[id].opened {
                self.check_rows(device, *id, opened, true).await;
            }
        }
        assert_eq!(engine.unread(reader).await.unwrap(), (total, counts), "{context}");
        let list = engine.chat_list(reader, None, 1_000).await.unwrap();
        for entry in &list.entries {
            assert!(fresh.contains_key(&entry.overview.conversation.id), "{context}");
        }
    }
}

async fn tell(seed: u64, steps: usize) {
    let mut story = Story::new(seed).await;
    for _ in 0..steps {
        story.step().await;
    }
    story.end().await;
}

/// `OSTRACON_STORIES=24-24` replays one story, `=1-5000` tells more of them.
#[test]
fn devices_that_followed_equal_fresh_ones() {
    let seeds = std::env::var("OSTRACON_STORIES").unwrap_or_else(|_| "1-120".into());
    let (first, last) = seeds.split_once('-').unwrap();
    for seed in first.parse().unwrap()..=last.parse().unwrap() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(tell(seed, 500));
    }
}
