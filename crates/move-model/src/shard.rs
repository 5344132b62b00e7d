//! How a shard carries out an order of a coordinator: the pair first, then the stance that the
//! order expects, then the order itself. Commands of clients are in `router`.

use crate::{
    configuration::Side,
    fence::{Fence, Stance},
    guard::Guard,
    model::Model,
    names::{Conversation, Epoch, Incarnation, Shard, Unit},
    request::{Answer, Cursor, Import, Order, ShardRequest, Undo},
    state::{Durable, State},
    subject::Row,
};

impl Model {
    /// The answer to an order, and the state after it. An order that is refused for its stance
    /// leaves its lease behind all the same.
    pub(crate) fn order(
        &self,
        state: &State,
        request: &ShardRequest,
        stale: bool,
    ) -> (Answer, State) {
        let fence = state.fences[request.shard][request.unit];
        // A smaller lease than the last one is that of a zombie.
        if request.lease < fence.lease && !self.removed(Guard::Lease) {
            return (Answer::Stale, state.clone());
        }
        // The same lease with a smaller step is a request that took its time.
        if stale && request.lease == fence.lease && !self.removed(Guard::Step) {
            return (Answer::Stale, state.clone());
        }
        // A change of stance waits for the commands under way.
        let mut running = state.running.iter();
        if request.order.changes_stance()
            && !self.removed(Guard::Barrier)
            && running.any(|r| r.sent.shard == request.shard && r.sent.unit == request.unit)
        {
            return (Answer::Wait, state.clone());
        }
        let mut next = state.clone();
        self.outdate(&mut next, request);
        let (answer, after) = match self.carry_out(&mut next, request, fence) {
            Ok(after) => (Answer::Done, Fence { lease: request.lease, ..after }),
            Err(no) => (no, Fence { lease: fence.lease.max(request.lease), ..fence }),
        };
        // Without this guard an abort sends nothing to a shard that has nothing to undo.
        let undoes = matches!(request.order, Order::Withdraw | Order::Reopen(_));
        if self.removed(Guard::AbortPair) && undoes && after.stance == fence.stance {
            next.late = state.late;
            next.fences[request.shard][request.unit] = fence;
        } else {
            next.fences[request.shard][request.unit] = after;
        }
        (answer, next)
    }

    /// An accepted pair makes every earlier request for this unit stale. A request that is stale
    /// for ever is dropped here, so that it does not multiply states.
    fn outdate(&self, next: &mut State, accepted: &ShardRequest) {
        let same_unit = |at: &ShardRequest| at.shard == accepted.shard && at.unit == accepted.unit;
        if self.removed(Guard::Lease) || self.removed(Guard::Step) {
            let earlier = |at: &ShardRequest| same_unit(at) && at.lease == accepted.lease;
            for (place, mut late) in next.late.clone().iter().enumerate() {
                late.stale |= late.request.order_at().is_some_and(earlier);
                next.late.set(place, late);
            }
        } else {
            let earlier = |at: &ShardRequest| same_unit(at) && at.lease <= accepted.lease;
            next.late = next.late.filtered(|late| !late.request.order_at().is_some_and(earlier));
        }
    }

