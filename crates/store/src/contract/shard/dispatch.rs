//! What a dispatcher is told after a crash: every batch that may not have taken effect elsewhere, in order.

use ostracon_domain::{Action, Row};

use super::{
    ShardFixture,
    world::{ALICE, BOB, World, direct, edit, order, send},
};
use crate::shard::{Answer, Position};

/// Commits batches, some without effect, and returns place and rows of those that changed something.
async fn commits(world: &World) -> Vec<(Position, Vec<Row>)> {
    let mut commits = Vec::new();
    for n in 0..6u64 {
        let orders = match n {
            3 => vec![order(direct(), ALICE, Action::MarkRead { seq: 1 })],
            4 => vec![
                order(direct(), BOB, edit(1, "not mine")),
                order(direct(), ALICE, edit(1, "mine")),
                order(direct(), BOB, send("and this")),
            ],
            _ => vec![order(direct(), ALICE, send("hello"))],
        };
        let commit = world.commit(orders).await.unwrap();
        let rows = commit.answers.into_iter().filter_map(|answer| match answer {
            Answer::Done { rows, .. } => Some(rows),
            _ => None,
        });
        let rows: Vec<Row> = rows.flatten().collect();
        if !rows.is_empty() {
            commits.push((commit.position, rows));
        }
    }
    assert_eq!(commits.len(), 5);
    commits
}

async fn undispatched(
    world: &World,
    after: Option<Position>,
    limit: u32,
) -> Vec<(Position, Vec<Row>)> {
    let batches = world.shard.undispatched(after, limit).await.unwrap();
    assert!(batches.is_sorted_by(|a, b| a.position < b.position));
    let batches = batches.into_iter();
    batches.map(|batch| (batch.position, batch.rows)).collect()
}

pub(super) async fn the_dispatch_cursor(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    assert!(undispatched(&world, None, 10).await.is_empty());
    let all = commits(&world).await;
    assert_eq!(undispatched(&world, None, 100).await, all);
    assert_eq!(undispatched(&world, None, 2).await, all[..2]);
    assert_eq!(undispatched(&world, Some(all[1].0), 2).await, all[2..4]);
    assert!(undispatched(&world, Some(all[4].0), 10).await.is_empty());
    world.shard.dispatched(all[1].0).await.unwrap();
    assert_eq!(undispatched(&world, None, 100).await, all[2..]);
    assert_eq!(undispatched(&world, Some(all[0].0), 100).await, all[2..]);
    // It never goes back.
    world.shard.dispatched(all[0].0).await.unwrap();
    assert_eq!(undispatched(&world, None, 100).await, all[2..]);
    world.shard.dispatched(all[4].0).await.unwrap();
    assert!(undispatched(&world, None, 100).await.is_empty());
    let more = commits(&world).await;
    assert_eq!(undispatched(&world, None, 100).await, more);
}

pub(super) async fn undispatched_batches_survive_a_restart(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let all = commits(&world).await;
    world.shard.dispatched(all[1].0).await.unwrap();
    let Some(world) = world.reopened(fixture).await else {
        return;
    };
    // The cursor may be durable later: some may be repeated, none forgotten.
    let told = undispatched(&world, None, 100).await;
    assert!(told.ends_with(&all[2..]) && all.ends_with(&told));
    let more = commits(&world).await;
    let told = undispatched(&world, Some(all[4].0), 100).await;
    assert_eq!(told, more);
    world.shard.dispatched(more[4].0).await.unwrap();
    assert!(undispatched(&world, None, 100).await.is_empty());
}
