//! Notes of what changed in captured units: written by batches, read and dropped by the mover.
//!
//! A note is written in the transaction of its change, so a restart of the server keeps both or neither. A new timeline
//! may have lost the end of the old one: then the tag of the capture is another.

use ostracon_domain::{Subject, UnitAt, UnitId, UserId};
use ostracon_store::{
    Note, Pair, SubjectVersion,
    UnitPhase::{Capturing, Frozen},
    admit,
};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{
    Result, Verdict,
    unit::{Command, transact},
};
use crate::{
    error::PgError,
    pool::{Database, Server},
    session::{BEGIN_SNAPSHOT, Session},
    sql::UNIT,
    value,
};

/// Notes changes; parameters are [`NoteColumns`].
pub(crate) const NOTE: &str = "INSERT INTO note (unit, kind, subject, rev, mark_rev) \
     SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::uuid[], $4::bigint[], $5::bigint[]) \
     ON CONFLICT (unit, kind, subject) DO UPDATE SET rev = excluded.rev, mark_rev = excluded.mark_rev";
const READ: &str =
    "SELECT kind, subject, rev, mark_rev FROM note WHERE unit = $1 ORDER BY kind, subject LIMIT $2";
// A batch that changes a subject now holds its note's row: the version is judged when that batch is over. The rows are
// locked in the order of the question, which is that in which batches write them.
const DROP: &str = "WITH unchanged AS MATERIALIZED (SELECT n.place \
     FROM unnest($1::bigint[], $2::smallint[], $3::uuid[], $4::bigint[], $5::bigint[]) AS k (unit, kind, subject, rev, mark_rev) \
     CROSS JOIN LATERAL (SELECT ctid AS place FROM note WHERE unit = k.unit AND kind = k.kind AND subject = k.subject \
     AND rev = k.rev AND mark_rev = k.mark_rev OFFSET 0 FOR UPDATE) AS n) \
     DELETE FROM note WHERE ctid = ANY(ARRAY(SELECT place FROM unchanged))";

/// Notes column by column, in the order of their key.
#[derive(Default)]
pub(crate) struct NoteColumns {
    unit: Vec<i64>,
    kind: Vec<i16>,
    subject: Vec<Uuid>,
    rev: Vec<i64>,
    mark_rev: Vec<i64>,
}

impl NoteColumns {
    pub(crate) fn of(mut notes: Vec<(UnitId, Note)>) -> Self {
        notes.sort_unstable();
        let mut columns = Self::default();
        for (unit, Note { subject, version }) in notes {
            let (kind, subject) = key_of(subject);
            columns.unit.push(i64::from(unit.0));
            columns.kind.push(kind);
            columns.subject.push(subject);
            columns.rev.push(version.rev as i64);
            columns.mark_rev.push(version.mark_rev as i64);
        }
        columns
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.unit.is_empty()
    }

    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.unit, &self.kind, &self.subject, &self.rev, &self.mark_rev]
    }
}

/// A subject as the table has it; in the order of subjects.
const fn key_of(subject: Subject) -> (i16, Uuid) {
    match subject {
        Subject::Conversation(id) => (0, value::uuid_of(id)),
        Subject::User(user) => (1, Uuid::from_u64_pair(0, user.get())),
    }
}

fn note_of(row: &tokio_postgres::Row) -> Result<Note> {
    let subject = match value::get::<i16>(row, 0)? {
        0 => Subject::Conversation(value::conversation_id(row, 1)?),
        1 => {
            let (_, user) = value::get::<Uuid>(row, 1)?.as_u64_pair();
            Subject::User(UserId::new(user).map_err(|_| PgError::Damaged("user id"))?)
        }
        _ => return Err(PgError::Damaged("subject")),
    };
    let version = SubjectVersion { rev: value::number(row, 2)?, mark_rev: value::number(row, 3)? };
    Ok(Note { subject, version })
}

/// Notes of a unit by subject.
pub(super) async fn read(
    session: &Session,
    server: &Server,
    at: UnitAt,
    limit: u32,
) -> Result<Verdict<Vec<Note>>> {
    let state = session.prepare(UNIT).await?;
    let notes = session.prepare(READ).await?;
    let (unit, limit) = (i64::from(at.unit.0), i64::from(limit));
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query(&state, &[&unit]).await },
        async { session.query(&notes, &[&unit, &limit]).await },
        session.plain("COMMIT"),
    );
    flight.0?;
    let current = flight.1?.first().map(|row| value::unit_state(row, 0)).transpose()?;
    let notes = flight.2?;
    flight.3?;
    let pair = current.map_or_else(Pair::default, |state| state.pair);
    // Known from the connection that was just used, or from a later one.
    let incarnation = Some(server.incarnation());
    if let Err((error, _)) = admit(current, at, &[Capturing, Frozen], pair, incarnation) {
        return Ok(Err(error));
    }
    notes.iter().map(note_of).collect::<Result<Vec<_>>>().map(Ok)
}

/// Drops notes that still say the same.
pub(super) async fn drop_notes(
    database: &Database,
    at: UnitAt,
    notes: &[Note],
    pair: Pair,
) -> Verdict<()> {
    let columns = NoteColumns::of(notes.iter().map(|note| (at.unit, *note)).collect());
    transact!(database, |session| drop_within(session, database, at, &columns, pair))
}

async fn drop_within(
    session: &Session,
    database: &Database,
    at: UnitAt,
    columns: &NoteColumns,
    pair: Pair,
) -> Result<Verdict<()>> {
    let incarnation = Some(database.server().incarnation());
    let command = Command { at, phases: &[Capturing, Frozen], pair, incarnation };
    if let Err(error) = command.begin(session).await? {
        return Ok(Err(error));
    }
    if !columns.is_empty() {
        session.run(DROP, &columns.params()).await?;
    }
    session.plain("COMMIT").await?;
    Ok(Ok(()))
}
