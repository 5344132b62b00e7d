//! What a unit left behind is removed, page by page.
//!
//! Order: the unit's row, under a lock that holds every change of its state up; then the own rows of some subjects, in
//! the order of their ids, as every writer locks them; then their messages and reactions, their members or entries, and
//! the own rows last, each when nothing of its subject is left. Rows that somebody holds are waited for, never skipped: a
//! batch that names this unit in vain holds a row for a moment only, and a page that skipped it could remove nothing, or
//! call a unit empty that is not.

use ostracon_domain::UnitAt;
use ostracon_store::{Purged, ShardError, UnitPhase};
use uuid::Uuid;

use super::{Result, Verdict};
use crate::{session::Session, sql::unit_columns, value};

const UNIT: &str =
    concat!("SELECT ", unit_columns!(), " FROM unit_state WHERE unit = $1 FOR SHARE");
const CONVERSATIONS: &str =
    "SELECT id FROM conversation WHERE unit = $1 ORDER BY id LIMIT $2 FOR UPDATE";
const MESSAGES: &str = "WITH doomed AS MATERIALIZED (SELECT m.* FROM unnest($1::uuid[]) AS k (of) \
     CROSS JOIN LATERAL (SELECT ctid AS place, conversation, seq FROM message \
     WHERE conversation = k.of ORDER BY seq LIMIT $2) AS m LIMIT $2), \
     annexes AS (DELETE FROM annex WHERE ctid = ANY(ARRAY(SELECT a.ctid FROM doomed AS d CROSS JOIN LATERAL \
     (SELECT ctid FROM annex WHERE conversation = d.conversation AND seq > 0 AND seq = d.seq OFFSET 0) AS a)) RETURNING 1), \
     reactions AS (DELETE FROM reaction WHERE ctid = ANY(ARRAY(SELECT r.ctid FROM doomed AS d CROSS JOIN LATERAL \
     (SELECT ctid FROM reaction WHERE conversation = d.conversation AND seq = d.seq OFFSET 0) AS r)) RETURNING 1), \
     messages AS (DELETE FROM message WHERE ctid = ANY(ARRAY(SELECT place FROM doomed)) RETURNING 1) \
     SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM reactions) + (SELECT count(*) FROM annexes)";
const ANNEXES: &str = "WITH doomed AS MATERIALIZED (SELECT a.place FROM unnest($1::uuid[]) AS k (of) \
     CROSS JOIN LATERAL (SELECT ctid AS place FROM annex WHERE conversation = k.of LIMIT $2) AS a LIMIT $2), \
     annexes AS (DELETE FROM annex WHERE ctid = ANY(ARRAY(SELECT place FROM doomed)) RETURNING 1) \
     SELECT count(*) FROM annexes";
const MEMBERS: &str = "WITH doomed AS MATERIALIZED (SELECT m.place FROM unnest($1::uuid[]) AS k (of) \
     CROSS JOIN LATERAL (SELECT ctid AS place FROM member WHERE conversation = k.of ORDER BY user_id LIMIT $2) AS m \
     LIMIT $2), \
     members AS (DELETE FROM member WHERE ctid = ANY(ARRAY(SELECT place FROM doomed)) RETURNING 1) \
     SELECT count(*) FROM members";
const EMPTY_CONVERSATIONS: &str = "WITH gone AS (DELETE FROM conversation AS c WHERE id = ANY($1) \
     AND NOT EXISTS (SELECT FROM message WHERE conversation = c.id OFFSET 0) \
     AND NOT EXISTS (SELECT FROM annex WHERE conversation = c.id OFFSET 0) \
     AND NOT EXISTS (SELECT FROM member WHERE conversation = c.id OFFSET 0) RETURNING 1) SELECT count(*) FROM gone";
const USERS: &str =
    "SELECT user_id FROM user_state WHERE unit = $1 ORDER BY user_id LIMIT $2 FOR UPDATE";
