//! Seq, rev and mark rev: gapless, in one order, whatever shares a batch.

use std::collections::BTreeMap;

use ostracon_domain::{Action, ConversationId, MessageKind, Row};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, CAROL, START, World, direct, done, edit, group, newest, order, react, revs,
        send, sent,
    },
};
use crate::shard::Answer;

pub(super) async fn numbers_have_no_gaps(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let talks = [direct(), group(1), group(2)];
    let mut heads: BTreeMap<ConversationId, (u64, u64, u64)> = BTreeMap::new();
    for round in 0..8u64 {
        let mut orders = Vec::new();
        if round == 0 {
            for talk in &talks[1..] {
                let action = super::world::new_group("g", &[BOB, CAROL]);
                orders.push(order(*talk, ALICE, action));
            }
        }
        for n in 0..9 {
            let talk = talks[(n % 3) as usize];
            let actor = if n % 2 == 0 { ALICE } else { BOB };
            orders.push(order(talk, actor, send("hello")));
            if round > 0 {
                let seq = round * 2;
                orders.push(order(talk, actor, edit(seq, &format!("edit {n}"))));
                orders.push(order(talk, actor, react(seq, "👍", n > 4)));
                orders.push(order(talk, actor, Action::MarkRead { seq: round * 3 }));
                orders.push(order(talk, actor, Action::MarkDelivered { seq: u64::MAX }));
            }
        }
        for answer in world.batch(orders).await {
            let Answer::Done { rows, .. } = answer else {
                continue;
            };
            let Some(Row::Conversation(after)) =
                rows.iter().rfind(|row| matches!(row, Row::Conversation(_)))
            else {
                assert!(rows.is_empty(), "every change is counted in its conversation");
                continue;
            };
            let (head, rev, mark_rev) = heads.entry(after.id).or_default();
            let expect: Vec<u64> = (*rev + 1..=after.rev).collect();
            assert_eq!(revs(&rows, after.id, *rev), expect, "one row for each rev");
            assert!(after.head_seq - *head <= 1 && after.mark_rev - *mark_rev <= 1);
            assert!(after.rev > *rev || after.mark_rev > *mark_rev);
            (*head, *rev, *mark_rev) = (after.head_seq, after.rev, after.mark_rev);
        }
    }
    for talk in talks {
        let page = world.page(talk, ALICE, newest(1_000)).await;
        let (head, rev, mark_rev) = heads[&talk];
        assert_eq!(head, 8 * 3);
        let seqs = super::world::seqs(&page.messages);
        assert_eq!(seqs, (1..=head).collect::<Vec<_>>());
        let stored = &page.conversation;
        assert_eq!((stored.head_seq, stored.rev, stored.mark_rev), (head, rev, mark_rev));
        let created = page.messages.iter().map(|view| view.message.created_rev);
        assert!(created.is_sorted());
    }
}

pub(super) async fn ids_and_times_never_go_back(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    for now in [START + 5_000, START + 1_000, START, START + 6_000, START + 2_000] {
        world.set_clock(now, 0);
        world.talk(3).await;
    }
    let messages = world.page(direct(), BOB, newest(100)).await.messages;
    assert_eq!(messages.len(), 15);
    assert!(messages.is_sorted_by_key(|view| view.message.created_at));
    assert!(messages.is_sorted_by(|a, b| a.message.message_id < b.message.message_id));
    assert_eq!(messages[14].message.created_at, START + 6_000);
    let kinds = messages.iter().map(|view| view.message.kind);
    assert!(kinds.into_iter().all(|kind| kind == MessageKind::Text));
}

pub(super) async fn positions_rise(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let mut last = 0;
    for _ in 0..5 {
        let orders = vec![order(direct(), ALICE, send("hello"))];
        let commit = world.commit(orders).await.unwrap();
        assert!(commit.position > last, "a change has a place of its own");
        last = commit.position;
        for answer in commit.answers {
            sent(answer);
        }
        // What changes nothing stands no earlier than what it has seen.
        let nothing = vec![order(direct(), ALICE, Action::MarkRead { seq: 1 })];
        let commit = world.commit(nothing).await.unwrap();
        assert!(commit.position >= last);
        last = commit.position;
        let (_, rows) = done(commit.answers.into_iter().next().unwrap());
        assert!(rows.is_empty());
    }
    let commit = world.commit(Vec::new()).await.unwrap();
    assert!(commit.answers.is_empty());
}
