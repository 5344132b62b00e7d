//! The purge: it reads keys, deletes them page by page, and deletes the entry when no row is left.
//! It has no lease: fence, epoch and the row's unit guard it.

use crate::{
    faults::with_late,
    guard::Guard,
    invariants::Violation,
    list::List,
    model::{Model, Successors},
    request::{Answer, Garbage, PurgePage, Request},
    state::State,
};

impl Model {
    /// What a purge can do next.
    pub(crate) fn purges(&self, state: &State, out: &mut Successors) -> Result<(), Violation> {
        if let Some(page) = state.purge {
            let request = Request::Purge(page);
            let mut idle = state.clone();
            idle.purge = None;
            let (answer, next) = self.purge_page(&idle, &page)?;
            let shard = page.garbage.shard;
            if self.may_be_late(&request, state) {
                out.add(format_args!("purge page on {shard}: {answer}"), next.clone());
                out.add(
                    format_args!("purge page stays under way"),
                    with_late(idle, request, false),
                );
                out.add(
                    format_args!("purge page on {shard}: {answer}; a duplicate stays under way"),
                    with_late(next, request, false),
                );
            } else {
                out.add(format_args!("purge page on {shard}: {answer}"), next);
            }
            return Ok(());
        }
        for garbage in state.garbage.iter() {
            let Garbage { shard, unit, id, .. } = garbage;
            // What the present move leaves behind waits for its end.
            if !state.phase.is_over() && id == state.job {
                continue;
            }
            let rows = &state.rows[shard];
            let keys: List<_, 2> = self
                .conversations()
                .filter(|conversation| rows[*conversation].is_some_and(|row| row.unit == unit))
                .collect();
            if !keys.is_empty() {
                let mut next = state.clone();
                next.purge = Some(PurgePage { garbage, keys });
                out.add(format_args!("purge reads keys of {unit} on {shard}"), next);
                continue;
            }
            let request = Request::ForgetGarbage(garbage);
            let (_, next) = self.forget(state, &garbage);
            out.add(
                format_args!("garbage of {unit} on {shard} is gone: row deleted"),
                next.clone(),
            );
            if self.may_be_late(&request, state) {
                out.add(
                    format_args!("deletion of the garbage row stays under way"),
                    with_late(state.clone(), request, false),
                );
                out.add(
                    format_args!("garbage row deleted; a duplicate stays under way"),
                    with_late(next, request, false),
                );
            }
        }
        Ok(())
    }

    /// One transaction of a purge: the fence must be closed at the garbage's epoch, and each row
    /// must still carry the garbage's unit.
    pub(crate) fn purge_page(
        &self,
        state: &State,
        page: &PurgePage,
    ) -> Result<(Answer, State), Violation> {
        let Garbage { shard, unit, epoch, .. } = page.garbage;
        let fence = state.fences[shard][unit];
        let mut next = state.clone();
        let closed = fence.is_closed() && fence.epoch == epoch;
        if !closed && !self.removed(Guard::PurgeFence) {
            return Ok((Answer::Refused, next));
        }
        for conversation in page.keys.iter() {
            let cell = &mut next.rows[shard][conversation];
            let Some(row) = *cell else { continue };
            if row.unit != unit && !self.removed(Guard::PurgeUnit) {
                continue;
            }
            let stance = state.fences[shard][row.unit].stance;
            if !state.fences[shard][row.unit].is_closed() {
                return Err(Violation::PurgeOfLive { conversation, shard, unit: row.unit, stance });
            }
            *cell = None;
        }
        Ok((Answer::Done, next))
    }

    /// The entry goes, by its own id.
    pub(crate) fn forget(&self, state: &State, garbage: &Garbage) -> (Answer, State) {
        let mut next = state.clone();
        next.garbage = state.garbage.filtered(|other| other != garbage);
        let answer = if next.garbage == state.garbage { Answer::Refused } else { Answer::Done };
        (answer, next)
    }
}
