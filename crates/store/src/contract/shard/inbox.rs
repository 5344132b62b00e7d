//! A user's own list: following conversations, own settings, order, pages.

use ostracon_domain::{
    Applied, ConversationId, History, InboxAction, InboxChange, Millis, Outcome, RefusalCode,
};

use super::{
    ShardFixture,
    world::{ALICE, BOB, START, World, at, done, group, home_of, inbox_order, refused, rows, user},
};
use crate::{
    read::{InboxPage, InboxRows},
    shard::Read,
};

const PAGE: InboxPage = InboxPage { after: None, limit: 100 };

/// Conversation n of Alice's list, at a rev; mark rev and seq follow from it.
fn change(n: u8, rev: u64, at: Millis) -> InboxChange {
    InboxChange {
        conversation: group(n),
        applied: Applied { history: History(7), rev, mark_rev: rev },
        last_seq: rev,
        last_activity_at: START + at,
        view: None,
        large: false,
        removed: false,
    }
}

fn list(rows: &InboxRows) -> Vec<ConversationId> {
    rows.entries.iter().map(|entry| entry.conversation).collect()
}

fn set(n: u8, pinned: Option<bool>, archived: Option<bool>, unread: Option<bool>) -> InboxAction {
    InboxAction::Set {
        conversation: group(n),
        pinned,
        archived,
        marked_unread: unread,
        draft: None,
    }
}

pub(super) async fn entries_follow_their_conversations(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let empty = world.inbox(ALICE, PAGE).await;
    assert!(empty.state.is_none() && empty.entries.is_empty() && !empty.more);
    let nothing = world.inbox_changes(ALICE, 0, 10).await;
    assert!(nothing.state.is_none() && nothing.user_rev == 0);

    let entries = world.follow(ALICE, vec![change(1, 5, 50), change(2, 3, 30)]).await;
    assert_eq!(entries.len(), 2);
    let read = world.inbox(ALICE, PAGE).await;
    let state = read.state.unwrap();
    assert_eq!((state.user, state.user_rev), (ALICE, 2));
    assert_eq!(state.unit, ALICE.slot().unit());
    assert_eq!(read.entries, entries);
    assert_eq!(entries.iter().map(|e| e.user_rev).collect::<Vec<_>>(), [1, 2]);

    // What is known already changes nothing and takes no number.
    for change in [change(1, 5, 50), change(1, 4, 40)] {
        assert!(world.follow(ALICE, vec![change]).await.is_empty());
    }
    // Parts go forward on their own.
    let marks = InboxChange {
        applied: Applied { mark_rev: 9, ..change(1, 4, 0).applied },
        ..change(1, 4, 40)
    };
    let entry = world.follow(ALICE, vec![marks]).await.remove(0);
    assert_eq!((entry.applied.rev, entry.applied.mark_rev), (5, 9));
    assert_eq!((entry.last_seq, entry.last_activity_at), (5, START + 50));
    assert_eq!(entry.user_rev, 3);
    // One batch, one entry twice: each change is a number.
    let answers = world
        .batch(vec![
            inbox_order(ALICE, InboxAction::Apply(vec![change(1, 6, 60)])),
            inbox_order(ALICE, InboxAction::Apply(vec![change(1, 7, 70)])),
            inbox_order(BOB, InboxAction::Apply(vec![change(1, 7, 70)])),
        ])
        .await;
    assert!(answers.into_iter().all(|answer| done(answer).1.len() == 2));
    let alice = world.inbox_changes(ALICE, 3, 10).await;
    assert_eq!((alice.user_rev, alice.entries.len()), (5, 1));
    assert_eq!(alice.entries[0].applied.rev, 7);
    assert_eq!(world.inbox(BOB, PAGE).await.state.unwrap().user_rev, 1);

    // Mirrors of the member row.
    let view = InboxChange { view: Some((7, Some(START * 2))), ..change(1, 10, 80) };
    let entry = world.follow(ALICE, vec![view]).await.remove(0);
    assert_eq!((entry.hidden_to, entry.muted_until), (7, Some(START * 2)));
    // One entry by itself.
    let entry_of = async |n| {
        let read = world.shard.inbox_entry(home_of(ALICE), ALICE, group(n));
        rows(read.await.unwrap())
    };
    assert_eq!(entry_of(1).await, Some(entry));
    assert_eq!(entry_of(3).await, None);
}

