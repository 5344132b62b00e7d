//! Giving a move up: the units serve at the source, the destination forgets them, and both remember the pair, so that a
//! late request of this move finds itself stale.

use ostracon_domain::{Epoch, MapChange, UnitAt};
use ostracon_store::{
    UnitPhase,
    directory::{MoveLost, MovePhase},
};

use crate::{
    call::{Patience, Side, Trouble, is_unanswered},
    mover::{Attempt, Ended},
};

/// How often the destination is asked to forget a move before that is put off.
const TRIES: u32 = 4;
/// Characters of each of the two reasons that are kept.
const REASON_MAX: usize = 250;

impl Attempt {
    /// Gives the move up, unless it turns out to be committed.
    pub(crate) async fn give_up(&mut self, why: Trouble) -> Ended {
        tracing::warn!(id = self.row.id, %why, "a move is given up");
        self.note(Some(why.to_string())).await;
        let from = self.row.phase;
        match self.advance(from, MovePhase::Aborting).await {
            Ok(()) => self.undo_and_close(why.to_string()).await,
            Err(Trouble::Superseded) => Ended::Superseded,
            Err(_) if self.row.phase == MovePhase::Committed => match self.finish().await {
                Ok(()) => Ended::Done,
                Err(Trouble::Superseded) => Ended::Superseded,
                Err(trouble) => Ended::Later(trouble.to_string()),
            },
            Err(trouble) => Ended::Later(trouble.to_string()),
        }
    }

    /// Undoes what both shards did for the move.
    pub(crate) async fn undo_and_close(&mut self, why: String) -> Ended {
        match self.undo().await {
            Ok(()) => {}
            Err(Trouble::Superseded) => return Ended::Superseded,
            Err(trouble) => {
                let why = with_what_followed(&why, &trouble);
                self.note(Some(why.clone())).await;
                return Ended::Later(why);
            }
        }
        self.around.host.units_changed().await;
        loop {
            let now = self.around.host.now();
            match self.around.directory.finish_abort(self.row.id, self.row.lease, now).await {
                Ok(_) => return Ended::Aborted(why),
                Err(error) if is_unanswered(&error) => {
                    tokio::time::sleep(self.around.options.retry).await;
                }
                Err(MoveLost::Lost(row)) if row.phase == MovePhase::Aborted => {
                    return Ended::Aborted(why);
                }
                Err(MoveLost::Lost(_)) => return Ended::Superseded,
                Err(MoveLost::Failed(error)) => return Ended::Later(error.to_string()),
            }
        }
    }

    async fn undo(&mut self) -> Result<(), Trouble> {
        self.patience = Patience::endless(self.around.options.retry);
        self.hear(Side::Source).await?;
        if !matches!(self.row.change, MapChange::Move { .. }) {
            return self.take_back().await;
        }
        let units = self.source_units();
        self.set_all(Side::Source, &units, UnitPhase::Open).await?;
        self.gate.leave();
        self.around.host.units_changed().await;
        // The units serve. What the destination still has to hear can wait until it answers: the move stays what it is, and
        // holds up no other move of these shards meanwhile.
        self.patience = Patience::of_tries(self.around.options.retry, TRIES);
        // An answer may have been missed: what was known of it is old.
        self.hear_again(Side::Destination).await?;
        let there: Vec<UnitAt> = units
            .into_iter()
            .map(|at| {
                // What was never begun there keeps its epoch, and remembers the pair.
                let known = self.state(Side::Destination, at.unit);
                let kept =
                    known.filter(|state| state.phase == UnitPhase::Moved && state.epoch > Epoch(0));
                let epoch = kept.map_or(Epoch(at.epoch.0 + 1), |state| state.epoch);
                UnitAt { unit: at.unit, epoch }
            })
            .collect();
        self.set_all(Side::Destination, &there, UnitPhase::Moved).await
    }
}

/// The first reason of a move's end with what stands in its way now, which replaces what stood there before.
fn with_what_followed(why: &str, trouble: &Trouble) -> String {
    const AND_THEN: &str = "; and then: ";
    let first = why.split(AND_THEN).next().unwrap_or(why);
    let cut = |text: &str| text.chars().take(REASON_MAX).collect::<String>();
    format!("{}{AND_THEN}{}", cut(first), cut(&trouble.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{REASON_MAX, with_what_followed};
    use crate::call::Trouble;

    #[test]
    fn a_reason_that_is_told_again_and_again_does_not_grow() {
        let silent = |text: &str| Trouble::Silent(text.to_owned());
        let mut why = "given up by request".to_owned();
        for n in 0..100 {
            why = with_what_followed(&why, &silent(&n.to_string()));
        }
        assert_eq!(why, "given up by request; and then: no answer: 99");
        let long = "ä".repeat(10 * REASON_MAX);
        let why = with_what_followed(&long, &silent(&long));
        assert!(why.chars().count() <= 2 * REASON_MAX + 20, "{why}");
    }
}
