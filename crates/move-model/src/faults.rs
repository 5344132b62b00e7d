//! What happens by itself: requests arrive late, shards restart, tables are synced in the
//! background, events go out. And the timer that must not exist.

use crate::{
    configuration::{LateKinds, Side},
    fence::{Fence, Stance},
    guard::Guard,
    invariants::Violation,
    model::{Model, Successors},
    names::{Key, PerConversation, Shard, Unit},
    request::{Answer, Late, Request},
    state::{Phase, State},
};

impl Model {
    /// Each request under way may arrive now. One that finds commands under way waits on.
    pub(crate) fn late_requests(
        &self,
        state: &State,
        out: &mut Successors,
    ) -> Result<(), Violation> {
        for (at, late) in state.late.iter().enumerate() {
            let mut rest = state.clone();
            rest.late = state.late.without(at);
            let (answer, next) = self.deliver(&rest, &late)?;
            if answer != Answer::Wait {
                out.add(format_args!("late {} arrives: {answer}", late.request), next);
            }
        }
        Ok(())
    }

    /// True if this request may stay under way: the bound and the configuration allow it.
    pub(crate) fn may_be_late(&self, request: &Request, state: &State) -> bool {
        state.used.late < self.configuration.late
            && match self.configuration.late_kinds {
                LateKinds::Any => true,
                LateKinds::Purge => {
                    matches!(request, Request::Purge(_) | Request::ForgetGarbage(_))
                }
                LateKinds::Commands => matches!(request, Request::Command(_)),
            }
    }

    /// The next restart of the configuration: notes are lost, an importing shard may lose what it
    /// had not synced, and a unit that the map decides about is set right at the start.
    pub(crate) fn restarts(&self, state: &State, out: &mut Successors) {
        let side = self.configuration.restarts.get(usize::from(state.used.restarts));
        let Some(side) = side else { return };
        if state.phase == Phase::Never {
            return;
        }
        let job = self.configuration.script[usize::from(state.job)];
        let unit = job.unit;
        let shard = match side {
            Side::Source => job.source,
            Side::Destination => job.destination,
        };
        if state.runs_at(shard) {
            return;
        }
        let fence = state.fences[shard][unit];
        let mut next = state.clone();
        next.used.restarts += 1;
        next.incarnations[shard] += 1;
        next.notes[shard] = PerConversation::both(0);
        out.add(format_args!("{shard} restarts"), next.clone());
        if let Some(durable) = state.durable
            && *side == Side::Destination
            && fence.stance == Stance::Importing
            && (durable.rows != state.rows[shard] || durable.cursor != state.cursor)
        {
            next.rows[shard] = durable.rows;
            next.cursor = durable.cursor;
            out.add(
                format_args!("{shard} restarts and loses what it imported since its last sync"),
                next.clone(),
            );
        }
        let Some(home) = state.map.home(unit) else { return };
        let mut reconciled = |stance, what: &str| {
            let mut next = next.clone();
            next.fences[shard][unit] = Fence { stance, ..fence };
            out.add(format_args!("{shard} restarts and finds {what}"), next);
        };
        if home.shard != shard
            && home.epoch > fence.epoch
            && matches!(fence.stance, Stance::Open | Stance::Capturing | Stance::Frozen)
        {
            reconciled(Stance::Moved, "its unit elsewhere: moved");
        }
        if home.shard == shard
            && home.epoch == fence.epoch
            && fence.stance == Stance::Importing
            && state.phase == Phase::Committed
        {
            reconciled(Stance::Open, "its import committed: open");
        }
    }

    /// Syncs and events. Without its guard, a frozen unit also opens by a timer.
    pub(crate) fn background(&self, state: &State, out: &mut Successors) -> Result<(), Violation> {
        let restarts_left = usize::from(state.used.restarts) < self.configuration.restarts.len();
        if restarts_left && matches!(state.phase, Phase::Copying | Phase::Freezing) {
            let job = self.configuration.script[usize::from(state.job)];
            let shard = job.destination;
            let durable = self.synced(state, shard);
            if state.fences[shard][job.unit].stance == Stance::Importing && durable != state.durable
            {
                let next = State { durable, ..state.clone() };
                out.add(format_args!("{shard} syncs its tables in the background"), next);
            }
        }
        for shard in Shard::ALL {
            let Some(event) = state.undispatched[shard].first() else { continue };
            let (conversation, rev) = (event.conversation, event.rev);
            let last = state.dispatched[conversation];
            if last + 1 != rev {
                return Err(Violation::EventOrder { shard, conversation, rev, last });
            }
            let mut next = state.clone();
            next.undispatched[shard] = state.undispatched[shard].without(0);
            next.dispatched[conversation] = rev;
            out.add(format_args!("{shard} dispatches rev {rev} of {conversation}"), next);
        }
        if self.removed(Guard::NoTimer) {
            for shard in Shard::ALL {
                for unit in Unit::ALL {
                    let mut next = state.clone();
                    let fence = &mut next.fences[shard][unit];
                    if fence.stance == Stance::Frozen {
                        fence.stance = Stance::Open;
                        out.add(format_args!("{shard} thaws by a timer"), next);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The state with one more request under way.
pub(crate) fn with_late(mut state: State, request: Request, stale: bool) -> State {
    state.late.push(Late { request, stale });
    state.used.late += 1;
    state
}
