//! Devices and settings of push, in the tables `push_subscription` and `push_setting`.

use async_trait::async_trait;
use ostracon_domain::{Millis, PushScope, PushSetting, UserId};
use ostracon_store::{
    DirectoryError, Push,
    directory::{NewSubscription, Subscription, push::SUBSCRIPTIONS_MAX},
};
use tokio_postgres::Row;

use super::{Found, PostgresDirectory, Result, in_session, in_transaction};
use crate::{
    error::PgError,
    session::{Params, Session},
    value::{self, get, number},
};

/// What [`subscription`] reads.
macro_rules! columns {
    () => {
        "push.id, push.user_id, push.session_id, push.endpoint, push.p256dh, push.auth, push.created_at, push.expires_at, push.enabled"
    };
}

const TAKE_FROM_OTHERS: &str =
    "DELETE FROM push_subscription WHERE endpoint = $1 AND user_id <> $2";
/// Writes nothing for a user or a session that is not there.
const PUT: &str = concat!(
    "INSERT INTO push_subscription AS push (user_id, session_id, endpoint, p256dh, auth, created_at, expires_at, enabled) \
     SELECT account.id, $2::bigint, $3::text, $4::bytea, $5::bytea, $6::bigint, $7::bigint, true FROM account WHERE account.id = $1 \
     AND ($2::bigint IS NULL OR EXISTS (SELECT FROM session WHERE session.id = $2 AND session.user_id = $1)) \
     ON CONFLICT (endpoint) DO UPDATE SET session_id = excluded.session_id, p256dh = excluded.p256dh, \
     auth = excluded.auth, expires_at = excluded.expires_at RETURNING ",
    columns!()
);
const CUT: &str = "DELETE FROM push_subscription WHERE user_id = $1 AND id <> $2 AND id NOT IN \
     (SELECT id FROM push_subscription WHERE user_id = $1 ORDER BY (id = $2) DESC, id DESC LIMIT $3)";
const OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM push_subscription AS push JOIN account ON account.id = push.user_id \
     LEFT JOIN session ON session.id = push.session_id \
     WHERE push.user_id = $1 AND account.active AND (push.expires_at IS NULL OR push.expires_at > $2) \
     AND (session.expires_at IS NULL OR session.expires_at > $2) ORDER BY push.id"
);
const ENABLE: &str = concat!(
    "UPDATE push_subscription AS push SET enabled = $3 WHERE id = $1 AND user_id = $2 RETURNING ",
    columns!()
);
const FORGET: &str = "DELETE FROM push_subscription WHERE id = $1 AND user_id = $2 RETURNING id";
const USERS: &str =
    "SELECT DISTINCT user_id FROM push_subscription WHERE user_id > $1 ORDER BY user_id LIMIT $2";
const SETTING: &str = "SELECT scope, preview FROM push_setting WHERE user_id = $1";
const SET: &str = "INSERT INTO push_setting (user_id, scope, preview) SELECT id, $2, $3 FROM account WHERE id = $1 \
     ON CONFLICT (user_id) DO UPDATE SET scope = excluded.scope, preview = excluded.preview RETURNING user_id";

#[async_trait]
impl Push for PostgresDirectory {
    async fn subscribe(&self, new: NewSubscription, now: Millis) -> Result<Subscription> {
        in_transaction!(self, |session| subscribe(session, &new, now))
    }

    async fn subscriptions(&self, user: UserId, now: Millis) -> Result<Vec<Subscription>> {
        let user = user.get().cast_signed();
        in_session!(self, |session| select(session, OF_USER, &[&user, &now]))
    }

    async fn enable_subscription(
        &self,
        user: UserId,
        id: u64,
        enabled: bool,
    ) -> Result<Option<Subscription>> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(None);
        };
        let user = user.get().cast_signed();
        let found = in_session!(self, |session| select(session, ENABLE, &[&id, &user, &enabled]))?;
        Ok(found.into_iter().next())
    }

    async fn unsubscribe(&self, user: UserId, id: u64) -> Result<bool> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(false);
        };
        let user = user.get().cast_signed();
        in_session!(self, |session| any(session, FORGET, &[&id, &user]))
    }

    async fn subscribed_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        let (after, limit) = (after.map_or(0, UserId::get).cast_signed(), i64::from(limit));
        in_session!(self, |session| users(session, &[&after, &limit]))
    }

    async fn push_setting(&self, user: UserId) -> Result<PushSetting> {
        let user = user.get().cast_signed();
        in_session!(self, |session| setting(session, user))
    }

    async fn set_push_setting(&self, user: UserId, setting: PushSetting) -> Result<bool> {
        let (user, scope) = (user.get().cast_signed(), number_of(setting.scope));
        in_session!(self, |session| any(session, SET, &[&user, &scope, &setting.preview]))
    }
}

async fn subscribe(session: &Session, new: &NewSubscription, now: Millis) -> Found<Subscription> {
    let user = new.user.get().cast_signed();
    let of = new.session.map(u64::cast_signed);
    session.run(TAKE_FROM_OTHERS, &[&new.endpoint, &user]).await?;
    let (p256dh, auth) = (&new.p256dh[..], &new.auth[..]);
    let values: &Params<'_> = &[&user, &of, &new.endpoint, &p256dh, &auth, &now, &new.expires_at];
    let Some(made) = select(session, PUT, values).await?.pop() else {
        let why = "there is no such user or session".to_owned();
        return Err(DirectoryError::Refused(why).into());
    };
    let most = SUBSCRIPTIONS_MAX as i64;
    session.run(CUT, &[&user, &made.id.cast_signed(), &most]).await?;
    Ok(made)
}

async fn select(session: &Session, sql: &str, values: &Params<'_>) -> Found<Vec<Subscription>> {
    let rows = session.run(sql, values).await?;
    Ok(rows.iter().map(subscription).collect::<std::result::Result<_, _>>()?)
}

async fn any(session: &Session, sql: &str, values: &Params<'_>) -> Found<bool> {
    Ok(!session.run(sql, values).await?.is_empty())
}

async fn users(session: &Session, values: &Params<'_>) -> Found<Vec<UserId>> {
    let rows = session.run(USERS, values).await?;
    Ok(rows.iter().map(|row| value::user(row, 0)).collect::<std::result::Result<_, _>>()?)
}

async fn setting(session: &Session, user: i64) -> Found<PushSetting> {
    let rows = session.run(SETTING, &[&user]).await?;
    let Some(row) = rows.first() else { return Ok(PushSetting::default()) };
    let scope = match get::<i16>(row, 0)? {
        0 => PushScope::All,
        1 => PushScope::Mentions,
        2 => PushScope::None,
        _ => return Err(PgError::Damaged("push setting").into()),
    };
    Ok(PushSetting { scope, preview: get(row, 1)? })
}

fn subscription(row: &Row) -> std::result::Result<Subscription, PgError> {
    let damaged = |_| PgError::Damaged("push subscription");
    Ok(Subscription {
        id: number(row, 0)?,
        user: value::user(row, 1)?,
        session: get::<Option<i64>>(row, 2)?.map(i64::cast_unsigned),
        endpoint: get(row, 3)?,
        p256dh: get::<&[u8]>(row, 4)?.try_into().map_err(damaged)?,
        auth: get::<&[u8]>(row, 5)?.try_into().map_err(damaged)?,
        created_at: get(row, 6)?,
        expires_at: get(row, 7)?,
        enabled: get(row, 8)?,
    })
}

const fn number_of(scope: PushScope) -> i16 {
    match scope {
        PushScope::All => 0,
        PushScope::Mentions => 1,
        PushScope::None => 2,
    }
}
