//! Subjects that go from one unit to another on the same shard: one transaction, no row of theirs is copied.
//!
//! No batch is waited for: one of the two units is frozen, and a batch that holds a row of the other one has either
//! committed before its unit changes here or reads the new unit under the row's lock, and is fenced.

use ostracon_domain::{Subject, UnitId};
use ostracon_store::{Relabel, UnitPhase::Frozen, UnitState, relabelled};
use uuid::Uuid;

use super::{
    Result, Verdict,
    unit::{Command, transact},
};
use crate::{pool::Database, session::Session, sql::unit_columns, value};

// Both rows in one order: whoever changes the other unit's state waits here, or this waits for it.
const LOCK: &str = concat!(
    "SELECT ",
    unit_columns!(),
    " FROM unit_state WHERE unit = ANY($1) ORDER BY unit FOR NO KEY UPDATE"
);
const CONVERSATIONS: &str = "WITH mine AS MATERIALIZED \
     (SELECT id FROM conversation WHERE id = ANY($1) AND +unit = $2 ORDER BY id FOR NO KEY UPDATE) \
     UPDATE conversation SET unit = $3 WHERE id = ANY(ARRAY(SELECT id FROM mine))";
const USERS: &str = "WITH mine AS MATERIALIZED \
     (SELECT user_id FROM user_state WHERE user_id = ANY($1) AND +unit = $2 ORDER BY user_id FOR NO KEY UPDATE) \
     UPDATE user_state SET unit = $3 WHERE user_id = ANY(ARRAY(SELECT user_id FROM mine))";
// Neither the state before nor the one after serves anything, so this needs no lock of the shard; who writes versions of
// the fence waits for its row, and so they become visible in order.
const OTHER: &str = "WITH wanted AS (SELECT WHERE $7 OR NOT EXISTS (SELECT FROM conversation WHERE unit = $1) \
     AND NOT EXISTS (SELECT FROM user_state WHERE unit = $1)), \
     next AS (UPDATE fence SET version = version + 1 WHERE EXISTS (SELECT FROM wanted) RETURNING version) \
     INSERT INTO unit_state (unit, epoch, phase, incarnation, lease, step, version) \
     SELECT $1, $2, $3, $4, $5, $6, version FROM next \
     ON CONFLICT (unit) DO UPDATE SET epoch = excluded.epoch, phase = excluded.phase, \
     incarnation = excluded.incarnation, lease = excluded.lease, step = excluded.step, version = excluded.version";

/// Gives subjects to the other unit, or takes them back.
pub(super) async fn relabel(database: &Database, wanted: &Relabel) -> Verdict<()> {
    transact!(database, |session| within(session, database.server().incarnation(), wanted))
}

async fn within(session: &Session, incarnation: u64, wanted: &Relabel) -> Result<Verdict<()>> {
    let Relabel { frozen, other, away, subjects, pair } = wanted;
    let lock = session.prepare(LOCK).await?;
    let both = vec![i64::from(frozen.unit.0), i64::from(other.0)];
    let flight = tokio::join!(
        biased;
        session.plain("BEGIN"),
        async { session.query(&lock, &[&both]).await },
    );
    flight.0?;
    let states: Vec<UnitState> =
        flight.1?.iter().map(|row| value::unit_state(row, 0)).collect::<Result<_>>()?;
    let state = |unit: UnitId| states.iter().find(|state| state.unit == unit).copied();
    let command = Command { at: *frozen, phases: &[Frozen], pair: *pair, incarnation: None };
    if let Err(error) = command.judge(session, state(frozen.unit)).await? {
        return Ok(Err(error));
    }

    let (from, to) = if *away { (frozen.unit, *other) } else { (*other, frozen.unit) };
    let (from, to) = (i64::from(from.0), i64::from(to.0));
    let (mut ids, mut users) = (Vec::<Uuid>::new(), Vec::<i64>::new());
    for subject in subjects {
        match subject {
            Subject::Conversation(id) => ids.push(value::uuid_of(*id)),
            Subject::User(user) => users.push(user.get() as i64),
        }
    }
    let row = relabelled(state(*other), *other, *away, *pair, incarnation);
    let of_ids = session.prepare(CONVERSATIONS).await?;
    let of_users = session.prepare(USERS).await?;
    let of_other = session.prepare(OTHER).await?;
    // One flight to the end: the fence's row is not held while this side thinks. One that the server refuses makes the
    // commit a roll-back; what cannot be sent breaks the connection.
    let flight = tokio::join!(
        biased;
        async { session.query_keys(ids.len(), &of_ids, &[&ids, &from, &to]).await },
        async { session.query_keys(users.len(), &of_users, &[&users, &from, &to]).await },
        async {
            let Some(row) = row else { return Ok(Vec::new()) };
            let UnitState { unit, epoch, phase, incarnation, pair } = row;
            let (unit, epoch) = (i64::from(unit.0), epoch.0 as i64);
            let (phase, tag) = (value::phase_number(phase), incarnation as i64);
            let (lease, step) = (pair.lease as i64, pair.step as i64);
            session.query(&of_other, &[&unit, &epoch, &phase, &tag, &lease, &step, away]).await
        },
        session.plain("COMMIT"),
    );
    flight.0?;
    flight.1?;
    flight.2?;
    flight.3?;
    Ok(Ok(()))
}
