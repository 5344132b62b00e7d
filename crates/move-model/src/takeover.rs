//! Who coordinates: the next move of the script starts, and another coordinator takes over. Both
//! draw a new lease.

use crate::{
    configuration::JobKind,
    guard::Guard,
    model::{Model, Successors},
    names::Epoch,
    state::{Coordinator, Phase, State},
    step::{Resume, Step},
};

impl Model {
    /// The next move of the script starts under a new lease. Nothing is imported to or carved on
    /// a shard that has garbage.
    pub(crate) fn start(&self, state: &State, out: &mut Successors) {
        let number = if state.phase == Phase::Never { 0 } else { state.job + 1 };
        let Some(job) = self.configuration.script.get(usize::from(number)) else { return };
        let mut working = state.coordinators.iter().flatten();
        if !state.phase.is_over() || working.any(|other| other.lease == state.lease) {
            return;
        }
        let mut next = state.clone();
        next.job = number;
        let home = state.map.home(job.unit).filter(|home| home.shard == job.source);
        let Some(home) = home else {
            next.phase = Phase::Aborted;
            out.add(format_args!("job {number} has nothing to do"), next);
            return;
        };
        let mut garbage = state.garbage.iter();
        if garbage.any(|garbage| garbage.shard == job.destination)
            && !self.removed(Guard::NoGarbage)
        {
            return;
        }
        let slot = usize::from(state.coordinators[0].is_some());
        let lease = state.lease.next();
        let step = if job.kind == JobKind::Move {
            Step::Import { again: false }
        } else {
            Step::Capture { again: false }
        };
        next.phase = Phase::Copying;
        next.lease = lease;
        next.freeze = 0;
        next.coordinators[slot] =
            Some(Coordinator { step, lease, freeze: 0, epoch: home.epoch, job: number });
        out.add(
            format_args!(
                "c{slot} starts job {number}: {:?} {} {} -> {}, lease {}, COPYING",
                job.kind, job.unit, job.source, job.destination, lease.0
            ),
            next,
        );
    }

    /// Another coordinator takes over with a new lease and goes where the phase says. The present
    /// one stalls and becomes a zombie; an older zombie is forgotten.
    pub(crate) fn take_over(&self, state: &State, out: &mut Successors) {
        let active = matches!(
            state.phase,
            Phase::Copying | Phase::Freezing | Phase::Committed | Phase::Aborting
        );
        if !active || state.used.takeovers >= self.configuration.takeovers {
            return;
        }
        let present = state
            .coordinators
            .iter()
            .position(|other| other.is_some_and(|other| other.lease == state.lease));
        let slot = 1 - present.unwrap_or(0);
        let lease = state.lease.next();
        let job = self.configuration.script[usize::from(state.job)];
        // The epoch at which the move began. After a merge it is kept in the move's own row.
        let epoch = match state.map.home(job.unit) {
            None => state.fences[job.source][job.unit].epoch,
            Some(home) => {
                let same = job.kind == JobKind::Carve && self.removed(Guard::CarveEpoch);
                let raised = state.phase == Phase::Committed && !same;
                Epoch(home.epoch.0 - u8::from(raised))
            }
        };
        let step = match state.phase {
            Phase::Freezing => Step::EnterCopying(Resume::CatchUp),
            Phase::Committed => Step::OpenOwner,
            Phase::Aborting => Step::Reopen,
            _ if job.kind == JobKind::Move => Step::Import { again: true },
            _ => Step::Capture { again: true },
        };
        let mut next = state.clone();
        next.lease = lease;
        next.used.takeovers += 1;
        next.coordinators[slot] =
            Some(Coordinator { step, lease, freeze: state.freeze, epoch, job: state.job });
        out.add(
            format_args!(
                "c{slot} takes over in {} with lease {}; the other stalls",
                state.phase.name(),
                lease.0
            ),
            next,
        );
    }
}
