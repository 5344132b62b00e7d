//! Units move by hand while people talk: nothing is refused, doubled or reordered, and nobody sees a fence.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ostracon_domain::{
    Action, ConversationId, Epoch, InboxAction, MapChange, PlacementMap, ShardId, UnitAt, UnitHome,
    UnitId, UserId,
};
use ostracon_engine::{EngineError, limits::Bounds};
use ostracon_store::{
    Cluster, InboxPage, MembersPage, MessagePage, Read, Shard, Transfer, UnitChange,
    memory::MemoryShard,
    unit_state::{Pair, UnitPhase},
};

use crate::{
    faults::TestShard,
    world::{ALICE, BOB, CAROL, Line, Plan, World, pass, user, yield_all},
};

/// Moves units of a world, one step at a time.
pub(crate) struct Mover<'a> {
    world: &'a World,
    step: AtomicU64,
}

impl<'a> Mover<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world, step: AtomicU64::new(1) }
    }

    /// As the directory knows it; the engine may not have heard.
    async fn home(&self, unit: UnitId) -> UnitHome {
        self.world.directory.map().await.unwrap().home(unit).unwrap()
    }

    fn shard(&self, id: ShardId) -> &'a Arc<TestShard> {
        &self.world.shards[id.0 as usize]
    }

    fn pair(&self) -> Pair {
        Pair { lease: 1, step: self.step.fetch_add(1, Ordering::Relaxed) }
    }

    async fn set(&self, shard: ShardId, unit: UnitId, phase: UnitPhase, epoch: Epoch) {
        let shard = self.shard(shard);
        let states = shard.unit_states().await.unwrap();
        let now = states.into_iter().find(|state| state.unit == unit);
        let expect = now.map(|state| (state.phase, state.epoch));
        let pair = self.pair();
        let change = UnitChange { unit, expect, phase, epoch, pair };
        shard.set_unit_state(change).await.unwrap();
    }

    async fn freeze(&self, unit: UnitId) {
        let UnitHome { shard, epoch } = self.home(unit).await;
        self.set(shard, unit, UnitPhase::Capturing, epoch).await;
        self.set(shard, unit, UnitPhase::Frozen, epoch).await;
    }

    /// Nobody is told.
    async fn thaw(&self, unit: UnitId) {
        let UnitHome { shard, epoch } = self.home(unit).await;
        self.set(shard, unit, UnitPhase::Capturing, epoch).await;
        self.set(shard, unit, UnitPhase::Open, epoch).await;
    }

    /// Copies a frozen unit, and changes the map in the directory. Nobody is told.
    async fn carry(&self, unit: UnitId, to: ShardId) {
        let UnitHome { shard: from, epoch } = self.home(unit).await;
        let next = Epoch(epoch.0 + 1);
        self.set(to, unit, UnitPhase::Importing, next).await;
        let mut cursor = None;
        loop {
            let page = self.shard(from).scan_unit(unit, cursor, 100).await.unwrap();
            let there = UnitAt { unit, epoch: next };
            self.shard(to).apply_rows(there, page.rows, self.pair()).await.unwrap();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        self.set_home(unit, UnitHome { shard: to, epoch: next }, []).await;
        self.set(to, unit, UnitPhase::Open, next).await;
        self.set(from, unit, UnitPhase::Moved, epoch).await;
    }

    async fn set_home(
        &self,
        unit: UnitId,
        home: UnitHome,
        carved: impl IntoIterator<Item = ConversationId>,
    ) {
        let map = self.world.directory.map().await.unwrap();
        let homes = map.units().filter(|(known, _)| *known != unit).chain([(unit, home)]);
        let carved = carved.into_iter().map(|id| (id, unit));
        let map = PlacementMap::new(map.version + 1, homes, map.overrides().chain(carved), []);
        self.world.directory.set_map(map);
    }

    async fn barrier(&self, unit: UnitId) {
        self.world.engine().dispatch_barrier(self.home(unit).await.shard).await.unwrap();
    }

    /// A whole move.
    async fn to(&self, unit: UnitId, to: ShardId) {
        self.freeze(unit).await;
        self.barrier(unit).await;
        self.carry(unit, to).await;
        self.world.engine().refresh_map().await.unwrap();
    }

    pub(crate) async fn away(&self, unit: UnitId) {
        let to = ShardId(1 - self.home(unit).await.shard.0);
        self.to(unit, to).await;
    }
}