pub(super) async fn another_history_always_applies(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.follow(ALICE, vec![change(1, 50, 500)]).await;
    world.done_inbox(ALICE, set(1, Some(true), None, None)).await;
    let restored = InboxChange {
        applied: Applied { history: History(8), rev: 3, mark_rev: 2 },
        ..change(1, 3, 30)
    };
    let entry = world.follow(ALICE, vec![restored.clone()]).await.remove(0);
    assert_eq!(entry.applied, restored.applied);
    assert_eq!((entry.last_seq, entry.last_activity_at), (3, START + 30));
    assert!(entry.pinned, "own settings stay");
    assert!(world.follow(ALICE, vec![restored]).await.is_empty());
}

impl World {
    async fn done_inbox(
        &self,
        user: ostracon_domain::UserId,
        action: InboxAction,
    ) -> Vec<std::sync::Arc<ostracon_domain::InboxEntry>> {
        match done(self.one(inbox_order(user, action)).await).0 {
            Outcome::Inbox { entries } => entries,
            other => panic!("not an inbox: {other:?}"),
        }
    }
}

pub(super) async fn own_settings(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.follow(ALICE, vec![change(1, 5, 50)]).await;
    let entry = world.done_inbox(ALICE, set(1, Some(true), Some(true), Some(true))).await.remove(0);
    assert!(entry.pinned && entry.marked_unread);
    assert_eq!((entry.archived_seq, entry.user_rev), (Some(5), 2));
    // Archived stays where it was archived; the same again changes nothing.
    let no_message = InboxChange { last_seq: 5, ..change(1, 6, 60) };
    world.follow(ALICE, vec![no_message]).await;
    let again = set(1, Some(true), Some(true), None);
    assert!(world.done_inbox(ALICE, again).await.is_empty());
    let read = world.inbox(ALICE, PAGE).await;
    assert_eq!(read.entries[0].archived_seq, Some(5));
    assert_eq!(read.state.unwrap().user_rev, 3);
    let entry =
        world.done_inbox(ALICE, set(1, Some(false), Some(false), Some(false))).await.remove(0);
    assert!(!entry.pinned && !entry.marked_unread && entry.archived_seq.is_none());
    let draft = |text: Option<&str>| InboxAction::Set {
        conversation: group(1),
        pinned: None,
        archived: None,
        marked_unread: None,
        draft: Some(text.map(str::to_owned)),
    };
    let entry = world.done_inbox(ALICE, draft(Some("begun"))).await.remove(0);
    assert_eq!(world.inbox(ALICE, PAGE).await.entries[0], entry);
    assert_eq!(entry.extra.as_ref().and_then(|extra| extra.draft.as_deref()), Some("begun"));
    let entry = world.done_inbox(ALICE, draft(None)).await.remove(0);
    assert!(entry.extra.is_none(), "nothing is left of it");
    assert_eq!(world.inbox(ALICE, PAGE).await.entries, [entry]);
    for (user, n) in [(ALICE, 2), (BOB, 1)] {
        let answer = world.one(inbox_order(user, set(n, Some(true), None, None)));
        assert_eq!(refused(answer.await), RefusalCode::NotFound);
    }
}

pub(super) async fn removed_and_hidden_entries_leave_the_list(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let all = [1, 2, 3].map(|n| change(n, 5, i64::from(n)));
    world.follow(ALICE, all.to_vec()).await;
    let hidden = InboxChange { view: Some((5, None)), ..change(1, 6, 1) };
    // Hidden at its newest message: the rev of a mark, not of a message.
    let hidden = InboxChange { last_seq: 5, ..hidden };
    let removed = InboxChange { removed: true, ..change(2, 6, 2) };
    world.follow(ALICE, vec![hidden, removed]).await;
    assert_eq!(list(&world.inbox(ALICE, PAGE).await), [group(3)]);
    let changes = world.inbox_changes(ALICE, 3, 10).await;
    let gone: Vec<_> = changes.entries.iter().map(|e| (e.conversation, e.removed)).collect();
    assert_eq!(gone, [(group(1), false), (group(2), true)]);
    let refusal = world.one(inbox_order(ALICE, set(2, Some(true), None, None)));
    assert_eq!(refused(refusal.await), RefusalCode::NotFound);
    // A newer message brings a hidden one back, a removed one never.
    world.follow(ALICE, vec![change(1, 7, 9), change(2, 7, 9)]).await;
    assert_eq!(list(&world.inbox(ALICE, PAGE).await), [group(1), group(3)]);
}

