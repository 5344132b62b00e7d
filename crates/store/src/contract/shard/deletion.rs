//! What is left of deleted messages and groups: as much as numbers and retries need, and nothing else.

use ostracon_domain::{
    Action, Mention, Message, MessageKind, NewMessage, Outcome, RefusalCode, Role, Row,
};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, CAROL, World, direct, done, edit, group, new_group, newest, order, react, say,
        send, send_as, sent,
    },
};

pub(super) async fn a_tombstone_keeps_nothing_else(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(1).await;
    let full = Action::Send(NewMessage {
        client_id: ostracon_domain::ClientId::new("c-1"),
        payload_hash: 77,
        reply_to: Some(1),
        mentions: vec![Mention { user_id: ALICE, start: 0, end: 3 }],
        ..say("secret words")
    });
    let (first, _) = sent(world.one(order(direct(), BOB, full)).await);
    world.done(direct(), BOB, edit(2, "secret edit")).await;
    world.done(direct(), ALICE, react(2, "👍", false)).await;
    world.done(direct(), BOB, Action::Delete { seq: 2 }).await;
    let deleted_at = world.now();
    let expect = Message {
        conversation: direct(),
        seq: 2,
        message_id: first.message.message_id,
        slot: direct().slot(),
        sender: BOB,
        client_id: first.message.client_id.clone(),
        payload_hash: None,
        kind: MessageKind::Text,
        content: String::new(),
        reply_to: None,
        mentions: Vec::new(),
        created_at: first.message.created_at,
        edited_at: None,
        deleted: Some((deleted_at, BOB)),
        uncounted: true,
        created_rev: 5,
        rev: 8,
        content_rev: 8,
        extra: None,
    };
    let check = async |world: &World| {
        let view = world.message(direct(), ALICE, 2).await.unwrap();
        assert_eq!(*view.message, expect);
        assert!(view.reactions.is_empty() && view.quote.is_none());
        let rows = world.scan(direct().slot().unit(), 100).await;
        assert!(!rows.iter().any(|row| matches!(row, Row::Reaction(_))));
        assert!(!format!("{rows:?}").contains("secret"));
    };
    check(&world).await;
    for action in [
        edit(2, "again"),
        react(2, "👍", false),
        Action::Send(NewMessage { reply_to: Some(2), ..say("answer") }),
    ] {
        let code = world.refused(direct(), BOB, action).await;
        assert_eq!(code, RefusalCode::NotFound);
    }
    if let Some(world) = world.reopened(fixture).await {
        check(&world).await;
    }
}

pub(super) async fn what_is_not_retained_is_gone(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(6).await;
    for seq in [2, 5] {
        world.done(direct(), ALICE, react(seq, "👍", false)).await;
        world.done(direct(), ALICE, Action::Pin { seq, remove: false }).await;
        world.done(direct(), ALICE, Action::Hide { seq }).await;
    }
    world
        .done(direct(), BOB, Action::Send(NewMessage { reply_to: Some(2), ..say("answer") }))
        .await;
    let messages = world.shard.stats().await.unwrap().messages;
    let (removed, _) = world.done(direct(), CAROL, Action::Retain { from: 5 }).await;
    assert!(matches!(removed, Outcome::Swept { .. }));
    let again = done(world.one(order(direct(), CAROL, Action::Retain { from: 3 })).await);
    assert!(again.1.is_empty(), "it is so already");
    let check = async |world: &World| {
        let page = world.page(direct(), ALICE, newest(20)).await;
        let seqs: Vec<_> = page.messages.iter().map(|view| view.message.seq).collect();
        assert_eq!(seqs, [5, 6, 7]);
        assert!(page.messages[2].quote.is_none(), "nothing is left to quote");
        assert_eq!(page.conversation.retained_from, 5);
        assert!(world.message(direct(), ALICE, 2).await.is_none());
        let rows = world.scan(direct().slot().unit(), 100).await;
        let low = rows.iter().filter(|row| match row {
            Row::Message(row) => row.seq < 5,
            Row::Reaction(row) => row.seq < 5,
            Row::Annex(row) => row.key.seq() < 5,
            _ => false,
        });
        assert_eq!(low.count(), 0, "{rows:?}");
    };
    check(&world).await;
    assert_eq!(world.shard.stats().await.unwrap().messages + 4, messages);
    assert_eq!(world.refused(direct(), ALICE, react(4, "👍", false)).await, RefusalCode::NotFound);
    if let Some(world) = world.reopened(fixture).await {
        check(&world).await;
        world.done(direct(), CAROL, Action::Retain { from: 99 }).await;
        assert!(world.page(direct(), ALICE, newest(20)).await.messages.is_empty());
        world.say(direct(), BOB, "on it goes").await;
        assert_eq!(world.page(direct(), ALICE, newest(20)).await.messages[0].message.seq, 8);
    }
}

