//! The queue of what is to be told outside, in the table `errand`.

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Millis, UserId};
use ostracon_store::{
    DirectoryError, Errands,
    directory::{Errand, ErrandEnd, ErrandKind, ErrandSort, ErrandState, ErrandStats, NewErrand},
};
use rusqlite::{Connection, Row, params};

use super::{SqliteDirectory, push::user_at};

type Result<T> = std::result::Result<T, DirectoryError>;

/// What [`errand`] reads.
const COLUMNS: &str = "id, key, kind, user, conversation, subscription, hook, event, seq, mention_seq, count, state, attempts, created_at, due_at, held_until, error";
const PUT: &str = "INSERT INTO errand (key, kind, user, conversation, subscription, hook, event, seq, mention_seq, count,
                   state, attempts, created_at, due_at, held_until)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, 0, ?11, ?12, 0)
                   ON CONFLICT (key) DO UPDATE SET seq = excluded.seq,
                   mention_seq = max(mention_seq, excluded.mention_seq),
                   count = min(CASE WHEN state = 0 AND held_until <= ?11 THEN count ELSE 0 END + excluded.count, 4294967295),
                   due_at = CASE WHEN state = 0 AND held_until <= ?11 THEN due_at ELSE excluded.due_at END,
                   attempts = CASE WHEN state = 0 THEN attempts ELSE 0 END,
                   created_at = CASE WHEN state = 0 THEN created_at ELSE ?11 END,
                   held_until = CASE WHEN state = 0 THEN held_until ELSE 0 END,
                   error = CASE WHEN state = 0 THEN error END,
                   state = 0
                   WHERE seq < excluded.seq";
const DUE: &str = "SELECT id FROM errand WHERE state = 0 AND due_at <= ?1 AND held_until <= ?1 ORDER BY due_at, id LIMIT ?2";
const IS_HELD: &str = "id = ?1 AND held_until = ?2 AND state = 0";
/// Of a sort: push 0, events 1.
const OF_SORT: &str = "(kind = 2) = ?1";

#[async_trait]
impl Errands for SqliteDirectory {
    async fn put_errands(&self, new: Vec<NewErrand>, now: Millis) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                put(&tx, &new, now)?;
                tx.commit()?;
                Ok(())
            })
            .await
    }

    async fn take_errands(&self, now: Millis, until: Millis, limit: u32) -> Result<Vec<Errand>> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let ids: Vec<i64> = {
                    let mut due = tx.prepare_cached(DUE)?;
                    let ids = due.query_map(params![now, limit], |row| row.get(0))?;
                    ids.collect::<rusqlite::Result<_>>()?
                };
                let mut taken = Vec::with_capacity(ids.len());
                if ids.is_empty() {
                    return Ok(taken);
                }
                {
                    let sql = format!(
                        "UPDATE errand SET held_until = ?2 WHERE id = ?1 RETURNING {COLUMNS}"
                    );
                    let mut hold = tx.prepare_cached(&sql)?;
                    for id in ids {
                        taken.push(hold.query_row(params![id, until], errand)?);
                    }
                }
                tx.commit()?;
                Ok(taken)
            })
            .await
    }

    async fn end_errand(&self, held: &Errand, end: ErrandEnd, now: Millis) -> Result<bool> {
        let (id, until) = (held.id, held.held_until);
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let changed = match &end {
                    ErrandEnd::Done { seq, .. } => {
                        let sql = format!(
                            "UPDATE errand SET held_until = 0, error = NULL,
                             state = CASE WHEN seq <= ?3 THEN 1 ELSE 0 END,
                             due_at = CASE WHEN seq <= ?3 THEN ?4 ELSE due_at END,
                             attempts = CASE WHEN seq <= ?3 THEN attempts ELSE 0 END,
                             created_at = CASE WHEN seq <= ?3 THEN created_at ELSE ?4 END WHERE {IS_HELD}"
                        );
                        tx.prepare_cached(&sql)?.execute(params![id, until, seq, now])?
                    }
                    ErrandEnd::Later { due_at, error } => {
                        let sql = format!(
                            "UPDATE errand SET held_until = 0, due_at = ?3, error = coalesce(?4, error),
                             attempts = attempts + (?4 IS NOT NULL) WHERE {IS_HELD}"
                        );
                        tx.prepare_cached(&sql)?.execute(params![id, until, due_at, error])?
                    }
                    ErrandEnd::Dead { error } => {
                        let sql = format!(
                            "UPDATE errand SET held_until = 0, state = 2, due_at = ?3, error = ?4,
                             attempts = attempts + 1 WHERE {IS_HELD}"
                        );
                        tx.prepare_cached(&sql)?.execute(params![id, until, now, error])?
                    }
                };
                if let ErrandEnd::Done { then, .. } = &end
                    && changed > 0
                {
                    put(&tx, then, now)?;
                }
                tx.commit()?;
                Ok(changed > 0)
            })
            .await
    }

    async fn errand_stats(&self, sort: ErrandSort) -> Result<ErrandStats> {
        self.threads
            .scan(move |conn| {
                let sql = format!(
                    "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 0 AND attempts > 0),
                     count(*) FILTER (WHERE state = 2), min(due_at) FILTER (WHERE state = 0)
                     FROM errand WHERE {OF_SORT} AND state <> 1"
                );
                let stats = conn.prepare_cached(&sql)?.query_row([number_of(sort)], |row| {
                    Ok(ErrandStats {
                        waiting: row.get(0)?,
                        failing: row.get(1)?,
                        dead: row.get(2)?,
                        oldest_due_at: row.get(3)?,
                    })
                })?;
                Ok(stats)
            })
            .await
    }

    async fn dead_errands(
        &self,
        sort: ErrandSort,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Errand>> {
        let below = below.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX);
        self.threads
            .scan(move |conn| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM errand WHERE {OF_SORT} AND state = 2 AND id < ?2 ORDER BY id DESC LIMIT ?3"
                );
                let mut statement = conn.prepare_cached(&sql)?;
                let found = statement.query_map(params![number_of(sort), below, limit], errand)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn replay_errands(&self, sort: ErrandSort, id: Option<u64>, now: Millis) -> Result<u64> {
        let Ok(id) = id.map(i64::try_from).transpose() else {
            return Ok(0);
        };
        self.threads
            .write(move |conn| {
                let sql = format!(
                    "UPDATE errand SET state = 0, attempts = 0, created_at = ?3, due_at = ?3, error = NULL
                     WHERE {OF_SORT} AND state = 2 AND (?2 IS NULL OR id = ?2)"
                );
                Ok(conn.prepare_cached(&sql)?.execute(params![number_of(sort), id, now])? as u64)
            })
            .await
    }

    async fn forget_errands(
        &self,
        done_before: Millis,
        dead_before: Millis,
        limit: u32,
    ) -> Result<u64> {
        self.threads
            .write(move |conn| {
                let sql = "DELETE FROM errand WHERE id IN (
                               SELECT id FROM errand WHERE state <> 0 AND due_at < max(?1, ?2)
                               AND ((state = 1 AND due_at < ?1) OR (state = 2 AND due_at < ?2)) LIMIT ?3)";
                let values = params![done_before, dead_before, limit];
                Ok(conn.prepare_cached(sql)?.execute(values)? as u64)
            })
            .await
    }
}

