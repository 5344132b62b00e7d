//! What the live part keeps of users, in the table `person`. Who has no row there is as at first.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ostracon_domain::{Millis, PresenceFor, Privacy, UserId};
use ostracon_store::{People, directory::Person};
use tokio_postgres::Row;

use super::{Found, PostgresDirectory, Result, in_session, in_transaction};
use crate::{
    error::PgError,
    session::{Params, Session},
    value::{self, get},
};

const BY_ID: &str = "SELECT account.id, last_seen_at, coalesce(presence, 0::smallint), coalesce(read_receipts, true) \
     FROM account LEFT JOIN person ON person.user_id = account.id WHERE account.id = ANY($1) ORDER BY account.id";
const PRIVATE: &str = "SELECT user_id, last_seen_at, presence, read_receipts FROM person \
     WHERE (presence <> 0 OR NOT read_receipts) AND user_id > $1 ORDER BY user_id LIMIT $2";
/// Rows are written in the order of their users, so that two writers never wait for each other.
const NOTE_SEEN: &str = "INSERT INTO person (user_id, last_seen_at) \
     SELECT account.id, seen.at FROM unnest($1::bigint[], $2::bigint[]) AS seen (id, at) \
     JOIN account ON account.id = seen.id ORDER BY account.id \
     ON CONFLICT (user_id) DO UPDATE SET last_seen_at = excluded.last_seen_at \
     WHERE person.last_seen_at IS NULL OR person.last_seen_at < excluded.last_seen_at";
const SET_PRIVACY: &str = "INSERT INTO person (user_id, presence, read_receipts) \
     SELECT id, $2, $3 FROM account WHERE id = $1 \
     ON CONFLICT (user_id) DO UPDATE SET presence = excluded.presence, read_receipts = excluded.read_receipts";

#[async_trait]
impl People for PostgresDirectory {
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>> {
        let ids: Vec<_> = ids.iter().map(|id| id.get().cast_signed()).collect();
        in_session!(self, |session| select(session, BY_ID, &[&ids]))
    }

    async fn private_people(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Person>> {
        let (after, limit) = (after.map_or(0, UserId::get).cast_signed(), i64::from(limit));
        in_session!(self, |session| select(session, PRIVATE, &[&after, &limit]))
    }

    async fn note_seen(&self, seen: &[(UserId, Millis)]) -> Result<()> {
        let mut newest = BTreeMap::<i64, Millis>::new();
        for (user, at) in seen {
            let known = newest.entry(user.get().cast_signed()).or_insert(*at);
            *known = (*known).max(*at);
        }
        if newest.is_empty() {
            return Ok(());
        }
        let (ids, times): (Vec<_>, Vec<_>) = newest.into_iter().unzip();
        in_session!(self, |session| write(session, NOTE_SEEN, &[&ids, &times]))
    }

    async fn set_privacy(&self, id: UserId, privacy: Privacy) -> Result<Option<Person>> {
        let id = id.get().cast_signed();
        in_transaction!(self, |session| set(session, id, privacy))
    }
}

async fn select(session: &Session, sql: &str, values: &Params<'_>) -> Found<Vec<Person>> {
    let rows = session.run(sql, values).await?;
    Ok(rows.iter().map(person).collect::<std::result::Result<_, _>>()?)
}

async fn write(session: &Session, sql: &str, values: &Params<'_>) -> Found<()> {
    session.run(sql, values).await?;
    Ok(())
}

async fn set(session: &Session, id: i64, privacy: Privacy) -> Found<Option<Person>> {
    let presence = number_of(privacy.presence);
    session.run(SET_PRIVACY, &[&id, &presence, &privacy.read_receipts]).await?;
    Ok(select(session, BY_ID, &[&[id].as_slice()]).await?.pop())
}

fn person(row: &Row) -> std::result::Result<Person, PgError> {
    let presence = match get::<i16>(row, 2)? {
        0 => PresenceFor::Everyone,
        1 => PresenceFor::Contacts,
        2 => PresenceFor::Nobody,
        _ => return Err(PgError::Damaged("presence")),
    };
    Ok(Person {
        user: value::user(row, 0)?,
        last_seen_at: get(row, 1)?,
        privacy: Privacy { presence, read_receipts: get(row, 3)? },
    })
}

const fn number_of(presence: PresenceFor) -> i16 {
    match presence {
        PresenceFor::Everyone => 0,
        PresenceFor::Contacts => 1,
        PresenceFor::Nobody => 2,
    }
}