pub(super) async fn a_deleted_group_is_gone(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("secret name", &[BOB, CAROL])).await;
    world.one(order(group(1), BOB, send_as("c-1", "secret"))).await;
    world.say(group(1), ALICE, "two").await;
    world.done(group(1), BOB, react(2, "👍", false)).await;
    world.done(group(1), CAROL, Action::RemoveMember { user: CAROL }).await;
    let messages = world.shard.stats().await.unwrap().messages;
    let (outcome, _) = world.done(group(1), ALICE, Action::DeleteGroup).await;
    let deleted_at = world.now();
    assert!(matches!(outcome, Outcome::Group { .. }));
    world.say(direct(), ALICE, "another conversation").await;

    let check = async |world: &World| {
        for reader in [ALICE, BOB, CAROL] {
            let seen = world.overview(group(1), reader).await;
            assert_eq!(seen.conversation.deleted_at, Some(deleted_at));
            assert_eq!(seen.conversation.name, "");
            assert!(seen.last_message.is_none() && seen.member.is_some());
            let page = world.page(group(1), reader, newest(10)).await;
            assert!(page.messages.is_empty());
            let changes = world.changes(group(1), reader, (0, 0), 100).await;
            assert!(changes.messages.is_empty() && !changes.more);
            assert_eq!(changes.rev, seen.conversation.rev);
            assert!(changes.members.iter().all(|member| member.user == reader));
        }
        let rows = world.scan(group(1).slot().unit(), 100).await;
        let gone = |row: &Row| matches!(row, Row::Message(_) | Row::Reaction(_));
        assert!(!rows.iter().any(gone) && rows.len() == 4);
        assert!(!format!("{rows:?}").contains("secret"));
        for action in [
            send("hello"),
            send_as("c-1", "secret"),
            Action::DeleteGroup,
            Action::MarkRead { seq: 1 },
            new_group("again", &[]),
            Action::Delete { seq: 1 },
        ] {
            let code = world.refused(group(1), ALICE, action).await;
            assert_eq!(code, RefusalCode::NotFound);
        }
        let now = world.shard.stats().await.unwrap().messages;
        assert_eq!(now, messages - 2 + 1);
    };
    check(&world).await;
    if let Some(world) = world.reopened(fixture).await {
        check(&world).await;
    }
}

pub(super) async fn the_last_one_out_deletes(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[BOB])).await;
    world.say(group(1), ALICE, "one").await;
    let answers = world
        .batch(vec![
            order(group(1), ALICE, Action::SetRole { user: BOB, role: Role::Owner }),
            order(group(1), ALICE, Action::RemoveMember { user: ALICE }),
            order(group(1), BOB, Action::RemoveMember { user: BOB }),
        ])
        .await;
    for answer in answers {
        done(answer);
    }
    let seen = world.overview(group(1), BOB).await.conversation;
    assert!(seen.deleted_at.is_some() && seen.member_count == 0);
    assert!(world.page(group(1), BOB, newest(9)).await.messages.is_empty());
}
