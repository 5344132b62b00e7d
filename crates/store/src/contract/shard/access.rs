//! Who sees what: strangers, former members, those who come back, overviews of many conversations at once.

use ostracon_domain::{Action, ConversationId, GroupChange, GroupSettings, HistoryFor};

use super::{
    ShardFixture,
    world::{ALICE, BOB, CAROL, EVE, World, direct, edit, group, home, new_group, newest, rows},
};
use crate::{
    read::{MessagePage, PagePosition, Unread},
    shard::Read,
};

pub(super) async fn strangers_get_nothing(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(3).await;
    let page = world.page(direct(), EVE, newest(10)).await;
    assert!(page.member.is_none() && page.messages.is_empty());
    let seen = world.overview(direct(), EVE).await;
    assert!(seen.member.is_none() && seen.last_message.is_none());
}

pub(super) async fn former_members_read_up_to_their_leaving(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[BOB, CAROL])).await;
    for text in ["one", "two", "three"] {
        world.say(group(1), ALICE, text).await;
    }
    world.done(group(1), BOB, Action::RemoveMember { user: BOB }).await;
    world.say(group(1), ALICE, "four").await;
    world.done(group(1), ALICE, edit(2, "two, edited")).await;
    world.done(group(1), ALICE, Action::Delete { seq: 3 }).await;

    let seen = world.overview(group(1), BOB).await;
    let member = seen.member.unwrap();
    assert_eq!(member.left_seq, Some(3));
    assert_eq!(ostracon_domain::unread(&seen.conversation, &member, 0), 0);
    let last = seen.last_message.unwrap().message;
    assert_eq!((last.seq, last.deleted.is_some()), (3, true));
    for (page, expect) in [
        (newest(10), &[1, 2, 3][..]),
        (newest(1), &[3]),
        (MessagePage::After { position: PagePosition::Seq(2), limit: 10 }, &[3]),
        (MessagePage::After { position: PagePosition::Seq(3), limit: 10 }, &[]),
        (MessagePage::Around { position: PagePosition::Seq(4), limit: 4 }, &[2, 3]),
        (MessagePage::Before { position: PagePosition::Time(i64::MAX), limit: 2 }, &[2, 3]),
    ] {
        assert_eq!(world.seqs(group(1), BOB, page).await, expect, "{page:?}");
    }
    // The row comes as it is; what of it he may see is decided from it.
    let page = world.page(group(1), BOB, newest(10)).await;
    let access = ostracon_domain::access(Some(&page.conversation), page.member.as_deref()).unwrap();
    let withheld = page.messages.iter().map(|v| access.withholds(&v.message));
    assert_eq!(withheld.collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(page.messages[1].message.content, "two, edited");
    assert_eq!(world.seqs(group(1), CAROL, newest(10)).await, [1, 2, 3, 4]);
}

pub(super) async fn who_comes_back(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[BOB, CAROL])).await;
    world.say(group(1), ALICE, "one").await;
    world.done(group(1), BOB, Action::MarkRead { seq: 1 }).await;
    world.done(group(1), ALICE, Action::RemoveMember { user: BOB }).await;
    world.say(group(1), ALICE, "two").await;
    let add = Action::AddMembers { users: vec![BOB] };
    world.done(group(1), ALICE, add).await;
    let seen = world.overview(group(1), BOB).await;
    let member = seen.member.unwrap();
    assert_eq!((member.joined_seq, member.left_seq), (3, None));
    assert_eq!(member.read_seq, 1);
    assert_eq!(seen.last_message, None);
    assert_eq!(ostracon_domain::unread(&seen.conversation, &member, 0), 0);
    world.say(group(1), ALICE, "three").await;
    assert_eq!(world.seqs(group(1), BOB, newest(10)).await, [3]);
    let seen = world.overview(group(1), BOB).await;
    let unread = ostracon_domain::unread(&seen.conversation, &seen.member.unwrap(), 0);
    assert_eq!(unread, 1);
}

