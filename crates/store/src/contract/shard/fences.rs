//! A shard serves a unit only at the epoch and in the state that its fence says, and rows only under their own unit.

use std::sync::Arc;

use ostracon_domain::{
    Action, Applied, Conversation, Epoch, History, InboxAction, InboxChange, Row, UnitAt, UnitId,
    UserState, id::SLOTS,
};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, World, direct, done, group, home, home_of, inbox_order, new_group, newest,
        order, send, user,
    },
};
use crate::{
    read::{ChangesSince, InboxPage, MembersPage},
    shard::{Answer, Order, Read},
    unit_state::{
        UnitPhase::{self, Capturing, Frozen, Importing, Moved, Open},
        UnitState,
    },
};

const CARVED: UnitId = UnitId(SLOTS as u32 + 7);

fn fenced(answer: Answer) -> Option<(UnitPhase, u64)> {
    match answer {
        Answer::Fenced(state) => phase_of(state),
        other => panic!("not fenced: {other:?}"),
    }
}

fn phase_of(state: Option<UnitState>) -> Option<(UnitPhase, u64)> {
    state.map(|state| (state.phase, state.epoch.0))
}

fn fenced_read<T: std::fmt::Debug>(read: Read<T>) -> Option<(UnitPhase, u64)> {
    match read {
        Read::Fenced(state) => phase_of(state),
        other => panic!("not fenced: {other:?}"),
    }
}

/// That commands and reads which name this place of the direct conversation are fenced, each with the same state.
async fn closed(world: &World, at: UnitAt, state: Option<(UnitPhase, u64)>) {
    let talk = direct();
    for action in [send("hello"), Action::MarkRead { seq: 1 }] {
        let order = Order { at, ..order(talk, ALICE, action) };
        assert_eq!(fenced(world.one(order).await), state);
    }
    let shard = &world.shard;
    let since = ChangesSince { conversation: talk, reader: ALICE, rev: 0, mark_rev: 0, limit: 10 };
    let members = MembersPage { after: None, limit: 10 };
    let reads = [
        fenced_read(shard.messages(at, talk, ALICE, newest(5)).await.unwrap()),
        fenced_read(shard.changes(at, since).await.unwrap()),
        fenced_read(shard.members(at, talk, members).await.unwrap()),
        fenced_read(shard.overviews(ALICE, &[(at, talk)]).await.unwrap().remove(0)),
    ];
    assert!(reads.into_iter().all(|read| read == state));
}

async fn closed_inbox(world: &World, at: UnitAt, state: Option<(UnitPhase, u64)>) {
    let order = Order { at, ..inbox_order(ALICE, follow(9)) };
    assert_eq!(fenced(world.one(order).await), state);
    let page = InboxPage { after: None, limit: 5 };
    let shard = &world.shard;
    let reads = [
        fenced_read(shard.inbox(at, ALICE, page).await.unwrap()),
        fenced_read(shard.inbox_changes(at, ALICE, 0, 5).await.unwrap()),
        fenced_read(shard.inbox_large(at, ALICE).await.unwrap()),
        fenced_read(shard.inbox_entry(at, ALICE, group(1)).await.unwrap()),
    ];
    assert!(reads.into_iter().all(|read| read == state));
}

fn follow(rev: u64) -> InboxAction {
    InboxAction::Apply(vec![InboxChange {
        conversation: group(1),
        applied: Applied { history: History(1), rev, mark_rev: 0 },
        last_seq: rev,
        last_activity_at: 1,
        view: None,
        large: false,
        removed: false,
    }])
}

pub(super) async fn units_not_served_are_fenced(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(2).await;
    world.one(inbox_order(ALICE, follow(1))).await;
    let (talk, list) = (home(direct()), home_of(ALICE));
    for epoch in [0, 2, u64::MAX] {
        let epoch = Epoch(epoch);
        closed(&world, UnitAt { epoch, ..talk }, Some((Open, 1))).await;
        closed_inbox(&world, UnitAt { epoch, ..list }, Some((Open, 1))).await;
    }
    // A unit that this shard does not know.
    let nowhere = UnitAt { unit: CARVED, ..talk };
    closed(&world, nowhere, None).await;
    closed_inbox(&world, nowhere, None).await;

    for at in [talk, list] {
        let unit = at.unit;
        world.step(unit, &[(Capturing, 1)]).await;
        if at == talk {
            world.talk(1).await;
        } else {
            done(world.one(inbox_order(ALICE, follow(2))).await);
        }
        for (phase, epoch) in [(Frozen, 1), (Moved, 1), (Importing, 5)] {
            world.step(unit, &[(phase, epoch)]).await;
            let now = Some((phase, epoch));
            for epoch in [Epoch(1), Epoch(5)] {
                if at == talk {
                    closed(&world, UnitAt { unit, epoch }, now).await;
                } else {
                    closed_inbox(&world, UnitAt { unit, epoch }, now).await;
                }
            }
        }
        world.step(unit, &[(Open, 5)]).await;
        if at == talk {
            closed(&world, at, Some((Open, 5))).await;
        } else {
            closed_inbox(&world, at, Some((Open, 5))).await;
        }
    }
    let now = UnitAt { epoch: Epoch(5), ..talk };
    let order = Order { at: now, ..order(direct(), ALICE, send("at the new epoch")) };
    done(world.one(order).await);
}

