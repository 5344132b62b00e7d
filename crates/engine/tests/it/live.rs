//! Presence, typing and marks as connections see them. The clock is the runtime's, paused.

use std::sync::atomic::Ordering;

use ostracon_domain::{Action, ConversationId, PresenceFor, Privacy, UserId};
use ostracon_engine::{
    Connection, EngineError, SeenBy,
    limits::{
        LAST_SEEN_PERIOD, MARK_WINDOW, PRESENCE_BATCH, PRESENCE_GRACE, TYPING_GAP, TYPING_LIFE,
    },
};
use ostracon_proto::frame::{Presence, PresenceStatus};
use ostracon_store::People as _;
use serde_json::{Value, json};

use crate::world::{ALICE, BOB, CAROL, DAVE, Line, Plan, START, World, pass, user, yield_all};

const NOBODY: Privacy = Privacy { presence: PresenceFor::Nobody, read_receipts: true };
const CONTACTS: Privacy = Privacy { presence: PresenceFor::Contacts, read_receipts: true };
const NO_RECEIPTS: Privacy = Privacy { presence: PresenceFor::Everyone, read_receipts: false };

fn ms(span: std::time::Duration) -> u64 {
    span.as_millis() as u64
}

/// Every change that may still be told is.
async fn told() {
    pass(ms(PRESENCE_BATCH) + 1).await;
}

/// The data of the frames of a type that wait, in a few words.
fn frames(line: &Line, kind: &str) -> Vec<Value> {
    let frames = line.read();
    let frames = frames.iter().map(|frame| serde_json::from_str::<Value>(frame).unwrap());
    frames.filter(|frame| frame["type"] == kind).map(|mut frame| frame["data"].take()).collect()
}

/// "1 online", "2 offline 1700000000000", "3 offline never".
fn presence(line: &Line) -> Vec<String> {
    let words = |data: &Value| {
        let (user, status) = (&data["user_id"], data["status"].as_str().unwrap());
        match (status, data["last_seen"].as_i64()) {
            ("online", Some(_)) => format!("{user} online"),
            (_, Some(at)) => format!("{user} offline {}", at - START),
            (_, None) => format!("{user} {status} never"),
        }
    };
    frames(line, "presence_update").iter().map(words).collect()
}

async fn watch(world: &World, line: &Line, users: &[UserId]) {
    line.send(world, "presence_subscribe", 1, json!({ "user_ids": users })).await;
}

