//! The coordinators: the order of a move's steps, what each answer leads to, the way back and the
//! way out. A coordinator that lost its lease goes on until an answer tells it. Who starts and who
//! takes over is in `takeover`.

use std::fmt;

use crate::{
    configuration::{Job, JobKind},
    faults::with_late,
    fence::Stance,
    guard::Guard,
    invariants::Violation,
    model::{Model, Successors},
    names::{Conversation, Epoch, Shard, Unit},
    request::{
        Answer, Change, Cursor, DirectoryRequest, Import, Late, Order, Request, ShardRequest, Undo,
    },
    state::{Coordinator, Phase, State},
    step::{Resume, Step},
    subject::Page,
};

impl Model {
    /// What the coordinators can do next, and who may start or take over.
    pub(crate) fn coordinators(
        &self,
        state: &State,
        out: &mut Successors,
    ) -> Result<(), Violation> {
        for (slot, coordinator) in state.coordinators.iter().enumerate() {
            if let Some(me) = coordinator {
                let job = self.configuration.script[usize::from(me.job)];
                Turn { model: self, state, slot, me: *me, job, out }.run()?;
            }
        }
        self.start(state, out);
        self.take_over(state, out);
        Ok(())
    }
}

/// Where an answer leads. `None` as a step: the coordinator ends.
#[derive(Clone, Copy)]
struct Next {
    done: Option<Step>,
    refused: Option<Step>,
    lost: Option<Step>,
    freeze: u8,
}

impl Next {
    fn refused(self, step: Option<Step>) -> Self {
        Self { refused: step, ..self }
    }

    fn lost(self, step: Step) -> Self {
        Self { lost: Some(step), ..self }
    }
}

/// One coordinator in one state.
struct Turn<'a> {
    model: &'a Model,
    state: &'a State,
    slot: usize,
    me: Coordinator,
    job: Job,
    out: &'a mut Successors,
}

