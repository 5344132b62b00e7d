//! Sessions in the table `session`.

use async_trait::async_trait;
use ostracon_domain::{Millis, UserId};
use ostracon_store::{
    DirectoryError, Sessions,
    directory::{NewSession, Session, User},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteDirectory, accounts,
    failure::{Failure, is_dangling},
};

type Result<T> = std::result::Result<T, DirectoryError>;

/// What [`session`] reads.
const COLUMNS: &str = "session.id, session.user, session.device_name, session.created_at, session.last_seen_at, session.expires_at";
/// Ended sessions that one sign-in clears away; more wait for the next.
const CLEARED_MAX: u32 = 1_000;

#[async_trait]
impl Sessions for SqliteDirectory {
    async fn create_sessions(&self, new: Vec<NewSession>, now: Millis) -> Result<Vec<Session>> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                clear(&tx, now)?;
                let created = new
                    .into_iter()
                    .map(|new| insert(&tx, &new, now))
                    .collect::<std::result::Result<_, _>>()?;
                tx.commit()?;
                Ok(created)
            })
            .await
    }

    async fn session_by_token(
        &self,
        token_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<(Session, User)>> {
        let token_hash = *token_hash;
        self.threads
            .look_up(move |conn| {
                let sql = format!(
                    "SELECT {COLUMNS}, {} FROM session JOIN user ON user.id = session.user
                     WHERE token_hash = ?1 AND user.active AND (expires_at IS NULL OR expires_at > ?2)",
                    accounts::COLUMNS
                );
                let mut statement = conn.prepare_cached(&sql)?;
                let both = |row: &Row<'_>| Ok((session(row)?, accounts::user_at(row, 6)?));
                Ok(statement.query_row(params![token_hash, now], both).optional()?)
            })
            .await
    }

    async fn sessions(&self, user: UserId, now: Millis) -> Result<Vec<Session>> {
        self.threads
            .look_up(move |conn| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM session
                     WHERE user = ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY id DESC"
                );
                let mut statement = conn.prepare_cached(&sql)?;
                let found = statement.query_map(params![user.get(), now], session)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn revoke_session(&self, user: UserId, id: u64) -> Result<bool> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(false);
        };
        self.threads
            .write(move |conn| {
                let sql = "DELETE FROM session WHERE id = ?1 AND user = ?2";
                let removed = conn.prepare_cached(sql)?.execute(params![id, user.get()])?;
                Ok(removed > 0)
            })
            .await
    }

    async fn touch_sessions(&self, seen: &[(u64, Millis)]) -> Result<()> {
        let mut seen: Vec<(i64, Millis)> =
            seen.iter().filter_map(|(id, at)| Some((i64::try_from(*id).ok()?, *at))).collect();
        seen.sort_unstable();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                {
                    let mut statement = tx.prepare_cached(
                        "UPDATE session SET last_seen_at = ?2 WHERE id = ?1 AND last_seen_at < ?2",
                    )?;
                    for (id, at) in seen {
                        statement.execute(params![id, at])?;
                    }
                }
                tx.commit()?;
                Ok(())
            })
            .await
    }
}

/// Reads a session from the first columns of a row, which are [`COLUMNS`].
fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let user: u64 = row.get(1)?;
    let user = UserId::new(user).map_err(|_| {
        rusqlite::Error::IntegralValueOutOfRange(1, i64::try_from(user).unwrap_or(i64::MAX))
    })?;
    Ok(Session {
        id: row.get(0)?,
        user,
        device_name: row.get(2)?,
        created_at: row.get(3)?,
        last_seen_at: row.get(4)?,
        expires_at: row.get(5)?,
    })
}

fn insert(
    conn: &Connection,
    new: &NewSession,
    now: Millis,
) -> std::result::Result<Session, Failure> {
    let sql = format!(
        "INSERT INTO session (user, token_hash, device_name, created_at, last_seen_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5) RETURNING {COLUMNS}"
    );
    let values = params![new.user.get(), new.token_hash, new.device_name, now, new.expires_at];
    let inserted = conn.prepare_cached(&sql)?.query_row(values, session);
    inserted.map_err(|error| {
        if is_dangling(&error) {
            return DirectoryError::Refused(format!("there is no user {}", new.user)).into();
        }
        error.into()
    })
}

/// Ended sessions serve nobody; without this they would pile up.
fn clear(conn: &Connection, now: Millis) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM session WHERE id IN
                   (SELECT id FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    conn.prepare_cached(sql)?.execute(params![now, CLEARED_MAX])
}
