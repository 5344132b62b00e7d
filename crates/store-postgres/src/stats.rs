//! What the shard holds, counted from conversations: seqs have no gaps, so messages need not be counted one by one.

use ostracon_domain::id::SLOTS;
use ostracon_store::ShardStats;

use crate::{error::PgError, session::Session, value::number};

const STATS: &str = "SELECT count(*), \
     coalesce(sum(greatest(head_seq - greatest(retained_from, 1) + 1, 0)), 0)::bigint, \
     count(*) FILTER (WHERE unit >= $1), (SELECT count(*) FROM user_state), \
     (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
      WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r') FROM conversation";

/// Counts.
pub(crate) async fn stats(session: &Session) -> Result<ShardStats, PgError> {
    let rows = session.run(STATS, &[&i64::from(SLOTS)]).await?;
    let row = rows.first().ok_or(PgError::Damaged("count"))?;
    Ok(ShardStats {
        conversations: number(row, 0)?,
        messages: number(row, 1)?,
        overridden: number(row, 2)?,
        users: number(row, 3)?,
        bytes: number(row, 4)?,
        pending_bytes: 0,
    })
}
