//! What is busy is told: by what was written, read and announced.

use ostracon_domain::ConversationId;
use ostracon_store::MessagePage;

use crate::world::{ALICE, BOB, CAROL, World, pass};

#[tokio::test(start_paused = true)]
async fn the_hottest_are_told() {
    let world = World::new().await;
    let busy = ConversationId::direct(ALICE, BOB);
    let read = world.group(CAROL, "g", &[]).await;
    for _ in 0..100 {
        world.say(ALICE, busy, "x").await;
    }
    let page = MessagePage::Newest { limit: 1 };
    for _ in 0..20 {
        world.engine().messages(CAROL, read, page).await.unwrap();
    }
    assert!(world.engine().hottest(3).conversations.is_empty(), "the window is not over");
    pass(10_000).await;
    let hottest = world.engine().hottest(3);
    let named: Vec<_> = hottest.conversations.iter().map(|hot| hot.what).collect();
    assert_eq!(named, [busy, read]);
    // 100 messages to two members each, half of the window's rate at first.
    let cost = hottest.conversations[0].cost;
    assert!((15.0..16.0).contains(&cost), "{cost}");
    assert_eq!(hottest.units[0].what, busy.slot().unit());
    let mut users: Vec<_> = hottest.users[..2].iter().map(|hot| hot.what).collect();
    users.sort();
    assert_eq!(users, [ALICE, BOB]);
}
