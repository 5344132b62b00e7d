//! Identity, shards, map, node number and secrets.

use async_trait::async_trait;
use ostracon_domain::{Millis, PlacementMap};
use ostracon_store::{
    Cluster, DirectoryError,
    directory::{NodeLease, ShardRow},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteDirectory, failure::Failure, map};

type Result<T> = std::result::Result<T, DirectoryError>;

/// There is exactly one node beside a SQLite directory.
const ONLY_NODE: u16 = 0;

#[async_trait]
impl Cluster for SqliteDirectory {
    async fn cluster_id(&self) -> Result<u128> {
        let id = |conn: &mut Connection| {
            let id: [u8; 16] = conn.query_row("SELECT id FROM cluster", [], |row| row.get(0))?;
            Ok(u128::from_be_bytes(id))
        };
        self.threads.look_up(id).await
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.threads.look_up(|conn| map::shards(conn)).await
    }

    async fn found(&self, shards: &[ShardRow]) -> Result<()> {
        let shards = shards.to_vec();
        self.threads.write(move |conn| found(conn, &shards)).await
    }

    async fn map(&self) -> Result<PlacementMap> {
        let known = self.known_map.clone();
        let load = move |conn: &mut Connection| {
            // One snapshot: rows and version belong together.
            let tx = conn.transaction()?;
            known.load(&tx)
        };
        Ok(PlacementMap::clone(&*self.threads.scan(load).await?))
    }

    async fn lease_node(&self, now: Millis) -> Result<NodeLease> {
        self.threads
            .write(move |conn| {
                let ids_from = conn.query_row(
                    "INSERT INTO node (number, ids_until, leased_at) VALUES (?1, 0, ?2)
                     ON CONFLICT (number) DO UPDATE SET leased_at = excluded.leased_at
                     RETURNING ids_until",
                    params![ONLY_NODE, now],
                    |row| row.get(0),
                )?;
                Ok(NodeLease { number: ONLY_NODE, ids_from })
            })
            .await
    }

    async fn reserve_ids(&self, node: u16, until: Millis) -> Result<()> {
        self.threads
            .write(move |conn| {
                let sql = "UPDATE node SET ids_until = max(ids_until, ?2) WHERE number = ?1";
                if conn.prepare_cached(sql)?.execute(params![node, until])? == 0 {
                    let why = format!("node number {node} was never leased");
                    return Err(DirectoryError::Refused(why).into());
                }
                Ok(())
            })
            .await
    }

    async fn secret(&self, name: &str) -> Result<[u8; 32]> {
        let known = name.to_owned();
        let known = self.threads.look_up(move |conn| Ok(secret(conn, &known)?));
        if let Some(secret) = known.await? {
            return Ok(secret);
        }
        let name = name.to_owned();
        self.threads
            .write(move |conn| {
                // Two may come here at once: the first insert decides for both.
                let made: [u8; 32] = random()?;
                conn.execute(
                    "INSERT INTO secret (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    params![name, made],
                )?;
                Ok(secret(conn, &name)?.unwrap_or(made))
            })
            .await
    }
}

/// Gives a new directory its cluster id.
pub(super) fn identify(conn: &Connection) -> std::result::Result<(), Failure> {
    let known: i64 = conn.query_row("SELECT count(*) FROM cluster", [], |row| row.get(0))?;
    if known == 0 {
        let id: [u8; 16] = random()?;
        let sql = "INSERT INTO cluster (one, id, map_version) VALUES (1, ?1, 0)";
        conn.execute(sql, [id])?;
    }
    Ok(())
}

fn found(conn: &mut Connection, shards: &[ShardRow]) -> std::result::Result<(), Failure> {
    let tx = conn.transaction()?;
    let known: i64 = tx.query_row("SELECT count(*) FROM shard", [], |row| row.get(0))?;
    if known > 0 {
        return Ok(());
    }
    if shards.is_empty() {
        let why = "a cluster needs at least one shard";
        return Err(DirectoryError::Refused(why.to_owned()).into());
    }
    for shard in shards {
        let sql = "INSERT INTO shard (id, url, state) VALUES (?1, ?2, ?3)";
        tx.execute(sql, params![shard.id.0, shard.url, map::admission(shard.state)])?;
    }
    let ids: Vec<_> = shards.iter().map(|shard| shard.id).collect();
    let map = PlacementMap::initial(&ids);
    {
        let mut insert = tx.prepare("INSERT INTO unit (id, shard, epoch) VALUES (?1, ?2, ?3)")?;
        for (unit, home) in map.units() {
            insert.execute(params![unit.0, home.shard.0, home.epoch.0])?;
        }
    }
    tx.execute("UPDATE cluster SET map_version = ?1", [map.version])?;
    tx.commit()?;
    Ok(())
}

fn secret(conn: &Connection, name: &str) -> rusqlite::Result<Option<[u8; 32]>> {
    conn.prepare_cached("SELECT value FROM secret WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| DirectoryError::Unavailable(format!("no randomness from the system: {e}")))?;
    Ok(bytes)
}
