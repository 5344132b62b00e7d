//! Accounts in the table `user`.

use async_trait::async_trait;
use ostracon_domain::{Millis, UserId};
use ostracon_store::{
    Accounts, DirectoryError,
    directory::{AccountRole, NewUser, User},
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{SqliteDirectory, failure::Failure};

type Result<T> = std::result::Result<T, DirectoryError>;

/// What [`user`] reads, with the table named so that it can be joined.
pub(super) const COLUMNS: &str = "user.id, user.username, user.external_id, user.display_name, user.role, user.created_at, user.version, user.active";

#[async_trait]
impl Accounts for SqliteDirectory {
    async fn create_users(&self, new: Vec<NewUser>, now: Millis) -> Result<Vec<User>> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let created = new
                    .into_iter()
                    .map(|new| insert(&tx, new, now))
                    .collect::<std::result::Result<_, _>>()?;
                tx.commit()?;
                Ok(created)
            })
            .await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        self.threads
            .look_up(move |conn| {
                let sql = format!("SELECT {COLUMNS} FROM user WHERE id = ?1");
                let mut statement = conn.prepare_cached(&sql)?;
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    found.extend(statement.query_row([id.get()], user).optional()?);
                }
                Ok(found)
            })
            .await
    }

    async fn users_by_external_id(&self, ids: &[String]) -> Result<Vec<User>> {
        let ids = ids.to_vec();
        self.threads
            .look_up(move |conn| {
                let sql = format!("SELECT {COLUMNS} FROM user WHERE external_id = ?1");
                let mut statement = conn.prepare_cached(&sql)?;
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    found.extend(statement.query_row([id], user).optional()?);
                }
                found.sort_unstable_by_key(|user| user.id);
                found.dedup_by_key(|user| user.id);
                Ok(found)
            })
            .await
    }

    async fn credentials(&self, username: &str) -> Result<Option<(User, Option<String>)>> {
        let username = username.to_owned();
        self.threads
            .look_up(move |conn| {
                let sql = format!("SELECT {COLUMNS}, password_hash FROM user WHERE username = ?1");
                let mut statement = conn.prepare_cached(&sql)?;
                let both = |row: &Row<'_>| Ok((user(row)?, row.get(8)?));
                Ok(statement.query_row([username], both).optional()?)
            })
            .await
    }

    async fn find_users(
        &self,
        query: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>> {
        let query = query.to_lowercase();
        let after = after.map_or(0, UserId::get);
        self.threads
            .scan(move |conn| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM user
                     WHERE id > ?1
                       AND (?2 = '' OR instr(username, ?2) = 1 OR instr(folded_name, ?2) > 0)
                     ORDER BY id LIMIT ?3"
                );
                let mut statement = conn.prepare_cached(&sql)?;
                let found = statement.query_map(params![after, query, limit], user)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn set_display_name(&self, id: UserId, name: &str) -> Result<Option<User>> {
        let name = name.to_owned();
        let set = "display_name = ?2, folded_name = ?3";
        self.threads
            .write(move |conn| update(conn, set, params![id.get(), name, name.to_lowercase()]))
            .await
    }

    async fn set_password(&self, id: UserId, password_hash: &str) -> Result<Option<User>> {
        let hash = password_hash.to_owned();
        let set = "password_hash = ?2, version = version + 1";
        self.threads.write(move |conn| update(conn, set, params![id.get(), hash])).await
    }

    async fn set_role(&self, id: UserId, role: AccountRole) -> Result<Option<User>> {
        let set = "role = ?2, version = version + (role <> ?2)";
        self.threads.write(move |conn| update(conn, set, params![id.get(), number_of(role)])).await
    }

    async fn set_active(&self, id: UserId, active: bool) -> Result<Option<User>> {
        let set = "active = ?2, version = version + (active <> ?2)";
        self.threads.write(move |conn| update(conn, set, params![id.get(), active])).await
    }
}

/// Reads a user from the first columns of a row, which are [`COLUMNS`].
pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    user_at(row, 0)
}

/// The same from the columns that begin at `first`.
pub(super) fn user_at(row: &Row<'_>, first: usize) -> rusqlite::Result<User> {
    let id: i64 = row.get(first)?;
    let id = u64::try_from(id)
        .ok()
        .and_then(|id| UserId::new(id).ok())
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(first, id))?;
    let role = match row.get(first + 4)? {
        0 => AccountRole::User,
        1 => AccountRole::Admin,
        other => {
            return Err(rusqlite::Error::IntegralValueOutOfRange(first + 4, other));
        }
    };
    Ok(User {
        id,
        username: row.get(first + 1)?,
        external_id: row.get(first + 2)?,
        display_name: row.get(first + 3)?,
        role,
        created_at: row.get(first + 5)?,
        version: row.get(first + 6)?,
        is_active: row.get(first + 7)?,
    })
}

pub(super) fn insert(
    conn: &Connection,
    new: NewUser,
    now: Millis,
) -> std::result::Result<User, Failure> {
    if new.username.is_none() && new.external_id.is_none() {
        let why = "an account needs a username or an external id";
        return Err(DirectoryError::Refused(why.to_owned()).into());
    }
    let sql = format!(
        "INSERT INTO user (username, external_id, display_name, folded_name, role, password_hash, created_at, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1) RETURNING {COLUMNS}"
    );
    let values = params![
        new.username,
        new.external_id,
        new.display_name,
        new.display_name.to_lowercase(),
        number_of(new.role),
        new.password_hash,
        now,
    ];
    Ok(conn.prepare_cached(&sql)?.query_row(values, user)?)
}

fn update(
    conn: &Connection,
    set: &str,
    values: impl Params,
) -> std::result::Result<Option<User>, Failure> {
    let sql = format!("UPDATE user SET {set} WHERE id = ?1 RETURNING {COLUMNS}");
    let mut statement = conn.prepare_cached(&sql)?;
    Ok(statement.query_row(values, user).optional()?)
}

fn number_of(role: AccountRole) -> i64 {
    match role {
        AccountRole::User => 0,
        AccountRole::Admin => 1,
    }
}