const ENTRIES: &str = "WITH doomed AS MATERIALIZED (SELECT i.place FROM unnest($1::bigint[]) AS k (who) \
     CROSS JOIN LATERAL (SELECT ctid AS place FROM inbox WHERE user_id = k.who ORDER BY conversation LIMIT $2) AS i \
     LIMIT $2), \
     entries AS (DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT place FROM doomed)) RETURNING 1) \
     SELECT count(*) FROM entries";
const EMPTY_USERS: &str = "WITH gone AS (DELETE FROM user_state AS u WHERE user_id = ANY($1) \
     AND NOT EXISTS (SELECT FROM inbox WHERE user_id = u.user_id OFFSET 0) RETURNING 1) SELECT count(*) FROM gone";
const DONE: &str = "SELECT NOT EXISTS (SELECT FROM conversation WHERE unit = $1) \
     AND NOT EXISTS (SELECT FROM user_state WHERE unit = $1)";

/// At most so many subjects are locked for one page.
const SUBJECTS: u32 = 256;

/// A page of about `limit` rows.
pub(super) async fn purge(session: &Session, at: UnitAt, limit: u32) -> Result<Verdict<Purged>> {
    let lock = session.prepare(UNIT).await?;
    let unit = i64::from(at.unit.0);
    let flight = tokio::join!(
        biased;
        session.plain("BEGIN"),
        async { session.query(&lock, &[&unit]).await },
    );
    flight.0?;
    let current = flight.1?.first().map(|row| value::unit_state(row, 0)).transpose()?;
    if current.map(|state| (state.phase, state.epoch)) != Some((UnitPhase::Moved, at.epoch)) {
        session.plain("ROLLBACK").await?;
        return Ok(Err(ShardError::Unexpected(current)));
    }
    let page = Page { session, unit, limit: i64::from(limit.max(1)) };
    let mut rows = page.conversations().await?;
    rows += page.users(page.limit - rows).await?;
    let done = session.run(DONE, &[&unit]).await?;
    let done = done.first().map(|row| value::get::<bool>(row, 0)).transpose()?;
    session.plain("COMMIT").await?;
    Ok(Ok(Purged { rows: rows as u64, done: done == Some(true) }))
}

struct Page<'a> {
    session: &'a Session,
    unit: i64,
    limit: i64,
}

impl Page<'_> {
    async fn conversations(&self) -> Result<i64> {
        let subjects = self.limit.min(i64::from(SUBJECTS));
        let found = self.session.run(CONVERSATIONS, &[&self.unit, &subjects]).await?;
        let ids: Vec<Uuid> = found.iter().map(|row| value::get(row, 0)).collect::<Result<_>>()?;
        if ids.is_empty() {
            return Ok(0);
        }
        let mut rows = self.count(MESSAGES, &[&ids, &self.limit]).await?;
        let room = self.limit - rows;
        if room > 0 {
            rows += self.count(ANNEXES, &[&ids, &room]).await?;
        }
        let room = self.limit - rows;
        if room > 0 {
            rows += self.count(MEMBERS, &[&ids, &room]).await?;
            rows += self.count(EMPTY_CONVERSATIONS, &[&ids]).await?;
        }
        Ok(rows)
    }

    async fn users(&self, room: i64) -> Result<i64> {
        let subjects = room.min(i64::from(SUBJECTS));
        if subjects <= 0 {
            return Ok(0);
        }
        let found = self.session.run(USERS, &[&self.unit, &subjects]).await?;
        let users: Vec<i64> = found.iter().map(|row| value::get(row, 0)).collect::<Result<_>>()?;
        if users.is_empty() {
            return Ok(0);
        }
        let rows = self.count(ENTRIES, &[&users, &room]).await?;
        Ok(rows + self.count(EMPTY_USERS, &[&users]).await?)
    }

    async fn count(&self, sql: &str, params: &crate::session::Params<'_>) -> Result<i64> {
        let rows = self.session.run(sql, params).await?;
        rows.first().map_or(Ok(0), |row| value::get(row, 0))
    }
}
