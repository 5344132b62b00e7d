//! Invites in the table `invite`.

use async_trait::async_trait;
use ostracon_domain::Millis;
use ostracon_store::{
    DirectoryError,
    directory::{Invite, Invites, NewInvite, NewUser, User},
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{SqliteDirectory, accounts};

type Result<T> = std::result::Result<T, DirectoryError>;

/// What [`invite`] reads.
const COLUMNS: &str = "id, note, created_at, expires_at, uses_left";
const IS_GOOD: &str = "uses_left > 0 AND (expires_at IS NULL OR expires_at > ?1)";

#[async_trait]
impl Invites for SqliteDirectory {
    async fn create_invite(&self, new: NewInvite, now: Millis) -> Result<Invite> {
        if new.uses == 0 {
            return Err(DirectoryError::Refused("an invite needs a use".to_owned()));
        }
        self.threads
            .write(move |conn| {
                let sql = format!(
                    "INSERT INTO invite (code_hash, note, created_at, expires_at, uses_left)
                     VALUES (?1, ?2, ?3, ?4, ?5) RETURNING {COLUMNS}"
                );
                let values = params![new.code_hash, new.note, now, new.expires_at, new.uses];
                Ok(conn.prepare_cached(&sql)?.query_row(values, invite)?)
            })
            .await
    }

    async fn invites(&self, now: Millis, limit: u32) -> Result<Vec<Invite>> {
        self.threads
            .scan(move |conn| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM invite WHERE {IS_GOOD} ORDER BY id DESC LIMIT ?2"
                );
                let mut statement = conn.prepare_cached(&sql)?;
                let found = statement.query_map(params![now, limit], invite)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn revoke_invite(&self, id: u64) -> Result<bool> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(false);
        };
        self.threads
            .write(move |conn| {
                let sql = "UPDATE invite SET uses_left = 0 WHERE id = ?1 AND uses_left > 0";
                Ok(conn.prepare_cached(sql)?.execute([id])? > 0)
            })
            .await
    }

    async fn create_invited(
        &self,
        new: NewUser,
        code_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<User>> {
        let code_hash = *code_hash;
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let sql = format!(
                    "UPDATE invite SET uses_left = uses_left - 1
                     WHERE code_hash = ?2 AND {IS_GOOD} RETURNING id"
                );
                let used = tx
                    .prepare_cached(&sql)?
                    .query_row(params![now, code_hash], |_| Ok(()))
                    .optional()?;
                if used.is_none() {
                    return Ok(None);
                }
                let user = accounts::insert(&tx, new, now)?;
                tx.commit()?;
                Ok(Some(user))
            })
            .await
    }
}

fn invite(row: &Row<'_>) -> rusqlite::Result<Invite> {
    Ok(Invite {
        id: row.get(0)?,
        note: row.get(1)?,
        created_at: row.get(2)?,
        expires_at: row.get(3)?,
        uses_left: row.get(4)?,
    })
}
