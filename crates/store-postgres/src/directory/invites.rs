//! Invites in the table `invite`.

use async_trait::async_trait;
use ostracon_domain::Millis;
use ostracon_store::{
    DirectoryError,
    directory::{Invite, Invites, NewInvite, NewUser, User},
};
use tokio_postgres::Row;

use super::{Found, PostgresDirectory, Result, accounts, in_session, in_transaction};
use crate::{
    error::PgError,
    session::Session,
    value::{get, number},
};

/// What [`invite`] reads.
macro_rules! invite_columns {
    () => {
        "id, note, created_at, expires_at, uses_left"
    };
}

const CREATE: &str = concat!(
    "INSERT INTO invite (code_hash, note, created_at, expires_at, uses_left) VALUES ($1, $2, $3, $4, $5) RETURNING ",
    invite_columns!()
);
const GOOD: &str = concat!(
    "SELECT ",
    invite_columns!(),
    " FROM invite WHERE uses_left > 0 AND (expires_at IS NULL OR expires_at > $1) ORDER BY id DESC LIMIT $2"
);
const REVOKE: &str = "UPDATE invite SET uses_left = 0 WHERE id = $1 AND uses_left > 0 RETURNING id";
const USE: &str = "UPDATE invite SET uses_left = uses_left - 1 \
     WHERE code_hash = $1 AND uses_left > 0 AND (expires_at IS NULL OR expires_at > $2) RETURNING id";

#[async_trait]
impl Invites for PostgresDirectory {
    async fn create_invite(&self, new: NewInvite, now: Millis) -> Result<Invite> {
        if new.uses == 0 {
            return Err(DirectoryError::Refused("an invite needs a use".to_owned()));
        }
        in_transaction!(self, |session| create(session, &new, now))
    }

    async fn invites(&self, now: Millis, limit: u32) -> Result<Vec<Invite>> {
        in_session!(self, |session| good(session, now, limit))
    }

    async fn revoke_invite(&self, id: u64) -> Result<bool> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(false);
        };
        in_session!(self, |session| revoke(session, id))
    }

    async fn create_invited(
        &self,
        new: NewUser,
        code_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<User>> {
        accounts::check_new(std::slice::from_ref(&new))?;
        in_transaction!(self, |session| create_invited(session, &new, code_hash, now))
    }
}

async fn create(session: &Session, new: &NewInvite, now: Millis) -> Found<Invite> {
    let hash = &new.code_hash[..];
    let uses = i64::from(new.uses);
    let rows = session.run(CREATE, &[&hash, &new.note, &now, &new.expires_at, &uses]).await?;
    let row = rows.first().ok_or(PgError::Damaged("invite"))?;
    Ok(invite(row)?)
}

async fn good(session: &Session, now: Millis, limit: u32) -> Found<Vec<Invite>> {
    let rows = session.run(GOOD, &[&now, &i64::from(limit)]).await?;
    Ok(rows.iter().map(invite).collect::<std::result::Result<_, _>>()?)
}

async fn revoke(session: &Session, id: i64) -> Found<bool> {
    Ok(!session.run(REVOKE, &[&id]).await?.is_empty())
}

async fn create_invited(
    session: &Session,
    new: &NewUser,
    code_hash: &[u8; 32],
    now: Millis,
) -> Found<Option<User>> {
    // The row is held until the end: of those who come at once each uses it up for itself.
    if session.run(USE, &[&&code_hash[..], &now]).await?.is_empty() {
        return Ok(None);
    }
    let created = accounts::create(session, std::slice::from_ref(new), now).await?;
    Ok(created.into_iter().next())
}

fn invite(row: &Row) -> std::result::Result<Invite, PgError> {
    Ok(Invite {
        id: number(row, 0)?,
        note: get(row, 1)?,
        created_at: get(row, 2)?,
        expires_at: get(row, 3)?,
        uses_left: u32::try_from(number(row, 4)?)
            .map_err(|_| PgError::Damaged("uses of an invite"))?,
    })
}