    /// The fence after an order, or why not. Its lease is set by the caller.
    fn carry_out(
        &self,
        next: &mut State,
        request: &ShardRequest,
        fence: Fence,
    ) -> Result<Fence, Answer> {
        use Stance::{Capturing, Frozen, Importing, Moved, Open};
        let ShardRequest { shard, unit, epoch, job, .. } = *request;
        let incarnation = next.incarnations[shard];
        let mine = fence.job == Some(job);
        let at_epoch = fence.epoch == epoch;
        // Without the expected stance, every order succeeds everywhere.
        let wild = self.removed(Guard::ExpectedState);
        let becomes = |stance| Ok(Fence { stance, epoch, ..fence });
        match request.order {
            Order::Import(how) => {
                let free = fence.is_closed()
                    && (self.removed(Guard::AssertEmpty) || self.holds_nothing(next, shard, unit));
                if fence.stance == Importing && mine {
                    if how != Import::Anew {
                        return Ok(fence);
                    }
                    if !self.removed(Guard::Cursor) {
                        next.cursor = Cursor::default();
                        if let Some(durable) = &mut next.durable {
                            durable.cursor = Cursor::default();
                        }
                    }
                    return Ok(Fence { incarnation, capture: 0, ..fence });
                }
                if !wild && (how == Import::Again || !free) {
                    return Err(Answer::Refused);
                }
                next.cursor = Cursor::default();
                next.durable = self.synced(next, shard);
                self.drop_caches(next, shard, unit);
                let epoch = epoch.next();
                let job = Some(job);
                Ok(Fence { stance: Importing, epoch, incarnation, capture: 0, job, ..fence })
            }
            Order::Capture { again } => {
                if fence.stance == Capturing && mine && at_epoch {
                    return Ok(fence);
                }
                if !wild && (fence.stance != Open || !at_epoch || again) {
                    return Err(Answer::Refused);
                }
                self.clear_notes(next, shard, unit);
                let capture = fence.capture + 1;
                let job = Some(job);
                Ok(Fence { stance: Capturing, epoch, incarnation, capture, job, ..fence })
            }
            Order::Freeze => {
                if fence.stance == Frozen && mine && at_epoch {
                    return Ok(fence);
                }
                if !(wild || fence.stance == Capturing && mine && at_epoch) {
                    return Err(Answer::Refused);
                }
                // After a restart the notes are gone: the copy cannot be finished from them.
                if fence.incarnation != incarnation && !self.removed(Guard::SourceIncarnation) {
                    return Err(Answer::Lost);
                }
                if self.removed(Guard::Freeze) {
                    return Ok(fence);
                }
                Ok(Fence { stance: Frozen, ..fence })
            }
            Order::Thaw(undo) => {
                if !(wild || at_epoch && matches!(fence.stance, Capturing | Frozen)) {
                    return Err(Answer::Refused);
                }
                self.undo(next, request, undo);
                becomes(Capturing)
            }
            Order::Reopen(undo) => {
                if !(wild || at_epoch && matches!(fence.stance, Capturing | Frozen | Open)) {
                    return Err(Answer::Refused);
                }
                self.clear_notes(next, shard, unit);
                self.undo(next, request, undo);
                becomes(Open)
            }
            Order::Open => {
                if !(wild || at_epoch && matches!(fence.stance, Open | Importing)) {
                    return Err(Answer::Refused);
                }
                if fence.stance == Open && at_epoch { Ok(fence) } else { becomes(Open) }
            }
            Order::Close => {
                if fence.stance == Moved && at_epoch {
                    return Ok(fence);
                }
                let unfrozen = self.removed(Guard::Freeze) && fence.stance == Capturing;
                if !wild && !(at_epoch && (fence.stance == Frozen || unfrozen)) {
                    return Err(Answer::Refused);
                }
                self.clear_notes(next, shard, unit);
                self.drop_caches(next, shard, unit);
                becomes(Moved)
            }
            Order::Withdraw => {
                if wild || (fence.stance == Importing && mine) {
                    return Ok(Fence { stance: Stance::None, ..fence });
                }
                if fence.is_closed() { Ok(fence) } else { Err(Answer::Refused) }
            }
            Order::Pages { pages, cursor } => {
                self.check_import(&fence, request, incarnation)?;
                for page in pages.iter() {
                    let row = &mut next.rows[shard][page.conversation];
                    let compare = !self.removed(Guard::Rev);
                    *row = Some(row.unwrap_or(Row::empty(unit)).after_page(&page, compare));
                }
                next.cursor = cursor.unwrap_or(next.cursor);
                Ok(fence)
            }
            Order::Complete => {
                self.check_import(&fence, request, incarnation)?;
                if !self.removed(Guard::Durable) {
                    next.durable = self.synced(next, shard);
                }
                Ok(fence)
            }
            Order::DropNote { conversation, version } => {
                if !(mine && at_epoch && matches!(fence.stance, Capturing | Frozen)) {
                    return Err(Answer::Refused);
                }
                let note = &mut next.notes[shard][conversation];
                if *note == version || self.removed(Guard::NoteVersion) {
                    *note = 0;
                }
                Ok(fence)
            }
            Order::Relabel => {
                if !(mine && at_epoch && fence.stance == Frozen) {
                    return Err(Answer::Refused);
                }
                match unit {
                    Unit::P => {
                        relabel(next, shard, Unit::P, Unit::C);
                        next.fences[shard][Unit::C] = Fence {
                            stance: Importing,
                            epoch: Epoch(1),
                            lease: request.lease,
                            incarnation,
                            capture: 0,
                            job: Some(job),
                        };
                    }
                    Unit::C => relabel(next, shard, Unit::C, Unit::P),
                }
                Ok(fence)
            }
            Order::OpenParent => {
                let new = if self.removed(Guard::CarveEpoch) { epoch } else { epoch.next() };
                if fence.stance == Open && fence.epoch == new {
                    return Ok(fence);
                }
                if !(fence.stance == Frozen && at_epoch) {
                    return Err(Answer::Refused);
                }
                self.drop_caches(next, shard, unit);
                Ok(Fence { stance: Open, epoch: new, ..fence })
            }
        }
    }

