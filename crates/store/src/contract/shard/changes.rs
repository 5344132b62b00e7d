//! What changed since a rev: complete, in order, cut where the answer says.

use std::collections::BTreeSet;

use ostracon_domain::{Action, GroupChange, Role, UserId, ViewChange};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, CAROL, DAVE, EVE, World, direct, edit, group, new_group, order, react, send,
        user,
    },
};
use crate::read::Changes;

/// The revs of the rows of an answer.
fn revs(changes: &Changes) -> Vec<u64> {
    let mut revs: Vec<u64> = changes.messages.iter().map(|v| v.message.rev).collect();
    assert!(revs.is_sorted(), "messages come in rev order");
    let members = changes.members.iter().map(|member| member.rev);
    assert!(members.clone().is_sorted(), "members come in rev order");
    revs.extend(members);
    if changes.info_changed {
        revs.push(changes.conversation.info_rev);
    }
    revs.sort_unstable();
    revs
}

/// A group with a bit of everything in its history: revs 1 … 15.
async fn busy_group(world: &World) {
    world.done(group(1), ALICE, new_group("g", &[BOB, CAROL])).await; // 1 conversation, 2 Alice, 3 Bob, 4 Carol
    for text in ["one", "two", "three", "four"] {
        world.say(group(1), ALICE, text).await; // 5, 6, 7, 8
    }
    world.done(group(1), ALICE, edit(1, "edited")).await; // 9
    world.done(group(1), BOB, react(3, "👍", false)).await; // 10
    let add = Action::AddMembers { users: vec![DAVE] };
    world.done(group(1), ALICE, add).await; // 11 Dave, 12 conversation
    let role = Action::SetRole { user: BOB, role: Role::Admin };
    world.done(group(1), ALICE, role).await; // 13
    world.done(group(1), ALICE, Action::Delete { seq: 2 }).await; // 14
    world.say(group(1), BOB, "five").await; // 15
}

pub(super) async fn changes_are_complete_and_in_order(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    busy_group(&world).await;
    // Rows by the rev they have now.
    let rows = [2, 4, 8, 9, 10, 11, 12, 13, 14, 15];
    for since in 0..=15 {
        let changes = world.changes(group(1), ALICE, (since, 0), 100).await;
        let expect: Vec<u64> = rows.into_iter().filter(|rev| *rev > since).collect();
        assert_eq!(revs(&changes), expect, "since {since}");
        assert!(!changes.more);
        assert_eq!(changes.rev, 15);
        assert_eq!(changes.conversation.rev, 15);
        assert_eq!(changes.member.unwrap().user, ALICE);
    }
    let changes = world.changes(group(1), ALICE, (8, 0), 100).await;
    let contents = changes.messages.iter().map(|v| v.message.content.as_str());
    let expect = ["edited", "three", "", "five"];
    assert_eq!(contents.collect::<Vec<_>>(), expect);
    assert_eq!(changes.messages[1].reactions.len(), 1);
    assert!(changes.messages[2].message.deleted.is_some());
    // A position ahead of the conversation: nothing, and what it really stands at.
    let changes = world.changes(group(1), ALICE, (99, 99), 100).await;
    assert_eq!((revs(&changes), changes.rev), (vec![], 15));
    // Only what the member's row says he may see: Dave came after message 4.
    let changes = world.changes(group(1), DAVE, (0, 0), 100).await;
    let seqs = changes.messages.iter().map(|v| v.message.seq);
    assert_eq!(seqs.collect::<Vec<_>>(), [5]);
    assert_eq!(changes.rev, 15);
}

pub(super) async fn changes_are_cut_where_they_say(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    busy_group(&world).await;
    let whole = world.changes(group(1), ALICE, (0, 0), 100).await;
    let rows = revs(&whole);
    for limit in 1..=12u32 {
        let mut seen = BTreeSet::new();
        let mut since = 0;
        loop {
            let changes = world.changes(group(1), ALICE, (since, 0), limit).await;
            let got = revs(&changes);
            assert!(got.len() <= limit as usize);
            let left_out = rows.iter().find(|rev| **rev > since && !got.contains(rev));
            let expect = left_out.map_or(15, |rev| rev - 1);
            assert_eq!(changes.rev, expect, "limit {limit} since {since}");
            assert!(got.iter().all(|rev| *rev <= changes.rev));
            assert_eq!(changes.more, left_out.is_some());
            seen.extend(got);
            if !changes.more {
                break;
            }
            assert!(changes.rev > since, "progress");
            since = changes.rev;
        }
        assert!(seen.into_iter().eq(rows.iter().copied()), "limit {limit}");
    }
    // A long conversation: a first load by changes alone.
    for _ in 0..3 {
        let orders = (0..100).map(|_| order(direct(), ALICE, send("x")));
        world.batch(orders.collect()).await;
    }
    let (mut since, mut seqs) = (0, Vec::new());
    loop {
        let changes = world.changes(direct(), BOB, (since, 0), 64).await;
        seqs.extend(changes.messages.iter().map(|v| v.message.seq));
        since = changes.rev;
        if !changes.more {
            break;
        }
    }
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
}

