//! Scans: exactly the rows of a unit, in subject order, from every cursor on.

use ostracon_domain::{
    Action, AnnexKey, Applied, ConversationId, History, InboxAction, InboxChange, NewInvite, Row,
    UnitId, UserId,
};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, CAROL, World, at, direct, done, edit, group, inbox_order, new_group, react,
        send, user,
    },
};
use crate::shard::Order;

/// Some conversations and users, all put into one unit by the commands that give birth to them.
async fn crowded(fixture: &dyn ShardFixture) -> (World, UnitId) {
    let world = World::new(fixture).await;
    let unit = direct().slot().unit();
    let here = |order: Order| Order { at: at(unit), ..order };
    let put = async |id: ConversationId, actor: UserId, action: Action| {
        let order = here(super::world::order(id, actor, action));
        done(world.one(order).await);
    };
    for peer in 2..=4u64 {
        let talk = ConversationId::direct(ALICE, user(peer));
        for n in 0..peer * 3 {
            put(talk, ALICE, send(&format!("{n}"))).await;
        }
        put(talk, user(peer), react(2, "👍", false)).await;
        put(talk, ALICE, react(2, "👍", false)).await;
        put(talk, ALICE, react(2, "❤️", false)).await;
        put(talk, ALICE, edit(3, "edited")).await;
        put(talk, ALICE, Action::Hide { seq: 1 }).await;
        put(talk, user(peer), Action::Hide { seq: 2 }).await;
        put(talk, ALICE, Action::Hide { seq: 4 }).await;
        put(talk, ALICE, Action::Hide { seq: 3 }).await;
        put(talk, ALICE, Action::Delete { seq: 1 }).await;
    }
    put(group(1), ALICE, new_group("g", &[BOB, CAROL])).await;
    let link = NewInvite { place: 5, hash: [2; 32], expires_at: None, max_uses: None };
    put(group(1), ALICE, Action::CreateInvite(link)).await;
    put(group(1), ALICE, Action::Ban { user: user(9), until: Some(i64::MAX - 1) }).await;
    put(group(2), ALICE, new_group("gone", &[BOB])).await;
    put(group(2), ALICE, send("x")).await;
    put(group(2), ALICE, Action::DeleteGroup).await;
    for (owner, n) in [(BOB, 3u8), (ALICE, 2)] {
        let change = |n| InboxChange {
            conversation: group(n),
            applied: Applied { history: History(1), rev: 1, mark_rev: 0 },
            last_seq: 1,
            last_activity_at: 1,
            view: None,
            large: false,
            removed: n == 1,
        };
        let changes = (1..=n).map(change).collect();
        let order = here(inbox_order(owner, InboxAction::Apply(changes)));
        done(world.one(order).await);
    }
    // Not of this unit.
    world.done(group(3), ALICE, new_group("else", &[])).await;
    world.say(group(3), ALICE, "elsewhere").await;
    (world, unit)
}

/// Annexes by kind, then both parts of their key.
fn place(key: &AnnexKey) -> u128 {
    (u128::from(key.kind as u8) << 120) | (u128::from(key.first) << 60) | u128::from(key.second)
}

/// Where a row stands: subjects in order, small rows first, then messages with their reactions.
fn key(row: &Row) -> (u8, u128, u64, u8, u128, String) {
    let empty = String::new();
    match row {
        Row::Conversation(row) => (0, row.id.as_u128(), 0, 0, 0, empty),
        Row::Member(row) => {
            let user = u128::from(row.user.get());
            (0, row.conversation.as_u128(), 0, 1, user, empty)
        }
        Row::Message(row) => (0, row.conversation.as_u128(), row.seq, 0, 0, empty),
        Row::Reaction(row) => {
            let (id, user) = (row.conversation.as_u128(), u128::from(row.user.get()));
            (0, id, row.seq, 1, user, row.emoji.clone())
        }
        Row::User(row) => (1, u128::from(row.user.get()), 0, 0, 0, empty),
        Row::Inbox(row) => {
            let id = row.conversation.as_u128();
            (1, u128::from(row.user.get()), 0, 1, id, empty)
        }
        Row::Annex(row) if row.key.kind.is_of_message() => {
            let (key, seq) = (row.key, row.key.seq());
            (0, row.conversation.as_u128(), seq, 2, place(&key), empty)
        }
        Row::Annex(row) => (0, row.conversation.as_u128(), 0, 2, place(&row.key), empty),
        Row::ReactionGone(_)
        | Row::MessagesGone { .. }
        | Row::AnnexGone(_)
        | Row::AnnexesGone { .. } => panic!("a scan has states only"),
    }
}

pub(super) async fn a_scan_gives_exactly_the_rows_of_a_unit(fixture: &dyn ShardFixture) {
    let (world, unit) = crowded(fixture).await;
    let rows = world.scan(unit, 10_000).await;
    assert!(rows.is_sorted_by(|a, b| key(a) < key(b)), "in key order");
    let count = |wanted: fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count();
    assert_eq!(count(|row| matches!(row, Row::Conversation(_))), 5);
    assert_eq!(count(|row| matches!(row, Row::Member(_))), 6 + 3 + 2);
    assert_eq!(count(|row| matches!(row, Row::Message(_))), 6 + 9 + 12);
    assert_eq!(count(|row| matches!(row, Row::Reaction(_))), 9);
    // Of the tombstone nothing is hidden any more.
    assert_eq!(count(|row| matches!(row, Row::Annex(_))), 9 + 2);
    assert_eq!(count(|row| matches!(row, Row::User(_))), 2);
    assert_eq!(count(|row| matches!(row, Row::Inbox(_))), 5);
    assert!(world.scan(UnitId(20_000), 10).await.is_empty());
    assert_eq!(world.scan(group(3).slot().unit(), 10).await.len(), 3);
}

pub(super) async fn a_scan_resumes_at_every_cursor(fixture: &dyn ShardFixture) {
    let (world, unit) = crowded(fixture).await;
    let rows = world.scan(unit, 10_000).await;
    for limit in [1, 2, 3, 5, 8, 13, 40] {
        assert_eq!(world.scan(unit, limit).await, rows, "pages of {limit}");
    }
    // A page is about as long as asked: a message comes with its reactions, small rows all at once.
    let mut from = None;
    loop {
        let page = world.shard.scan_unit(unit, from, 4).await.unwrap();
        assert!(page.rows.len() <= 4 + 9);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    // A cursor outlives what is written behind it.
    let first = world.shard.scan_unit(unit, None, 20).await.unwrap();
    let talk = ConversationId::direct(ALICE, user(4));
    let order = Order { at: at(unit), ..super::world::order(talk, ALICE, send("later")) };
    done(world.one(order).await);
    let rest = world.shard.scan_unit(unit, first.next, 10_000).await.unwrap();
    let later = rest.rows.iter().any(|row| match row {
        Row::Message(row) => row.content == "later",
        _ => false,
    });
    assert!(later && rest.next.is_none());
}
