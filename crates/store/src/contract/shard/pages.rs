//! Pages of messages: every kind of place, both directions, all ends.

use ostracon_domain::{ConversationId, MessageId};

use super::{
    ShardFixture,
    world::{ALICE, BOB, EVE, START, World, direct, group, new_group, newest, order, send, seqs},
};
use crate::{
    read::{MessagePage, PagePosition},
    shard::Read,
};

const fn before(position: PagePosition, limit: u32) -> MessagePage {
    MessagePage::Before { position, limit }
}

const fn after(position: PagePosition, limit: u32) -> MessagePage {
    MessagePage::After { position, limit }
}

const fn around(position: PagePosition, limit: u32) -> MessagePage {
    MessagePage::Around { position, limit }
}

pub(super) async fn pages_by_seq(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(10).await;
    let seq = PagePosition::Seq;
    for (page, expect) in [
        (newest(3), &[8, 9, 10][..]),
        (newest(100), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (before(seq(4), 2), &[2, 3]),
        (before(seq(2), 5), &[1]),
        (before(seq(1), 5), &[]),
        (before(seq(1_000), 2), &[9, 10]),
        (after(seq(4), 2), &[5, 6]),
        (after(seq(9), 5), &[10]),
        (after(seq(10), 5), &[]),
        (after(seq(u64::MAX), 5), &[]),
        (after(seq(0), 2), &[1, 2]),
        (around(seq(5), 4), &[3, 4, 5, 6]),
        (around(seq(5), 1), &[5]),
        (around(seq(1), 4), &[1, 2, 3, 4]),
        (around(seq(10), 4), &[8, 9, 10]),
        (newest(0), &[]),
    ] {
        let got = world.page(direct(), ALICE, page).await;
        assert_eq!(seqs(&got.messages), expect, "{page:?}");
        assert_eq!(got.conversation.head_seq, 10);
        assert_eq!(got.conversation.rev, 13);
    }
}

pub(super) async fn pages_by_time_and_id(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    // Messages 1 … 10, alone in their batches, at START + 10, + 20 … + 100.
    let mut ids = vec![MessageId::new(0).unwrap()];
    for n in 1..=10u64 {
        let view = world.say(direct(), ALICE, &format!("{n}")).await;
        assert_eq!(view.message.created_at, START + 10 * n as i64);
        ids.push(view.message.message_id);
    }
    let time = |ms: i64| PagePosition::Time(START + ms);
    let id = |n: usize| PagePosition::Id(ids[n]);
    let between = PagePosition::Id(MessageId::new(ids[4].get() + 1).unwrap());
    let last = PagePosition::Id(MessageId::new(u64::MAX >> 1).unwrap());
    for (page, expect) in [
        // A time stands just before the first message at or after it.
        (before(time(40), 2), &[2, 3][..]),
        (before(time(41), 2), &[3, 4]),
        (after(time(40), 2), &[4, 5]),
        (after(time(41), 2), &[5, 6]),
        (around(time(40), 4), &[2, 3, 4, 5]),
        (around(time(41), 4), &[3, 4, 5, 6]),
        (before(time(-1), 2), &[]),
        (after(time(-1), 2), &[1, 2]),
        (before(time(999), 2), &[9, 10]),
        (after(time(999), 2), &[]),
        (after(time(100), 2), &[10]),
        // A message's id is the message; another one stands between its neighbours.
        (before(id(4), 2), &[2, 3]),
        (after(id(4), 2), &[5, 6]),
        (around(id(4), 4), &[2, 3, 4, 5]),
        (before(between, 2), &[3, 4]),
        (after(between, 2), &[5, 6]),
        (around(between, 4), &[3, 4, 5, 6]),
        (after(id(0), 2), &[1, 2]),
        (before(id(0), 2), &[]),
        (after(id(10), 2), &[]),
        (after(last, 2), &[]),
        (before(last, 2), &[9, 10]),
        (before(PagePosition::Time(i64::MIN), 2), &[]),
        (before(PagePosition::Time(i64::MAX), 2), &[9, 10]),
    ] {
        let got = world.seqs(direct(), BOB, page).await;
        assert_eq!(got, expect, "{page:?}");
    }
}

pub(super) async fn equal_times_page_completely(fixture: &dyn ShardFixture) {
    const ALL: u64 = 1_100;
    let world = World::new(fixture).await;
    world.set_clock(START, 0);
    for _ in 0..ALL / 100 {
        let orders = (0..100).map(|_| order(direct(), ALICE, send("at once")));
        world.batch(orders.collect()).await;
    }
    let everything = world.page(direct(), BOB, newest(2_000)).await.messages;
    assert_eq!(everything.len() as u64, ALL);
    let same_time = |view: &ostracon_domain::MessageView| view.message.created_at == START;
    assert!(everything.iter().all(same_time));

    for by_id in [false, true] {
        let position = |view: &ostracon_domain::MessageView| {
            if by_id {
                PagePosition::Id(view.message.message_id)
            } else {
                PagePosition::Seq(view.message.seq)
            }
        };
        let mut down = world.page(direct(), BOB, newest(50)).await.messages;
        loop {
            let page = before(position(&down[0]), 50);
            let older = world.page(direct(), BOB, page).await.messages;
            if older.is_empty() {
                break;
            }
            down.splice(0..0, older);
        }
        assert_eq!(down, everything);
        // Up from the time itself.
        let first = after(PagePosition::Time(START), 50);
        let mut up = world.page(direct(), BOB, first).await.messages;
        loop {
            let page = after(position(up.last().unwrap()), 50);
            let newer = world.page(direct(), BOB, page).await.messages;
            if newer.is_empty() {
                break;
            }
            up.extend(newer);
        }
        assert_eq!(up, everything);
    }
}

pub(super) async fn pages_of_nothing(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let unknown = ConversationId::direct(BOB, EVE);
    let at = super::world::home(unknown);
    let page = newest(10);
    let read = world.shard.messages(at, unknown, BOB, page).await.unwrap();
    assert_eq!(read, Read::Absent);
    let read = world.shard.overviews(BOB, &[(at, unknown)]).await.unwrap();
    assert_eq!(read, [Read::Absent]);
    let since = crate::read::ChangesSince {
        conversation: unknown,
        reader: BOB,
        rev: 0,
        mark_rev: 0,
        limit: 10,
    };
    assert_eq!(world.shard.changes(at, since).await.unwrap(), Read::Absent);
    let members = crate::read::MembersPage { after: None, limit: 10 };
    let read = world.shard.members(at, unknown, members).await.unwrap();
    assert_eq!(read, Read::Absent);

    world.done(group(1), ALICE, new_group("empty", &[BOB])).await;
    for page in [
        newest(10),
        before(PagePosition::Seq(1), 10),
        after(PagePosition::Seq(0), 10),
        around(PagePosition::Time(START), 10),
        around(PagePosition::Id(MessageId::new(1).unwrap()), 10),
    ] {
        let got = world.page(group(1), BOB, page).await;
        assert!(got.messages.is_empty() && got.member.is_some());
    }
}