pub(super) async fn the_list_is_ordered_and_pages(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    // Two share a time: the larger id comes first. Another user's list is none of it.
    let times = [(1, 30), (2, 10), (3, 30), (4, 50), (5, 20), (6, 30)];
    let changes = times.map(|(n, time)| change(n, 1, time));
    world.follow(ALICE, changes.to_vec()).await;
    world.follow(BOB, vec![change(2, 1, 99)]).await;
    let expect = [4, 6, 3, 1, 5, 2].map(group);
    assert_eq!(list(&world.inbox(ALICE, PAGE).await), expect);
    for limit in 1..=7u32 {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = world.inbox(ALICE, InboxPage { after, limit }).await;
            assert!(page.entries.len() <= limit as usize);
            seen.extend(list(&page));
            let last = page.entries.last().unwrap();
            after = Some((last.last_activity_at, last.conversation));
            assert_eq!(page.more, seen.len() < 6);
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, expect, "pages of {limit}");
    }
    let before_all = InboxPage { after: Some((START - 1, group(1))), limit: 10 };
    assert!(world.inbox(ALICE, before_all).await.entries.is_empty());
    world.follow(ALICE, vec![change(2, 2, 60)]).await;
    assert_eq!(list(&world.inbox(ALICE, PAGE).await)[0], group(2));
}

pub(super) async fn inbox_changes_page(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    for round in 1..=3 {
        let changes = (1..=6).map(|n| change(n, round, 0)).collect();
        world.follow(ALICE, changes).await;
    }
    world.follow(ALICE, vec![change(2, 9, 0)]).await;
    let whole = world.inbox_changes(ALICE, 0, 100).await;
    let revs: Vec<u64> = whole.entries.iter().map(|e| e.user_rev).collect();
    assert_eq!(revs, [13, 15, 16, 17, 18, 19]);
    assert_eq!((whole.user_rev, whole.more), (19, false));
    for limit in 1..=6 {
        let (mut since, mut seen) = (0, Vec::new());
        loop {
            let page = world.inbox_changes(ALICE, since, limit).await;
            seen.extend(page.entries.iter().map(|entry| entry.user_rev));
            let left_out = revs.get(seen.len()).copied();
            assert_eq!(page.user_rev, left_out.map_or(19, |rev| rev - 1));
            assert_eq!(page.more, left_out.is_some());
            since = page.user_rev;
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, revs, "pages of {limit}");
    }
    let nothing = world.inbox_changes(ALICE, 19, 10).await;
    assert!(nothing.entries.is_empty() && nothing.user_rev == 19);
    let ahead = world.inbox_changes(ALICE, 99, 10).await;
    assert!(ahead.entries.is_empty() && ahead.user_rev == 19);
}

pub(super) async fn large_entries(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let large = |n, rev| InboxChange { large: true, ..change(n, rev, 0) };
    let all = vec![large(4, 1), change(2, 1, 0), large(1, 1), large(3, 1)];
    world.follow(ALICE, all).await;
    let removed = InboxChange { removed: true, ..large(3, 2) };
    world.follow(ALICE, vec![removed]).await;
    let read = async || {
        let read = world.shard.inbox_large(home_of(ALICE), ALICE).await;
        list(&rows(read.unwrap()))
    };
    let mut expect = vec![group(1), group(4)];
    expect.sort_unstable();
    assert_eq!(read().await, expect);
    // An older word does not make it large again.
    world.follow(ALICE, vec![change(4, 3, 0)]).await;
    world.follow(ALICE, vec![large(4, 2)]).await;
    assert_eq!(read().await, [group(1)]);
    let nobody = user(6);
    let read = world.shard.inbox_large(home_of(nobody), nobody).await;
    assert!(rows(read.unwrap()).entries.is_empty());
    let elsewhere = at(ostracon_domain::UnitId(16_383));
    let read = world.shard.inbox_large(elsewhere, ALICE).await.unwrap();
    assert!(matches!(read, Read::Fenced(None)));
}

pub(super) async fn an_inbox_survives_a_restart(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let view = InboxChange { view: Some((1, Some(START))), large: true, ..change(3, 9, 90) };
    world.follow(ALICE, vec![change(1, 5, 50), change(2, 3, 30), view]).await;
    world.done_inbox(ALICE, set(2, Some(true), Some(true), Some(true))).await;
    let before = world.inbox(ALICE, PAGE).await;
    let Some(world) = world.reopened(fixture).await else {
        return;
    };
    assert_eq!(world.inbox(ALICE, PAGE).await, before);
    assert!(world.follow(ALICE, vec![change(1, 5, 50)]).await.is_empty());
    let entry = world.follow(ALICE, vec![change(1, 6, 60)]).await.remove(0);
    assert_eq!(entry.user_rev, 5);
}
