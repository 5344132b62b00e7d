//! Sessions in the table `session`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ostracon_domain::{Millis, UserId};
use ostracon_store::{
    Sessions,
    directory::{NewSession, Session as Device, User},
};
use tokio_postgres::Row;

use super::{
    Found, PostgresDirectory, Result,
    accounts::{account_columns, user_at},
    in_session, in_transaction,
};
use crate::{
    error::PgError,
    session::{Params, Session},
    value::{self, get, number},
};

/// What [`device`] reads.
macro_rules! session_columns {
    () => {
        "session.id, session.user_id, session.device_name, session.created_at, session.last_seen_at, session.expires_at"
    };
}

/// Ended sessions that one sign-in clears away; more wait for the next.
const CLEARED_MAX: i64 = 1_000;

/// Ended sessions serve nobody; without this they would pile up. Those that another process clears now are left to it.
const CLEAR: &str = "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires_at <= $1 \
     ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
const CREATE: &str = "INSERT INTO session (user_id, token_hash, device_name, created_at, last_seen_at, expires_at) \
     SELECT new.owner, new.token, new.device, $5, $5, new.ends \
     FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::bigint[]) WITH ORDINALITY AS new (owner, token, device, ends, at) \
     ORDER BY new.at RETURNING token_hash, id";
const BY_TOKEN: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", ",
    account_columns!(),
    " FROM session JOIN account ON account.id = session.user_id \
     WHERE token_hash = $1 AND account.active AND (expires_at IS NULL OR expires_at > $2)"
);
const OF_USER: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM session WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY id DESC"
);
const REVOKE: &str = "DELETE FROM session WHERE id = $1 AND user_id = $2 RETURNING id";
const TOUCH: &str = "UPDATE session SET last_seen_at = seen.at FROM unnest($1::bigint[], $2::bigint[]) AS seen (id, at) \
     WHERE session.id = seen.id AND last_seen_at < seen.at";

#[async_trait]
impl Sessions for PostgresDirectory {
    async fn create_sessions(&self, new: Vec<NewSession>, now: Millis) -> Result<Vec<Device>> {
        in_transaction!(self, |session| create(session, &new, now))
    }

    async fn session_by_token(
        &self,
        token_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<(Device, User)>> {
        in_session!(self, |session| by_token(session, token_hash, now))
    }

    async fn sessions(&self, user: UserId, now: Millis) -> Result<Vec<Device>> {
        let user = user.get().cast_signed();
        in_session!(self, |session| select(session, &[&user, &now]))
    }

    async fn revoke_session(&self, user: UserId, id: u64) -> Result<bool> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(false);
        };
        let user = user.get().cast_signed();
        in_session!(self, |session| revoke(session, &[&id, &user]))
    }

    async fn touch_sessions(&self, seen: &[(u64, Millis)]) -> Result<()> {
        let mut newest = BTreeMap::<i64, Millis>::new();
        for (id, at) in seen {
            if let Ok(id) = i64::try_from(*id) {
                let known = newest.entry(id).or_insert(*at);
                *known = (*known).max(*at);
            }
        }
        let (ids, times): (Vec<_>, Vec<_>) = newest.into_iter().unzip();
        in_session!(self, |session| touch(session, &[&ids, &times]))
    }
}

async fn create(session: &Session, new: &[NewSession], now: Millis) -> Found<Vec<Device>> {
    session.run(CLEAR, &[&now, &CLEARED_MAX]).await?;
    let users: Vec<_> = new.iter().map(|new| new.user.get().cast_signed()).collect();
    let tokens: Vec<_> = new.iter().map(|new| new.token_hash.as_slice()).collect();
    let devices: Vec<_> = new.iter().map(|new| new.device_name.as_deref()).collect();
    let ends: Vec<_> = new.iter().map(|new| new.expires_at).collect();
    let rows = session.run(CREATE, &[&users, &tokens, &devices, &ends, &now]).await?;
    let mut ids = BTreeMap::new();
    for row in &rows {
        ids.insert(get::<&[u8]>(row, 0)?, number(row, 1)?);
    }
    let created = new.iter().map(|new| {
        let id = ids.get(new.token_hash.as_slice()).copied();
        Ok(Device {
            id: id.ok_or(PgError::Damaged("token"))?,
            user: new.user,
            device_name: new.device_name.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at: new.expires_at,
        })
    });
    Ok(created.collect::<std::result::Result<_, PgError>>()?)
}

async fn by_token(
    session: &Session,
    token_hash: &[u8; 32],
    now: Millis,
) -> Found<Option<(Device, User)>> {
    let rows = session.run(BY_TOKEN, &[&token_hash.as_slice(), &now]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some((device(row)?, user_at(row, 6)?)))
}

async fn select(session: &Session, values: &Params<'_>) -> Found<Vec<Device>> {
    let rows = session.run(OF_USER, values).await?;
    Ok(rows.iter().map(device).collect::<std::result::Result<_, _>>()?)
}

async fn revoke(session: &Session, values: &Params<'_>) -> Found<bool> {
    Ok(!session.run(REVOKE, values).await?.is_empty())
}

async fn touch(session: &Session, values: &Params<'_>) -> Found<()> {
    session.run(TOUCH, values).await?;
    Ok(())
}

/// Reads a session from the first columns of a row.
fn device(row: &Row) -> std::result::Result<Device, PgError> {
    Ok(Device {
        id: number(row, 0)?,
        user: value::user(row, 1)?,
        device_name: get(row, 2)?,
        created_at: get(row, 3)?,
        last_seen_at: get(row, 4)?,
        expires_at: get(row, 5)?,
    })
}
