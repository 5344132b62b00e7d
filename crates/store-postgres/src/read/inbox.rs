//! A user's own list. Each answer is one flight: the entries are asked for together with the fence that judges them.

use std::sync::Arc;

use ostracon_domain::{
    ConversationId, InboxEntry, UnitAt, UserId, UserRev, UserState, limits::LARGE_PER_USER_MAX,
};
use ostracon_store::{InboxChanges, InboxPage, InboxRows, Read};
use uuid::Uuid;

use super::{Result, column, room};
use crate::{
    session::{BEGIN_SNAPSHOT, Params, Session},
    sql::{UNIT, USER, inbox_columns},
    value,
};

const PAGE: &str = concat!(
    "SELECT ",
    inbox_columns!(),
    " FROM inbox WHERE user_id = $1 AND listed ORDER BY last_activity_at DESC, conversation DESC LIMIT $2"
);
const PAGE_AFTER: &str = concat!(
    "SELECT ",
    inbox_columns!(),
    " FROM inbox WHERE user_id = $1 AND listed AND (last_activity_at, conversation) < ($3, $4) \
     ORDER BY last_activity_at DESC, conversation DESC LIMIT $2"
);
const SINCE: &str = concat!(
    "SELECT ",
    inbox_columns!(),
    " FROM inbox WHERE user_id = $1 AND user_rev > $3 ORDER BY user_rev LIMIT $2"
);
const LARGE: &str = concat!(
    "SELECT ",
    inbox_columns!(),
    " FROM inbox WHERE user_id = $1 AND large AND NOT removed ORDER BY conversation LIMIT $2"
);
const ONE: &str =
    concat!("SELECT ", inbox_columns!(), " FROM inbox WHERE user_id = $1 AND conversation = $2");

struct List {
    state: Option<Arc<UserState>>,
    entries: Vec<Arc<InboxEntry>>,
    more: bool,
}

async fn list(
    session: &Session,
    at: UnitAt,
    user: UserId,
    sql: &str,
    params: &Params<'_>,
    limit: usize,
) -> Result<Read<List>> {
    let unit = session.prepare(UNIT).await?;
    let state = session.prepare(USER).await?;
    let entries = session.prepare(sql).await?;
    let (unit_key, key) = (i64::from(at.unit.0), user.get() as i64);
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query(&unit, &[&unit_key]).await },
        async { session.query(&state, &[&key]).await },
        session.query(&entries, params),
        session.plain("COMMIT"),
    );
    flight.0?;
    let fence = flight.1?.first().map(|row| value::unit_state(row, 0)).transpose()?;
    let state = flight.2?.first().map(value::user_state).transpose()?;
    let mut entries: Vec<_> = flight.3?.iter().map(value::inbox_entry).collect::<Result<_>>()?;
    flight.4?;
    let served = fence.is_some_and(|fence| fence.serves(at));
    if !served || state.as_ref().is_some_and(|state| state.unit != at.unit) {
        return Ok(Read::Fenced(fence));
    }
    let more = entries.len() > limit;
    let left_out = entries.get(limit).cloned();
    entries.truncate(limit);
    // Who pages by user rev needs to know where the cut is.
    let entries = entries.into_iter().chain(left_out).collect();
    Ok(Read::Rows(List { state, entries, more }))
}

fn map<T, U>(read: Read<T>, work: impl FnOnce(T) -> U) -> Read<U> {
    match read {
        Read::Rows(rows) => Read::Rows(work(rows)),
        Read::Absent => Read::Absent,
        Read::Fenced(fence) => Read::Fenced(fence),
    }
}

fn rows(mut list: List, limit: usize) -> InboxRows {
    list.entries.truncate(limit);
    InboxRows { state: list.state, entries: list.entries, more: list.more }
}

/// A page of the list.
pub(crate) async fn inbox(
    session: &Session,
    at: UnitAt,
    user: UserId,
    page: InboxPage,
) -> Result<Read<InboxRows>> {
    let (key, limit) = (user.get() as i64, page.limit as usize);
    let found = match page.after {
        None => list(session, at, user, PAGE, &[&key, &room(page.limit)], limit).await?,
        Some((time, conversation)) => {
            let place: Uuid = value::uuid_of(conversation);
            let params: &Params<'_> = &[&key, &room(page.limit), &time, &place];
            list(session, at, user, PAGE_AFTER, params, limit).await?
        }
    };
    Ok(map(found, |found| rows(found, limit)))
}

/// What changed in the list.
pub(crate) async fn inbox_changes(
    session: &Session,
    at: UnitAt,
    user: UserId,
    since: UserRev,
    limit: u32,
) -> Result<Read<InboxChanges>> {
    let key = user.get() as i64;
    let params: &Params<'_> = &[&key, &room(limit), &column(since)];
    let limit = limit as usize;
    let found = list(session, at, user, SINCE, params, limit).await?;
    Ok(map(found, |mut found| {
        let user_rev = match found.entries.get(limit) {
            Some(left_out) => left_out.user_rev - 1,
            None => found.state.as_ref().map_or(0, |state| state.user_rev),
        };
        found.entries.truncate(limit);
        InboxChanges { state: found.state, entries: found.entries, user_rev, more: found.more }
    }))
}

/// The large conversations of the list.
pub(crate) async fn inbox_large(
    session: &Session,
    at: UnitAt,
    user: UserId,
) -> Result<Read<InboxRows>> {
    let limit = LARGE_PER_USER_MAX;
    let key = user.get() as i64;
    let params: &Params<'_> = &[&key, &room(limit)];
    let found = list(session, at, user, LARGE, params, limit as usize).await?;
    Ok(map(found, |found| rows(found, limit as usize)))
}

/// One entry of the list.
pub(crate) async fn inbox_entry(
    session: &Session,
    at: UnitAt,
    user: UserId,
    conversation: ConversationId,
) -> Result<Read<Option<Arc<InboxEntry>>>> {
    let key = user.get() as i64;
    let params: &Params<'_> = &[&key, &value::uuid_of(conversation)];
    let found = list(session, at, user, ONE, params, 1).await?;
    Ok(map(found, |mut found| found.entries.pop()))
}
