//! The hooks of the twin. That it is a shard at all is the contract suite's work.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use ostracon_domain::{
    Action, Command, ConversationCommand, ConversationId, Epoch, Limits, ShardId, UnitAt, UnitId,
    UserId,
};

use super::MemoryShard;
use crate::{
    contract::{self, shard::ShardFixture},
    memory::CountingIds,
    shard::{Batch, Ids, Order, Shard, ShardError},
};

fn conversation() -> (ConversationId, UserId) {
    let user = UserId::new(1).expect("valid");
    (ConversationId::direct(user, user), user)
}

fn shard() -> MemoryShard {
    let unit = conversation().0.slot().unit();
    MemoryShard::serving(ShardId(0), Arc::new(CountingIds::new(0, 1)), [unit])
}

fn batch() -> Batch {
    let (conversation, actor) = conversation();
    let command = Command::Conversation(ConversationCommand {
        conversation,
        actor,
        action: Action::OpenDirect,
    });
    let at = UnitAt { unit: conversation.slot().unit(), epoch: Epoch(1) };
    Batch {
        now: 1_700_000_000_000,
        limits: Limits::default(),
        orders: Arc::new(vec![Order { at, command }]),
    }
}

#[tokio::test]
async fn a_commit_told_to_fail_changes_nothing() {
    let shard = shard();
    shard.fail_next_commit();
    let failed = shard.commit(batch()).await;
    assert!(matches!(failed, Err(ShardError::Unavailable(_))));
    assert_eq!(shard.stats().await.expect("stats").conversations, 0);
    let commit = shard.commit(batch()).await.expect("the next one works");
    assert_eq!(commit.position, 1);
}

#[tokio::test]
async fn held_commits_wait_in_order_and_can_be_let_through_one_by_one() {
    let shard = shard();
    let hold = shard.hold();
    let mut first = pin!(shard.commit(batch()));
    let mut second = pin!(shard.commit(batch()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    hold.until_waiting(2).await;
    assert_eq!(hold.waiting(), 2);

    hold.let_through(1);
    assert!(second.as_mut().poll(&mut context).is_pending());
    let Poll::Ready(Ok(commit)) = first.as_mut().poll(&mut context) else {
        panic!("the first may go");
    };
    assert_eq!(commit.position, 1);
    assert_eq!(hold.waiting(), 1);
    assert!(second.as_mut().poll(&mut context).is_pending());

    drop(hold);
    assert_eq!(second.await.expect("released").position, 2);
    assert_eq!(shard.commit(batch()).await.expect("free").position, 3);
}

#[tokio::test]
async fn a_waiting_commit_that_is_dropped_blocks_nobody() {
    let shard = shard();
    let hold = shard.hold();
    let mut context = Context::from_waker(Waker::noop());
    let mut second = pin!(shard.commit(batch()));
    {
        let mut first = pin!(shard.commit(batch()));
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(hold.waiting(), 1);
    drop(hold);
    assert_eq!(second.await.expect("released").position, 1);
}

struct Fixture;

#[async_trait::async_trait]
impl ShardFixture for Fixture {
    async fn fresh(&self, units: &[UnitId], ids: Arc<dyn Ids>) -> Arc<dyn Shard> {
        let units = units.iter().copied();
        Arc::new(MemoryShard::serving(ShardId(0), ids, units))
    }

    async fn reopened(&self, _: Arc<dyn Shard>, _: Arc<dyn Ids>) -> Option<Arc<dyn Shard>> {
        None
    }
}

#[tokio::test]
async fn the_twin_keeps_the_contract() {
    contract::shard::run_all(&Fixture).await;
}