fn put(conn: &Connection, new: &[NewErrand], now: Millis) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(PUT)?;
    for one in new {
        let parts = Parts::of(&one.kind);
        statement.execute(params![
            one.key,
            parts.kind,
            parts.user.map(UserId::get),
            parts.conversation.map(|id| id.as_u128().to_be_bytes()),
            parts.subscription,
            parts.hook,
            parts.event,
            one.seq,
            one.mention_seq,
            one.count,
            now,
            one.due_at
        ])?;
    }
    Ok(())
}

/// The columns of a kind.
#[derive(Default)]
struct Parts<'a> {
    kind: i64,
    user: Option<UserId>,
    conversation: Option<ConversationId>,
    subscription: Option<u64>,
    hook: Option<&'a str>,
    event: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(kind: &'a ErrandKind) -> Self {
        match kind {
            ErrandKind::Tell { user, conversation } => {
                Self { user: Some(*user), conversation: Some(*conversation), ..Self::default() }
            }
            ErrandKind::Device { user, conversation, subscription } => Self {
                kind: 1,
                user: Some(*user),
                conversation: Some(*conversation),
                subscription: Some(*subscription),
                ..Self::default()
            },
            ErrandKind::Event { hook, event, user, conversation } => Self {
                kind: 2,
                user: *user,
                conversation: *conversation,
                hook: Some(hook),
                event: Some(event),
                ..Self::default()
            },
        }
    }
}

fn errand(row: &Row<'_>) -> rusqlite::Result<Errand> {
    let conversation: Option<[u8; 16]> = row.get(4)?;
    let damaged = |_| rusqlite::Error::IntegralValueOutOfRange(4, 0);
    let conversation = conversation.map(|id| ConversationId::from_u128(u128::from_be_bytes(id)));
    let conversation = conversation.transpose().map_err(damaged)?;
    let there = || conversation.ok_or(rusqlite::Error::IntegralValueOutOfRange(4, 0));
    let kind = match row.get(2)? {
        0 => ErrandKind::Tell { user: user_at(row, 3)?, conversation: there()? },
        1 => ErrandKind::Device {
            user: user_at(row, 3)?,
            conversation: there()?,
            subscription: row.get(5)?,
        },
        2 => ErrandKind::Event {
            hook: row.get(6)?,
            event: row.get(7)?,
            user: match row.get::<_, Option<i64>>(3)? {
                Some(_) => Some(user_at(row, 3)?),
                None => None,
            },
            conversation,
        },
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, other)),
    };
    let state = match row.get(11)? {
        0 => ErrandState::Waiting,
        1 => ErrandState::Done,
        2 => ErrandState::Dead,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(11, other)),
    };
    Ok(Errand {
        id: row.get(0)?,
        key: row.get(1)?,
        kind,
        seq: row.get(8)?,
        mention_seq: row.get(9)?,
        count: row.get(10)?,
        state,
        attempts: row.get(12)?,
        created_at: row.get(13)?,
        due_at: row.get(14)?,
        held_until: row.get(15)?,
        error: row.get(16)?,
    })
}

const fn number_of(sort: ErrandSort) -> i64 {
    match sort {
        ErrandSort::Push => 0,
        ErrandSort::Events => 1,
    }
}