fn receipts(changes: &Changes) -> Vec<(u64, u64, u64, u64)> {
    assert!(changes.receipts.is_sorted_by_key(|member| member.mark_rev));
    let rows = changes.receipts.iter();
    rows.map(|m| (m.user.get(), m.read_seq, m.delivered_seq, m.mark_rev)).collect()
}

pub(super) async fn marks_are_counted_apart(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(3).await; // mark revs 1 (Alice), 2 (Bob), 3 (Alice)
    let delivered = Action::MarkDelivered { seq: 3 };
    world.done(direct(), BOB, delivered).await; // 4
    let seen = world.changes(direct(), ALICE, (6, 0), 10).await;
    assert!(revs(&seen).is_empty() && !seen.more);
    assert_eq!(receipts(&seen), [(1, 3, 3, 3), (2, 2, 3, 4)]);
    assert_eq!((seen.rev, seen.mark_rev), (6, 4));
    let seen = world.changes(direct(), ALICE, (6, 3), 10).await;
    assert_eq!(receipts(&seen), [(2, 2, 3, 4)]);
    world.done(direct(), BOB, Action::MarkRead { seq: 3 }).await; // 5
    let hide = Action::ChangeView(ViewChange { hidden_to: Some(2), muted_until: None });
    world.done(direct(), ALICE, hide).await; // 6
    let seen = world.changes(direct(), BOB, (6, 4), 10).await;
    assert_eq!(receipts(&seen), [(2, 3, 3, 5), (1, 3, 3, 6)]);
    let seen = world.changes(direct(), BOB, (6, 6), 10).await;
    assert!(receipts(&seen).is_empty());
    assert_eq!(seen.mark_rev, 6);
}

pub(super) async fn large_groups_give_own_marks_only(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let people: Vec<UserId> = (2..=101).map(user).collect();
    world.done(group(1), ALICE, new_group("big", &people)).await;
    let seen = world.overview(group(1), BOB).await.conversation;
    assert!(seen.large && seen.member_count == 101);
    world.say(group(1), ALICE, "hello").await;
    for reader in [BOB, CAROL] {
        world.done(group(1), reader, Action::MarkRead { seq: 1 }).await;
    }
    let changes = world.changes(group(1), BOB, (0, 0), 1_000).await;
    assert_eq!(receipts(&changes), [(2, 1, 1, 2)]);
    assert_eq!(changes.mark_rev, 3);
    assert_eq!(changes.members.len(), 101);

    // Below 80 it is not large any more; that change is a rev, and marks of others are there again.
    for id in (4..=25).map(user) {
        let remove = Action::RemoveMember { user: id };
        world.done(group(1), ALICE, remove).await;
        let now = world.overview(group(1), BOB).await.conversation;
        assert_eq!(now.large, now.member_count >= 80);
        assert_eq!(now.info_rev, now.rev);
    }
    let changes = world.changes(group(1), BOB, (0, 0), 1_000).await;
    assert!(changes.info_changed);
    assert_eq!(receipts(&changes), [(1, 1, 1, 1), (2, 1, 1, 2), (3, 1, 1, 3)]);
}

pub(super) async fn changes_for_those_outside(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    busy_group(&world).await;
    let leave = Action::RemoveMember { user: CAROL };
    world.done(group(1), CAROL, leave).await; // 16 Carol, 17 conversation
    world.say(group(1), ALICE, "six").await; // 18
    world.done(group(1), ALICE, edit(3, "three again")).await; // 19
    let rename =
        Action::Change(GroupChange { name: Some("renamed".to_owned()), ..Default::default() });
    world.done(group(1), ALICE, rename).await; // 20
    world.done(group(1), BOB, Action::MarkRead { seq: 6 }).await;

    let changes = world.changes(group(1), CAROL, (0, 0), 100).await;
    let seqs = changes.messages.iter().map(|v| v.message.seq);
    assert_eq!(seqs.collect::<Vec<_>>(), [4, 1, 2, 5, 3]);
    let users: Vec<_> = changes.members.iter().map(|m| m.user).collect();
    assert_eq!(users, [CAROL]);
    assert!(changes.receipts.iter().all(|m| m.user == CAROL));
    assert_eq!((changes.rev, changes.more), (20, false));

    let changes = world.changes(group(1), EVE, (0, 0), 100).await;
    assert!(changes.member.is_none() && !changes.info_changed && !changes.more);
    assert!(changes.messages.is_empty() && changes.members.is_empty());
    assert!(changes.receipts.is_empty());
}
