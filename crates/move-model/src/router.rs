//! Routers and clients: where a command goes, what fences it, where it waits, and what it stores.
//! A router has one parking lot for the slot; what is parked leaves first in, first out.

use crate::{
    faults::with_late,
    fence::Stance,
    guard::Guard,
    invariants::Violation,
    list::List,
    model::{Model, Successors},
    names::{CommandNumber, Conversation, Epoch, Key, Shard, Unit},
    request::{Answer, Request, Sent},
    state::{Event, Parked, Router, Running, State},
    subject::{Content, Row},
};

impl Model {
    /// The fence of a command: the unit is served at that epoch, and the row, if there is one,
    /// carries that unit.
    pub(crate) fn serves(
        &self,
        state: &State,
        shard: Shard,
        unit: Unit,
        epoch: Epoch,
        conversation: Conversation,
    ) -> bool {
        let fence = state.fences[shard][unit];
        fence.serves() && self.admits(state, shard, unit, epoch, conversation)
    }

    /// The part of the fence that looks at epoch and row, but not at the stance.
    pub(crate) fn admits(
        &self,
        state: &State,
        shard: Shard,
        unit: Unit,
        epoch: Epoch,
        conversation: Conversation,
    ) -> bool {
        let row = state.rows[shard][conversation];
        (state.fences[shard][unit].epoch == epoch || self.removed(Guard::Epoch))
            && (row.is_none_or(|row| row.unit == unit) || self.removed(Guard::RowUnit))
    }

    /// The state after a command is stored. A change under `capturing` is noted with its version.
    fn store(&self, state: &State, sent: &Sent, noted: bool) -> State {
        let command = self.command(sent.command);
        let (shard, conversation) = (sent.shard, command.conversation);
        let look_up = !self.removed(Guard::Idempotency);
        let old = state.rows[shard][conversation].unwrap_or(Row::empty(sent.unit));
        let content = old.content.after(sent.command, command.act, look_up);
        let mut next = state.clone();
        if content == old.content {
            return next;
        }
        let version = content.small.version;
        next.rows[shard][conversation] = Some(Row { content, ..old });
        let truth = state.truth[conversation].unwrap_or(Content::EMPTY);
        next.truth[conversation] = Some(truth.after(sent.command, command.act, true));
        if noted && !self.removed(Guard::Noting) {
            next.notes[shard][conversation] = version;
        }
        if let Some(cached) = &mut next.caches[shard][conversation] {
            cached.version = version;
        }
        if self.configuration.dispatch {
            next.undispatched[shard].push(Event { conversation, rev: version });
        }
        next
    }

    /// A copy of a command that arrives after its time.
    pub(crate) fn late_command(&self, state: &State, sent: &Sent) -> (Answer, State) {
        let conversation = self.command(sent.command).conversation;
        if !self.serves(state, sent.shard, sent.unit, sent.epoch, conversation) {
            return (Answer::Refused, state.clone());
        }
        let noted = state.fences[sent.shard][sent.unit].stance == Stance::Capturing;
        (Answer::Done, self.store(state, sent, noted))
    }

    /// What the routers, and the commands that they have sent, can do next.
    pub(crate) fn routers(&self, state: &State, out: &mut Successors) -> Result<(), Violation> {
        for number in 0..2 {
            self.router(state, number, out)?;
        }
        Ok(())
    }

    fn router(&self, state: &State, number: u8, out: &mut Successors) -> Result<(), Violation> {
        let router = &state.routers[usize::from(number)];
        let turn = Turn { model: self, state, number, router };
        turn.send_next(out);
        if router.map != state.map {
            let map = state.map;
            out.add(
                format_args!("router {number} refreshes its map"),
                turn.becomes(Router { map, ..*router }),
            );
        }
        turn.send_parked(out);
        for shard in Shard::ALL {
            turn.shard_takes(shard, out)?;
        }
        for (at, running) in state.running.iter().enumerate() {
            if running.router == number {
                let mut next = state.clone();
                next.running = state.running.without(at);
                self.commit(&next, &running, out)?;
            }
        }
        Ok(())
    }

    /// Stores a command, unless an earlier one of the same sender is still waiting.
    fn commit(
        &self,
        before: &State,
        running: &Running,
        out: &mut Successors,
    ) -> Result<(), Violation> {
        let Sent { command, shard, .. } = running.sent;
        let conversation = self.command(command).conversation;
        let router = &before.routers[usize::from(running.router)];
        let parked = router.lot.iter().map(|parked| parked.command);
        let mut waiting = parked.chain(router.channel.iter().map(|sent| sent.command));
        if waiting.any(|w| w < command && self.command(w).conversation == conversation) {
            return Err(Violation::SenderOrder { shard, command });
        }
        let next = self.store(before, &running.sent, running.noted);
        out.add(format_args!("{shard} commits w{command}"), next);
        Ok(())
    }
}

/// One router in one state.
struct Turn<'a> {
    model: &'a Model,
    state: &'a State,
    number: u8,
    router: &'a Router,
}