fn direct() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

fn unit_of(id: ConversationId) -> UnitId {
    id.slot().unit()
}

/// The texts of a conversation, in order of seq.
async fn texts(world: &World, id: ConversationId) -> Vec<String> {
    let page = MessagePage::Newest { limit: 1_000 };
    let (found, _) = world.engine().messages(ALICE, id, page).await.unwrap();
    let mut views = found.messages;
    views.sort_by_key(|view| view.message.seq);
    views.iter().map(|view| view.message.content.clone()).collect()
}

fn numbers(count: u64) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// Says the numbers of a range, one frame each.
async fn count_up(world: &World, line: &Line, id: ConversationId, range: std::ops::Range<u64>) {
    for number in range {
        line.say(world, number, id, &number.to_string()).await;
    }
}

/// The answers to numbers said: all of them, in order, each sent as it was said.
fn assert_all_sent(line: &Line, count: u64) {
    let words = line.words();
    let sent: Vec<_> = words.iter().filter(|words| words.starts_with('#')).collect();
    assert_eq!(sent.len() as u64, count, "{words:?}");
    for (number, words) in sent.iter().enumerate() {
        assert!(words.starts_with(&format!("#{number} sent s{} ", number + 1)), "{words:?}");
        assert!(words.contains(&format!(" {number}")), "{words:?}");
    }
}

async fn world(bounds: Bounds) -> World {
    World::planned(Plan { bounds, ..Plan::default() }).await
}

