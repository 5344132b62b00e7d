//! What operators are told.

use std::sync::Arc;

use ostracon_domain::{
    Action, Applied, Conversation, Epoch, History, InboxAction, InboxChange, Row, UnitAt, UnitId,
    id::SLOTS,
};

use super::{
    ShardFixture,
    world::{ALICE, BOB, World, direct, group, inbox_order, new_group},
};
use crate::unit_state::UnitPhase::{Importing, Open};

pub(super) async fn stats_count(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let counts = async |world: &World| {
        let stats = world.shard.stats().await.unwrap();
        (stats.conversations, stats.messages, stats.users, stats.overridden)
    };
    assert_eq!(counts(&world).await, (0, 0, 0, 0));
    world.talk(5).await;
    world.done(direct(), ALICE, Action::Delete { seq: 1 }).await;
    world.done(group(1), ALICE, new_group("g", &[BOB])).await;
    let change = InboxChange {
        conversation: direct(),
        applied: Applied { history: History(1), rev: 1, mark_rev: 1 },
        last_seq: 1,
        last_activity_at: 1,
        view: None,
        large: false,
        removed: false,
    };
    for user in [ALICE, BOB] {
        let follow = InboxAction::Apply(vec![change.clone()]);
        world.one(inbox_order(user, follow)).await;
    }
    assert_eq!(counts(&world).await, (2, 5, 2, 0));

    // A conversation in a unit of its own.
    let unit = UnitId(u32::from(SLOTS) + 1);
    let rows = world.scan(direct().slot().unit(), 100).await;
    let carved = rows.into_iter().map(|row| match row {
        Row::Conversation(row) => {
            Row::Conversation(Arc::new(Conversation { unit, ..Conversation::clone(&row) }))
        }
        other => other,
    });
    let copy = World::new(fixture).await;
    copy.step(unit, &[(Importing, 1)]).await;
    let at = UnitAt { unit, epoch: Epoch(1) };
    copy.shard.apply_rows(at, carved.collect(), copy.pair()).await.unwrap();
    copy.step(unit, &[(Open, 1)]).await;
    assert_eq!(counts(&copy).await, (1, 5, 0, 1));
}
