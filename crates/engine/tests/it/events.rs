//! Who gets which frame of a command: each rev has one event, who made it gets only the answer.

use ostracon_domain::{
    Action, ConversationId, GroupChange, GroupSettings, HistoryFor, Role, ViewChange,
};
use ostracon_proto::Encoding;
use serde_json::json;

use crate::world::{ALICE, BOB, CAROL, DAVE, World, user};

fn rename(name: &str) -> Action {
    Action::Change(GroupChange { name: Some(name.into()), ..Default::default() })
}

fn show_all() -> Action {
    let settings = Some(GroupSettings { history_for: HistoryFor::All });
    Action::Change(GroupChange { settings, ..Default::default() })
}

#[tokio::test(start_paused = true)]
async fn a_first_message_opens_its_conversation() {
    let world = World::new().await;
    let (phone, laptop) = (world.connect(ALICE).await, world.connect(ALICE).await);
    let (bob, carol) = (world.connect(BOB).await, world.connect(CAROL).await);
    phone
        .send(&world, "send_message", 1, json!({"to": 2, "content": "hi", "client_id": "c1"}))
        .await;
    world.settle().await;
    let opened = ["conversation r1 - 2 members", "member 1 r2 Member", "member 2 r3 Member"];
    assert_eq!(phone.words(), ["#1 sent s1 r4 hi (c1)"]);
    assert_eq!(laptop.words(), [&opened[..], &["new s1 r4 hi (c1)"]].concat());
    assert_eq!(bob.words(), [&opened[..], &["new s1 r4 hi"]].concat());
    assert!(carol.read().iter().all(|frame| frame.contains("hello")));
}

#[tokio::test(start_paused = true)]
async fn every_change_of_a_message_is_one_event() {
    let world = World::new().await;
    let id = ConversationId::direct(ALICE, BOB);
    world.say(ALICE, id, "one").await;
    let (phone, laptop) = (world.connect(ALICE).await, world.connect(ALICE).await);
    let cbor = world.connect_as(BOB, 9, Encoding::Cbor).await;
    let c = json!(id);
    let steps = [
        ("edit_message", json!({"conversation_id": c, "seq": 1, "content": "two"})),
        ("react", json!({"conversation_id": c, "seq": 1, "emoji": "👍"})),
        // What is so already changes nothing and tells nobody.
        ("react", json!({"conversation_id": c, "seq": 1, "emoji": "👍"})),
        ("react", json!({"conversation_id": c, "seq": 1, "emoji": "👍", "remove": true})),
        ("delete_message", json!({"conversation_id": c, "seq": 1})),
        ("delete_message", json!({"conversation_id": c, "seq": 1})),
    ];
    for (number, (kind, data)) in (1..).zip(steps) {
        phone.send(&world, kind, number, data).await;
    }
    world.settle().await;
    assert_eq!(
        phone.words(),
        [
            "#1 ok s1 r5 two",
            "#2 ok s1 r6 two 👍1",
            "#3 ok s1 r6 two 👍1",
            "#4 ok s1 r7 two",
            "#5 ok r8",
            "#6 ok r8",
        ]
    );
    let told = ["updated s1 r5 two", "updated s1 r6 two 👍1", "updated s1 r7 two", "deleted s1 r8"];
    assert_eq!(laptop.words(), told);
    assert_eq!(cbor.words(), told);
}

#[tokio::test(start_paused = true)]
async fn marks_are_told_to_the_other_devices_and_private_ones_to_nobody() {
    let world = World::new().await;
    let id = ConversationId::direct(ALICE, BOB);
    world.say(ALICE, id, "one").await;
    let alice = world.connect(ALICE).await;
    let (phone, laptop) = (world.connect(BOB).await, world.connect(BOB).await);
    let mark = json!({"conversation_id": id, "seq": 99});
    phone.send(&world, "mark_delivered", 1, mark.clone()).await;
    phone.send(&world, "mark_read", 2, mark.clone()).await;
    phone.send(&world, "mark_read", 3, mark).await;
    world.settle().await;
    assert_eq!(phone.words(), ["#1 ok", "#2 ok", "#3 ok"]);
    let told = ["receipt 2 read 0 delivered 1 m2", "receipt 2 read 1 delivered 1 m3"];
    assert_eq!(laptop.words(), told);
    assert_eq!(alice.words(), told);

    let view = ViewChange { hidden_to: Some(1), muted_until: Some(Some(5)) };
    world.run(BOB, id, Action::ChangeView(view)).await.unwrap();
    world.settle().await;
    assert_eq!(alice.words(), [""; 0]);
    assert_eq!(laptop.inbox_words(), ["inbox r4 m4 u3 unread 0"]);
}

#[tokio::test(start_paused = true)]
async fn members_come_go_and_get_roles() {
    let world = World::new().await;
    let (alice, bob) = (world.connect(ALICE).await, world.connect(BOB).await);
    let (carol, dave) = (world.connect(CAROL).await, world.connect(DAVE).await);
    let id = world.group(ALICE, "g", &[BOB]).await;
    world.say(ALICE, id, "before").await;
    world.engine().add_members(ALICE, id, vec![DAVE, CAROL]).await.unwrap();
    world.say(BOB, id, "hi").await;
    world.run(ALICE, id, rename("h")).await.unwrap();
    world.run(ALICE, id, Action::SetRole { user: BOB, role: Role::Owner }).await.unwrap();
    world.run(BOB, id, Action::RemoveMember { user: CAROL }).await.unwrap();
    world.say(BOB, id, "without carol").await;
    world.run(DAVE, id, Action::RemoveMember { user: DAVE }).await.unwrap();
    world.run(BOB, id, Action::DeleteGroup).await.unwrap();
    world.settle().await;
    let begin = [
        "conversation r1 g 2 members",
        "member 1 r2 Owner",
        "member 2 r3 Member",
        "new s1 r4 before",
    ];
    let joined = ["member 3 r5 Member", "member 4 r6 Member", "conversation r7 g 4 members"];
    let both =
        ["new s2 r8 hi", "conversation r9 h 4 members", "member 1 r10 Admin", "member 2 r11 Owner"];
    let carol_gone = ["member 3 r12 Member left"];
    let without = ["conversation r13 h 3 members", "new s3 r14 without carol"];
    let dave_gone = ["member 4 r15 Member left"];
    let end = ["conversation r16 h 2 members", "conversation r17 - 2 members"];
    let all: [&[&str]; 7] = [&begin, &joined, &both, &carol_gone, &without, &dave_gone, &end];
    assert_eq!(alice.words(), all.concat());
    assert_eq!(bob.words(), all.concat());
    // Nothing from before joining, the own removal, and nothing after it.
    assert_eq!(carol.words(), all[1..4].concat());
    assert_eq!(dave.words(), all[1..6].concat());
}

