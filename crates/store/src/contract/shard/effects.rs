//! What every command leaves behind, read back by other means than its answer.

use ostracon_domain::{
    Action, ConversationId, ConversationKind, GroupChange, GroupRules, GroupSettings, HistoryFor,
    Level, Mention, MessageView, NewMessage, Outcome, RefusalCode, Role, RulesChange, UserId,
    ViewChange, unread,
};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, CAROL, DAVE, EVE, START, World, direct, edit, group, new_group, newest, order,
        react, say, send, sent,
    },
};

pub(super) async fn direct_conversations(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let (outcome, _) = world.done(direct(), BOB, Action::OpenDirect).await;
    assert!(matches!(outcome, Outcome::Opened { created: true, .. }));
    let (outcome, rows) = world.done(direct(), ALICE, Action::OpenDirect).await;
    assert!(matches!(outcome, Outcome::Opened { created: false, .. }) && rows.is_empty());

    let seen = world.overview(direct(), ALICE).await;
    let conversation = &seen.conversation;
    assert_eq!(conversation.kind, ConversationKind::Direct);
    assert_eq!((conversation.rev, conversation.head_seq), (3, 0));
    assert_eq!(conversation.created_at, START + 10);
    assert_eq!((conversation.member_count, conversation.large), (2, false));
    assert_eq!(seen.member.unwrap().user, ALICE);
    assert_eq!((seen.last_message, seen.uncounted), (None, 0));
    let members = world.members(direct()).await;
    assert_eq!(members.iter().map(|m| m.user).collect::<Vec<_>>(), [ALICE, BOB]);

    // The first message opens a conversation, also one with oneself.
    let own = ConversationId::direct(CAROL, CAROL);
    world.say(own, CAROL, "note to self").await;
    let seen = world.overview(own, CAROL).await;
    assert_eq!(seen.conversation.member_count, 1);
    assert_eq!(seen.last_message.unwrap().message.content, "note to self");
    assert_eq!(world.refused(direct(), EVE, Action::OpenDirect).await, RefusalCode::NotFound);
}

pub(super) async fn groups(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), BOB, new_group("Überraschung 🎂", &[CAROL, ALICE, CAROL])).await;
    let seen = world.overview(group(1), ALICE).await.conversation;
    assert_eq!(seen.kind, ConversationKind::Group);
    assert_eq!((seen.name.as_str(), seen.member_count), ("Überraschung 🎂", 3));
    let members = world.members(group(1)).await;
    let roles: Vec<_> = members.iter().map(|m| (m.user, m.role, m.rev)).collect();
    let expect = [(ALICE, Role::Member, 2), (BOB, Role::Owner, 3), (CAROL, Role::Member, 4)];
    assert_eq!(roles, expect);
    assert_eq!((seen.rev, seen.info_rev), (4, 1));
}

pub(super) async fn messages_are_stored_whole(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(2).await;
    let full = Action::Send(NewMessage {
        client_id: ostracon_domain::ClientId::new("c-1"),
        payload_hash: u128::MAX,
        reply_to: Some(1),
        mentions: vec![
            Mention { user_id: BOB, start: 0, end: 4 },
            Mention { user_id: EVE, start: 5, end: 7 },
        ],
        ..say("@bob 🎂 today?")
    });
    let (answer, _) = sent(world.one(order(direct(), ALICE, full)).await);
    let message = &answer.message;
    assert_eq!((message.seq, message.sender), (3, ALICE));
    assert_eq!(message.created_at, world.now());
    assert_eq!(message.mentions.len(), 2);
    assert_eq!(answer.quote.as_ref().unwrap().excerpt, "message 1");
    assert_eq!(world.message(direct(), BOB, 3).await, Some(answer.clone()));
    let seen = world.overview(direct(), BOB).await;
    assert_eq!(seen.last_message, Some(answer.clone()));
    assert_eq!(seen.conversation.last_activity_at, message.created_at);
    let changes = world.changes(direct(), BOB, (message.rev - 1, 0), 10).await;
    assert_eq!(changes.messages, [answer]);
}

