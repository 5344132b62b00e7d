//! The queue of what is to be told outside, in the table `errand`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Millis, UserId};
use ostracon_store::{
    Errands,
    directory::{Errand, ErrandEnd, ErrandKind, ErrandSort, ErrandState, ErrandStats, NewErrand},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Found, PostgresDirectory, Result, in_session, in_transaction};
use crate::{
    error::PgError,
    session::{Params, Session},
    value::{self, get, number, uuid_of},
};

/// What [`errand`] reads.
macro_rules! columns {
    () => {
        "errand.id, errand.key, errand.kind, errand.user_id, errand.conversation, errand.subscription, errand.hook, \
         errand.event, errand.seq, errand.mention_seq, errand.count, errand.state, errand.attempts, errand.created_at, \
         errand.due_at, errand.held_until, errand.error"
    };
}

/// Rows are written in the order of their keys, so that two writers never wait for each other.
const PUT: &str = "INSERT INTO errand (key, kind, user_id, conversation, subscription, hook, event, seq, mention_seq, count, \
     state, attempts, created_at, due_at, held_until) \
     SELECT new.key, new.kind, new.user_id, new.conversation, new.subscription, new.hook, new.event, new.seq, new.mention_seq, \
     new.count, 0, 0, $12, new.due_at, 0 \
     FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], \
     $9::bigint[], $10::bigint[], $11::bigint[]) \
     AS new (key, kind, user_id, conversation, subscription, hook, event, seq, mention_seq, count, due_at) ORDER BY new.key \
     ON CONFLICT (key) DO UPDATE SET seq = excluded.seq, \
     mention_seq = greatest(errand.mention_seq, excluded.mention_seq), \
     count = least(CASE WHEN errand.state = 0 AND errand.held_until <= $12 THEN errand.count ELSE 0 END + excluded.count, 4294967295), \
     due_at = CASE WHEN errand.state = 0 AND errand.held_until <= $12 THEN errand.due_at ELSE excluded.due_at END, \
     attempts = CASE WHEN errand.state = 0 THEN errand.attempts ELSE 0 END, \
     created_at = CASE WHEN errand.state = 0 THEN errand.created_at ELSE $12 END, \
     held_until = CASE WHEN errand.state = 0 THEN errand.held_until ELSE 0 END, \
     error = CASE WHEN errand.state = 0 THEN errand.error END, state = 0 \
     WHERE errand.seq < excluded.seq";
/// What another process takes now is left to it.
const TAKE: &str = concat!(
    "UPDATE errand SET held_until = $2 FROM (SELECT id FROM errand WHERE state = 0 AND due_at <= $1 AND held_until <= $1 \
     ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED) AS due WHERE errand.id = due.id RETURNING ",
    columns!()
);
const DONE: &str = "UPDATE errand SET held_until = 0, error = NULL, \
     state = CASE WHEN seq <= $3 THEN 1 ELSE 0 END, due_at = CASE WHEN seq <= $3 THEN $4 ELSE due_at END, \
     attempts = CASE WHEN seq <= $3 THEN attempts ELSE 0 END, created_at = CASE WHEN seq <= $3 THEN created_at ELSE $4 END \
     WHERE id = $1 AND held_until = $2 AND state = 0 RETURNING id";
const LATER: &str = "UPDATE errand SET held_until = 0, due_at = $3, error = coalesce($4::text, error), \
     attempts = attempts + CASE WHEN $4::text IS NULL THEN 0 ELSE 1 END \
     WHERE id = $1 AND held_until = $2 AND state = 0 RETURNING id";
const DEAD: &str = "UPDATE errand SET held_until = 0, state = 2, due_at = $3, error = $4, attempts = attempts + 1 \
     WHERE id = $1 AND held_until = $2 AND state = 0 RETURNING id";
const STATS: &str = "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 0 AND attempts > 0), \
     count(*) FILTER (WHERE state = 2), min(due_at) FILTER (WHERE state = 0) \
     FROM errand WHERE (kind = 2) = $1 AND state <> 1";
const LIST_DEAD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM errand WHERE (kind = 2) = $1 AND state = 2 AND id < $2 ORDER BY id DESC LIMIT $3"
);
const REPLAY: &str = "UPDATE errand SET state = 0, attempts = 0, created_at = $3, due_at = $3, error = NULL \
     WHERE (kind = 2) = $1 AND state = 2 AND ($2::bigint IS NULL OR id = $2) RETURNING id";
