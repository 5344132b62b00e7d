//! What the stories of moves begin with, and many callers at once.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use ostracon_domain::{
    ConversationId, Cover, MapChange, ShardId, UnitAt, UnitId, UserId, id::SLOTS,
};

use super::Fixture;
use crate::directory::{Directory, DirectoryError, MovePhase, MoveRow, NewJob, NewMove, ShardRow};

pub(super) const A: ShardId = ShardId(0);
pub(super) const B: ShardId = ShardId(1);

/// A cluster of two shards: even slots are on A, odd ones on B.
pub(super) async fn founded(fixture: &dyn Fixture) -> Arc<dyn Directory> {
    let d = fixture.fresh().await;
    d.found(&[A, B].map(|id| ShardRow::new(id, "embedded"))).await.unwrap();
    d
}

pub(super) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

pub(super) fn direct(a: u64, b: u64) -> ConversationId {
    ConversationId::direct(user(a), user(b))
}

/// The `n`-th direct conversation, of always other users, whose slot is on A.
pub(super) fn talk_on_a(n: usize) -> ConversationId {
    let pairs = (1..).step_by(2).map(|id| direct(id, id + 1));
    pairs.filter(|id| id.slot().get() % 2 == 0).nth(n).unwrap()
}

pub(super) fn to_b(units: &[UnitId]) -> NewMove {
    let change = MapChange::Move { units: units.to_vec(), to: B };
    NewMove { source: A, destination: B, change }
}

/// A carve or merge on A.
pub(super) fn on_a(change: MapChange) -> NewMove {
    NewMove { source: A, destination: A, change }
}

pub(super) fn isolate(id: ConversationId, child: UnitId) -> MapChange {
    MapChange::Carve { parents: vec![id.slot().unit()], child, cover: Cover::Conversation(id) }
}

pub(super) fn reunite(id: ConversationId, child: UnitId) -> MapChange {
    MapChange::Merge {
        child,
        parents: vec![id.slot().unit()],
        cover: Cover::Conversation(id),
        last: true,
    }
}

pub(super) fn job(moves: Vec<NewMove>) -> NewJob {
    NewJob {
        title: "Move it".to_owned(),
        request: r#"{"to":1}"#.to_owned(),
        by: "operator".to_owned(),
        moves,
    }
}

/// Plans one move in a job of its own.
pub(super) async fn planned(d: &dyn Directory, new: NewMove) -> MoveRow {
    let job = d.plan_job(job(vec![new]), 10).await.unwrap();
    d.moves_of(job.id).await.unwrap().remove(0)
}

pub(super) async fn begun(d: &dyn Directory, new: NewMove) -> MoveRow {
    let row = planned(d, new).await;
    d.begin_move(row.id, 20).await.unwrap()
}

pub(super) async fn freezing(d: &dyn Directory, new: NewMove) -> MoveRow {
    let row = begun(d, new).await;
    let (from, to) = (MovePhase::Copying, MovePhase::Freezing);
    d.advance_move(row.id, row.lease, from, to, 30).await.unwrap()
}

pub(super) async fn committed(d: &dyn Directory, new: NewMove) -> MoveRow {
    let row = freezing(d, new).await;
    d.commit_move(row.id, row.lease, row.freeze, 40).await.unwrap();
    d.move_row(row.id).await.unwrap().unwrap()
}

pub(super) async fn done(d: &dyn Directory, new: NewMove) -> MoveRow {
    let row = committed(d, new).await;
    let (from, to) = (MovePhase::Committed, MovePhase::Done);
    d.advance_move(row.id, row.lease, from, to, 50).await.unwrap()
}

pub(super) async fn aborting(d: &dyn Directory, new: NewMove) -> MoveRow {
    let row = begun(d, new).await;
    let (from, to) = (MovePhase::Copying, MovePhase::Aborting);
    d.advance_move(row.id, row.lease, from, to, 30).await.unwrap()
}

/// Home and epoch of a unit.
pub(super) async fn at(d: &dyn Directory, unit: UnitId) -> Option<(ShardId, UnitAt)> {
    let home = d.map().await.unwrap().home(unit);
    home.map(|home| (home.shard, UnitAt { unit, epoch: home.epoch }))
}

/// The sentence of a refusal.
pub(super) fn sentence<T: std::fmt::Debug>(answer: Result<T, DirectoryError>) -> String {
    match answer {
        Err(DirectoryError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

pub(super) fn carved(n: u32) -> UnitId {
    UnitId(u32::from(SLOTS) + n)
}

type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks all at once; the answers in the order of the questions.
pub(super) async fn together<'a, T>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'a>,
) -> Vec<T> {
    let mut open: Vec<(Call<'a, T>, Option<T>)> =
        calls.into_iter().map(|call| (Box::pin(call) as Call<'a, T>, None)).collect();
    poll_fn(|cx| {
        let mut waits = false;
        for (call, answer) in open.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match call.as_mut().poll(cx) {
                Poll::Ready(done) => *answer = Some(done),
                Poll::Pending => waits = true,
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    open.into_iter().filter_map(|(_, answer)| answer).collect()
}