impl Turn<'_> {
    fn becomes(&self, router: Router) -> State {
        let mut next = self.state.clone();
        next.routers[usize::from(self.number)] = router;
        next
    }

    fn running(&self) -> impl Iterator<Item = Running> + '_ {
        self.state.running.iter().filter(|running| running.router == self.number)
    }

    fn conversation(&self, command: CommandNumber) -> Conversation {
        self.model.command(command).conversation
    }

    /// Where this router's map places a command.
    fn place(&self, command: CommandNumber) -> Sent {
        let (unit, home) = self.router.map.place(self.conversation(command));
        Sent { command, shard: home.shard, unit, epoch: home.epoch }
    }

    /// Something of the same conversation is still unanswered under another (unit, epoch). Then
    /// nothing is sent under the new one: it could overtake.
    fn has_straggler(&self, place: &Sent) -> bool {
        if self.model.removed(Guard::Straggler) {
            return false;
        }
        let conversation = self.conversation(place.command);
        self.router.channel.iter().chain(self.running().map(|running| running.sent)).any(|sent| {
            self.conversation(sent.command) == conversation
                && (sent.shard, sent.unit, sent.epoch) != (place.shard, place.unit, place.epoch)
        })
    }

    /// Nothing parked stands before this command.
    fn lot_is_free(&self, place: &Sent) -> bool {
        if self.model.removed(Guard::Fifo) {
            return true;
        }
        if !self.model.removed(Guard::ParkBySlot) {
            return self.router.lot.is_empty();
        }
        self.router.lot.iter().all(|parked| {
            let map = parked.map.unwrap_or(self.router.map);
            map.unit_of(self.conversation(parked.command)) != place.unit
        })
    }

    fn parked(&self, command: CommandNumber) -> Parked {
        let by_unit = self.model.removed(Guard::ParkBySlot);
        Parked { command, map: by_unit.then_some(self.router.map) }
    }

    /// The next own command: sent, or parked behind others.
    fn send_next(&self, out: &mut Successors) {
        let Turn { number, router, .. } = *self;
        let unanswered = router.lot.len() + router.channel.len() + self.running().count();
        let mut own = (0..)
            .zip(self.model.configuration.commands)
            .filter(|(_, command)| command.router == number);
        let Some((command, what)) = own.nth(usize::from(router.next)) else { return };
        if unanswered >= self.model.configuration.pipeline {
            return;
        }
        let place = self.place(command);
        let mut after = Router { next: router.next + 1, ..*router };
        if self.lot_is_free(&place) && !self.has_straggler(&place) {
            after.channel.push(place);
            let Sent { shard, unit, epoch, .. } = place;
            out.add(
                format_args!(
                    "router {number} sends w{command} ({:?} {}) as ({unit}, {}) to {shard}",
                    what.act, what.conversation, epoch.0
                ),
                self.becomes(after),
            );
        } else {
            after.lot.push(self.parked(command));
            out.add(
                format_args!("router {number} parks w{command} behind others"),
                self.becomes(after),
            );
        }
    }

    /// The first parked command, by the present map.
    fn send_parked(&self, out: &mut Successors) {
        let Turn { number, router, .. } = *self;
        let leaving = if self.model.removed(Guard::Fifo) { router.lot.len() } else { 1 };
        for (at, parked) in router.lot.iter().enumerate().take(leaving) {
            let place = self.place(parked.command);
            if self.has_straggler(&place) {
                continue;
            }
            let mut after = Router { lot: router.lot.without(at), ..*router };
            after.channel.push(place);
            let Sent { command, shard, unit, epoch } = place;
            out.add(
                format_args!(
                    "router {number} resends w{command} as ({unit}, {}) to {shard}",
                    epoch.0
                ),
                self.becomes(after),
            );
        }
    }

    /// A shard takes the first command of this router, if none of its commands runs there.
    fn shard_takes(&self, shard: Shard, out: &mut Successors) -> Result<(), Violation> {
        let Turn { model, state, number, router } = *self;
        let head = router.channel.iter().enumerate().find(|(_, sent)| sent.shard == shard);
        let Some((at, sent)) = head else { return Ok(()) };
        if self.running().any(|running| running.sent.shard == shard) {
            return Ok(());
        }
        let command = sent.command;
        let rest = router.channel.without(at);
        if !model.serves(state, shard, sent.unit, sent.epoch, self.conversation(command)) {
            out.add(
                format_args!("{shard} fences w{command} of router {number}"),
                self.becomes(self.fenced(sent, rest)),
            );
            return Ok(());
        }
        let noted = state.fences[shard][sent.unit].stance == Stance::Capturing;
        let mut taken = self.becomes(Router { channel: rest, ..*router });
        if model.configuration.late_commands && state.used.late < model.configuration.late {
            out.add(
                format_args!("w{command} is sent to {shard}; a copy is under way"),
                with_late(state.clone(), Request::Command(sent), false),
            );
        }
        let running = Running { router: number, sent, noted };
        if model.configuration.slow_commands {
            taken.running.push(running);
            let noting = if noted { " (noting)" } else { "" };
            out.add(format_args!("{shard} begins w{command}{noting}"), taken);
            Ok(())
        } else {
            model.commit(&taken, &running, out)
        }
    }

    /// A fenced command goes to the lot, and with it every later command of its unit that stands
    /// in the same queue; otherwise one of those could be served after the unit opens again.
    fn fenced(&self, sent: Sent, rest: List<Sent, 4>) -> Router {
        let pulled = |other: &Sent| {
            !self.model.removed(Guard::PullBack)
                && other.shard == sent.shard
                && other.unit == sent.unit
        };
        let back = std::iter::once(sent).chain(rest.iter().filter(pulled));
        let back = back.map(|sent| self.parked(sent.command));
        let mut lot: List<_, 4> = back.chain(self.router.lot.iter()).collect();
        lot.sort_by_key(|parked| parked.command);
        Router { lot, channel: rest.filtered(|other| !pulled(other)), ..*self.router }
    }
}
