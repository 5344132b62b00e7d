//! Rows that come from another shard: when they are taken, which of two wins, and that life goes on with them.

use ostracon_domain::{Action, Epoch, RefusalCode, Row, UnitAt};

use super::{
    ShardFixture,
    world::{ALICE, BOB, World, direct, edit, newest, order, react, send, send_as, sent},
};
use crate::{
    shard::ShardError,
    unit_state::UnitPhase::{self, Capturing, Frozen, Importing, Moved, Open},
};

/// A place for imports: the unit of the direct conversation, given up and importing at epoch 2.
async fn importing(fixture: &dyn ShardFixture) -> (World, UnitAt) {
    let world = World::new(fixture).await;
    let unit = direct().slot().unit();
    let way: [(UnitPhase, u64); 4] = [(Capturing, 1), (Frozen, 1), (Moved, 1), (Importing, 2)];
    world.step(unit, &way).await;
    let at = UnitAt { unit, epoch: Epoch(2) };
    (world, at)
}

/// A source with messages 1 … 4, a reaction, an edit, a deletion.
async fn source(fixture: &dyn ShardFixture) -> (World, Vec<Row>) {
    let world = World::new(fixture).await;
    world.talk(3).await;
    let (first, _) = sent(world.one(order(direct(), BOB, send_as("c-1", "four"))).await);
    assert_eq!(first.message.seq, 4);
    world.done(direct(), BOB, react(1, "👍", false)).await;
    world.done(direct(), ALICE, react(1, "🎂", false)).await;
    world.done(direct(), ALICE, edit(3, "edited")).await;
    world.done(direct(), ALICE, Action::Hide { seq: 1 }).await;
    world.done(direct(), ALICE, Action::Hide { seq: 3 }).await;
    world.done(direct(), ALICE, Action::Pin { seq: 1, remove: false }).await;
    world.done(direct(), ALICE, Action::Pin { seq: 3, remove: false }).await;
    world.done(direct(), BOB, Action::Pin { seq: 4, remove: false }).await;
    world.done(direct(), BOB, Action::Delete { seq: 2 }).await;
    let rows = world.scan(direct().slot().unit(), 1_000).await;
    (world, rows)
}

/// Rows one by one, but each message with its reactions and annexes.
fn parts<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<Vec<Row>> {
    let mut parts: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        let follows = match row {
            Row::Reaction(_) => true,
            Row::Annex(annex) => annex.key.kind.is_of_message(),
            _ => false,
        };
        match parts.last_mut() {
            Some(part) if follows => part.push(row.clone()),
            _ => parts.push(vec![row.clone()]),
        }
    }
    parts
}

pub(super) async fn rows_are_taken_while_importing_only(fixture: &dyn ShardFixture) {
    let (_, rows) = source(fixture).await;
    let world = World::new(fixture).await;
    let unit = direct().slot().unit();
    let refused = async |epoch: u64| {
        let at = UnitAt { unit, epoch: Epoch(epoch) };
        let answer = world.shard.apply_rows(at, rows.clone(), world.pair()).await;
        assert!(matches!(answer, Err(ShardError::Unexpected(Some(_)))));
        assert!(world.scan(unit, 100).await.is_empty());
    };
    refused(1).await;
    for state in [(Capturing, 1), (Frozen, 1), (Moved, 1)] {
        world.step(unit, &[state]).await;
        refused(1).await;
    }
    world.step(unit, &[(Importing, 2)]).await;
    refused(1).await;
    refused(3).await;
    let nowhere = UnitAt { unit: ostracon_domain::UnitId(20_000), epoch: Epoch(2) };
    let answer = world.shard.apply_rows(nowhere, rows.clone(), world.pair()).await;
    assert_eq!(answer, Err(ShardError::Unexpected(None)));
    let at = UnitAt { unit, epoch: Epoch(2) };
    world.shard.apply_rows(at, rows.clone(), world.pair()).await.unwrap();
    assert_eq!(world.scan(unit, 1_000).await, rows);
    // Invisible until it is open.
    let read = world.shard.messages(at, direct(), ALICE, newest(9)).await;
    assert!(matches!(read.unwrap(), crate::shard::Read::Fenced(_)));
    world.step(unit, &[(Open, 2)]).await;
    let answer = world.shard.apply_rows(at, rows, world.pair()).await;
    assert!(matches!(answer, Err(ShardError::Unexpected(Some(_)))));
}

pub(super) async fn the_higher_number_wins(fixture: &dyn ShardFixture) {
    let (world, old) = source(fixture).await;
    // The source moves on: a reaction gone, an edit, a mark, a message.
    world.done(direct(), BOB, react(1, "👍", true)).await;
    world.done(direct(), ALICE, edit(3, "edited again")).await;
    world.done(direct(), ALICE, Action::Delete { seq: 3 }).await;
    world.done(direct(), ALICE, Action::Pin { seq: 4, remove: true }).await;
    world.done(direct(), BOB, Action::Hide { seq: 4 }).await;
    let mark = Action::MarkRead { seq: 4 };
    world.done(direct(), ALICE, mark).await;
    world.say(direct(), BOB, "five").await;
    let unit = direct().slot().unit();
    let new = world.scan(unit, 1_000).await;
    assert_ne!(old, new);

    for order in [[&old, &new], [&new, &old], [&new, &new]] {
        let (copy, at) = importing(fixture).await;
        for rows in order {
            copy.shard.apply_rows(at, rows.clone(), copy.pair()).await.unwrap();
        }
        assert_eq!(copy.scan(unit, 1_000).await, new);
        // In parts too: each message with its reactions, in any order.
        let (copy, at) = importing(fixture).await;
        for part in parts(order.into_iter().flatten()).into_iter().rev() {
            copy.shard.apply_rows(at, part, copy.pair()).await.unwrap();
        }
        assert_eq!(copy.scan(unit, 1_000).await, new);
    }
}

pub(super) async fn an_imported_unit_lives_on(fixture: &dyn ShardFixture) {
    let (source, rows) = source(fixture).await;
    let before = source.page(direct(), ALICE, newest(100)).await;
    let (mut world, at) = importing(fixture).await;
    for part in parts(rows.iter()).chunks(3) {
        world.shard.apply_rows(at, part.concat(), world.pair()).await.unwrap();
    }
    world.step(at.unit, &[(Open, 2)]).await;
    // Imported rows are nobody's news here.
    assert!(world.shard.undispatched(None, 100).await.unwrap().is_empty());
    for round in 0..2 {
        let page = world.shard.messages(at, direct(), ALICE, newest(100)).await;
        let page = super::world::rows(page.unwrap());
        let seqs = super::world::seqs(&page.messages);
        assert_eq!(seqs, (1..=4 + round).collect::<Vec<_>>());
        assert_eq!(page.messages[..4], before.messages);
        let here = |actor, action| crate::shard::Order { at, ..order(direct(), actor, action) };
        // A retry of what was sent to the other shard.
        let again = world.one(here(BOB, send_as("c-1", "four"))).await;
        let (again, duplicate) = sent(again);
        assert!(duplicate && again.message.seq == 4);
        let other = world.one(here(BOB, send_as("c-1", "other"))).await;
        assert_eq!(super::world::refused(other), RefusalCode::Conflict);
        let (next, _) = sent(world.one(here(ALICE, send("next"))).await);
        assert_eq!(next.message.seq, 5 + round);
        let last = page.messages.last().map(|view| view.message.message_id);
        assert!(Some(next.message.message_id) > last);
        let Some(after) = world.reopened(fixture).await else {
            return;
        };
        world = after;
    }
}