fn leave(world: &World, line: &Line) {
    line.connection.hear();
    world.engine().disconnect(&line.connection);
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_is_told_to_who_watches() {
    let world = World::new().await;
    let (alice, carol) = (world.connect(ALICE).await, world.connect(CAROL).await);
    told().await;
    watch(&world, &alice, &[BOB, CAROL]).await;
    let at_once = presence(&alice);
    assert_eq!(
        at_once,
        ["2 offline never", "3 online"],
        "the present state, in the order asked for"
    );
    let bob = world.connect(BOB).await;
    told().await;
    assert_eq!(presence(&alice), ["2 online"]);
    assert_eq!(presence(&carol), [""; 0], "who does not watch is not told");

    let again = world.connect(BOB).await;
    world.clock.advance(1_000);
    leave(&world, &bob);
    pass(ms(PRESENCE_GRACE) * 2).await;
    assert_eq!(presence(&alice), [""; 0], "one session is left");
    leave(&world, &again);
    pass(ms(PRESENCE_GRACE) - 1).await;
    let back = world.connect(BOB).await;
    pass(ms(PRESENCE_GRACE) * 2).await;
    assert_eq!(presence(&alice), [""; 0], "a page that is loaded again");
    leave(&world, &back);
    pass(ms(PRESENCE_GRACE)).await;
    told().await;
    assert_eq!(presence(&alice), ["2 offline 1000"]);

    alice.send(&world, "presence_unsubscribe", 2, json!({ "user_ids": [2] })).await;
    world.connect(BOB).await;
    told().await;
    assert_eq!(presence(&alice), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_was_not_heard_for_long_leaves_at_once() {
    let world = World::new().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    told().await;
    watch(&world, &alice, &[BOB]).await;
    assert_eq!(presence(&alice), ["2 online"]);
    // What a server does with a connection that is silent for a minute.
    bob.connection.hear();
    pass(60_000).await;
    world.clock.advance(60_000);
    world.engine().disconnect(&bob.connection);
    told().await;
    assert_eq!(
        presence(&alice),
        ["2 offline 0"],
        "the time it was heard, not the time it was missed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_woken_device_does_not_flash_online() {
    let world = World::new().await;
    let alice = world.connect(ALICE).await;
    watch(&world, &alice, &[BOB]).await;
    presence(&alice);
    let woken = world.engine().connect_in_background(BOB, 2, Default::default()).await.unwrap();
    told().await;
    assert_eq!(presence(&alice), [""; 0]);
    let woken = Line { connection: woken };
    watch(&world, &woken, &[ALICE]).await;
    assert_eq!(presence(&woken), ["1 online"], "it may watch");
    leave(&world, &woken);
    pass(60_000).await;
    assert_eq!(presence(&alice), [""; 0]);
    let seen = world.engine().presence(ALICE, &[BOB]).await.unwrap();
    assert_eq!(seen[0].last_seen, None);
}

#[tokio::test(start_paused = true)]
async fn last_seen_survives_and_ghosts_do_not() {
    let mut world = World::new().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    told().await;
    world.clock.advance(7_000);
    leave(&world, &alice);
    pass(ms(PRESENCE_GRACE)).await;
    told().await;
    pass(ms(LAST_SEEN_PERIOD)).await;
    let stored = world.directory.people(&[ALICE]).await.unwrap();
    assert_eq!(stored[0].last_seen_at, Some(START + 7_000), "written behind");
    drop(bob);
    world.clock.advance(1_000);
    world.crash().await;
    world.start().await;
    let carol = world.connect(CAROL).await;
    watch(&world, &carol, &[ALICE, BOB, DAVE]).await;
    let after = ["1 offline 7000", "2 offline 0", "4 offline never"];
    assert_eq!(presence(&carol), after, "nobody is there after a crash; Bob was when he came");

    let bob = world.connect(BOB).await;
    told().await;
    assert_eq!(presence(&carol), ["2 online"]);
    drop((bob, carol));
    world.clock.advance(2_000);
    world.stop().await;
    world.start().await;
    let seen = world.engine().presence(CAROL, &[BOB]).await.unwrap();
    assert_eq!(seen[0].last_seen, Some(START + 10_000), "a clean stop writes everything");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_asked_only_about_strangers() {
    let world = World::new().await;
    let alice = world.connect(ALICE).await;
    let bob = world.connect(BOB).await;
    told().await;
    leave(&world, &bob);
    pass(ms(PRESENCE_GRACE)).await;
    told().await;
    // Gone from memory, and not written yet: what waits is not forgotten.
    watch(&world, &alice, &[BOB]).await;
    assert_eq!(presence(&alice), ["2 offline 0"]);
}

#[tokio::test(start_paused = true)]
async fn privacy_holds_both_ways_and_at_once() {
    let world = World::new().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    told().await;
    watch(&world, &alice, &[BOB, CAROL]).await;
    watch(&world, &bob, &[ALICE]).await;
    assert_eq!(presence(&alice), ["2 online", "3 offline never"]);
    assert_eq!(presence(&bob), ["1 online"]);
    world.engine().set_privacy(BOB, NOBODY).await.unwrap();
    assert_eq!(presence(&alice), ["2 offline never"]);
    assert_eq!(presence(&bob), ["1 offline never"], "who hides does not see");
    let carol = world.connect(CAROL).await;
    told().await;
    assert_eq!(presence(&alice), ["3 online"]);
    leave(&world, &bob);
    pass(60_000).await;
    assert_eq!(presence(&alice), [""; 0], "nothing tells that he went");
    let hidden = Presence { user_id: BOB, status: PresenceStatus::Offline, last_seen: None };
    assert_eq!(world.engine().presence(ALICE, &[BOB]).await.unwrap(), [hidden]);
    let own = world.engine().presence(BOB, &[BOB]).await.unwrap();
    assert_eq!(own[0].last_seen, Some(START), "one sees oneself");
    world.engine().set_privacy(BOB, Privacy::default()).await.unwrap();
    assert_eq!(presence(&alice), ["2 offline 0"]);
    drop(carol);
}

#[tokio::test(start_paused = true)]
async fn contacts_are_whom_one_has_written_to() {
    let world = World::new().await;
    let engine = world.engine();
    engine.set_privacy(BOB, CONTACTS).await.unwrap();
    let id = ConversationId::direct(ALICE, BOB);
    world.say(ALICE, id, "hello?").await;
    let (alice, _bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    told().await;
    watch(&world, &alice, &[BOB, CAROL]).await;
    assert_eq!(presence(&alice), ["2 offline never", "3 offline never"], "he did not answer");
    let group = world.group(BOB, "g", &[ALICE]).await;
    world.say(BOB, group, "a group is not direct").await;
    pass(60_000).await;
    watch(&world, &alice, &[BOB]).await;
    assert_eq!(presence(&alice), ["2 offline never"]);
    world.say(BOB, id, "hello").await;
    pass(60_000).await;
    watch(&world, &alice, &[BOB]).await;
    assert_eq!(presence(&alice), ["2 online"]);

    // The other way: she shows herself to contacts, and has written to Bob only.
    engine.set_privacy(ALICE, CONTACTS).await.unwrap();
    let status = async |viewer, of| engine.presence(viewer, &[of]).await.unwrap()[0].status;
    assert_eq!(status(BOB, ALICE).await, PresenceStatus::Online);
    assert_eq!(status(CAROL, ALICE).await, PresenceStatus::Offline);
    let _carol = world.connect(CAROL).await;
    told().await;
    assert_eq!(status(ALICE, CAROL).await, PresenceStatus::Offline, "both ways");
}

#[tokio::test(start_paused = true)]
async fn settings_survive_a_restart() {
    let mut world = World::new().await;
    world.engine().set_privacy(BOB, NOBODY).await.unwrap();
    assert!(world.engine().set_privacy(user(99), NOBODY).await.is_err());
    world.crash().await;
    world.start().await;
    assert_eq!(world.engine().privacy(BOB), NOBODY);
    assert_eq!(world.engine().privacy(ALICE), Privacy::default());
}

#[tokio::test(start_paused = true)]
async fn too_many_are_not_watched() {
    let world = World::new().await;
    let alice = world.connect(ALICE).await;
    let users: Vec<UserId> = (1..=500).map(user).collect();
    watch(&world, &alice, &users).await;
    assert_eq!(presence(&alice).len(), 500);
    watch(&world, &alice, &[user(501)]).await;
    assert_eq!(frames(&alice, "error")[0]["code"], "invalid");
    let more: Vec<UserId> = (1..=501).map(user).collect();
    watch(&world, &alice, &more).await;
    assert_eq!(frames(&alice, "error")[0]["code"], "invalid");
}

/// C17: the members of a large group come online together; nobody is told who does not watch, and who does is told once
/// of each.
#[tokio::test(start_paused = true)]
async fn a_crowd_makes_no_storm() {
    const CROWD: u64 = 10_000;
    let plan = Plan { users: CROWD + 1, group_members_max: 20_000, ..Plan::default() };
    let world = World::planned(plan).await;
    let id = world.group(ALICE, "g", &(2..=1_000).map(user).collect::<Vec<_>>()).await;
    for first in (1_001..=CROWD).step_by(1_000) {
        let users = (first..(first + 1_000).min(CROWD + 1)).map(user).collect();
        world.engine().add_members(ALICE, id, users).await.unwrap();
    }
    world.settle().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    let some: Vec<UserId> = (3..=402).map(user).collect();
    watch(&world, &bob, &some).await;
    assert_eq!(presence(&bob).len(), 400);
    alice.read();
    let mut crowd = Vec::new();
    for n in 3..=CROWD {
        crowd.push(world.connect(user(n)).await);
    }
    told().await;
    assert_eq!(alice.read().len(), 0, "a member is told nothing");
    let told = presence(&bob);
    assert_eq!(told.len(), 400);
    assert!(told.iter().all(|words| words.ends_with("online")));
    assert!(crowd.iter().all(|line| presence(line).is_empty()));
}

fn shard_fails(shard: &crate::faults::TestShard, fails: bool) {
    shard.members_fail.store(fails, Ordering::Relaxed);
}

async fn types(world: &World, line: &Line, id: ConversationId, is_typing: bool) {
    let data = json!({ "conversation_id": id, "is_typing": is_typing });
    line.send(world, "typing", 9, data).await;
}

fn typing(line: &Line) -> Vec<(u64, bool)> {
    let frames = frames(line, "typing");
    let who = |data: &Value| (data["user_id"].as_u64().unwrap(), data["is_typing"] == true);
    frames.iter().map(who).collect()
}

#[tokio::test(start_paused = true)]
async fn typing_is_told_to_the_others_and_ends_by_itself() {
    let world = World::new().await;
    let id = world.group(ALICE, "g", &[BOB, CAROL]).await;
    world.settle().await;
    let (alice, other) = (world.connect(ALICE).await, world.connect(ALICE).await);
    let (bob, dave) = (world.connect(BOB).await, world.connect(DAVE).await);
    types(&world, &alice, id, true).await;
    assert_eq!(typing(&bob), [(1, true)]);
    assert_eq!(alice.words(), [""; 0], "there is no answer");
    assert_eq!(other.words(), [""; 0]);
    let fail = |fails| {
        let each = |shard: &std::sync::Arc<_>| shard_fails(shard, fails);
        world.shards.iter().for_each(each);
    };
    fail(true);
    for _ in 0..5 {
        types(&world, &alice, id, true).await;
        pass(200).await;
    }
    assert_eq!(typing(&bob), [], "not with every key");
    assert_eq!(alice.words(), [""; 0], "the store is asked once, and is not needed any more");
    fail(false);
    pass(ms(TYPING_LIFE) + 10).await;
    assert_eq!(typing(&bob), [(1, false)]);
    pass(ms(TYPING_GAP) + 10).await;
    types(&world, &alice, id, true).await;
    world.engine().disconnect(&alice.connection);
    pass(ms(TYPING_GAP) + 10).await;
    assert_eq!(typing(&bob), [(1, true), (1, false)], "a lost connection types no longer");
    assert_eq!(typing(&dave), [], "a stranger is told nothing");
    types(&world, &dave, id, true).await;
    assert_eq!(frames(&dave, "error")[0]["code"], "not_found");
    assert_eq!(typing(&bob), []);
}

#[tokio::test(start_paused = true)]
async fn typing_is_for_those_who_are_members_now() {
    let world = World::new().await;
    let id = world.group(ALICE, "g", &[BOB, CAROL]).await;
    world.settle().await;
    let (alice, bob, dave) =
        (world.connect(ALICE).await, world.connect(BOB).await, world.connect(DAVE).await);
    types(&world, &alice, id, true).await;
    assert_eq!(typing(&bob).len(), 1);
    world.run(ALICE, id, Action::RemoveMember { user: BOB }).await.unwrap();
    world.engine().add_members(ALICE, id, vec![DAVE]).await.unwrap();
    world.settle().await;
    bob.read();
    dave.read();
    types(&world, &alice, id, true).await;
    pass(ms(TYPING_LIFE) + 10).await;
    assert_eq!(typing(&bob), [], "who left is told nothing");
    assert_eq!(typing(&dave), [(1, true), (1, false)]);
    types(&world, &bob, id, true).await;
    assert_eq!(frames(&bob, "error")[0]["code"], "not_member");

    let direct = ConversationId::direct(ALICE, DAVE);
    types(&world, &alice, direct, true).await;
    assert_eq!(frames(&alice, "error")[0]["code"], "not_found", "nobody has said anything there");
    world.say(DAVE, direct, "hi").await;
    types(&world, &alice, direct, true).await;
    assert_eq!(typing(&dave), [(1, true)]);
}

#[tokio::test(start_paused = true)]
async fn typing_is_off_in_large_groups() {
    let world = World::planned(Plan { users: 130, ..Plan::default() }).await;
    let id = world.group(ALICE, "g", &(2..=101).map(user).collect::<Vec<_>>()).await;
    world.settle().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    types(&world, &alice, id, true).await;
    types(&world, &bob, id, true).await;
    pass(60_000).await;
    assert_eq!((typing(&alice), typing(&bob)), (vec![], vec![]));
    let stranger = world.connect(user(130)).await;
    types(&world, &stranger, id, true).await;
    assert_eq!(frames(&stranger, "error")[0]["code"], "not_found");
}

fn receipts(line: &Line) -> Vec<String> {
    let words = |data: &Value| {
        let mark = |name: &str| data[name].as_u64().map_or("-".to_owned(), |seq| seq.to_string());
        format!("{} read {} delivered {}", data["user_id"], mark("read_seq"), mark("delivered_seq"))
    };
    frames(line, "receipt").iter().map(words).collect()
}

async fn mark(world: &World, line: &Line, kind: &str, id: ConversationId, seq: u64) {
    line.send(world, kind, seq, json!({ "conversation_id": id, "seq": seq })).await;
}

#[tokio::test(start_paused = true)]
async fn marks_of_a_moment_are_one_commit() {
    let world = World::new().await;
    let id = ConversationId::direct(ALICE, BOB);
    for n in 0..20 {
        world.say(ALICE, id, &format!("m{n}")).await;
    }
    world.settle().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    for seq in 1..=20 {
        mark(&world, &bob, "mark_delivered", id, seq).await;
    }
    yield_all().await;
    assert_eq!(receipts(&alice), ["2 read 0 delivered 1"], "the first does not wait");
    assert_eq!(bob.words().len(), 1);
    pass(ms(MARK_WINDOW) + 10).await;
    assert_eq!(receipts(&alice), ["2 read 0 delivered 20"]);
    assert_eq!(frames(&bob, "ok").len(), 19, "each is answered once it is durable");
    assert_eq!(bob.connection.in_flight(), 0);
    // Whoever goes away meanwhile has said it all the same.
    mark(&world, &bob, "mark_read", id, 3).await;
    mark(&world, &bob, "mark_read", id, 9).await;
    world.engine().disconnect(&bob.connection);
    pass(ms(MARK_WINDOW) + 10).await;
    assert_eq!(receipts(&alice), ["2 read 3 delivered 20", "2 read 9 delivered 20"]);
}

#[tokio::test(start_paused = true)]
async fn who_tells_no_reads_sees_none() {
    let world = World::new().await;
    let id = world.group(ALICE, "g", &[BOB, CAROL]).await;
    world.say(ALICE, id, "m1").await;
    world.settle().await;
    let lines = [world.connect(ALICE).await, world.connect(BOB).await, world.connect(CAROL).await];
    let own = world.connect(BOB).await;
    let [alice, bob, carol] = &lines;
    world.engine().set_privacy(BOB, NO_RECEIPTS).await.unwrap();
    mark(&world, bob, "mark_delivered", id, 1).await;
    yield_all().await;
    assert_eq!(receipts(alice), ["2 read - delivered 1"]);
    mark(&world, bob, "mark_read", id, 1).await;
    yield_all().await;
    assert_eq!(receipts(alice), [""; 0]);
    assert_eq!(
        receipts(&own),
        ["2 read 0 delivered 1", "2 read 1 delivered 1"],
        "his own devices know"
    );
    mark(&world, carol, "mark_read", id, 1).await;
    yield_all().await;
    assert_eq!(receipts(alice), ["3 read 1 delivered 1"]);
    assert_eq!(receipts(bob), ["3 read - delivered 1"], "it holds both ways");

    let seen = async |reader| world.engine().seen_by(reader, id, 1).await;
    let read = SeenBy { read: vec![CAROL], delivered: vec![BOB] };
    assert_eq!(seen(ALICE).await.unwrap(), read);
    assert_eq!(seen(BOB).await.unwrap().read, [BOB], "of others he sees nothing");
    assert!(matches!(seen(DAVE).await, Err(EngineError::Refused(_))));
    world.engine().set_privacy(BOB, Privacy::default()).await.unwrap();
    assert_eq!(seen(ALICE).await.unwrap().read, [BOB, CAROL]);
}

#[tokio::test(start_paused = true)]
async fn who_has_seen_a_message_is_told_in_small_groups_only() {
    let world = World::planned(Plan { users: 130, ..Plan::default() }).await;
    let id = world.group(ALICE, "g", &[BOB, CAROL]).await;
    world.say(ALICE, id, "m1").await;
    world.engine().add_members(ALICE, id, vec![DAVE]).await.unwrap();
    world.say(BOB, id, "m2").await;
    world.settle().await;
    let seen = async |seq| world.engine().seen_by(ALICE, id, seq).await;
    assert_eq!(seen(1).await.unwrap(), SeenBy { read: vec![BOB], delivered: vec![] });
    world.run(CAROL, id, Action::MarkDelivered { seq: 2 }).await.unwrap();
    world.run(DAVE, id, Action::MarkRead { seq: 2 }).await.unwrap();
    let first = SeenBy { read: vec![BOB], delivered: vec![CAROL] };
    assert_eq!(seen(1).await.unwrap(), first, "Dave came later");
    let second = SeenBy { read: vec![DAVE], delivered: vec![CAROL] };
    assert_eq!(seen(2).await.unwrap(), second);
    assert!(seen(3).await.is_err());
    world.engine().add_members(ALICE, id, (5..=130).map(user).collect()).await.unwrap();
    let refused = seen(1).await.unwrap_err().object();
    assert_eq!(refused.code, ostracon_proto::ErrorCode::Forbidden);
}

/// A connection that does not read loses hints about typing, and nothing else.
#[tokio::test(start_paused = true)]
async fn hints_are_dropped_first() {
    let mut plan = Plan::default();
    plan.bounds.outbox_events = 8;
    let world = World::planned(plan).await;
    let id = world.group(ALICE, "g", &[BOB]).await;
    world.settle().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    bob.read();
    for n in 0..4 {
        world.say(ALICE, id, &format!("m{n}")).await;
    }
    types(&world, &alice, id, true).await;
    world.settle().await;
    let kinds: Vec<String> = bob.words();
    assert_eq!(kinds.iter().filter(|words| words.starts_with("new ")).count(), 4);
    assert!(!kinds.iter().any(|words| words.contains("typing")), "{kinds:?}");
    let _: &Connection = &bob.connection;
}