const FORGET: &str = "DELETE FROM errand WHERE id IN (SELECT id FROM errand WHERE state <> 0 AND due_at < greatest($1::bigint, $2::bigint) \
     AND ((state = 1 AND due_at < $1) OR (state = 2 AND due_at < $2)) LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING id";

#[async_trait]
impl Errands for PostgresDirectory {
    async fn put_errands(&self, new: Vec<NewErrand>, now: Millis) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let new = Columns::of(new);
        in_session!(self, |session| put(session, &new, now))
    }

    async fn take_errands(&self, now: Millis, until: Millis, limit: u32) -> Result<Vec<Errand>> {
        let limit = i64::from(limit);
        let mut taken =
            in_session!(self, |session| select(session, TAKE, &[&now, &until, &limit]))?;
        taken.sort_by_key(|one| (one.due_at, one.id));
        Ok(taken)
    }

    async fn end_errand(&self, held: &Errand, end: ErrandEnd, now: Millis) -> Result<bool> {
        let (id, until) = (held.id.cast_signed(), held.held_until);
        match end {
            ErrandEnd::Done { seq, then } => {
                let (seq, then) = (seq.cast_signed(), Columns::of(then));
                in_transaction!(self, |session| done(session, [id, until, seq, now], &then))
            }
            ErrandEnd::Later { due_at, error } => {
                let values: &Params<'_> = &[&id, &until, &due_at, &error];
                in_session!(self, |session| any(session, LATER, values))
            }
            ErrandEnd::Dead { error } => {
                in_session!(self, |session| any(session, DEAD, &[&id, &until, &now, &error]))
            }
        }
    }

    async fn errand_stats(&self, sort: ErrandSort) -> Result<ErrandStats> {
        let is_event = is_event(sort);
        in_session!(self, |session| stats(session, is_event))
    }

    async fn dead_errands(
        &self,
        sort: ErrandSort,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Errand>> {
        let below = below.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX);
        let (is_event, limit) = (is_event(sort), i64::from(limit));
        in_session!(self, |session| select(session, LIST_DEAD, &[&is_event, &below, &limit]))
    }

    async fn replay_errands(&self, sort: ErrandSort, id: Option<u64>, now: Millis) -> Result<u64> {
        let Ok(id) = id.map(i64::try_from).transpose() else {
            return Ok(0);
        };
        let is_event = is_event(sort);
        in_session!(self, |session| count(session, REPLAY, &[&is_event, &id, &now]))
    }

    async fn forget_errands(
        &self,
        done_before: Millis,
        dead_before: Millis,
        limit: u32,
    ) -> Result<u64> {
        let limit = i64::from(limit);
        let values: &Params<'_> = &[&done_before, &dead_before, &limit];
        in_session!(self, |session| count(session, FORGET, values))
    }
}

/// New errands, each key once, as columns.
#[derive(Default)]
struct Columns {
    keys: Vec<String>,
    kinds: Vec<i16>,
    users: Vec<Option<i64>>,
    conversations: Vec<Option<Uuid>>,
    subscriptions: Vec<Option<i64>>,
    hooks: Vec<Option<String>>,
    events: Vec<Option<String>>,
    seqs: Vec<i64>,
    mention_seqs: Vec<i64>,
    counts: Vec<i64>,
    due: Vec<Millis>,
}

impl Columns {
    fn of(new: Vec<NewErrand>) -> Self {
        let mut joined = BTreeMap::<String, NewErrand>::new();
        for one in new {
            match joined.get_mut(&one.key) {
                Some(known) if known.seq < one.seq => {
                    known.seq = one.seq;
                    known.mention_seq = known.mention_seq.max(one.mention_seq);
                    known.count = known.count.saturating_add(one.count);
                }
                Some(_) => {}
                None => drop(joined.insert(one.key.clone(), one)),
            }
        }
        let mut columns = Self::default();
        for one in joined.into_values() {
            columns.push(one);
        }
        columns
    }

