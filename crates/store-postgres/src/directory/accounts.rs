//! Accounts in the table `account`.

use async_trait::async_trait;
use ostracon_domain::{Millis, UserId};
use ostracon_store::{
    Accounts, DirectoryError,
    directory::{AccountRole, NewUser, User},
};
use tokio_postgres::Row;

use super::{Found, PostgresDirectory, Result, in_session, in_transaction, map::draw};
use crate::{
    error::PgError,
    session::{Params, Session},
    value::{self, get, number},
};

/// What [`user_at`] reads.
macro_rules! account_columns {
    () => {
        "account.id, account.username, account.external_id, account.display_name, account.role, account.created_at, \
         account.version, account.active"
    };
}
pub(super) use account_columns;

const BY_ID: &str =
    concat!("SELECT ", account_columns!(), " FROM account WHERE id = ANY($1) ORDER BY id");
const BY_EXTERNAL_ID: &str =
    concat!("SELECT ", account_columns!(), " FROM account WHERE external_id = ANY($1) ORDER BY id");
const CREDENTIALS: &str =
    concat!("SELECT ", account_columns!(), ", password_hash FROM account WHERE username = $1");
const FIND: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM account WHERE id > $1 AND ($2::text = '' OR starts_with(username, $2) OR strpos(folded_name, $2) > 0) \
     ORDER BY id LIMIT $3"
);
const CREATE: &str = "INSERT INTO account (id, username, external_id, display_name, folded_name, role, password_hash, \
     created_at, version) \
     SELECT *, $8, 1 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::text[])";
const SET_NAME: &str = concat!(
    "UPDATE account SET display_name = $2, folded_name = $3 WHERE id = $1 RETURNING ",
    account_columns!()
);
const SET_PASSWORD: &str = concat!(
    "UPDATE account SET password_hash = $2, version = version + 1 WHERE id = $1 RETURNING ",
    account_columns!()
);
const SET_ROLE: &str = concat!(
    "UPDATE account SET role = $2, version = version + (role <> $2)::int WHERE id = $1 RETURNING ",
    account_columns!()
);

const SET_ACTIVE: &str = concat!(
    "UPDATE account SET active = $2, version = version + (active <> $2)::int WHERE id = $1 RETURNING ",
    account_columns!()
);

#[async_trait]
impl Accounts for PostgresDirectory {
    async fn create_users(&self, new: Vec<NewUser>, now: Millis) -> Result<Vec<User>> {
        check_new(&new)?;
        in_transaction!(self, |session| create(session, &new, now))
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let ids: Vec<_> = ids.iter().map(|id| id.get().cast_signed()).collect();
        in_session!(self, |session| select(session, BY_ID, &[&ids]))
    }

    async fn users_by_external_id(&self, ids: &[String]) -> Result<Vec<User>> {
        let ids: Vec<_> = ids.iter().filter(|id| can_be_stored(id)).collect();
        in_session!(self, |session| select(session, BY_EXTERNAL_ID, &[&ids]))
    }

    async fn credentials(&self, username: &str) -> Result<Option<(User, Option<String>)>> {
        if !can_be_stored(username) {
            return Ok(None);
        }
        in_session!(self, |session| credentials(session, username))
    }

