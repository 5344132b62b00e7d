//! Devices and settings of push, in the tables `push_subscription` and `push_setting`.

use async_trait::async_trait;
use ostracon_domain::{Millis, PushScope, PushSetting, UserId};
use ostracon_store::{
    DirectoryError, Push,
    directory::{NewSubscription, Subscription, push::SUBSCRIPTIONS_MAX},
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::SqliteDirectory;

type Result<T> = std::result::Result<T, DirectoryError>;

/// What [`subscription`] reads.
const COLUMNS: &str = "push.id, push.user, push.session, push.endpoint, push.p256dh, push.auth, push.created_at, push.expires_at, push.enabled";
const TAKE_FROM_OTHERS: &str = "DELETE FROM push_subscription WHERE endpoint = ?1 AND user <> ?2";
/// Writes nothing for a user or a session that is not there.
const PUT: &str = "INSERT INTO push_subscription (user, session, endpoint, p256dh, auth, created_at, expires_at, enabled)
                   SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, 1 FROM user
                   WHERE id = ?1 AND (?2 IS NULL OR EXISTS (SELECT 1 FROM session WHERE session.id = ?2 AND session.user = ?1))
                   ON CONFLICT (endpoint) DO UPDATE SET session = excluded.session, p256dh = excluded.p256dh,
                   auth = excluded.auth, expires_at = excluded.expires_at
                   RETURNING id";
const CUT: &str = "DELETE FROM push_subscription WHERE user = ?1 AND id <> ?2 AND id NOT IN
                   (SELECT id FROM push_subscription WHERE user = ?1 ORDER BY id = ?2 DESC, id DESC LIMIT ?3)";

#[async_trait]
impl Push for SqliteDirectory {
    async fn subscribe(&self, new: NewSubscription, now: Millis) -> Result<Subscription> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let user = new.user.get();
                tx.prepare_cached(TAKE_FROM_OTHERS)?.execute(params![new.endpoint, user])?;
                let values = params![
                    user,
                    new.session,
                    new.endpoint,
                    new.p256dh,
                    new.auth,
                    now,
                    new.expires_at
                ];
                let id = tx.prepare_cached(PUT)?.query_row(values, |row| row.get::<_, i64>(0));
                let Some(id) = id.optional()? else {
                    let why = "there is no such user or session".to_owned();
                    return Err(DirectoryError::Refused(why).into());
                };
                tx.prepare_cached(CUT)?.execute(params![user, id, SUBSCRIPTIONS_MAX as i64])?;
                let sql = format!("SELECT {COLUMNS} FROM push_subscription AS push WHERE id = ?1");
                let made = tx.prepare_cached(&sql)?.query_row([id], subscription)?;
                tx.commit()?;
                Ok(made)
            })
            .await
    }

    async fn subscriptions(&self, user: UserId, now: Millis) -> Result<Vec<Subscription>> {
        self.threads
            .look_up(move |conn| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM push_subscription AS push JOIN user ON user.id = push.user
                     LEFT JOIN session ON session.id = push.session
                     WHERE push.user = ?1 AND user.active AND (push.expires_at IS NULL OR push.expires_at > ?2)
                     AND (session.expires_at IS NULL OR session.expires_at > ?2) ORDER BY push.id"
                );
                let mut statement = conn.prepare_cached(&sql)?;
                let found = statement.query_map(params![user.get(), now], subscription)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
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
        self.threads
            .write(move |conn| {
                let sql = "UPDATE push_subscription SET enabled = ?3 WHERE id = ?1 AND user = ?2";
                conn.prepare_cached(sql)?.execute(params![id, user.get(), enabled])?;
                let sql = format!(
                    "SELECT {COLUMNS} FROM push_subscription AS push WHERE id = ?1 AND user = ?2"
                );
                let mut statement = conn.prepare_cached(&sql)?;
                Ok(statement.query_row(params![id, user.get()], subscription).optional()?)
            })
            .await
    }

    async fn unsubscribe(&self, user: UserId, id: u64) -> Result<bool> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(false);
        };
        self.threads
            .write(move |conn| {
                let sql = "DELETE FROM push_subscription WHERE id = ?1 AND user = ?2";
                Ok(conn.prepare_cached(sql)?.execute(params![id, user.get()])? > 0)
            })
            .await
    }

    async fn subscribed_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        let after = after.map_or(0, UserId::get);
        self.threads
            .scan(move |conn| {
                let sql = "SELECT DISTINCT user FROM push_subscription WHERE user > ?1 ORDER BY user LIMIT ?2";
                let mut statement = conn.prepare_cached(sql)?;
                let found = statement.query_map(params![after, limit], |row| user_at(row, 0))?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn push_setting(&self, user: UserId) -> Result<PushSetting> {
        self.threads
            .look_up(move |conn| {
                let sql = "SELECT scope, preview FROM push_setting WHERE user = ?1";
                let mut statement = conn.prepare_cached(sql)?;
                let found = statement.query_row([user.get()], setting).optional()?;
                Ok(found.unwrap_or_default())
            })
            .await
    }

    async fn set_push_setting(&self, user: UserId, setting: PushSetting) -> Result<bool> {
        self.threads
            .write(move |conn| {
                let sql = "INSERT INTO push_setting (user, scope, preview) SELECT id, ?2, ?3 FROM user WHERE id = ?1
                           ON CONFLICT (user) DO UPDATE SET scope = excluded.scope, preview = excluded.preview";
                let values = params![user.get(), number_of(setting.scope), setting.preview];
                Ok(conn.prepare_cached(sql)?.execute(values)? > 0)
            })
            .await
    }
}

fn subscription(row: &Row<'_>) -> rusqlite::Result<Subscription> {
    Ok(Subscription {
        id: row.get(0)?,
        user: user_at(row, 1)?,
        session: row.get(2)?,
        endpoint: row.get(3)?,
        p256dh: row.get(4)?,
        auth: row.get(5)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        enabled: row.get(8)?,
    })
}

pub(super) fn user_at(row: &Row<'_>, at: usize) -> rusqlite::Result<UserId> {
    let id: u64 = row.get(at)?;
    let range = |_| rusqlite::Error::IntegralValueOutOfRange(at, id.cast_signed());
    UserId::new(id).map_err(range)
}

fn setting(row: &Row<'_>) -> rusqlite::Result<PushSetting> {
    let scope = match row.get(0)? {
        0 => PushScope::All,
        1 => PushScope::Mentions,
        2 => PushScope::None,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(0, other)),
    };
    Ok(PushSetting { scope, preview: row.get(1)? })
}

const fn number_of(scope: PushScope) -> i64 {
    match scope {
        PushScope::All => 0,
        PushScope::Mentions => 1,
        PushScope::None => 2,
    }
}