    fn push(&mut self, new: NewErrand) {
        let (mut subscription, mut names) = (None, (None, None));
        let (kind, user, conversation) = match new.kind {
            ErrandKind::Tell { user, conversation } => (0, Some(user), Some(conversation)),
            ErrandKind::Device { user, conversation, subscription: device } => {
                subscription = Some(device.cast_signed());
                (1, Some(user), Some(conversation))
            }
            ErrandKind::Event { hook, event, user, conversation } => {
                names = (Some(hook), Some(event));
                (2, user, conversation)
            }
        };
        self.keys.push(new.key);
        self.kinds.push(kind);
        self.users.push(user.map(|user| user.get().cast_signed()));
        self.conversations.push(conversation.map(uuid_of));
        self.subscriptions.push(subscription);
        self.hooks.push(names.0);
        self.events.push(names.1);
        self.seqs.push(new.seq.cast_signed());
        self.mention_seqs.push(new.mention_seq.cast_signed());
        self.counts.push(i64::from(new.count));
        self.due.push(new.due_at);
    }
}

async fn put(session: &Session, new: &Columns, now: Millis) -> Found<()> {
    let values: &Params<'_> = &[
        &new.keys,
        &new.kinds,
        &new.users,
        &new.conversations,
        &new.subscriptions,
        &new.hooks,
        &new.events,
        &new.seqs,
        &new.mention_seqs,
        &new.counts,
        &new.due,
        &now,
    ];
    session.run(PUT, values).await?;
    Ok(())
}

async fn done(session: &Session, values: [i64; 4], then: &Columns) -> Found<bool> {
    let [id, until, seq, now] = values;
    let ended = any(session, DONE, &[&id, &until, &seq, &now]).await?;
    if ended && !then.keys.is_empty() {
        put(session, then, now).await?;
    }
    Ok(ended)
}

async fn select(session: &Session, sql: &str, values: &Params<'_>) -> Found<Vec<Errand>> {
    let rows = session.run(sql, values).await?;
    Ok(rows.iter().map(errand).collect::<std::result::Result<_, _>>()?)
}

async fn any(session: &Session, sql: &str, values: &Params<'_>) -> Found<bool> {
    Ok(count(session, sql, values).await? > 0)
}

async fn count(session: &Session, sql: &str, values: &Params<'_>) -> Found<u64> {
    Ok(session.run(sql, values).await?.len() as u64)
}

async fn stats(session: &Session, is_event: bool) -> Found<ErrandStats> {
    let rows = session.run(STATS, &[&is_event]).await?;
    let row = rows.first().ok_or(PgError::Damaged("count"))?;
    Ok(ErrandStats {
        waiting: number(row, 0)?,
        failing: number(row, 1)?,
        dead: number(row, 2)?,
        oldest_due_at: get(row, 3)?,
    })
}

fn errand(row: &Row) -> std::result::Result<Errand, PgError> {
    let user = match get::<Option<i64>>(row, 3)? {
        Some(_) => Some(value::user(row, 3)?),
        None => None,
    };
    let conversation = match get::<Option<Uuid>>(row, 4)? {
        Some(_) => Some(value::conversation_id(row, 4)?),
        None => None,
    };
    let both = || -> std::result::Result<(UserId, ConversationId), PgError> {
        user.zip(conversation).ok_or(PgError::Damaged("errand"))
    };
    let kind = match get::<i16>(row, 2)? {
        0 => {
            let (user, conversation) = both()?;
            ErrandKind::Tell { user, conversation }
        }
        1 => {
            let (user, conversation) = both()?;
            ErrandKind::Device { user, conversation, subscription: number(row, 5)? }
        }
        2 => ErrandKind::Event { hook: get(row, 6)?, event: get(row, 7)?, user, conversation },
        _ => return Err(PgError::Damaged("errand")),
    };
    let state = match get::<i16>(row, 11)? {
        0 => ErrandState::Waiting,
        1 => ErrandState::Done,
        2 => ErrandState::Dead,
        _ => return Err(PgError::Damaged("errand")),
    };
    let narrow = |at| u32::try_from(number(row, at)?).map_err(|_| PgError::Damaged("errand"));
    Ok(Errand {
        id: number(row, 0)?,
        key: get(row, 1)?,
        kind,
        seq: number(row, 8)?,
        mention_seq: number(row, 9)?,
        count: narrow(10)?,
        state,
        attempts: narrow(12)?,
        created_at: get(row, 13)?,
        due_at: get(row, 14)?,
        held_until: get(row, 15)?,
        error: get(row, 16)?,
    })
}

const fn is_event(sort: ErrandSort) -> bool {
    matches!(sort, ErrandSort::Events)
}