    async fn find_users(
        &self,
        query: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>> {
        let query = query.to_lowercase();
        if !can_be_stored(&query) {
            return Ok(Vec::new());
        }
        let after = after.map_or(0, UserId::get).cast_signed();
        let limit = i64::from(limit);
        in_session!(self, |session| select(session, FIND, &[&after, &query, &limit]))
    }

    async fn set_display_name(&self, id: UserId, name: &str) -> Result<Option<User>> {
        let (id, folded) = (id.get().cast_signed(), name.to_lowercase());
        in_session!(self, |session| one(session, SET_NAME, &[&id, &name, &folded]))
    }

    async fn set_password(&self, id: UserId, password_hash: &str) -> Result<Option<User>> {
        let id = id.get().cast_signed();
        in_session!(self, |session| one(session, SET_PASSWORD, &[&id, &password_hash]))
    }

    async fn set_role(&self, id: UserId, role: AccountRole) -> Result<Option<User>> {
        let id = id.get().cast_signed();
        in_session!(self, |session| one(session, SET_ROLE, &[&id, &number_of(role)]))
    }

    async fn set_active(&self, id: UserId, active: bool) -> Result<Option<User>> {
        let id = id.get().cast_signed();
        in_session!(self, |session| one(session, SET_ACTIVE, &[&id, &active]))
    }
}

/// Every account has a name of some kind.
pub(super) fn check_new(new: &[NewUser]) -> Result<()> {
    if new.iter().any(|new| new.username.is_none() && new.external_id.is_none()) {
        let why = "an account needs a username or an external id";
        return Err(DirectoryError::Refused(why.to_owned()));
    }
    Ok(())
}

/// What no stored text is equal to cannot be asked for either.
fn can_be_stored(text: &str) -> bool {
    !text.contains('\0')
}

pub(super) async fn create(session: &Session, new: &[NewUser], now: Millis) -> Found<Vec<User>> {
    // The row of the sequence is held until the end: accounts are numbered without a gap.
    let last = draw(session, "account", new.len()).await?;
    let first = last + 1 - new.len() as u64;
    let mut created = Vec::with_capacity(new.len());
    for (new, id) in new.iter().zip(first..) {
        created.push(User {
            id: UserId::new(id).map_err(|e| DirectoryError::Refused(e.to_string()))?,
            username: new.username.clone(),
            external_id: new.external_id.clone(),
            display_name: new.display_name.clone(),
            role: new.role,
            created_at: now,
            is_active: true,
            version: 1,
        });
    }
    let ids: Vec<_> = created.iter().map(|user| user.id.get().cast_signed()).collect();
    let usernames: Vec<_> = new.iter().map(|new| new.username.as_deref()).collect();
    let external_ids: Vec<_> = new.iter().map(|new| new.external_id.as_deref()).collect();
    let names: Vec<_> = new.iter().map(|new| new.display_name.as_str()).collect();
    let folded: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
    let roles: Vec<_> = new.iter().map(|new| number_of(new.role)).collect();
    let hashes: Vec<_> = new.iter().map(|new| new.password_hash.as_deref()).collect();
    let values: &Params<'_> =
        &[&ids, &usernames, &external_ids, &names, &folded, &roles, &hashes, &now];
    session.run(CREATE, values).await?;
    Ok(created)
}

async fn select(session: &Session, sql: &str, values: &Params<'_>) -> Found<Vec<User>> {
    let rows = session.run(sql, values).await?;
    Ok(rows.iter().map(|row| user_at(row, 0)).collect::<std::result::Result<_, _>>()?)
}

async fn one(session: &Session, sql: &str, values: &Params<'_>) -> Found<Option<User>> {
    Ok(select(session, sql, values).await?.pop())
}

async fn credentials(session: &Session, username: &str) -> Found<Option<(User, Option<String>)>> {
    let rows = session.run(CREDENTIALS, &[&username]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some((user_at(row, 0)?, get(row, 8)?)))
}

/// Reads a user from the columns that begin at `first`.
pub(super) fn user_at(row: &Row, first: usize) -> std::result::Result<User, PgError> {
    let role = match get::<i16>(row, first + 4)? {
        0 => AccountRole::User,
        1 => AccountRole::Admin,
        _ => return Err(PgError::Damaged("role")),
    };
    Ok(User {
        id: value::user(row, first)?,
        username: get(row, first + 1)?,
        external_id: get(row, first + 2)?,
        display_name: get(row, first + 3)?,
        role,
        created_at: get(row, first + 5)?,
        version: number(row, first + 6)?,
        is_active: get(row, first + 7)?,
    })
}

const fn number_of(role: AccountRole) -> i16 {
    match role {
        AccountRole::User => 0,
        AccountRole::Admin => 1,
    }
}
