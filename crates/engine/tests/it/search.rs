//! Indexes follow their shards, whatever happens to a hint, to an index, or to the home of a conversation.

use std::sync::atomic::Ordering;

use ostracon_domain::{Action, ConversationId, UserId};
use ostracon_engine::{SearchFilter, SearchOrder, SearchPage};
use ostracon_search::Query;
use ostracon_store::Shard;

use crate::{
    moves::Mover,
    world::{ALICE, BOB, CAROL, Plan, World, pass, user},
};

async fn world() -> World {
    World::planned(Plan { search: true, users: 60, ..Plan::default() }).await
}

async fn ask(world: &World, who: UserId, text: &str) -> SearchPage {
    let query = Query::parse(text).unwrap();
    let filter = SearchFilter {
        conversation: None,
        sender: None,
        has_attachment: false,
        from: 0,
        below: u64::MAX >> 1,
    };
    world.engine().search(who, &query, filter, SearchOrder::Newest, None, 50).await.unwrap()
}

fn contents(page: &SearchPage) -> Vec<String> {
    page.hits.iter().map(|hit| hit.view.message.content.clone()).collect()
}

async fn found(world: &World, who: UserId, text: &str) -> Vec<String> {
    contents(&ask(world, who, text).await)
}

/// Messages that the index of a conversation's shard has.
async fn indexed(world: &World, shard: usize) -> u64 {
    world.shards[shard].memory.search_index().unwrap().stats().await.unwrap().messages
}

#[tokio::test(start_paused = true)]
async fn an_index_follows_in_less_than_two_seconds() {
    let world = world().await;
    let id = ConversationId::direct(ALICE, BOB);
    world.say(ALICE, id, "one needle").await;
    let edited = world.say(ALICE, id, "two needles").await;
    pass(1_900).await;
    assert_eq!(found(&world, BOB, "needle").await, ["two needles", "one needle"]);
    assert_eq!(found(&world, CAROL, "needle").await, [""; 0]);
    assert!(ask(&world, BOB, "needle").await.complete);
    world.run(ALICE, id, Action::Delete { seq: edited }).await.unwrap();
    assert_eq!(found(&world, BOB, "needle").await, ["one needle"]);
    let shard = world.shard_of(id).id_number();
    pass(1_900).await;
    assert_eq!(indexed(&world, shard).await, 1, "its tokens are gone");
}

#[tokio::test(start_paused = true)]
async fn what_no_hint_told_is_found_by_comparing() {
    let mut world = world().await;
    let id = ConversationId::direct(ALICE, BOB);
    world.say(ALICE, id, "one needle").await;
    let group = world.group(BOB, "a group", &[ALICE]).await;
    world.say(BOB, group, "two needles").await;
    pass(3_000).await;
    // The index is lost while nobody looks, and more is said before anybody does.
    world.stop().await;
    for shard in &world.shards {
        shard.memory.search_index().unwrap().clear().await.unwrap();
    }
    world.start().await;
    world.say(ALICE, id, "three needles").await;
    pass(10_000).await;
    let all = ["three needles", "two needles", "one needle"];
    assert_eq!(found(&world, ALICE, "needle").await, all);
    // It is lost under a running engine.
    for shard in &world.shards {
        shard.memory.search_index().unwrap().clear().await.unwrap();
    }
    assert_eq!(found(&world, ALICE, "needle").await, [""; 0]);
    world.engine().reindex(false).await.unwrap();
    pass(10_000).await;
    assert_eq!(found(&world, ALICE, "needle").await, all);
    world.engine().reindex(true).await.unwrap();
    pass(10_000).await;
    assert_eq!(found(&world, ALICE, "needle").await, all);
}

#[tokio::test(start_paused = true)]
async fn entries_go_with_their_unit() {
    let world = world().await;
    let id = ConversationId::direct(ALICE, BOB);
    for n in 0..30 {
        world.say(ALICE, id, &format!("needle {n}")).await;
    }
    pass(3_000).await;
    let from = world.shard_of(id).id_number();
    assert_eq!((indexed(&world, from).await, indexed(&world, 1 - from).await), (30, 0));
    let mover = Mover::new(&world);
    mover.away(id.slot().unit()).await;
    world.say(BOB, id, "needle from there").await;
    pass(20_000).await;
    assert_eq!(found(&world, ALICE, "needle").await.len(), 31);
    assert_eq!((indexed(&world, from).await, indexed(&world, 1 - from).await), (0, 31));
    mover.away(id.slot().unit()).await;
    pass(20_000).await;
    assert_eq!((indexed(&world, from).await, indexed(&world, 1 - from).await), (31, 0));
    assert_eq!(found(&world, BOB, "there").await, ["needle from there"]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_does_not_answer_is_named() {
    let world = world().await;
    let mut homes = [Vec::new(), Vec::new()];
    for n in 2..30 {
        let id = ConversationId::direct(ALICE, user(n));
        world.say(ALICE, id, "needle").await;
        homes[world.shard_of(id).id_number()].push(id);
    }
    pass(5_000).await;
    assert_eq!(found(&world, ALICE, "needle").await.len(), 28);
    world.shards[0].search_fails.store(true, Ordering::SeqCst);
    let page = ask(&world, ALICE, "needle").await;
    assert_eq!(page.hits.len(), homes[1].len());
    assert_eq!(page.unavailable, [world.shards[0].id()]);
    let elsewhere = homes[1].first().unwrap().peer_of(ALICE).unwrap();
    assert_eq!(ask(&world, elsewhere, "needle").await.unavailable, [], "it is not asked");
}

#[tokio::test(start_paused = true)]
async fn a_long_conversation_is_taken_in_whole() {
    let mut world = world().await;
    let id = ConversationId::direct(ALICE, BOB);
    for n in 0..4_500 {
        world.say(ALICE, id, &format!("needle number{n}")).await;
    }
    world.stop().await;
    for shard in &world.shards {
        shard.memory.search_index().unwrap().clear().await.unwrap();
    }
    world.start().await;
    pass(20_000).await;
    assert_eq!(indexed(&world, world.shard_of(id).id_number()).await, 4_500);
    assert_eq!(found(&world, BOB, "number4321").await, ["needle number4321"]);
}