pub(super) async fn edits_and_deletions(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(3).await;
    let before = world.message(direct(), BOB, 1).await.unwrap().message;
    world.done(direct(), ALICE, edit(1, "better")).await;
    let after = world.message(direct(), BOB, 1).await.unwrap().message;
    assert_eq!(after.content, "better");
    assert_eq!(after.edited_at, Some(world.now()));
    assert!(after.rev > before.rev && after.content_rev == after.rev);
    assert_eq!(after.message_id, before.message_id);
    assert_eq!(after.created_rev, before.created_rev);

    world.done(direct(), BOB, Action::Delete { seq: 2 }).await;
    let gone = world.message(direct(), ALICE, 2).await.unwrap().message;
    assert_eq!(gone.deleted, Some((world.now(), BOB)));
    assert!(gone.content.is_empty() && gone.uncounted);
    // Twice the same answer.
    let (first, _) = world.done(direct(), BOB, Action::Delete { seq: 2 }).await;
    let (second, rows) = world.done(direct(), BOB, Action::Delete { seq: 2 }).await;
    assert!(first == second && rows.is_empty());
    // A message of a batch can be edited and deleted in it.
    world
        .batch(vec![
            order(direct(), ALICE, send("quick")),
            order(direct(), ALICE, edit(4, "quicker")),
            order(direct(), ALICE, Action::Delete { seq: 4 }),
        ])
        .await;
    let gone = world.message(direct(), BOB, 4).await.unwrap().message;
    assert!(gone.deleted.is_some());
    assert_eq!(world.overview(direct(), BOB).await.uncounted, 1);
}

fn groups_of(view: &MessageView) -> Vec<(&str, Vec<u64>)> {
    let users = |users: &[UserId]| users.iter().map(|user| user.get()).collect();
    let groups = view.reactions.iter();
    groups.map(|g| (g.emoji.as_str(), users(&g.users))).collect()
}

pub(super) async fn reactions(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[BOB, CAROL])).await;
    world.say(group(1), ALICE, "nice?").await;
    world
        .batch(vec![
            order(group(1), CAROL, react(1, "👍", false)),
            order(group(1), ALICE, react(1, "👍", false)),
            order(group(1), ALICE, react(1, "👍🏽", false)),
            order(group(1), BOB, react(1, "❤️", false)),
            order(group(1), BOB, react(1, "❤️", false)),
        ])
        .await;
    let view = world.message(group(1), BOB, 1).await.unwrap();
    let expect = [("❤️", vec![2]), ("👍", vec![1, 3]), ("👍🏽", vec![1])];
    assert_eq!(groups_of(&view), expect);
    assert_eq!(view.message.rev, 9, "each reaction but the second one is a rev");
    assert_eq!(view.message.content_rev, 5);

    world.done(group(1), ALICE, react(1, "👍", true)).await;
    let (_, rows) = world.done(group(1), ALICE, react(1, "👍", true)).await;
    assert!(rows.is_empty());
    world.done(group(1), BOB, react(1, "❤️", true)).await;
    let view = world.message(group(1), BOB, 1).await.unwrap();
    assert_eq!(groups_of(&view), [("👍", vec![3]), ("👍🏽", vec![1])]);
    assert_eq!(view.message.rev, 11);
    // An edit keeps them, a deletion does not.
    world.done(group(1), ALICE, edit(1, "nice!")).await;
    let view = world.message(group(1), BOB, 1).await.unwrap();
    assert_eq!(view.reactions.len(), 2);
    world.done(group(1), ALICE, Action::Delete { seq: 1 }).await;
    let view = world.message(group(1), BOB, 1).await.unwrap();
    assert!(view.reactions.is_empty());
    assert_eq!(world.refused(group(1), BOB, react(1, "👍", false)).await, RefusalCode::NotFound);
}

pub(super) async fn quotes_show_the_message_as_it_is_now(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(1).await;
    let reply = Action::Send(NewMessage { reply_to: Some(1), ..say("answer") });
    let excerpt = async |world: &World| {
        let view = world.message(direct(), BOB, 2).await.unwrap();
        let quote = view.quote.unwrap();
        assert_eq!((quote.seq, quote.sender), (1, ALICE));
        quote.excerpt
    };
    world.done(direct(), BOB, reply).await;
    assert_eq!(excerpt(&world).await, "message 1");
    let long = "🎂".repeat(200);
    world.done(direct(), ALICE, edit(1, &long)).await;
    assert_eq!(excerpt(&world).await, "🎂".repeat(70));
    world.done(direct(), ALICE, Action::Delete { seq: 1 }).await;
    assert_eq!(excerpt(&world).await, "");
    let reply = Action::Send(NewMessage { reply_to: Some(1), ..say("too late") });
    assert_eq!(world.refused(direct(), BOB, reply).await, RefusalCode::NotFound);
}

