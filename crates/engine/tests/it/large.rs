//! Large groups: stored once, told to who is connected, a moment late and in order.

use std::sync::Arc;

use ostracon_domain::{Action, ConversationId, UserId};
use ostracon_engine::Connection;
use ostracon_proto::Encoding;
use serde_json::json;

use crate::world::{ALICE, BOB, CAROL, DAVE, Line, Plan, World, pass, user, yield_all};

/// A world with a group of so many members, Alice its owner.
async fn with_group(members: u64) -> (World, ConversationId) {
    let world = World::planned(Plan { users: 130, ..Plan::default() }).await;
    let others: Vec<UserId> = (2..=members).map(user).collect();
    let id = world.group(ALICE, "g", &others).await;
    world.settle().await;
    (world, id)
}

fn remove(user: UserId) -> Action {
    Action::RemoveMember { user }
}

fn edit(seq: u64, content: &str) -> Action {
    Action::Edit(ostracon_domain::Edit { seq, content: content.into(), if_content_rev: None })
}

#[tokio::test(start_paused = true)]
async fn a_group_is_large_from_101_members_until_below_80() {
    let (world, id) = with_group(100).await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    let joining = world.connect(user(101)).await;
    world.say(ALICE, id, "small").await;
    world.engine().add_members(ALICE, id, vec![user(101)]).await.unwrap();
    world.say(ALICE, id, "large").await;
    yield_all().await;
    // Events are held back a moment, but only from now on.
    assert_eq!(bob.words(), ["new s1 r102 small"]);
    pass(30).await;
    let grown = [
        "member 101 r103 Member unmarked",
        "conversation r104 g 101 members large",
        "new s2 r105 large",
    ];
    assert_eq!(bob.words(), grown);
    assert_eq!(joining.words(), grown);
    alice.words();

    for gone in (81..=101).rev() {
        world.run(ALICE, id, remove(user(gone))).await.unwrap();
    }
    world.settle().await;
    let words = bob.words();
    assert_eq!(words.last().unwrap(), "conversation r147 g 80 members large");
    assert_eq!(words.len(), 42);
    assert_eq!(joining.words(), ["member 101 r106 Member left unmarked"]);
    world.say(ALICE, id, "still large").await;
    world.run(ALICE, id, remove(user(80))).await.unwrap();
    world.say(ALICE, id, "small again").await;
    yield_all().await;
    let end = [
        "new s3 r148 still large",
        "member 80 r149 Member left",
        "conversation r150 g 79 members",
        "new s4 r151 small again",
    ];
    assert_eq!(bob.words(), end, "what was held back leaves before the first direct event");
    world.settle().await;
    assert_eq!(alice.words()[42..], end);
    assert_eq!(joining.words(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_group_born_large_tells_everybody() {
    let world = World::planned(Plan { users: 130, ..Plan::default() }).await;
    let (bob, cbor) = (world.connect(BOB).await, world.connect_as(CAROL, 3, Encoding::Cbor).await);
    let id = world.group(ALICE, "g", &(2..=101).map(user).collect::<Vec<_>>()).await;
    world.say(BOB, id, "hi").await;
    world.settle().await;
    for line in [bob, cbor] {
        let words = line.words();
        assert_eq!(words[0], "conversation r1 g 101 members large");
        assert_eq!(words[101], "member 101 r102 Member unmarked");
        assert_eq!(words[102..], ["new s1 r103 hi"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_writes_the_message_and_its_senders_entry_only() {
    let (world, id) = with_group(101).await;
    let _online = world.connect(BOB).await;
    world.settle().await;
    let commands = || world.shards.iter().map(|s| s.committed.lock().iter().sum::<usize>()).sum();
    let before: usize = commands();
    world.say(ALICE, id, "one").await;
    world.say(ALICE, id, "two").await;
    world.settle().await;
    assert!((3..=4).contains(&(commands() - before)), "{}", commands() - before);
    // Who reads the list brings it up to date.
    let page = world.engine().sync(BOB, None, 10).await.unwrap();
    assert_eq!(page.entries[0].inbox.as_ref().unwrap().applied.rev, 104);
    assert_eq!(world.engine().unread(BOB).await.unwrap().0, 2);
}

#[tokio::test(start_paused = true)]
async fn receipts_stay_with_their_owner() {
    let (world, id) = with_group(101).await;
    world.say(ALICE, id, "one").await;
    let alice = world.connect(ALICE).await;
    let (phone, laptop) = (world.connect(BOB).await, world.connect(BOB).await);
    phone.send(&world, "mark_read", 1, json!({"conversation_id": id, "seq": 1})).await;
    world.settle().await;
    assert_eq!(phone.words(), ["#1 ok"]);
    assert_eq!(laptop.words(), ["receipt 2 read 1 delivered 1 m2"]);
    assert_eq!(alice.words(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn no_answer_overtakes_what_is_held_back() {
    let (world, id) = with_group(101).await;
    world.say(ALICE, id, "zero").await;
    let bob = world.connect(BOB).await;
    let send = json!({"conversation_id": id, "content": "mine", "client_id": "c"});
    let like = json!({"conversation_id": id, "seq": 1, "emoji": "👍"});
    let read = json!({"conversation_id": id, "seq": 9});
    let commands = [
        ("send_message", send.clone(), "#1 sent s3 r105 mine (c)"),
        ("react", like.clone(), "#2 ok s1 r107 zero 👍1"),
        ("mark_read", read.clone(), "#3 ok"),
        // The same again: these change nothing.
        ("send_message", send, "#4 sent s3 r105 mine (c)"),
        ("react", like, "#5 ok s1 r107 zero 👍1"),
        ("mark_read", read, "#6 ok"),
    ];
    for (number, (kind, data, answer)) in (1..).zip(commands) {
        // Marks of a moment are one commit; these are not of one.
        pass(300).await;
        world.say(ALICE, id, "before").await;
        bob.send(&world, kind, number, data).await;
        yield_all().await;
        let words = bob.words();
        assert_eq!(words.len(), 2, "{words:?}");
        assert!(words[0].starts_with("new"), "{words:?}");
        assert_eq!(words[1], answer);
    }
}

#[tokio::test(start_paused = true)]
async fn many_events_leave_in_order() {
    let (world, id) = with_group(101).await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    for number in 1..=150 {
        alice.say(&world, number, id, "x").await;
        if number == 70 {
            yield_all().await;
            assert_eq!(bob.words().len(), 64, "so many leave without waiting longer");
        }
    }
    world.settle().await;
    let rest: Vec<String> = (65..=150).map(|n| format!("new s{n} r{} x", n + 102)).collect();
    assert_eq!(bob.words(), rest);
    assert_eq!(alice.words().len(), 150);
}

#[tokio::test(start_paused = true)]
async fn who_left_hears_nothing_more_also_on_a_new_connection() {
    let (world, id) = with_group(103).await;
    let (before, bob) = (world.connect(CAROL).await, world.connect(BOB).await);
    world.say(ALICE, id, "with carol").await;
    world.run(CAROL, id, remove(CAROL)).await.unwrap();
    world.say(ALICE, id, "without").await;
    let after = world.connect(CAROL).await;
    world.say(ALICE, id, "without too").await;
    world.settle().await;
    assert_eq!(before.words(), ["new s1 r105 with carol", "member 3 r106 Member left unmarked"]);
    assert_eq!(after.words(), [""; 0]);
    assert_eq!(bob.words().len(), 5);

    // She comes back, and hears of the time after it only.
    world.engine().add_members(ALICE, id, vec![CAROL]).await.unwrap();
    world.run(ALICE, id, edit(2, "edited")).await.unwrap();
    world.say(ALICE, id, "hi").await;
    let third = world.connect(CAROL).await;
    world.run(ALICE, id, edit(3, "edited")).await.unwrap();
    world.run(ALICE, id, edit(4, "edited")).await.unwrap();
    world.settle().await;
    let joined = ["member 3 r110 Member unmarked", "conversation r111 g 103 members large"];
    let heard = ["new s4 r113 hi", "updated s4 r115 edited"];
    assert_eq!(after.words(), [joined, heard].concat());
    assert_eq!(third.words(), ["updated s4 r115 edited"]);
}

#[tokio::test(start_paused = true)]
async fn connecting_while_leaving_or_joining() {
    let cases = [false, true].into_iter();
    for (joins, read) in cases.flat_map(|joins| [(joins, "inbox_large"), (joins, "overviews")]) {
        let (world, id) = with_group(103).await;
        if joins {
            world.run(ALICE, id, remove(CAROL)).await.unwrap();
            world.settle().await;
        }
        // The list or the group is read, its answer is late: meanwhile Carol leaves or joins, and that is dispatched.
        let list = read == "inbox_large";
        let shard = Arc::clone(if list { world.shard_of_user(CAROL) } else { world.shard_of(id) });
        shard.hold_answer(read);
        let engine = Arc::clone(world.engine());
        let connecting =
            tokio::spawn(async move { engine.connect(CAROL, 1, Encoding::Json).await.unwrap() });
        shard.until_held().await;
        if joins {
            world.engine().add_members(ALICE, id, vec![CAROL]).await.unwrap();
        } else {
            world.run(ALICE, id, remove(CAROL)).await.unwrap();
        }
        world.say(ALICE, id, "one").await;
        shard.release_answer();
        let connection: Arc<Connection> = connecting.await.unwrap();
        world.say(ALICE, id, "two").await;
        world.settle().await;
        let heard = Line { connection }.words();
        let messages = heard.iter().filter(|words| words.starts_with("new")).count();
        assert_eq!(messages, if joins { 2 } else { 0 }, "{read}: {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_while_a_group_becomes_large_or_small() {
    for grows in [true, false] {
        let (world, id) = with_group(if grows { 100 } else { 101 }).await;
        for gone in 80..=if grows { 0 } else { 100 } {
            world.run(ALICE, id, remove(user(gone))).await.unwrap();
        }
        world.settle().await;
        let shard = Arc::clone(world.shard_of_user(DAVE));
        shard.hold_answer("inbox_large");
        let engine = Arc::clone(world.engine());
        let connecting =
            tokio::spawn(async move { engine.connect(DAVE, 1, Encoding::Json).await.unwrap() });
        shard.until_held().await;
        if grows {
            world.engine().add_members(ALICE, id, vec![user(101)]).await.unwrap();
        } else {
            world.run(ALICE, id, remove(user(101))).await.unwrap();
        }
        world.say(ALICE, id, "one").await;
        shard.release_answer();
        let line = Line { connection: connecting.await.unwrap() };
        world.say(ALICE, id, "two").await;
        world.settle().await;
        let heard = line.words();
        let messages = heard.iter().filter(|words| words.starts_with("new")).count();
        assert_eq!(messages, 2, "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn closed_connections_are_forgotten() {
    let (world, id) = with_group(101).await;
    let (bob, carol) = (world.connect(BOB).await, world.connect(CAROL).await);
    world.engine().disconnect(&bob.connection);
    world.say(ALICE, id, "one").await;
    world.settle().await;
    assert_eq!(bob.words(), [""; 0]);
    assert_eq!(carol.words().len(), 1);
    assert_eq!(world.engine().connection_count(), 1);
    world.engine().disconnect(&carol.connection);
    world.say(ALICE, id, "two").await;
    let bob = world.connect(BOB).await;
    world.say(ALICE, id, "three").await;
    world.settle().await;
    assert_eq!(bob.words().len(), 1);
}