impl Turn<'_> {
    fn run(mut self) -> Result<(), Violation> {
        let Job { source, destination, unit, .. } = self.job;
        let epoch = self.me.epoch;
        let carve = self.job.kind != JobKind::Move;
        let undo = match self.job.kind {
            JobKind::Move => Undo::Nothing,
            JobKind::Carve => Undo::Carve,
            JobKind::Merge => Undo::Merge,
        };
        self.give_up();
        match self.me.step {
            Step::Import { again } => {
                let how = if again { Import::Again } else { Import::First };
                let next = self.then(Step::Capture { again });
                let label = format_args!("{destination} -> importing");
                self.order(label, self.to(destination, Order::Import(how)), next)
            }
            Step::Capture { again } => self.capture(again, carve),
            Step::ReadPage(cursor) => {
                self.read_page(cursor);
                Ok(())
            }
            Step::SendPage { page, cursor } => {
                let pages = [page].into_iter().collect();
                let order = Order::Pages { pages, cursor: Some(cursor) };
                let next = self.then(Step::ReadPage(cursor)).lost(Step::ImportAnew);
                self.order(format_args!("page to {destination}"), self.to_new_owner(order), next)
            }
            Step::ImportAnew => {
                let capture = self.state.fences[source][unit].capture;
                let next = self.then(Step::ReadPage(Cursor { capture, page: 0 }));
                let label = format_args!("{destination} importing anew");
                self.order(label, self.to(destination, Order::Import(Import::Anew)), next)
            }
            Step::CatchUp => {
                self.catch_up();
                Ok(())
            }
            Step::SendNoted { page, version } => {
                let conversation = page.conversation;
                let pages = [page].into_iter().collect();
                let order = self.to_new_owner(Order::Pages { pages, cursor: None });
                let drop = Step::DropNote { conversation, version };
                let next = self.then(drop).lost(Step::ImportAnew);
                self.order(format_args!("catch-up to {destination}"), order, next)
            }
            Step::DropNote { conversation, version } => {
                let order = self.to(source, Order::DropNote { conversation, version });
                let label = format_args!(
                    "drops the note of {conversation} if it is still at version {version}"
                );
                let next = self.then(Step::CatchUp);
                self.order(label, order, next)
            }
            Step::Recapture => {
                let order = self.to(source, Order::Reopen(Undo::Nothing));
                let next = self.then(Step::Capture { again: false });
                let label = format_args!("{source} capturing -> open, to start anew");
                self.order(label, order, next)
            }
            Step::EnterFreezing => {
                // After some attempts: abort.
                if self.state.freeze >= self.model.configuration.freezes + 2 {
                    let label = format_args!("has tried often enough");
                    self.goes(label, Step::EnterAborting);
                    return Ok(());
                }
                let freeze = self.state.freeze + 1;
                let next = Next { freeze, ..self.then(Step::Freeze) };
                let label = format_args!("COPYING -> FREEZING {freeze}");
                self.change(label, Change::Freezing, next)
            }
            Step::Freeze => {
                let back = Step::EnterCopying(Resume::CatchUp);
                let frozen = if carve { Step::Relabel } else { Step::ReadLast };
                let next = self.then(frozen).refused(Some(back)).lost(back);
                self.order(format_args!("{source} -> frozen"), self.to(source, Order::Freeze), next)
            }
            Step::Relabel => {
                let back = Step::EnterCopying(Resume::CatchUp);
                let next = self.then(Step::Commit).refused(Some(back));
                let label = format_args!("relabels y on {source}");
                self.order(label, self.to(source, Order::Relabel), next)
            }
            Step::ReadLast => {
                self.read_last();
                Ok(())
            }
            Step::SendLast(pages) => {
                let order = self.to_new_owner(Order::Pages { pages, cursor: None });
                let anew = Step::EnterCopying(Resume::ImportAnew);
                let next = self.then(Step::Compare).lost(anew);
                self.order(format_args!("drain to {destination}"), order, next)
            }
            Step::Compare => self.compare(),
            Step::Complete => {
                let dispatch = self.model.configuration.dispatch;
                let done = if dispatch { Step::AwaitDispatch } else { Step::Commit };
                let next = self.then(done).lost(Step::EnterCopying(Resume::ImportAnew));
                let label = format_args!("import complete on {destination}");
                self.order(label, self.to_new_owner(Order::Complete), next)
            }
            Step::AwaitDispatch => {
                // Who committed a rev dispatches it: what waits here must be out before the new
                // owner can dispatch a later one.
                if self.state.undispatched[source].is_empty()
                    || self.model.removed(Guard::DispatchBarrier)
                {
                    let label = format_args!("sees the dispatcher of {source} empty");
                    self.goes(label, Step::Commit);
                }
                Ok(())
            }
            Step::Commit => {
                let freeze = self.me.freeze;
                let next = self.then(Step::OpenOwner);
                let label = format_args!("COMMIT {freeze}");
                self.change(label, Change::Committed { freeze }, next)
            }
            Step::OpenOwner => self.open_owner(),
            Step::CloseSource if carve => {
                let child =
                    ShardRequest { unit: Unit::C, epoch: Epoch(1), ..self.to(source, Order::Open) };
                let next = self.then(Step::Finish).refused(None);
                self.order(format_args!("c -> open"), child, next)
            }
            Step::CloseSource => {
                let next = self.then(Step::Finish).refused(None);
                let label = format_args!("{source} -> moved({})", epoch.0);
                self.order(label, self.to(source, Order::Close), next)
            }
            Step::Finish => {
                let next = Next { done: None, ..self.then(Step::Finish) };
                self.change(format_args!("DONE"), Change::Done, next)
            }
            Step::EnterCopying(resume) if self.model.removed(Guard::DirectoryFirst) => {
                let next = self.then(Step::EnterCopyingLast(resume));
                self.thaw(undo, next)
            }
            // The directory goes first: a commit that is under way must fail before the source
            // serves again.
            Step::EnterCopying(resume) => {
                let next = self.then(Step::Thaw(resume));
                self.change(format_args!("FREEZING -> COPYING"), Change::Copying, next)
            }
            Step::EnterCopyingLast(resume) => {
                let next = self.then(resumed(resume, carve));
                self.change(format_args!("FREEZING -> COPYING"), Change::Copying, next)
            }
            Step::Thaw(resume) => {
                let next = self.then(resumed(resume, carve));
                self.thaw(undo, next)
            }
            Step::EnterAborting => {
                let next = self.then(Step::Reopen);
                self.change(format_args!("-> ABORTING"), Change::Aborting, next)
            }
            // Both shards, always: one with nothing to undo still remembers the pair.
            Step::Reopen => {
                let done = if carve { Step::FinishAbort } else { Step::Withdraw };
                let next = self.then(done).refused(Some(Step::Withdraw));
                let label = format_args!("{source} -> open again");
                self.order(label, self.to(source, Order::Reopen(undo)), next)
            }
            Step::Withdraw => {
                let next = self.then(Step::FinishAbort).refused(Some(Step::FinishAbort));
                let label = format_args!("{destination} importing -> none");
                self.order(label, self.to(destination, Order::Withdraw), next)
            }
            Step::FinishAbort => {
                let next = Next { done: None, ..self.then(Step::FinishAbort) };
                self.change(format_args!("ABORTED"), Change::Aborted, next)
            }
        }
    }

    /// Out of time while frozen: back. And it may decide to abort until the commit.
    fn give_up(&mut self) {
        let Turn { model, state, me, .. } = *self;
        let frozen = me.step.is_frozen();
        if frozen && state.freeze < model.configuration.freezes && me.freeze == state.freeze {
            let back = Step::EnterCopying(Resume::CatchUp);
            self.goes(format_args!("is out of budget"), back);
        }
        if (frozen || me.step.is_before_freeze()) && state.used.aborts < model.configuration.aborts
        {
            let mut next = self.at(state.clone(), Some(Step::EnterAborting));
            next.used.aborts += 1;
            self.out.add(format_args!("c{} decides to abort", self.slot), next);
        }
    }

    /// Goes on at the stored cursor only if it belongs to the capture that the source is in.
    fn capture(&mut self, again: bool, carve: bool) -> Result<(), Violation> {
        let Job { source, unit, .. } = self.job;
        let fence = self.state.fences[source][unit];
        let captured = fence.stance == Stance::Capturing && fence.epoch == self.me.epoch;
        let capture = fence.capture + u8::from(!captured);
        let cursor = self.state.cursor;
        let goes_on = again && (cursor.capture == capture || self.model.removed(Guard::Cursor));
        let page = if goes_on { cursor.page } else { 0 };
        let step =
            if carve { Step::EnterFreezing } else { Step::ReadPage(Cursor { capture, page }) };
        let order = Order::Capture { again: again && !carve };
        let label = format_args!("{source} -> capturing");
        self.order(label, self.to(source, order), self.then(step))
    }

    /// Page `n` is part `n % parts` of conversation `n / parts`: part 0 carries the small rows
    /// and, if there is a second part, message 1 only.
    fn read_page(&mut self, cursor: Cursor) {
        let parts = self.model.configuration.parts;
        let Job { source, unit, .. } = self.job;
        let mut number = 0;
        for conversation in self.model.conversations() {
            for part in 0..parts {
                number += 1;
                if number <= cursor.page || self.state.map.unit_of(conversation) != unit {
                    continue;
                }
                let row = self.state.rows[source][conversation].filter(|row| row.unit == unit);
                let Some(row) = row else { continue };
                let in_part = |at: u8| parts == 1 || (at == 0) == (part == 0);
                let page = row.page(conversation, part == 0, |at, _| in_part(at));
                if part > 0 && page.messages.is_empty() {
                    continue;
                }
                let version = row.content.small.version;
                let cursor = Cursor { page: number, ..cursor };
                let label = format_args!(
                    "reads page {} ({conversation} part {part}, version {version})",
                    number - 1
                );
                self.goes(label, Step::SendPage { page, cursor });
                return;
            }
        }
        self.goes(format_args!("has copied all"), Step::CatchUp);
    }

    fn subjects(&self) -> impl Iterator<Item = Conversation> + use<> {
        let Turn { model, state, job, .. } = *self;
        let map = state.map;
        model.conversations().filter(move |conversation| map.unit_of(*conversation) == job.unit)
    }

    /// What the destination misses of a noted subject.
    fn noted(&self, conversation: Conversation) -> Option<Page> {
        let Job { source, destination, .. } = self.job;
        let row = self.state.rows[source][conversation]?;
        if self.state.notes[source][conversation] == 0 {
            return None;
        }
        let there = self.state.rows[destination][conversation];
        let version = there.map_or(0, |row| row.content.small.version);
        Some(row.since(conversation, version))
    }

    /// True if the source has restarted since the capture began: its notes are gone.
    fn capture_is_lost(&self) -> bool {
        let Job { source, unit, .. } = self.job;
        let fence = self.state.fences[source][unit];
        fence.incarnation != self.state.incarnations[source]
            && !self.model.removed(Guard::SourceIncarnation)
    }

    fn catch_up(&mut self) {
        let Job { source, unit, kind, .. } = self.job;
        let carve = kind != JobKind::Move;
        let stance = self.state.fences[source][unit].stance;
        let captured = matches!(stance, Stance::Capturing | Stance::Frozen);
        if !carve && captured && self.capture_is_lost() {
            self.goes(format_args!("learns that the capture is lost"), Step::Recapture);
            return;
        }
        if !carve {
            for conversation in self.subjects() {
                let Some(page) = self.noted(conversation) else { continue };
                let version = page.small.map_or(0, |small| small.version);
                let label = format_args!("reads the noted {conversation} at version {version}");
                self.goes(label, Step::SendNoted { page, version });
            }
        }
        self.goes(format_args!("finds the backlog small"), Step::EnterFreezing);
    }

    fn read_last(&mut self) {
        if self.capture_is_lost() {
            let back = Step::EnterCopying(Resume::CatchUp);
            self.goes(format_args!("learns at the drain that the capture is lost"), back);
            return;
        }
        let pages = self.subjects().filter_map(|subject| self.noted(subject)).collect();
        self.goes(format_args!("reads the last notes"), Step::SendLast(pages));
    }

    /// Step 8: (subject, version, newest message) of both sides must be equal. A difference in
    /// the hands of the rightful coordinator means that the protocol has lost something.
    fn compare(&mut self) -> Result<(), Violation> {
        let Turn { model, state, me, .. } = *self;
        let Job { source, destination, unit, .. } = self.job;
        let there = state.fences[destination][unit];
        if there.stance == Stance::Importing
            && there.incarnation != state.incarnations[destination]
            && !model.removed(Guard::DestinationIncarnation)
        {
            let anew = Step::EnterCopying(Resume::ImportAnew);
            self.goes(format_args!("learns at the compare that the import is lost"), anew);
            return Ok(());
        }
        let digest = |shard: Shard, conversation: Conversation| {
            let row = state.rows[shard][conversation].filter(|row| row.unit == unit);
            row.map(|row| row.digest())
        };
        let equal = model
            .conversations()
            .all(|conversation| digest(source, conversation) == digest(destination, conversation));
        let rightful =
            state.lease == me.lease && state.phase == Phase::Freezing && state.freeze == me.freeze;
        if equal || model.removed(Guard::Compare) {
            self.goes(format_args!("compares versions: equal"), Step::Complete);
        } else if rightful {
            return Err(Violation::Alarm);
        } else {
            self.goes(format_args!("compares versions: different"), Step::EnterAborting);
        }
        Ok(())
    }

    fn open_owner(&mut self) -> Result<(), Violation> {
        let Job { source, destination, kind, .. } = self.job;
        let epoch = self.me.epoch;
        match kind {
            JobKind::Merge => {
                let next = self.then(Step::Finish).refused(None);
                let label = format_args!("c frozen -> moved, it is no more");
                self.order(label, self.to(source, Order::Close), next)
            }
            JobKind::Carve => {
                let next = self.then(Step::CloseSource).refused(None);
                let parent = ShardRequest { unit: Unit::P, ..self.to(source, Order::OpenParent) };
                self.order(format_args!("p frozen -> open at its new epoch"), parent, next)
            }
            JobKind::Move => {
                let next = self.then(Step::CloseSource).refused(None);
                let label = format_args!("{destination} -> open({})", epoch.next().0);
                self.order(label, self.to_new_owner(Order::Open), next)
            }
        }
    }

    fn thaw(&mut self, undo: Undo, next: Next) -> Result<(), Violation> {
        let source = self.job.source;
        let label = format_args!("{source} frozen -> capturing");
        self.order(label, self.to(source, Order::Thaw(undo)), next)
    }

    // ---- the parts of a step

    fn then(&self, step: Step) -> Next {
        Next {
            done: Some(step),
            refused: Some(Step::EnterAborting),
            lost: Some(Step::EnterAborting),
            freeze: self.me.freeze,
        }
    }

    /// An order about the move's unit at the epoch at which it began.
    fn to(&self, shard: Shard, order: Order) -> ShardRequest {
        let Coordinator { lease, job, epoch, .. } = self.me;
        ShardRequest { shard, unit: self.job.unit, lease, job, epoch, order }
    }

    /// An order to the destination, at the epoch that it will serve.
    fn to_new_owner(&self, order: Order) -> ShardRequest {
        let request = self.to(self.job.destination, order);
        ShardRequest { epoch: request.epoch.next(), ..request }
    }

    /// The state with this coordinator at a step, or ended.
    fn at(&self, mut next: State, step: Option<Step>) -> State {
        next.coordinators[self.slot] = step.map(|step| Coordinator { step, ..self.me });
        next
    }

    /// A step that asks nobody.
    fn goes(&mut self, label: fmt::Arguments<'_>, step: Step) {
        let next = self.at(self.state.clone(), Some(step));
        self.out.add(format_args!("c{} {label}", self.slot), next);
    }

    fn order(
        &mut self,
        label: fmt::Arguments<'_>,
        request: ShardRequest,
        next: Next,
    ) -> Result<(), Violation> {
        self.ask(label, Request::Shard(request), next)
    }

    fn change(
        &mut self,
        label: fmt::Arguments<'_>,
        change: Change,
        next: Next,
    ) -> Result<(), Violation> {
        let Coordinator { lease, job, epoch, .. } = self.me;
        let unit = self.job.unit;
        let request = DirectoryRequest { unit, lease, job, epoch, change };
        self.ask(label, Request::Directory(request), next)
    }

    /// Sends a request: it is answered, or answered while a duplicate stays under way, or stays
    /// under way itself.
    fn ask(
        &mut self,
        label: fmt::Arguments<'_>,
        request: Request,
        next: Next,
    ) -> Result<(), Violation> {
        let Turn { model, state, slot, .. } = *self;
        let may_be_late = model.may_be_late(&request, state);
        let (answer, after) = model.deliver(state, &Late { request, stale: false })?;
        let after = match answer {
            Answer::Done => {
                let mut after = self.at(after, next.done);
                if let Some(me) = &mut after.coordinators[slot] {
                    me.freeze = next.freeze;
                }
                Some(after)
            }
            Answer::Stale => Some(self.at(after, None)),
            Answer::Lost => Some(self.at(after, next.lost)),
            Answer::Refused if request.order_at().is_none() => Some(self.follow(after)),
            Answer::Refused => Some(self.at(after, next.refused)),
            Answer::Wait => None,
        };
        if let Some(after) = after {
            // A duplicate of an accepted order is stale at once. It can do harm only where stale
            // orders are not refused.
            let harmful = request.order_at().is_none()
                || model.removed(Guard::Lease)
                || model.removed(Guard::Step);
            let duplicate = (may_be_late && answer == Answer::Done && harmful)
                .then(|| with_late(after.clone(), request, true));
            if answer == Answer::Done {
                self.out.add(format_args!("c{slot} {label}"), after);
            } else {
                self.out.add(format_args!("c{slot} {label}: {answer}"), after);
            }
            if let Some(duplicate) = duplicate {
                let label = format_args!("c{slot} {label}; a duplicate stays under way");
                self.out.add(label, duplicate);
            }
        }
        if may_be_late {
            let under_way = with_late(state.clone(), request, false);
            self.out.add(format_args!("c{slot} {label} is sent and stays under way"), under_way);
        }
        Ok(())
    }

    /// The directory refused: read it and go where its phase says. Never assume.
    fn follow(&self, state: State) -> State {
        let mine = state.lease == self.me.lease && state.job == self.me.job;
        let step = match state.phase {
            _ if !mine => None,
            Phase::Copying => Some(Step::Thaw(Resume::CatchUp)),
            Phase::Freezing => Some(Step::EnterCopying(Resume::CatchUp)),
            Phase::Committed => Some(Step::OpenOwner),
            Phase::Aborting => Some(Step::Reopen),
            Phase::Never | Phase::Done | Phase::Aborted => None,
        };
        self.at(state, step)
    }
}

/// Where a move goes on after a thaw. A carve copies nothing.
fn resumed(resume: Resume, carve: bool) -> Step {
    match resume {
        Resume::ImportAnew => Step::ImportAnew,
        Resume::CatchUp if carve => Step::EnterFreezing,
        Resume::CatchUp => Step::CatchUp,
    }
}