pub(super) async fn marks(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(9).await;
    let check = async |read: u64, delivered: u64, count: u64| {
        let seen = world.overview(direct(), BOB).await;
        let member = seen.member.unwrap();
        assert_eq!((member.read_seq, member.delivered_seq), (read, delivered));
        assert_eq!(unread(&seen.conversation, &member, seen.uncounted), count);
    };
    // Bob has sent 2, 4, 6, 8: a send is a read mark too.
    check(8, 8, 1).await;
    world.say(direct(), ALICE, "ten").await;
    world.say(direct(), ALICE, "eleven").await;
    let mark = Action::MarkDelivered { seq: 10 };
    world.done(direct(), BOB, mark).await;
    check(8, 10, 3).await;
    world.done(direct(), BOB, Action::MarkRead { seq: 9 }).await;
    check(9, 10, 2).await;
    // Backwards and again: nothing.
    for action in [
        Action::MarkRead { seq: 3 },
        Action::MarkRead { seq: 0 },
        Action::MarkDelivered { seq: 10 },
    ] {
        let (outcome, rows) = world.done(direct(), BOB, action).await;
        assert!(matches!(outcome, Outcome::Marked { moved: false, .. }) && rows.is_empty());
    }
    world.done(direct(), ALICE, Action::Delete { seq: 11 }).await;
    check(9, 10, 1).await;
    let far = Action::MarkRead { seq: u64::MAX };
    world.done(direct(), BOB, far).await;
    check(11, 11, 0).await;
    let rev = world.overview(direct(), BOB).await.conversation.rev;
    assert_eq!(rev, 3 + 11 + 1, "marks take no rev");
}

pub(super) async fn members_and_roles(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[BOB])).await;
    world.say(group(1), ALICE, "one").await;
    let add = Action::AddMembers { users: vec![DAVE, CAROL, BOB, DAVE] };
    let (outcome, _) = world.done(group(1), ALICE, add).await;
    let Outcome::Members { members, rev, .. } = outcome else {
        panic!("not members: {outcome:?}");
    };
    assert_eq!(members.len(), 3);
    let seen = world.overview(group(1), CAROL).await;
    assert_eq!((seen.conversation.member_count, seen.conversation.rev), (4, rev));
    assert_eq!(seen.conversation.info_rev, rev);
    assert_eq!(seen.member.unwrap().joined_seq, 2);
    assert_eq!(seen.last_message, None, "said before joining");

    let role = |user, role| Action::SetRole { user, role };
    world.done(group(1), ALICE, role(BOB, Role::Admin)).await;
    world.done(group(1), BOB, Action::RemoveMember { user: DAVE }).await;
    world.done(group(1), ALICE, role(CAROL, Role::Owner)).await;
    world.done(group(1), ALICE, Action::RemoveMember { user: ALICE }).await;
    let members = world.members(group(1)).await;
    let list: Vec<_> = members.iter().map(|m| (m.user, m.role, m.left_seq)).collect();
    let expect = [
        (ALICE, Role::Member, Some(1)),
        (BOB, Role::Admin, None),
        (CAROL, Role::Owner, None),
        (DAVE, Role::Member, Some(1)),
    ];
    assert_eq!(list, expect);
    let seen = world.overview(group(1), BOB).await.conversation;
    assert_eq!(seen.member_count, 2);
    // Pages of members.
    let page = async |after: Option<UserId>, limit: u32| {
        let page = crate::read::MembersPage { after, limit };
        let at = super::world::home(group(1));
        let answer = world.shard.members(at, group(1), page).await.unwrap();
        let answer = super::world::rows(answer);
        let users: Vec<u64> = answer.members.iter().map(|m| m.user.get()).collect();
        (users, answer.more)
    };
    assert_eq!(page(None, 3).await, (vec![1, 2, 3], true));
    assert_eq!(page(Some(CAROL), 3).await, (vec![4], false));
    assert_eq!(page(Some(BOB), 2).await, (vec![3, 4], false));
    assert_eq!(page(Some(DAVE), 2).await, (vec![], false));
}

pub(super) async fn names_and_settings(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("old", &[BOB])).await;
    let change = GroupChange {
        name: Some("new".to_owned()),
        settings: Some(GroupSettings { history_for: HistoryFor::All }),
        rules: RulesChange { send: Some(Level::Admins), ..RulesChange::default() },
    };
    world.done(group(1), ALICE, Action::Change(change.clone())).await;
    let seen = world.overview(group(1), BOB).await.conversation;
    assert_eq!(seen.name, "new");
    assert_eq!(seen.settings.history_for, HistoryFor::All);
    assert_eq!(GroupRules::of(&seen).send, Level::Admins);
    assert_eq!((seen.rev, seen.info_rev), (4, 4));
    let (_, rows) = world.done(group(1), ALICE, Action::Change(change)).await;
    assert!(rows.is_empty());
}

