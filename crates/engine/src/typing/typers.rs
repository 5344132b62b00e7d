//! Who types where: a state machine without time, locks or sockets of its own.
//!
//! What somebody does is told at most once in a gap, the newest state of it; who goes on is told again now and then;
//! who does not say so again has stopped.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{ConversationId, UserId};
use rustc_hash::FxHashMap;

use crate::{
    limits::{TYPING_AGAIN, TYPING_GAP, TYPING_LIFE, TYPING_PER_CONNECTION_MAX},
    presence::table::Tick,
};

pub(super) const GAP: Tick = TYPING_GAP.as_millis() as Tick;
pub(super) const AGAIN: Tick = TYPING_AGAIN.as_millis() as Tick;
pub(super) const LIFE: Tick = TYPING_LIFE.as_millis() as Tick;

/// Somebody in some conversation.
pub(crate) type Place = (ConversationId, UserId);

#[derive(Debug, Default)]
pub(crate) struct Typers {
    places: BTreeMap<Place, Typer>,
    /// Each place, by when there is something to do.
    due: BTreeSet<(Tick, Place)>,
    /// How many places belong to a connection; it has none without an entry.
    counts: FxHashMap<u64, usize>,
}

#[derive(Debug, Clone, Copy)]
struct Typer {
    connection: u64,
    is_typing: bool,
    told: bool,
    told_at: Option<Tick>,
    /// When it ends by itself.
    ends_at: Tick,
    due: Tick,
}

impl Typer {
    /// When there is something to do next.
    fn next(&self) -> Tick {
        let after_gap = self.told_at.map_or(0, |at| at + GAP);
        if self.is_typing != self.told {
            after_gap.min(if self.is_typing { self.ends_at.max(after_gap) } else { after_gap })
        } else if self.is_typing {
            self.ends_at
        } else {
            after_gap
        }
    }
}

impl Typers {
    /// A user types or has stopped; what is to be told of it now.
    pub(crate) fn heard(
        &mut self,
        place: Place,
        connection: u64,
        is_typing: bool,
        now: Tick,
    ) -> Option<bool> {
        let known = self.places.get(&place).copied();
        if known.is_none() && !is_typing {
            return None;
        }
        if known.is_none_or(|known| known.connection != connection)
            && self.counts.get(&connection).is_some_and(|n| *n >= TYPING_PER_CONNECTION_MAX)
        {
            return None;
        }
        let mut typer = known.unwrap_or(Typer {
            connection,
            is_typing,
            told: false,
            told_at: None,
            ends_at: 0,
            due: 0,
        });
        self.remove(place);
        typer.connection = connection;
        typer.is_typing = is_typing;
        typer.ends_at = now + LIFE;
        let goes_on = typer.told && is_typing && typer.told_at.is_none_or(|at| now >= at + AGAIN);
        let told = settle(&mut typer, now).or_else(|| {
            goes_on.then(|| {
                typer.told_at = Some(now);
                true
            })
        });
        self.put(place, typer);
        told
    }

    /// A connection is gone: what it was typing is due to end.
    pub(crate) fn forget(&mut self, connection: u64, now: Tick) {
        if !self.counts.contains_key(&connection) {
            return;
        }
        let own = self.places.iter().filter(|(_, typer)| typer.connection == connection);
        let own: Vec<_> = own.map(|(place, typer)| (*place, *typer)).collect();
        for (place, mut typer) in own {
            self.remove(place);
            typer.is_typing = false;
            typer.ends_at = now;
            self.put(place, typer);
        }
    }

    /// When there is something to do.
    pub(crate) fn next_due(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What is to be told now.
    pub(crate) fn pass(&mut self, now: Tick) -> Vec<(Place, bool)> {
        let mut told = Vec::new();
        while let Some((at, place)) = self.due.first().copied()
            && at <= now
        {
            let Some(mut typer) = self.remove(place) else { break };
            typer.is_typing &= now < typer.ends_at;
            if let Some(is_typing) = settle(&mut typer, now) {
                told.push((place, is_typing));
            } else if !typer.is_typing && !typer.told {
                continue;
            }
            self.put(place, typer);
        }
        told
    }

    fn put(&mut self, place: Place, mut typer: Typer) {
        typer.due = typer.next();
        self.due.insert((typer.due, place));
        *self.counts.entry(typer.connection).or_default() += 1;
        self.places.insert(place, typer);
    }

    fn remove(&mut self, place: Place) -> Option<Typer> {
        let typer = self.places.remove(&place)?;
        self.due.remove(&(typer.due, place));
        if let Some(count) = self.counts.get_mut(&typer.connection) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&typer.connection);
            }
        }
        Some(typer)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.due.is_empty() && self.counts.is_empty()
    }
}

/// Tells the state if it is news and the gap is over.
fn settle(typer: &mut Typer, now: Tick) -> Option<bool> {
    let gap_is_over = typer.told_at.is_none_or(|at| now >= at + GAP);
    if typer.is_typing == typer.told || !gap_is_over {
        return None;
    }
    typer.told = typer.is_typing;
    typer.told_at = Some(now);
    Some(typer.told)
}

#[cfg(test)]
mod tests;