#[tokio::test(start_paused = true)]
async fn a_frozen_unit_parks_what_is_said_and_goes_on() {
    for told in [true, false] {
        let world = world(Bounds { batch: 3, ..Bounds::default() }).await;
        let mover = Mover::new(&world);
        let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
        count_up(&world, &alice, direct(), 0..8).await;
        mover.freeze(unit_of(direct())).await;
        count_up(&world, &alice, direct(), 8..20).await;
        pass(50).await;
        count_up(&world, &alice, direct(), 20..28).await;
        pass(50).await;
        assert!(alice.connection.in_flight() >= 20);
        mover.thaw(unit_of(direct())).await;
        // Comes before anything was tried again, and must not overtake it.
        count_up(&world, &alice, direct(), 28..32).await;
        if told {
            world.engine().refresh_map().await.unwrap();
            yield_all().await;
        } else {
            pass(30).await;
        }
        assert_eq!(alice.connection.in_flight(), 0);
        world.settle().await;
        assert_all_sent(&alice, 32);
        assert_eq!(texts(&world, direct()).await, numbers(32));
        let heard = bob.words();
        let new = heard.iter().filter(|words| words.starts_with("new")).count();
        assert_eq!(new, 32, "{heard:?}");
        assert_eq!(world.undispatched().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_queue_behind_a_fenced_command_does_not_overtake_it() {
    let world = world(Bounds { batch: 2, ..Bounds::default() }).await;
    let mover = Mover::new(&world);
    let alice = world.connect(ALICE).await;
    let shard = world.shard_of(direct());
    let hold = shard.memory.hold();
    // One is alone in the first batch.
    count_up(&world, &alice, direct(), 0..9).await;
    hold.until_waiting(1).await;
    mover.freeze(unit_of(direct())).await;
    hold.let_through(1);
    yield_all().await;
    // The next batch, if there is one, would find it open again.
    mover.thaw(unit_of(direct())).await;
    drop(hold);
    world.settle().await;
    assert_all_sent(&alice, 9);
    assert_eq!(texts(&world, direct()).await, numbers(9));
}

#[tokio::test(start_paused = true)]
async fn a_unit_moves_with_32_in_flight() {
    let world = world(Bounds { batch: 5, ..Bounds::default() }).await;
    let mover = Mover::new(&world);
    let unit = unit_of(direct());
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    let mut said = 0;
    for round in 0..6 {
        count_up(&world, &alice, direct(), said..said + 16).await;
        if round % 2 == 0 {
            yield_all().await;
        }
        mover.freeze(unit).await;
        count_up(&world, &alice, direct(), said + 16..said + 32).await;
        yield_all().await;
        mover.barrier(unit).await;
        mover.carry(unit, ShardId(1 - mover.home(unit).await.shard.0)).await;
        count_up(&world, &alice, direct(), said + 32..said + 40).await;
        said += 40;
        if round % 3 != 2 {
            world.engine().refresh_map().await.unwrap();
        }
        if round % 2 == 1 {
            pass(40).await;
        }
    }
    world.settle().await;
    assert_eq!(mover.home(unit).await.epoch, Epoch(7));
    assert_all_sent(&alice, said);
    assert_eq!(texts(&world, direct()).await, numbers(said));
    // Everybody hears everything once, in order.
    let new: Vec<_> = bob.words().into_iter().filter(|words| words.starts_with("new")).collect();
    assert_eq!(new.len() as u64, said);
    for (at, words) in new.iter().enumerate() {
        assert!(words.starts_with(&format!("new s{} ", at + 1)), "{words}");
    }
    assert_eq!(world.undispatched().await, 0);
    let page = world.engine().sync(BOB, None, 10).await.unwrap();
    assert_eq!(page.entries[0].overview.conversation.head_seq, said);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_to_the_new_place_while_something_may_be_done_at_the_old_one() {
    let world = World::new().await;
    let mover = Mover::new(&world);
    let unit = unit_of(direct());
    let alice = world.connect(ALICE).await;
    count_up(&world, &alice, direct(), 0..1).await;
    world.settle().await;
    let hold = world.shard_of(direct()).memory.hold();
    count_up(&world, &alice, direct(), 1..4).await;
    hold.until_waiting(1).await;
    mover.freeze(unit).await;
    mover.carry(unit, ShardId(1 - mover.home(unit).await.shard.0)).await;
    world.engine().refresh_map().await.unwrap();
    count_up(&world, &alice, direct(), 4..7).await;
    yield_all().await;
    assert_eq!(alice.connection.in_flight(), 6);
    drop(hold);
    world.settle().await;
    assert_all_sent(&alice, 7);
    assert_eq!(texts(&world, direct()).await, numbers(7));
}

#[tokio::test(start_paused = true)]
async fn a_carve_does_not_let_commands_pass_what_is_parked() {
    let world = World::new().await;
    let mover = Mover::new(&world);
    let alice = world.connect(ALICE).await;
    let hold = world.shard_of(direct()).memory.hold();
    // The conversation is to be born, under its slot's unit.
    count_up(&world, &alice, direct(), 0..2).await;
    hold.until_waiting(1).await;
    mover.freeze(unit_of(direct())).await;
    let carved = UnitId(20_000);
    let to = ShardId(1 - mover.home(unit_of(direct())).await.shard.0);
    mover.set(to, carved, UnitPhase::Importing, Epoch(1)).await;
    mover.set(to, carved, UnitPhase::Open, Epoch(1)).await;
    mover.set_home(carved, UnitHome { shard: to, epoch: Epoch(1) }, [direct()]).await;
    world.engine().refresh_map().await.unwrap();
    count_up(&world, &alice, direct(), 2..4).await;
    yield_all().await;
    drop(hold);
    world.settle().await;
    assert_all_sent(&alice, 4);
    assert_eq!(texts(&world, direct()).await, numbers(4));
    assert!(Arc::ptr_eq(world.shard_of(direct()), mover.shard(to)));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_does_not_refuse_or_reorder_what_was_parked() {
    let bounds = Bounds { committer_queue: 4, batch: 2, ..Bounds::default() };
    let world = world(bounds).await;
    let mover = Mover::new(&world);
    let alice = world.connect(ALICE).await;
    mover.freeze(unit_of(direct())).await;
    // The first opens the lot, where there is more room than in a queue.
    count_up(&world, &alice, direct(), 0..1).await;
    pass(1).await;
    count_up(&world, &alice, direct(), 1..40).await;
    mover.thaw(unit_of(direct())).await;
    world.engine().refresh_map().await.unwrap();
    world.settle().await;
    assert_all_sent(&alice, 40);
    assert_eq!(texts(&world, direct()).await, numbers(40));
}

#[tokio::test(start_paused = true)]
async fn after_five_seconds_it_is_busy() {
    let world = World::new().await;
    let mover = Mover::new(&world);
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let alice = world.connect(ALICE).await;
    mover.freeze(unit_of(direct())).await;
    count_up(&world, &alice, direct(), 0..3).await;
    let engine = Arc::clone(world.engine());
    let page = MessagePage::Newest { limit: 1 };
    let reading = tokio::spawn(async move { engine.messages(ALICE, direct(), page).await });
    pass(2_000).await;
    count_up(&world, &alice, direct(), 3..5).await;
    pass(2_900).await;
    assert_eq!((alice.connection.in_flight(), reading.is_finished()), (5, false));
    pass(200).await;
    assert_eq!(alice.words(), ["#0 error busy", "#1 error busy", "#2 error busy"]);
    assert_eq!(reading.await.unwrap().unwrap_err(), EngineError::Busy);
    mover.thaw(unit_of(direct())).await;
    pass(20).await;
    assert_eq!(alice.words(), ["#3 sent s2 r5 3", "#4 sent s3 r6 4"]);
    world.say(ALICE, direct(), "last").await;
    assert_eq!(texts(&world, direct()).await, ["first", "3", "4", "last"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_bytes_are_parked_than_the_bound_says() {
    let world = world(Bounds { parked_bytes: 4_000, ..Bounds::default() }).await;
    let mover = Mover::new(&world);
    let alice = world.connect(ALICE).await;
    mover.freeze(unit_of(direct())).await;
    count_up(&world, &alice, direct(), 0..1).await;
    pass(1).await;
    for number in 1..20 {
        alice.say(&world, number, direct(), &"x".repeat(500)).await;
    }
    let refused = alice.words();
    assert!((10..18).contains(&refused.len()), "{refused:?}");
    assert!(refused.iter().all(|words| words.contains("error busy")), "{refused:?}");
    mover.thaw(unit_of(direct())).await;
    world.settle().await;
    let sent = alice.words();
    assert_eq!(sent.len() + refused.len(), 20);
    assert!(sent.iter().all(|words| words.contains(" sent ")), "{sent:?}");
    // The room is free again.
    mover.freeze(unit_of(direct())).await;
    alice.say(&world, 20, direct(), "y").await;
    pass(1).await;
    alice.say(&world, 21, direct(), "z").await;
    mover.thaw(unit_of(direct())).await;
    world.settle().await;
    assert_eq!(alice.words().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn reads_wait_for_a_unit_and_go_on_where_it_lives_then() {
    for moves in [false, true] {
        let world = World::new().await;
        let mover = Mover::new(&world);
        let other = ConversationId::direct(ALICE, CAROL);
        world.say(ALICE, direct(), "one").await;
        world.say(ALICE, other, "two").await;
        world.settle().await;
        let units = [unit_of(direct()), ALICE.slot().unit()];
        for unit in units {
            mover.freeze(unit).await;
        }
        let mut reading = Vec::new();
        for kind in 0..9 {
            let engine = Arc::clone(world.engine());
            reading.push(tokio::spawn(async move {
                match kind {
                    0 => drop(
                        engine.messages(BOB, direct(), MessagePage::Newest { limit: 9 }).await?,
                    ),
                    1 => assert_eq!(engine.chat_list(ALICE, None, 9).await?.entries.len(), 2),
                    2 => assert_eq!(engine.sync(ALICE, None, 9).await?.entries.len(), 2),
                    3 => drop(engine.entry(ALICE, direct()).await?),
                    4 => drop(engine.unread(ALICE).await?),
                    5 => {
                        let page = MembersPage { after: None, limit: 9 };
                        assert_eq!(engine.members(BOB, direct(), page).await?.members.len(), 2);
                    }
                    6 => {
                        let since = ostracon_store::ChangesSince {
                            conversation: direct(),
                            reader: BOB,
                            rev: 0,
                            mark_rev: 0,
                            limit: 9,
                        };
                        assert!(!engine.changes(since).await?.0.messages.is_empty());
                    }
                    7 => drop(engine.connect(ALICE, 1, ostracon_proto::Encoding::Json).await?),
                    _ => {
                        let action = InboxAction::Set {
                            conversation: direct(),
                            pinned: Some(true),
                            archived: None,
                            marked_unread: None,
                            draft: None,
                        };
                        drop(engine.set_inbox(ALICE, direct(), action).await?);
                    }
                }
                Ok::<(), EngineError>(())
            }));
        }
        pass(300).await;
        for (kind, reading) in reading.iter().enumerate() {
            assert!(!reading.is_finished(), "{kind}");
        }
        for unit in units {
            if moves {
                mover.carry(unit, ShardId(1 - mover.home(unit).await.shard.0)).await;
            } else {
                mover.thaw(unit).await;
            }
        }
        pass(50).await;
        for (kind, reading) in reading.into_iter().enumerate() {
            assert!(reading.is_finished(), "{kind}");
            reading.await.unwrap().unwrap();
        }
    }
}

/// The rev that a user's stored entry of a conversation has reached; nothing is brought up to date for it.
async fn stored(world: &World, user: UserId, id: ConversationId) -> Option<u64> {
    let map = world.engine().map();
    let unit = map.unit_of_user(user);
    let at = UnitAt { unit, epoch: map.home(unit).unwrap().epoch };
    let page = InboxPage { after: None, limit: 100 };
    match world.shard_of_user(user).inbox(at, user, page).await.unwrap() {
        Read::Rows(page) => {
            page.entries.iter().find(|entry| entry.conversation == id).map(|e| e.applied.rev)
        }
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn lists_of_a_frozen_unit_hold_no_others_up() {
    let mut world = World::planned(Plan { users: 40, ..Plan::default() }).await;
    let group: Vec<UserId> = (2..=40).map(user).collect();
    let id = world.group(ALICE, "g", &group).await;
    world.settle().await;
    let lines = [world.connect(ALICE).await, world.connect(CAROL).await];
    let unit = BOB.slot().unit();
    Mover::new(&world).freeze(unit).await;
    for round in 1..4 {
        world.say(ALICE, id, "x").await;
        pass(3_100).await;
        let rev = 41 + round;
        for other in group.iter().filter(|other| other.slot() != BOB.slot()) {
            assert_eq!(stored(&world, *other, id).await, Some(rev), "{other:?}");
        }
        assert!(world.undispatched().await > 0, "Bob's list is behind");
    }
    drop(lines);
    // It moves meanwhile, and what waited for it goes there.
    let mover = Mover { world: &world, step: AtomicU64::new(100) };
    mover.carry(unit, ShardId(1 - mover.home(unit).await.shard.0)).await;
    world.engine().refresh_map().await.unwrap();
    pass(600).await;
    assert_eq!(stored(&world, BOB, id).await, Some(44));
    world.settle().await;
    assert_eq!(world.undispatched().await, 0);
    world.crash().await;
    world.start().await;
    assert_eq!(stored(&world, BOB, id).await, Some(44));
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_list_keep_their_order_when_its_user_moves() {
    // A lane with two entries is crowded and does not wait long.
    let bounds = Bounds { lane_entries: 8, ..Bounds::default() };
    let world = World::planned(Plan { users: 20, bounds, ..Plan::default() }).await;
    let mover = Mover::new(&world);
    let away = |id: &UserId| !Arc::ptr_eq(world.shard_of_user(*id), world.shard_of_user(BOB));
    let others: Vec<UserId> = (1..=20).map(user).filter(away).take(3).collect();
    let id = world.group(others[0], "g", &[BOB, others[1], others[2]]).await;
    world.settle().await;
    let unit = BOB.slot().unit();
    // The mute waits in the lane of the old shard, what is said next in that of the new one.
    let view = ostracon_domain::ViewChange { muted_until: Some(Some(i64::MAX)), hidden_to: None };
    world.run(BOB, id, Action::ChangeView(view)).await.unwrap();
    mover.away(unit).await;
    world.say(others[0], id, "later").await;
    pass(1_000).await;
    assert!(stored(&world, BOB, id).await.is_some());
    world.settle().await;
    let at = UnitAt { unit, epoch: Epoch(2) };
    let Read::Rows(Some(entry)) = world.shard_of_user(BOB).inbox_entry(at, BOB, id).await.unwrap()
    else {
        panic!("no entry")
    };
    assert_eq!(entry.muted_until, Some(i64::MAX));
    assert_eq!(world.undispatched().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_barrier_stands_behind_everything_that_was_committed() {
    let world = World::new().await;
    world.say(ALICE, direct(), "first").await;
    world.settle().await;
    let bob = world.connect(BOB).await;
    world.engine().pause_dispatch();
    let (engine, action) = (Arc::clone(world.engine()), world.text("x"));
    let sending = tokio::spawn(async move { engine.run(ALICE, direct(), action).await });
    yield_all().await;
    let shard = world.shard_of(direct()).id();
    let engine = Arc::clone(world.engine());
    let barrier = tokio::spawn(async move { engine.dispatch_barrier(shard).await });
    pass(1_000).await;
    assert!(!barrier.is_finished());
    world.engine().resume_dispatch();
    barrier.await.unwrap().unwrap();
    assert_eq!(bob.words(), ["new s2 r5 x"]);
    sending.await.unwrap().unwrap();
    let nowhere = world.engine().dispatch_barrier(ShardId(9)).await;
    assert_eq!(nowhere, Err(EngineError::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn who_joined_while_a_unit_was_away_hears_what_is_said_after_it_came_back() {
    let world = World::new().await;
    let mover = Mover::new(&world);
    let id = world.group(ALICE, "g", &[BOB]).await;
    world.say(ALICE, id, "one").await;
    let unit = unit_of(id);
    mover.away(unit).await;
    world.engine().add_members(ALICE, id, vec![CAROL]).await.unwrap();
    world.run(ALICE, id, Action::RemoveMember { user: BOB }).await.unwrap();
    mover.away(unit).await;
    let (bob, carol) = (world.connect(BOB).await, world.connect(CAROL).await);
    world.say(ALICE, id, "two").await;
    assert_eq!(carol.words(), ["new s2 r9 two"]);
    assert!(bob.words().is_empty());
}

#[tokio::test(start_paused = true)]
async fn shards_come_and_go_while_people_talk() {
    let mut world = World::new().await;
    let alice = world.connect(ALICE).await;
    count_up(&world, &alice, direct(), 0..10).await;
    let new = TestShard::new(MemoryShard::new(ShardId(2), Arc::clone(&world.ids) as _));
    world.shards.push(Arc::clone(&new));
    world.engine().add_shard(Arc::clone(&new) as Arc<dyn Shard>).await.unwrap();
    let again = world.engine().add_shard(new as Arc<dyn Shard>).await;
    assert!(matches!(again, Err(EngineError::Refused(_))), "{again:?}");
    world.settle().await;
    assert_eq!(world.undispatched().await, 0, "a new lane holds no cursor back");
    let mover = Mover::new(&world);
    let units = [unit_of(direct()), BOB.slot().unit(), ALICE.slot().unit()];
    let homes = units.map(|unit| world.engine().map().home(unit).unwrap().shard);
    for unit in units {
        mover.to(unit, ShardId(2)).await;
    }
    count_up(&world, &alice, direct(), 10..20).await;
    yield_all().await;
    let refused = world.engine().remove_shard(ShardId(2)).await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    for (unit, home) in units.into_iter().zip(homes) {
        count_up(&world, &alice, direct(), 0..0).await;
        mover.to(unit, home).await;
    }
    count_up(&world, &alice, direct(), 20..30).await;
    // What it committed last, and lists that wait in its lane, do not go with it.
    world.engine().remove_shard(ShardId(2)).await.unwrap();
    assert!(!world.engine().shards().contains_key(&ShardId(2)));
    assert!(world.shards[2].undispatched(None, 10).await.unwrap().is_empty());
    count_up(&world, &alice, direct(), 30..40).await;
    world.settle().await;
    assert_all_sent(&alice, 40);
    assert_eq!(texts(&world, direct()).await, numbers(40));
    assert_eq!(world.undispatched().await, 0);
    assert_eq!(stored(&world, BOB, direct()).await, Some(43));
    world.engine().stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_cannot_hand_over_stays() {
    let mut world = World::new().await;
    let new = TestShard::new(MemoryShard::new(ShardId(2), Arc::clone(&world.ids) as _));
    world.shards.push(Arc::clone(&new));
    world.engine().add_shard(new as Arc<dyn Shard>).await.unwrap();
    let mover = Mover::new(&world);
    let unit = unit_of(direct());
    let home = mover.home(unit).await.shard;
    mover.to(unit, ShardId(2)).await;
    world.say(ALICE, direct(), "one").await;
    mover.to(unit, home).await;
    // The lists that follow from what it committed cannot be written.
    let holds: Vec<_> = world.shards.iter().map(|shard| shard.memory.hold()).collect();
    let failed = world.engine().remove_shard(ShardId(2)).await;
    assert_eq!(failed, Err(EngineError::Unavailable));
    assert!(world.engine().shards().contains_key(&ShardId(2)));
    drop(holds);
    world.engine().remove_shard(ShardId(2)).await.unwrap();
    world.settle().await;
    assert_eq!(stored(&world, BOB, direct()).await, Some(4));
    assert_eq!(world.undispatched().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_when_the_engine_stops_is_answered() {
    let world = World::new().await;
    let mover = Mover::new(&world);
    let alice = world.connect(ALICE).await;
    mover.freeze(unit_of(direct())).await;
    count_up(&world, &alice, direct(), 0..3).await;
    pass(20).await;
    world.engine().stop().await;
    assert_eq!(alice.connection.in_flight(), 0);
    count_up(&world, &alice, direct(), 3..4).await;
    pass(20).await;
    assert_eq!(alice.connection.in_flight(), 0);
    assert_eq!(alice.words().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_is_dispatched_while_its_unit_is_frozen() {
    let world = World::new().await;
    let mover = Mover::new(&world);
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    alice.say(&world, 0, direct(), "known").await;
    world.settle().await;
    // Another epoch: who is a member has to be read again.
    mover.away(unit_of(direct())).await;
    world.engine().pause_dispatch();
    alice.say(&world, 1, direct(), "committed").await;
    pass(10).await;
    mover.freeze(unit_of(direct())).await;
    world.engine().resume_dispatch();
    mover.barrier(unit_of(direct())).await;
    yield_all().await;
    assert!(bob.words().iter().any(|words| words.contains("committed")));
    mover.thaw(unit_of(direct())).await;
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_map_need_not_be_read() {
    let world = World::new().await;
    let mover = Mover::new(&world);
    let alice = world.connect(ALICE).await;
    let unit = unit_of(direct());
    let to = ShardId(1 - mover.home(unit).await.shard.0);
    let change = MapChange::Move { units: vec![unit], to };
    alice.say(&world, 0, direct(), "0").await;
    mover.freeze(unit).await;
    mover.barrier(unit).await;
    mover.carry(unit, to).await;
    let known = world.engine().map().version;
    // Not the version that follows: the map is read, and is the newest.
    world.engine().map_changed(known + 7, &change).await.unwrap();
    assert_eq!(world.engine().map().version, known + 1);
    // The version that follows.
    let back = ShardId(1 - to.0);
    let change = MapChange::Move { units: vec![unit], to: back };
    let wanted = world.engine().map().apply(&change).unwrap();
    world.engine().map_changed(known + 2, &change).await.unwrap();
    assert_eq!(*world.engine().map(), wanted);
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_left_of_a_unit_that_moved_to_a_dead_shard_holds_nobody_up() {
    for hangs in [false, true] {
        let mut world = World::new().await;
        let id = world.group(ALICE, "g", &[BOB]).await;
        world.settle().await;
        let from = world.shard_of(id).id_number();
        let others = (1..=6).flat_map(|one| (one + 1..=6).map(move |two| (user(one), user(two))));
        let (one, two) = others
            .filter(|(one, two)| world.shard_of_user(*two).id_number() == from && *one != *two)
            .find(|(one, two)| {
                let near = ConversationId::direct(*one, *two);
                world.shard_of(near).id_number() == from && unit_of(near) != unit_of(id)
            })
            .unwrap();
        let near = ConversationId::direct(one, two);
        world.engine().pause_dispatch();
        let (engine, action) = (Arc::clone(world.engine()), world.text("left behind"));
        let sending = tokio::spawn(async move { engine.run(ALICE, id, action).await });
        yield_all().await;
        let mover = Mover::new(&world);
        mover.freeze(unit_of(id)).await;
        mover.carry(unit_of(id), ShardId(1 - from as u32)).await;
        sending.abort();
        drop(sending.await);
        world.crash().await;

        let dead = Arc::clone(&world.shards[1 - from]);
        let fault = if hangs { &dead.members_hang } else { &dead.members_fail };
        fault.store(true, Ordering::Relaxed);
        world.start().await;
        let line = world.connect(two).await;
        world.say(one, near, "meanwhile").await;
        pass(1_000).await;
        assert!(line.words().iter().any(|words| words.contains("meanwhile")));
        assert!(stored(&world, two, near).await.is_some());
        // Only the cursor waits.
        pass(20_000).await;
        assert!(world.shards[from].undispatched(None, 10).await.unwrap().len() > 1);
        assert_eq!(stored(&world, BOB, id).await, Some(3));
        fault.store(false, Ordering::Relaxed);
        pass(20_000).await;
        assert_eq!(stored(&world, BOB, id).await, Some(4));
        assert_eq!(world.undispatched().await, 0, "hangs: {hangs}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_does_not_count_costs_nobody_the_answer_of_another() {
    let world = World::planned(Plan { users: 40, ..Plan::default() }).await;
    let mover = Mover::new(&world);
    let bob = world.connect(BOB).await;
    let talks: Vec<_> = (3..=40)
        .map(|other| (user(other), ConversationId::direct(user(other), BOB)))
        .filter(|(_, id)| world.shard_of(*id).id_number() == 1)
        .collect();
    let [first, moves, stays] = [talks[0], talks[1], talks[2]];
    assert_ne!(unit_of(moves.1), unit_of(stays.1));
    // The question about the first one is under way while the others wait for the next.
    world.shards[1].hold_answer("unread");
    world.say(first.0, first.1, "first").await;
    world.shards[1].until_held().await;
    for (writer, id) in [moves, stays] {
        world.say(writer, id, "then").await;
    }
    pass(1_000).await;
    mover.to(unit_of(moves.1), ShardId(0)).await;
    world.shards[0].unread_fails.store(true, Ordering::Relaxed);
    bob.read();
    world.shards[1].release_answer();
    pass(1_000).await;
    let told = bob.read();
    let of = |id: ConversationId| {
        let names = |frame: &&String| {
            frame.contains(&id.to_string()) && frame.contains("\"inbox_updated\"")
        };
        told.iter().filter(names).count()
    };
    assert_eq!((of(stays.1), of(moves.1)), (1, 0), "{told:?}");
}