pub(super) async fn private_views(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(5).await;
    let before = world.overview(direct(), ALICE).await.conversation;
    let change = |hidden_to, muted_until| Action::ChangeView(ViewChange { hidden_to, muted_until });
    let muted = Some(Some(START * 2));
    world.done(direct(), ALICE, change(Some(99), muted)).await;
    let seen = world.overview(direct(), ALICE).await;
    let member = seen.member.unwrap();
    assert_eq!((member.hidden_to, member.muted_until), (5, Some(START * 2)));
    assert_eq!(seen.conversation.rev, before.rev);
    assert_eq!(seen.conversation.mark_rev, before.mark_rev + 1);
    assert_eq!(member.mark_rev, before.mark_rev + 1);
    world.done(direct(), ALICE, change(Some(1), Some(None))).await;
    let member = world.overview(direct(), ALICE).await.member.unwrap();
    assert_eq!((member.hidden_to, member.muted_until), (5, None));
    let bob = world.overview(direct(), BOB).await.member.unwrap();
    assert_eq!((bob.hidden_to, bob.muted_until), (0, None));
}

pub(super) async fn refused_commands_change_nothing(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[BOB, CAROL])).await;
    world.say(group(1), ALICE, "one").await;
    let unit = group(1).slot().unit();
    let before = world.scan(unit, 1_000).await;
    let remove = |user| Action::RemoveMember { user };
    let role = |user, role| Action::SetRole { user, role };
    for (actor, action, code) in [
        (BOB, send(""), RefusalCode::Invalid),
        (BOB, send("a\0b"), RefusalCode::Invalid),
        (BOB, edit(1, "not mine"), RefusalCode::Forbidden),
        (BOB, edit(2, "not there"), RefusalCode::NotFound),
        (BOB, Action::Delete { seq: 1 }, RefusalCode::Forbidden),
        (BOB, Action::Delete { seq: 7 }, RefusalCode::NotFound),
        (BOB, react(1, "plain", false), RefusalCode::Invalid),
        (BOB, remove(CAROL), RefusalCode::Forbidden),
        (BOB, role(CAROL, Role::Admin), RefusalCode::Forbidden),
        (BOB, Action::DeleteGroup, RefusalCode::Forbidden),
        (ALICE, remove(ALICE), RefusalCode::Conflict),
        (ALICE, remove(EVE), RefusalCode::NotFound),
        (ALICE, role(EVE, Role::Admin), RefusalCode::NotFound),
        (EVE, send("hello"), RefusalCode::NotFound),
        (EVE, Action::MarkRead { seq: 1 }, RefusalCode::NotFound),
        (EVE, new_group("mine", &[]), RefusalCode::NotFound),
    ] {
        let got = world.refused(group(1), actor, action.clone()).await;
        assert_eq!(got, code, "{action:?}");
    }
    assert_eq!(world.scan(unit, 1_000).await, before);
    assert_eq!(world.refused(group(2), ALICE, send("nowhere")).await, RefusalCode::NotFound);
}

pub(super) async fn everything_survives_a_restart(fixture: &dyn ShardFixture) {
    let mut world = World::new(fixture).await;
    world.talk(20).await;
    world.done(group(1), ALICE, new_group("g", &[BOB, CAROL])).await;
    world.say(group(1), ALICE, "one").await;
    world.done(group(1), BOB, react(1, "👍", false)).await;
    world.done(group(1), CAROL, Action::MarkRead { seq: 1 }).await;
    world.done(direct(), ALICE, edit(3, "edited")).await;
    world.done(direct(), BOB, Action::Delete { seq: 4 }).await;
    world.done(group(1), ALICE, Action::RemoveMember { user: BOB }).await;
    for round in 0..3u64 {
        let units = [direct().slot().unit(), group(1).slot().unit()];
        let mut before = Vec::new();
        for unit in units {
            before.extend(world.scan(unit, 1_000).await);
        }
        let page = world.page(direct(), ALICE, newest(100)).await;
        let Some(reopened) = world.reopened(fixture).await else {
            return;
        };
        world = reopened;
        let mut after = Vec::new();
        for unit in units {
            after.extend(world.scan(unit, 1_000).await);
        }
        assert_eq!(after, before);
        assert_eq!(world.page(direct(), ALICE, newest(100)).await, page);
        let next = world.say(direct(), BOB, "after").await.message;
        assert_eq!(next.seq, 21 + round);
        assert!(next.message_id > page.conversation.last_message_id.unwrap());
    }
}
