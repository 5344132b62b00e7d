//! How a command of a move begins: a transaction with its unit's row locked, its pair judged and written.

use ostracon_domain::UnitAt;
use ostracon_store::{Incarnation, Pair, UnitPhase, UnitState, admit};

use super::{Result, Verdict};
use crate::{session::Session, sql::unit_columns, value};

const LOCK: &str =
    concat!("SELECT ", unit_columns!(), " FROM unit_state WHERE unit = $1 FOR NO KEY UPDATE");
const WRITE_PAIR: &str = "UPDATE unit_state SET lease = $2, step = $3 WHERE unit = $1";

/// A command that leaves its unit in the state it is in.
#[derive(Clone, Copy)]
pub(super) struct Command<'a> {
    /// The unit and the epoch that it must be in.
    pub(super) at: UnitAt,
    /// In which it runs.
    pub(super) phases: &'a [UnitPhase],
    pub(super) pair: Pair,
    /// This start of the shard, where the command rests on what another one forgot.
    pub(super) incarnation: Option<Incarnation>,
}

impl Command<'_> {
    /// Begins a transaction and locks the unit's row until its end. When the command is refused, the transaction has ended,
    /// and a pair that was not stale is durable.
    pub(super) async fn begin(&self, session: &Session) -> Result<Verdict<UnitState>> {
        let lock = session.prepare(LOCK).await?;
        let unit = i64::from(self.at.unit.0);
        let flight = tokio::join!(
            biased;
            session.plain("BEGIN"),
            async { session.query(&lock, &[&unit]).await },
        );
        flight.0?;
        let current = flight.1?.first().map(|row| value::unit_state(row, 0)).transpose()?;
        self.judge(session, current).await
    }

    /// Judges a row that is locked already.
    pub(super) async fn judge(
        &self,
        session: &Session,
        current: Option<UnitState>,
    ) -> Result<Verdict<UnitState>> {
        match admit(current, self.at, self.phases, self.pair, self.incarnation) {
            Ok(state) => {
                write_pair(session, &state).await?;
                Ok(Ok(state))
            }
            Err((error, Some(state))) => {
                write_pair(session, &state).await?;
                session.plain("COMMIT").await?;
                Ok(Err(error))
            }
            Err((error, None)) => {
                session.plain("ROLLBACK").await?;
                Ok(Err(error))
            }
        }
    }
}

async fn write_pair(session: &Session, state: &UnitState) -> Result<()> {
    let UnitState { unit, pair, .. } = state;
    let params: (i64, i64, i64) = (i64::from(unit.0), pair.lease as i64, pair.step as i64);
    session.run(WRITE_PAIR, &[&params.0, &params.1, &params.2]).await?;
    Ok(())
}

/// Races that are lost to other writers are run again so often.
pub(super) const ATTEMPTS: u32 = 5;

/// Runs a transaction in a session of its own, in the time that the server has to answer; again when it lost a race.
macro_rules! transact {
    ($database:expr, |$session:ident| $work:expr) => {{
        let mut attempt = 1;
        loop {
            let once = async {
                let $session = $database.session().await?;
                let done = {
                    let $session = &$session;
                    $work.await
                };
                $session.end(done).await
            };
            match $database.timed(once).await {
                Err(error) if error.is_lost_race() && attempt < $crate::moves::unit::ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => break Err(error.of_a_step()),
                Ok(verdict) => break verdict,
            }
        }
    }};
}
pub(super) use transact;
