//! The directory: the phase of a move changes by compare-and-set, and the commit changes the map
//! in the same transaction. It is one place and never loses anything.

use crate::{
    configuration::JobKind,
    guard::Guard,
    invariants::Violation,
    map::Home,
    model::Model,
    names::{Epoch, JobNumber, Shard, Unit},
    request::{Answer, Change, DirectoryRequest, Garbage},
    state::{Phase, State},
};

impl Model {
    /// The answer to a compare-and-set, and the state after it.
    pub(crate) fn change(
        &self,
        state: &State,
        request: &DirectoryRequest,
    ) -> Result<(Answer, State), Violation> {
        let DirectoryRequest { unit, lease, job: number, epoch, .. } = *request;
        let mut next = state.clone();
        let this_job = state.job == number;
        let mine = this_job && state.lease == lease;
        let job = self.configuration.script[usize::from(number)];
        match (request.change, state.phase) {
            (Change::Freezing, Phase::Copying) if mine => {
                next.phase = Phase::Freezing;
                next.freeze += 1;
            }
            (Change::Copying, Phase::Freezing) if mine => next.phase = Phase::Copying,
            (Change::Aborting, Phase::Copying | Phase::Freezing) if mine => {
                next.phase = Phase::Aborting;
            }
            (Change::Aborting, phase) if this_job && self.removed(Guard::AbortCompare) => {
                if matches!(phase, Phase::Committed | Phase::Done) {
                    return Err(Violation::AbortAfterCommit);
                }
                next.phase = Phase::Aborting;
            }
            (Change::Done, Phase::Committed) if mine => next.phase = Phase::Done,
            (Change::Aborted, Phase::Aborting) if mine => {
                next.phase = Phase::Aborted;
                // What the destination imported is garbage, in the same transaction.
                if job.kind == JobKind::Move {
                    let left = self.garbage(job.destination, unit, epoch.next(), number);
                    next.garbage.add(left);
                }
            }
            (Change::Committed { freeze }, Phase::Freezing)
                if this_job
                    && (mine || self.removed(Guard::CommitLease))
                    && (state.freeze == freeze || self.removed(Guard::FreezeNumber)) =>
            {
                next.phase = Phase::Committed;
                match job.kind {
                    JobKind::Carve => {
                        // The parent gives rows away: routers with an older map must be fenced.
                        if !self.removed(Guard::CarveEpoch) {
                            next.map.p.epoch = next.map.p.epoch.next();
                        }
                        next.map.p.shard = job.source;
                        next.map.c = Some(Home { shard: job.source, epoch: Epoch(1) });
                    }
                    JobKind::Merge => next.map.c = None,
                    JobKind::Move => {
                        let home = Home { shard: job.destination, epoch: epoch.next() };
                        match unit {
                            Unit::P => next.map.p = home,
                            Unit::C => next.map.c = Some(home),
                        }
                        next.garbage.add(self.garbage(job.source, unit, epoch, number));
                    }
                }
            }
            _ => return Ok((Answer::Refused, next)),
        }
        Ok((Answer::Done, next))
    }

    /// An entry of garbage. Its id is its own, so that a late deletion never hits a later entry
    /// of the same unit and epoch.
    fn garbage(&self, shard: Shard, unit: Unit, epoch: Epoch, job: JobNumber) -> Garbage {
        let id = if self.removed(Guard::GarbageId) { 0 } else { job };
        Garbage { shard, unit, epoch, id }
    }
}
