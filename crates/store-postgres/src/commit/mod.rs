//! A batch: one READ COMMITTED transaction in two flights of pipelined statements.
//!
//! 1. Begin; take the shard's shared advisory lock; read, in the next statement, which states of units changed; lock the
//!    rows of conversations, then of users, each in the order of their ids, and get them with the lock; load the rest.
//! 2. Write, and note what changed in units that are captured; raise the position; put the rows into the outbox; commit.
//!
//! **Several writers.** Whatever belongs to a conversation or a user is read and written only under the lock of its own
//! row, and read by a statement that began after the lock was had. All writers lock in one order, and while they
//! write they wait only for births of the same subject, again in that order, so they do not deadlock. What is born twice
//! at once meets the unique key: the second transaction is rolled back and run again, and finds the first.
//!
//! **Positions.** The last statement before the commit raises the one row of `log_head`; its lock is held until the
//! transaction is visible. So positions have no gaps, and whoever sees one sees all before it. It costs that commits
//! of one shard reach the disk one after another, which only shows with several writers on slow disks.

mod fold;
mod load;
mod write;

use ostracon_domain::Row;
use ostracon_store::{Answer, Batch, Commit, Ids};

use crate::{error::PgError, pool::Database};

pub(crate) use write::{
    AnnexColumns, ConversationColumns, InboxColumns, MemberColumns, MessageColumns,
    ReactionColumns, UserColumns, annex_unnest, conversation_unnest, inbox_unnest, member_unnest,
    message_unnest, reaction_unnest, user_unnest,
};

type Result<T> = std::result::Result<T, PgError>;

/// A batch that lost a race so often gives up; it meets the same race twice only when births and retries come in masses.
const ATTEMPTS: u32 = 20;

/// Commits a batch.
pub(crate) async fn commit(database: &Database, ids: &dyn Ids, batch: &Batch) -> Result<Commit> {
    let mut attempt = 1;
    loop {
        let done = database.timed(Box::pin(once(database, ids, batch))).await;
        match done {
            Err(error) if error.is_lost_race() && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

async fn once(database: &Database, ids: &dyn Ids, batch: &Batch) -> Result<Commit> {
    let session = database.session().await?;
    let done = Box::pin(async {
        let (mut loaded, stored) = load::load(&session, database.server(), &batch.orders).await?;
        let units = &loaded.units;
        let answers = loaded.set.run(batch, &|unit| units.get(unit), ids);
        database.server().fence.keep(units);
        let changes = fold::fold(changed(&answers), &stored);
        let notes = changes.notes(units);
        let position = Box::pin(write::write(&session, changed(&answers), changes, &notes)).await?;
        Ok(Commit { position, answers })
    })
    .await;
    session.end(done).await
}

/// Every changed row of a batch, in order.
fn changed(answers: &[Answer]) -> impl Iterator<Item = &Row> + Clone {
    answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Done { rows, .. } => Some(rows),
            Answer::Refused(_) | Answer::Fenced(_) => None,
        })
        .flatten()
}
