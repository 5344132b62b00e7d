//! The one row that says whose tables these are and how far they have followed the journal.

use ostracon_domain::ShardId;
use rusqlite::{Connection, OptionalExtension, params};

use super::Result;
use crate::{error::TableError, journal::Position};

/// The row. A new file has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The cluster it belongs to.
    pub(crate) cluster: u128,
    /// The shard it is.
    pub(crate) shard: ShardId,
    /// Everything of this shard up to here is in the tables.
    pub(crate) applied: Position,
    /// Everything of this shard up to here has taken effect elsewhere.
    pub(crate) dispatched: Position,
    /// The start of the shard that wrote last.
    pub(crate) incarnation: u64,
}

impl Meta {
    /// The row, if the file has one.
    pub(crate) fn load(conn: &Connection) -> Result<Option<Self>> {
        conn.prepare_cached(
            "SELECT cluster, shard, applied, dispatched, incarnation FROM meta WHERE id = 0",
        )?
        .query_row([], |row| {
            let cluster: Vec<u8> = row.get(0)?;
            Ok((
                cluster,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, i64>(4)?,
            ))
        })
        .optional()?
        .map(|(cluster, shard, applied, dispatched, incarnation)| {
            Ok(Self {
                cluster: u128::from_be_bytes(
                    cluster.try_into().map_err(|_| TableError::Damaged("cluster id"))?,
                ),
                shard: ShardId(u32::try_from(shard).map_err(|_| TableError::Damaged("shard id"))?),
                applied: applied as u64,
                dispatched: dispatched as u64,
                incarnation: incarnation as u64,
            })
        })
        .transpose()
    }

    /// Writes the row.
    pub(crate) fn store(&self, conn: &Connection) -> Result<()> {
        conn.prepare_cached(
            "INSERT INTO meta (id, cluster, shard, applied, dispatched, incarnation) VALUES (0, ?, ?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET cluster = excluded.cluster, shard = excluded.shard, \
             applied = excluded.applied, dispatched = excluded.dispatched, incarnation = excluded.incarnation",
        )?
        .execute(params![
            self.cluster.to_be_bytes(),
            self.shard.0,
            self.applied as i64,
            self.dispatched as i64,
            self.incarnation as i64
        ])?;
        Ok(())
    }
}