pub(super) async fn history_for_new_members(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.done(group(1), ALICE, new_group("g", &[])).await;
    world.say(group(1), ALICE, "one").await;
    let add = Action::AddMembers { users: vec![BOB] };
    world.done(group(1), ALICE, add).await;
    assert!(world.seqs(group(1), BOB, newest(10)).await.is_empty());
    let show = Action::Change(GroupChange {
        settings: Some(GroupSettings { history_for: HistoryFor::All }),
        ..GroupChange::default()
    });
    world.done(group(1), ALICE, show).await;
    assert_eq!(world.seqs(group(1), BOB, newest(10)).await, [1]);
    let seen = world.overview(group(1), BOB).await;
    assert_eq!(seen.last_message.unwrap().message.seq, 1);
    // What was there before does not count as unread.
    let unread = ostracon_domain::unread(&seen.conversation, &seen.member.unwrap(), 0);
    assert_eq!(unread, 0);
}

pub(super) async fn overviews_of_many(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(3).await;
    world.done(group(1), ALICE, new_group("g", &[BOB])).await;
    world.say(group(1), BOB, "one").await;
    let unknown = ConversationId::direct(ALICE, EVE);
    let wrong = ostracon_domain::UnitAt { epoch: ostracon_domain::Epoch(2), ..home(direct()) };
    let wanted = [
        (home(group(1)), group(1)),
        (home(unknown), unknown),
        (wrong, direct()),
        (home(direct()), direct()),
        (home(group(1)), group(1)),
    ];
    let answers = world.shard.overviews(ALICE, &wanted).await.unwrap();
    assert_eq!(answers.len(), 5);
    assert_eq!(answers[1], Read::Absent);
    assert!(matches!(answers[2], Read::Fenced(Some(_))));
    assert_eq!(answers[0], answers[4]);
    let seqs = [0, 3, 4].map(|n| {
        let seen = rows(answers[n].clone());
        (seen.conversation.id, seen.last_message.unwrap().message.seq)
    });
    assert_eq!(seqs, [(group(1), 1), (direct(), 3), (group(1), 1)]);
    assert!(world.shard.overviews(ALICE, &[]).await.unwrap().is_empty());
}

pub(super) async fn unread_of_many(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(3).await;
    world.done(group(1), ALICE, new_group("g", &[BOB])).await;
    world.say(group(1), BOB, "one").await;
    world.say(group(1), BOB, "two").await;
    world.say(group(1), BOB, "three").await;
    world.done(group(1), ALICE, Action::MarkRead { seq: 1 }).await;
    world.done(group(1), BOB, Action::Delete { seq: 2 }).await;
    let unknown = ConversationId::direct(ALICE, EVE);
    let wrong = ostracon_domain::UnitAt { epoch: ostracon_domain::Epoch(2), ..home(direct()) };
    let wanted = [
        (home(group(1)), group(1), ALICE),
        (home(unknown), unknown, ALICE),
        (wrong, direct(), ALICE),
        (home(group(1)), group(1), EVE),
        (home(group(1)), group(1), BOB),
        (home(direct()), direct(), BOB),
        (home(group(1)), group(1), ALICE),
    ];
    let answers = world.shard.unread(&wanted).await.unwrap();
    assert_eq!(answers.len(), wanted.len());
    assert_eq!(answers[1], Read::Absent);
    assert!(matches!(answers[2], Read::Fenced(Some(_))));
    assert_eq!(answers[3], Read::Rows(Unread { member: None, count: 0 }));
    assert_eq!(answers[0], answers[6]);
    for (answer, (_, id, user)) in answers.into_iter().zip(wanted) {
        let Read::Rows(Unread { member: Some(member), count }) = answer else { continue };
        assert_eq!((member.conversation, member.user), (id, user));
        let seen = world.overview(id, user).await;
        assert_eq!(seen.member.as_ref(), Some(&member));
        let expected = ostracon_domain::unread(&seen.conversation, &member, seen.uncounted);
        assert_eq!(count, expected, "{id} {user}");
    }
    assert!(world.shard.unread(&[]).await.unwrap().is_empty());
}
