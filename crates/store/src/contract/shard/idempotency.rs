//! A retry with the same client id finds its first result, always; other people's client ids never matter.

use ostracon_domain::{Action, RefusalCode};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, CAROL, World, direct, edit, group, new_group, order, refused, send, send_as,
        sent,
    },
};

pub(super) async fn the_same_again_gives_the_first_result(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let again = || world.one(order(direct(), ALICE, send_as("c-1", "hello")));
    let (first, duplicate) = sent(again().await);
    assert!(!duplicate);
    for _ in 0..3 {
        world.say(direct(), BOB, "between").await;
    }
    assert_eq!(sent(again().await), (first.clone(), true));
    let conflict = send_as("c-1", "something else");
    assert_eq!(world.refused(direct(), ALICE, conflict.clone()).await, RefusalCode::Conflict);

    // After an edit the first payload is still what counts; the answer shows the message as it is now.
    world.done(direct(), ALICE, edit(1, "edited")).await;
    let (edited, duplicate) = sent(again().await);
    assert!(duplicate);
    assert_eq!(edited.message.message_id, first.message.message_id);
    assert_eq!(edited.message.content, "edited");
    assert_eq!(world.refused(direct(), ALICE, conflict.clone()).await, RefusalCode::Conflict);

    // After a deletion nothing is left to compare with.
    world.done(direct(), ALICE, Action::Delete { seq: 1 }).await;
    for action in [send_as("c-1", "hello"), conflict] {
        let (tombstone, duplicate) = sent(world.one(order(direct(), ALICE, action)).await);
        assert!(duplicate);
        assert_eq!(tombstone.message.message_id, first.message.message_id);
        assert!(tombstone.message.deleted.is_some() && tombstone.message.content.is_empty());
    }
    assert_eq!(world.overview(direct(), BOB).await.conversation.head_seq, 4);

    // Without a client id every send is a new one.
    world.say(direct(), ALICE, "same").await;
    world.say(direct(), ALICE, "same").await;
    assert_eq!(world.overview(direct(), BOB).await.conversation.head_seq, 6);
}

pub(super) async fn a_client_id_belongs_to_its_sender_and_conversation(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let other = ostracon_domain::ConversationId::direct(ALICE, CAROL);
    // Also ids that differ in case only, or look like UUIDs in two spellings.
    let uuid = "0197A1B2-C3D4-7E5F-8A6B-7C8D9E0F1A2B";
    let lower = uuid.to_lowercase();
    let simple = lower.replace('-', "");
    let mut expect = 0;
    for client_id in ["x", "X", "x ", "é", "e\u{301}", uuid, &lower, &simple] {
        for (talk, actor) in [(direct(), ALICE), (direct(), BOB), (other, ALICE)] {
            let action = send_as(client_id, "hello");
            let (_, duplicate) = sent(world.one(order(talk, actor, action)).await);
            assert!(!duplicate, "{client_id:?} in {talk} by {actor}");
        }
        expect += 2;
        let head = world.overview(direct(), BOB).await.conversation.head_seq;
        assert_eq!(head, expect);
    }
    let stored = world.page(direct(), ALICE, super::world::newest(2)).await;
    let client_id = stored.messages[0].message.client_id.clone();
    assert_eq!(client_id.unwrap().as_str(), simple);
}

pub(super) async fn a_retry_in_the_same_batch(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let answers = world
        .batch(vec![
            order(direct(), ALICE, send_as("c-1", "hello")),
            order(direct(), ALICE, send_as("c-1", "hello")),
            order(direct(), ALICE, send_as("c-1", "other")),
            order(direct(), ALICE, edit(1, "edited")),
            order(direct(), ALICE, send_as("c-1", "hello")),
            order(direct(), ALICE, Action::Delete { seq: 1 }),
            order(direct(), ALICE, send_as("c-1", "other")),
            order(direct(), BOB, send_as("c-1", "hello")),
        ])
        .await;
    let mut answers = answers.into_iter();
    let (first, duplicate) = sent(answers.next().unwrap());
    assert!(!duplicate);
    assert_eq!(sent(answers.next().unwrap()), (first, true));
    assert_eq!(refused(answers.next().unwrap()), RefusalCode::Conflict);
    let mut answers = answers.skip(1);
    let (edited, duplicate) = sent(answers.next().unwrap());
    assert!(duplicate && edited.message.content == "edited");
    let mut answers = answers.skip(1);
    let (tombstone, duplicate) = sent(answers.next().unwrap());
    assert!(duplicate && tombstone.message.deleted.is_some());
    let (bobs, duplicate) = sent(answers.next().unwrap());
    assert!(!duplicate && bobs.message.seq == 2);
}

pub(super) async fn a_retry_after_leaving(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[BOB, CAROL])).await;
    let again = || world.one(order(group(1), BOB, send_as("c-1", "hello")));
    let (first, _) = sent(again().await);
    world.done(group(1), ALICE, Action::RemoveMember { user: BOB }).await;
    assert_eq!(sent(again().await), (first, true));
    assert_eq!(world.refused(group(1), BOB, send("new")).await, RefusalCode::NotMember);
    // With the group its messages are gone, in the very next order too.
    let answers = world
        .batch(vec![
            order(group(1), ALICE, send_as("c-2", "last words")),
            order(group(1), ALICE, Action::DeleteGroup),
            order(group(1), ALICE, send_as("c-2", "last words")),
        ])
        .await;
    let last = answers.into_iter().next_back().unwrap();
    assert_eq!(refused(last), RefusalCode::NotFound);
    assert_eq!(refused(again().await), RefusalCode::NotFound);
}

pub(super) async fn a_retry_after_a_restart(fixture: &dyn ShardFixture) {
    let mut world = World::new(fixture).await;
    let again = || order(direct(), ALICE, send_as("c-1", "hello"));
    let (first, _) = sent(world.one(again()).await);
    for _ in 0..2 {
        let Some(after) = world.reopened(fixture).await else {
            return;
        };
        world = after;
        assert_eq!(sent(world.one(again()).await), (first.clone(), true));
        let other = send_as("c-1", "other");
        assert_eq!(world.refused(direct(), ALICE, other).await, RefusalCode::Conflict);
    }
    let fresh = sent(world.one(order(direct(), ALICE, send_as("c-2", "hello"))).await);
    assert!(!fresh.1 && fresh.0.message.seq == 2);
    assert!(fresh.0.message.message_id > first.message.message_id);
}