pub(super) async fn fenced_orders_drop_out_of_a_batch(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(1).await;
    world.done(group(1), ALICE, new_group("g", &[BOB])).await;
    let stale = |action| Order {
        at: UnitAt { epoch: Epoch(7), ..home(group(1)) },
        ..order(group(1), ALICE, action)
    };
    let answers = world
        .batch(vec![
            order(direct(), ALICE, send("two")),
            stale(send("not here")),
            order(group(1), BOB, send("one")),
            stale(Action::MarkRead { seq: 1 }),
            order(direct(), ALICE, send("")),
            order(direct(), BOB, send("three")),
        ])
        .await;
    let shape: Vec<char> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Done { .. } => 'd',
            Answer::Refused(_) => 'r',
            Answer::Fenced(_) => 'f',
        })
        .collect();
    assert_eq!(shape, ['d', 'f', 'd', 'f', 'r', 'd']);
    assert_eq!(world.seqs(direct(), ALICE, newest(9)).await, [1, 2, 3]);
    assert_eq!(world.seqs(group(1), ALICE, newest(9)).await, [1]);
}

pub(super) async fn births_while_frozen(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let unit = direct().slot().unit();
    world.step(unit, &[(Capturing, 1), (Frozen, 1)]).await;
    let birth = || order(direct(), ALICE, send("first"));
    assert_eq!(fenced(world.one(birth()).await), Some((Frozen, 1)));
    // Opened by a carve: the old epoch is fenced, the new one gives birth.
    world.step(unit, &[(Open, 2)]).await;
    assert_eq!(fenced(world.one(birth()).await), Some((Open, 2)));
    let at = UnitAt { unit, epoch: Epoch(2) };
    let (_, rows) = done(world.one(Order { at, ..birth() }).await);
    let Some(Row::Conversation(row)) = rows.iter().find(|r| matches!(r, Row::Conversation(_)))
    else {
        panic!("no conversation among {rows:?}");
    };
    assert_eq!(row.unit, unit);
}

/// Puts a unit's rows, changed by `relabel`, into a carved unit of a fresh world, where the slot is served too.
async fn carve(
    fixture: &dyn ShardFixture,
    world: &World,
    unit: UnitId,
    relabel: impl Fn(Row) -> Row,
) -> World {
    let rows: Vec<Row> = world.scan(unit, 100).await.into_iter().map(relabel).collect();
    assert!(!rows.is_empty());
    let carved = World::new(fixture).await;
    carved.step(CARVED, &[(Importing, 1)]).await;
    let at = UnitAt { unit: CARVED, epoch: Epoch(1) };
    carved.shard.apply_rows(at, rows, carved.pair()).await.unwrap();
    carved.step(CARVED, &[(Open, 1)]).await;
    carved
}

pub(super) async fn rows_of_another_unit_are_fenced(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(3).await;
    let slot = home(direct());
    let world = carve(fixture, &world, slot.unit, |row| match row {
        Row::Conversation(row) => {
            Row::Conversation(Arc::new(Conversation { unit: CARVED, ..Conversation::clone(&row) }))
        }
        other => other,
    })
    .await;
    // A stale router names the slot, which is served here at this very epoch.
    closed(&world, slot, Some((Open, 1))).await;
    let at = UnitAt { unit: CARVED, ..slot };
    let page = world.shard.messages(at, direct(), ALICE, newest(9)).await;
    let page = super::world::rows(page.unwrap());
    assert_eq!(super::world::seqs(&page.messages), [1, 2, 3]);
    let order = Order { at, ..order(direct(), ALICE, send("four")) };
    done(world.one(order).await);
    // Another unit again, and one that is served but not the row's.
    let other = UnitAt { unit: home_of(user(3)).unit, ..slot };
    closed(&world, other, Some((Open, 1))).await;
    if let Some(world) = world.reopened(fixture).await {
        closed(&world, slot, Some((Open, 1))).await;
        let page = world.shard.messages(at, direct(), ALICE, newest(9)).await;
        assert_eq!(super::world::rows(page.unwrap()).messages.len(), 4);
    }
}

pub(super) async fn users_of_another_unit_are_fenced(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    done(world.one(inbox_order(ALICE, follow(1))).await);
    let slot = home_of(ALICE);
    let world = carve(fixture, &world, slot.unit, |row| match row {
        Row::User(row) => Row::User(Arc::new(UserState { unit: CARVED, ..UserState::clone(&row) })),
        other => other,
    })
    .await;
    closed_inbox(&world, slot, Some((Open, 1))).await;
    let order = Order { at: UnitAt { unit: CARVED, ..slot }, ..inbox_order(ALICE, follow(2)) };
    done(world.one(order).await);
}
