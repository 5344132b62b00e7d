//! Identity, shards, map, node numbers and secrets.

use async_trait::async_trait;
use ostracon_domain::{Millis, PlacementMap};
use ostracon_store::{
    Cluster, DirectoryError,
    directory::{NodeLease, ShardRow},
};
use uuid::Uuid;

use super::{Found, PostgresDirectory, Result, in_session, in_transaction, map};
use crate::{
    error::PgError,
    session::Session,
    value::{get, number},
};

/// Node numbers there are.
const NODES: i64 = 1_024;
/// A node that made no ids for so long, and did not start either, is gone: its number may be another's. Ids stay unique
/// even if it comes back, for it can reserve no more.
const GONE_MS: Millis = 24 * 60 * 60 * 1_000;

const CLUSTER: &str = "SELECT id FROM cluster";
const ADD_SHARDS: &str = "INSERT INTO shard (id, url, state) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::smallint[])";
const NUMBERS_FROM: &str = "UPDATE sequence SET last = $1 WHERE name = 'shard'";
const KNOWN_NODE: &str =
    "UPDATE node SET leased_at = $2 WHERE holder = $1 RETURNING number, ids_until";
const NEW_NODE: &str = "INSERT INTO node (number, holder, ids_until, leased_at) \
     SELECT free.number, $1, 0, $2 FROM generate_series(0::bigint, $3::bigint - 1) AS free (number) \
     WHERE NOT EXISTS (SELECT FROM node WHERE node.number = free.number) ORDER BY free.number LIMIT 1 \
     RETURNING number, ids_until";
const GONE_NODE: &str = "UPDATE node SET holder = $1, leased_at = $2 WHERE number = \
     (SELECT number FROM node WHERE greatest(ids_until, leased_at) < $3 ORDER BY greatest(ids_until, leased_at) LIMIT 1) \
     RETURNING number, ids_until";
const RESERVE: &str = "UPDATE node SET ids_until = greatest(ids_until, $3) WHERE number = $1 AND holder = $2 \
     RETURNING number";
const NODE: &str = "SELECT number FROM node WHERE number = $1";
const SECRET: &str = "SELECT value FROM secret WHERE name = $1";
const MAKE_SECRET: &str =
    "INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";

#[async_trait]
impl Cluster for PostgresDirectory {
    async fn cluster_id(&self) -> Result<u128> {
        in_session!(self, |session| cluster_id(session))
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        in_session!(self, |session| map::shards(session))
    }

    async fn found(&self, shards: &[ShardRow]) -> Result<()> {
        in_transaction!(self, |session| found(session, shards))
    }

    async fn map(&self) -> Result<PlacementMap> {
        let known = &self.content.known_map;
        let map = in_session!(self, |session| known.read(session))?;
        Ok(PlacementMap::clone(&map))
    }

    async fn lease_node(&self, now: Millis) -> Result<NodeLease> {
        let holder = self.content.node();
        in_transaction!(self, |session| lease(session, holder, now))
    }

    async fn reserve_ids(&self, node: u16, until: Millis) -> Result<()> {
        let holder = self.content.node();
        in_session!(self, |session| reserve(session, node, holder, until))
    }

    async fn secret(&self, name: &str) -> Result<[u8; 32]> {
        in_session!(self, |session| secret(session, name))
    }
}

async fn cluster_id(session: &Session) -> Found<u128> {
    let rows = session.run(CLUSTER, &[]).await?;
    let row = rows.first().ok_or(PgError::Damaged("cluster"))?;
    Ok(get::<Uuid>(row, 0)?.as_u128())
}

async fn found(session: &Session, shards: &[ShardRow]) -> Found<()> {
    map::lock(session).await?;
    if !map::shards(session).await?.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = shards.iter().map(|shard| shard.id).collect();
    let Some(last) = ids.iter().max() else {
        return Err(DirectoryError::Refused("a cluster needs at least one shard".to_owned()).into());
    };
    let numbers: Vec<_> = ids.iter().map(|id| i64::from(id.0)).collect();
    let urls: Vec<_> = shards.iter().map(|shard| shard.url.as_str()).collect();
    let states: Vec<_> = shards.iter().map(|shard| map::admission(shard.state)).collect();
    session.run(ADD_SHARDS, &[&numbers, &urls, &states]).await?;
    session.run(NUMBERS_FROM, &[&i64::from(last.0)]).await?;
    map::store_first(session, &PlacementMap::initial(&ids)).await
}

async fn lease(session: &Session, holder: Uuid, now: Millis) -> Found<NodeLease> {
    // Two new nodes get two numbers.
    map::lock(session).await?;
    let mut rows = session.run(KNOWN_NODE, &[&holder, &now]).await?;
    if rows.is_empty() {
        rows = session.run(NEW_NODE, &[&holder, &now, &NODES]).await?;
    }
    if rows.is_empty() {
        rows = session.run(GONE_NODE, &[&holder, &now, &(now - GONE_MS)]).await?;
    }
    let Some(row) = rows.first() else {
        let why = format!("all {NODES} node numbers are in use");
        return Err(DirectoryError::Refused(why).into());
    };
    let leased = u16::try_from(number(row, 0)?).map_err(|_| PgError::Damaged("node number"))?;
    Ok(NodeLease { number: leased, ids_from: get(row, 1)? })
}

async fn reserve(session: &Session, node: u16, holder: Uuid, until: Millis) -> Found<()> {
    let node = i64::from(node);
    if !session.run(RESERVE, &[&node, &holder, &until]).await?.is_empty() {
        return Ok(());
    }
    let why = if session.run(NODE, &[&node]).await?.is_empty() {
        format!("node number {node} was never leased")
    } else {
        format!("node number {node} is another node's now: restart this one")
    };
    Err(DirectoryError::Refused(why).into())
}

async fn secret(session: &Session, name: &str) -> Found<[u8; 32]> {
    if let Some(known) = known_secret(session, name).await? {
        return Ok(known);
    }
    let mut made = [0; 32];
    getrandom::fill(&mut made)
        .map_err(|e| DirectoryError::Unavailable(format!("no randomness from the system: {e}")))?;
    // Two may come here at once: the first insert decides for both.
    session.run(MAKE_SECRET, &[&name, &made.as_slice()]).await?;
    Ok(known_secret(session, name).await?.ok_or(PgError::Damaged("secret"))?)
}

async fn known_secret(session: &Session, name: &str) -> Found<Option<[u8; 32]>> {
    let rows = session.run(SECRET, &[&name]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let known = <[u8; 32]>::try_from(get::<&[u8]>(row, 0)?);
    Ok(Some(known.map_err(|_| PgError::Damaged("secret"))?))
}
