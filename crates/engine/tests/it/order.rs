//! One order: every connection sees the revs of a conversation rise, answers and events alike.

use ostracon_domain::{ConversationId, MessageId, Millis, UserId};
use ostracon_engine::limits::Bounds;
use ostracon_store::{MessagePage, PagePosition};
use serde_json::Value;

use crate::world::{ALICE, BOB, CAROL, Line, Plan, START, World, yield_all};

/// The revs of the frames that a connection was given about this conversation, in order.
fn revs(line: &Line, id: ConversationId) -> Vec<u64> {
    let rev = |frame: &String| {
        let frame: Value = serde_json::from_str(frame).unwrap();
        let data = &frame["data"];
        let about = data["conversation_id"] == id.to_string();
        (about && frame["type"] != "inbox_updated" && frame["type"] != "receipt")
            .then(|| data["rev"].as_u64().unwrap())
    };
    line.read().iter().filter_map(rev).collect()
}

#[tokio::test(start_paused = true)]
async fn bursts_of_several_senders_have_one_order() {
    let bounds = Bounds { batch: 7, dispatch_queue: 2, ..Bounds::default() };
    let world = World::planned(Plan { bounds, ..Plan::default() }).await;
    let id = world.group(ALICE, "g", &[BOB, CAROL]).await;
    let (phone, laptop) = (world.connect(ALICE).await, world.connect(ALICE).await);
    let (bob, carol) = (world.connect(BOB).await, world.connect(CAROL).await);
    let mut seen: Vec<Vec<u64>> = vec![Vec::new(); 4];
    let mut calls = Vec::new();
    for number in 0..1_000_u64 {
        phone.say(&world, number, id, "phone").await;
        if number % 3 == 0 {
            bob.say(&world, number, id, "bob").await;
        }
        if number % 10 == 0 {
            let (engine, action) = (std::sync::Arc::clone(world.engine()), world.text("rest"));
            calls.push(tokio::spawn(async move { engine.run(CAROL, id, action).await.unwrap() }));
        }
        if number % 32 == 0 {
            yield_all().await;
            for (seen, line) in seen.iter_mut().zip([&phone, &laptop, &bob, &carol]) {
                seen.extend(revs(line, id));
            }
        }
    }
    world.settle().await;
    for call in calls {
        call.await.unwrap();
    }
    for (seen, line) in seen.iter_mut().zip([&phone, &laptop, &bob, &carol]) {
        seen.extend(revs(line, id));
        let all: Vec<u64> = (5..=4 + 1_000 + 334 + 100).collect();
        assert!(*seen == all, "{seen:?}");
    }
}

async fn stamps(world: &World, reader: UserId, id: ConversationId) -> Vec<(Millis, MessageId)> {
    let page = MessagePage::After { position: PagePosition::Seq(0), limit: 1_000 };
    let (page, _) = world.engine().messages(reader, id, page).await.unwrap();
    page.messages.iter().map(|view| (view.message.created_at, view.message.message_id)).collect()
}

#[tokio::test(start_paused = true)]
async fn times_and_ids_never_go_back_inside_a_conversation() {
    let mut world = World::new().await;
    let id = ConversationId::direct(ALICE, BOB);
    let elsewhere = ConversationId::direct(ALICE, CAROL);
    for (step, time) in [5_000, 1_000, -60_000, 6_000, 0, -600_000, 7_000, 7_001].iter().enumerate()
    {
        world.clock.set(START + time);
        world.say(ALICE, id, "x").await;
        world.say(ALICE, elsewhere, "y").await;
        world.say(BOB, id, "z").await;
        match step {
            3 => {
                world.crash().await;
                world.start().await;
            }
            5 => {
                world.stop().await;
                world.start().await;
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    for id in [id, elsewhere] {
        let stamps = stamps(&world, ALICE, id).await;
        assert!(stamps.len() >= 8);
        for pair in stamps.windows(2) {
            assert!(pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1, "{pair:?}");
        }
        all.extend(stamps.into_iter().map(|(_, id)| id));
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "an id was given twice");
}