#[tokio::test(start_paused = true)]
async fn an_event_of_an_old_message_reaches_those_who_may_read_it() {
    let world = World::new().await;
    for (all, expected) in [(false, 0), (true, 1)] {
        let id = world.group(ALICE, &format!("g{all}"), &[BOB]).await;
        world.say(ALICE, id, "old").await;
        if all {
            world.run(ALICE, id, show_all()).await.unwrap();
        }
        world.engine().add_members(ALICE, id, vec![CAROL]).await.unwrap();
        let (bob, carol) = (world.connect(BOB).await, world.connect(CAROL).await);
        world
            .run(ALICE, id, Action::React { seq: 1, emoji: "👍".into(), remove: false })
            .await
            .unwrap();
        world.settle().await;
        assert_eq!(bob.words().len(), 1);
        assert_eq!(carol.words().len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_gets_the_first_result_with_its_history() {
    let world = World::new().await;
    let (phone, laptop) = (world.connect(ALICE).await, world.connect(ALICE).await);
    let send = json!({"to": 2, "content": "hi", "client_id": "c1"});
    phone.send(&world, "send_message", 1, send.clone()).await;
    world.settle().await;
    let first = phone.read();
    laptop.read();
    laptop.send(&world, "send_message", 2, send).await;
    world.settle().await;
    let again = laptop.read();
    let history = |frames: &[String], kind: &str| {
        let frame = frames.iter().find(|frame| frame.contains(kind)).unwrap();
        let json: serde_json::Value = serde_json::from_str(frame).unwrap();
        (json["data"]["history"].clone(), json["data"]["message"].clone())
    };
    assert_eq!(history(&again, "message_sent"), history(&first, "message_sent"));
    assert_eq!(phone.words(), [""; 0], "nobody hears of a repetition");
    let other = json!({"to": 2, "content": "other", "client_id": "c1"});
    laptop.send(&world, "send_message", 3, other).await;
    world.settle().await;
    assert_eq!(laptop.words(), ["#3 error conflict"]);

    // A deletion that is repeated names its line of numbers too.
    let gone = json!({"conversation_id": ConversationId::direct(ALICE, BOB), "seq": 1});
    for number in [4, 5] {
        laptop.send(&world, "delete_message", number, gone.clone()).await;
    }
    world.settle().await;
    let answers = laptop.read();
    assert_eq!(answers[0].replace("\"id\":4", "\"id\":5"), answers[1]);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_answered_and_told_to_nobody() {
    let world = World::new().await;
    let id = ConversationId::direct(ALICE, BOB);
    world.say(ALICE, id, "hi").await;
    let (alice, carol) = (world.connect(ALICE).await, world.connect(CAROL).await);
    carol.say(&world, 1, id, "let me in").await;
    carol.send(&world, "mark_read", 2, json!({"conversation_id": id, "seq": 1})).await;
    carol.send(&world, "send_message", 3, json!({"to": 77, "content": "nobody"})).await;
    let nobody = ConversationId::direct(CAROL, user(77));
    carol.say(&world, 4, nobody, "nobody").await;
    carol.send(&world, "send_message", 5, json!({"to": 1, "content": ""})).await;
    carol.send(&world, "no_such_thing", 6, json!({})).await;
    world.settle().await;
    let mut words = carol.words();
    words.sort();
    assert_eq!(
        words,
        [
            "#1 error not_found",
            "#2 error not_found",
            "#3 error not_found",
            "#4 error not_found",
            "#5 error invalid",
            "#6 error bad_request",
        ]
    );
    assert_eq!(carol.connection.in_flight(), 0);
    assert_eq!(alice.words(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_group_leaves_the_lists_of_former_members_too() {
    let world = World::new().await;
    for (name, extra) in [("small", 0), ("large", 110)] {
        let world = if extra == 0 {
            &world
        } else {
            &World::planned(crate::world::Plan { users: 120, ..Default::default() }).await
        };
        let others: Vec<_> = (2..=5 + extra).map(user).collect();
        let id = world.group(ALICE, name, &others).await;
        world.run(CAROL, id, Action::RemoveMember { user: CAROL }).await.unwrap();
        let before = world.engine().sync(CAROL, None, 100).await.unwrap();
        assert_eq!(before.entries.len(), 1);
        world.run(ALICE, id, Action::DeleteGroup).await.unwrap();
        for member in [ALICE, BOB, CAROL] {
            let list = world.engine().chat_list(member, None, 100).await.unwrap();
            assert!(list.entries.is_empty(), "{member} {name}");
        }
        let after = world.engine().sync(CAROL, Some((before.history, before.user_rev)), 100).await;
        assert_eq!(after.unwrap().removed, [id]);
    }
}
