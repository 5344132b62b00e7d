//! What the live part keeps of users, in the table `person`. Who has no row there is as at first.

use async_trait::async_trait;
use ostracon_domain::{Millis, PresenceFor, Privacy, UserId};
use ostracon_store::{DirectoryError, People, directory::Person};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteDirectory;

type Result<T> = std::result::Result<T, DirectoryError>;

const BY_ID: &str = "SELECT last_seen_at, coalesce(presence, 0), coalesce(read_receipts, 1)
                     FROM user LEFT JOIN person ON person.user = user.id WHERE user.id = ?1";
const PRIVATE: &str = "SELECT last_seen_at, presence, read_receipts, user FROM person
                       WHERE (presence <> 0 OR read_receipts = 0) AND user > ?1 ORDER BY user LIMIT ?2";
const NOTE_SEEN: &str = "INSERT INTO person (user, last_seen_at)
                         SELECT id, ?2 FROM user WHERE id = ?1
                         ON CONFLICT (user) DO UPDATE SET last_seen_at = excluded.last_seen_at
                         WHERE last_seen_at IS NULL OR last_seen_at < excluded.last_seen_at";
const SET_PRIVACY: &str = "INSERT INTO person (user, presence, read_receipts)
                           SELECT id, ?2, ?3 FROM user WHERE id = ?1
                           ON CONFLICT (user) DO UPDATE
                           SET presence = excluded.presence, read_receipts = excluded.read_receipts";

#[async_trait]
impl People for SqliteDirectory {
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        self.threads
            .look_up(move |conn| {
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    found.extend(person(conn, id)?);
                }
                Ok(found)
            })
            .await
    }

    async fn private_people(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Person>> {
        let after = after.map_or(0, UserId::get);
        self.threads
            .scan(move |conn| {
                let mut statement = conn.prepare_cached(PRIVATE)?;
                let read = |row: &Row<'_>| {
                    let id: u64 = row.get(3)?;
                    let range = || rusqlite::Error::IntegralValueOutOfRange(3, id.cast_signed());
                    person_of(UserId::new(id).map_err(|_| range())?, row)
                };
                let found = statement.query_map(params![after, limit], read)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn note_seen(&self, seen: &[(UserId, Millis)]) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut seen = seen.to_vec();
        seen.sort_unstable();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                {
                    let mut statement = tx.prepare_cached(NOTE_SEEN)?;
                    for (user, at) in seen {
                        statement.execute(params![user.get(), at])?;
                    }
                }
                tx.commit()?;
                Ok(())
            })
            .await
    }

    async fn set_privacy(&self, id: UserId, privacy: Privacy) -> Result<Option<Person>> {
        self.threads
            .write(move |conn| {
                let presence = number_of(privacy.presence);
                let values = params![id.get(), presence, privacy.read_receipts];
                conn.prepare_cached(SET_PRIVACY)?.execute(values)?;
                Ok(person(conn, id)?)
            })
            .await
    }
}

fn person(conn: &Connection, user: UserId) -> rusqlite::Result<Option<Person>> {
    conn.prepare_cached(BY_ID)?.query_row([user.get()], |row| person_of(user, row)).optional()
}

/// Reads a user's person from the first columns of a row.
fn person_of(user: UserId, row: &Row<'_>) -> rusqlite::Result<Person> {
    let presence = match row.get(1)? {
        0 => PresenceFor::Everyone,
        1 => PresenceFor::Contacts,
        2 => PresenceFor::Nobody,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(1, other)),
    };
    let privacy = Privacy { presence, read_receipts: row.get(2)? };
    Ok(Person { user, last_seen_at: row.get(0)?, privacy })
}

const fn number_of(presence: PresenceFor) -> i64 {
    match presence {
        PresenceFor::Everyone => 0,
        PresenceFor::Contacts => 1,
        PresenceFor::Nobody => 2,
    }
}