    /// Rows are taken by the import of their own move only, and only in the life of the shard in
    /// which that import began.
    fn check_import(
        &self,
        fence: &Fence,
        request: &ShardRequest,
        incarnation: Incarnation,
    ) -> Result<(), Answer> {
        if fence.stance != Stance::Importing
            || fence.job != Some(request.job)
            || fence.epoch != request.epoch
        {
            return Err(Answer::Refused);
        }
        if fence.incarnation != incarnation && !self.removed(Guard::DestinationIncarnation) {
            return Err(Answer::Lost);
        }
        Ok(())
    }

    /// A carve or merge that goes back relabels back in the transaction that opens; a child that
    /// a carve was making is closed.
    fn undo(&self, next: &mut State, request: &ShardRequest, undo: Undo) {
        if self.removed(Guard::RelabelBack) {
            return;
        }
        match undo {
            Undo::Nothing => {}
            Undo::Merge => relabel(next, request.shard, Unit::P, Unit::C),
            Undo::Carve => {
                relabel(next, request.shard, Unit::C, Unit::P);
                let child = &mut next.fences[request.shard][Unit::C];
                if child.stance == Stance::Importing {
                    *child = Fence { epoch: child.epoch, lease: request.lease, ..Fence::NEVER };
                }
            }
        }
    }

    fn holds_nothing(&self, state: &State, shard: Shard, unit: Unit) -> bool {
        self.conversations()
            .filter(|conversation| state.map.unit_of(*conversation) == unit)
            .all(|conversation| state.rows[shard][conversation].is_none())
    }

    /// What a restart of the shard would keep from now on; only where one may happen.
    pub(crate) fn synced(&self, state: &State, shard: Shard) -> Option<Durable> {
        let may = self.configuration.restarts.contains(&Side::Destination);
        may.then(|| Durable { rows: state.rows[shard], cursor: state.cursor })
    }

    fn clear_notes(&self, next: &mut State, shard: Shard, unit: Unit) {
        for conversation in self.conversations() {
            if next.rows[shard][conversation].is_none_or(|row| row.unit == unit) {
                next.notes[shard][conversation] = 0;
            }
        }
    }

    /// Caches go when a unit leaves, when it starts to arrive, and when it changes its epoch.
    fn drop_caches(&self, next: &mut State, shard: Shard, unit: Unit) {
        for conversation in self.conversations() {
            let cached = &mut next.caches[shard][conversation];
            *cached = cached.filter(|cached| cached.unit != unit);
        }
    }
}

/// Gives the rows of `y` to another unit.
fn relabel(next: &mut State, shard: Shard, from: Unit, to: Unit) {
    if let Some(row) = &mut next.rows[shard][Conversation::Y]
        && row.unit == from
    {
        row.unit = to;
    }
}
