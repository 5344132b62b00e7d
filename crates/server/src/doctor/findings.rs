//! What does not agree in a look, each with its cure where there is a safe one. Pure.

use ostracon_domain::{Epoch, Millis, ShardId, Subject, UnitHome, UnitId};
use ostracon_proto::{
    rest::admin::{Finding, FindingKind},
    timestamp::rfc3339,
};
use ostracon_store::{
    UnitPhase, UnitState,
    directory::{ErrandStats, MoveRow},
};

use super::look::Look;

/// A phase in which units stand still and that lasts longer is told: more than the longest freeze that may be configured.
const STILL_MS: Millis = 5_000;

/// What puts something right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cure {
    /// Brings a unit through these states of its shard, one after the other.
    Steps {
        shard: ShardId,
        state: Option<UnitState>,
        unit: UnitId,
        epoch: Epoch,
        way: Vec<UnitPhase>,
    },
    /// Removes the rows of a unit that lives elsewhere.
    Purge { shard: ShardId, unit: UnitId, epoch: Epoch },
    /// Gives subjects to the unit that the map says, on the same shard.
    Relabel { shard: ShardId, from: UnitId, epoch: Epoch, to: UnitId, subjects: Vec<Subject> },
    /// Forgets a leftover.
    Forget { garbage: u64 },
}

/// A finding with its cure.
pub(super) struct Found {
    pub(super) finding: Finding,
    pub(super) cure: Option<Cure>,
}

impl Found {
    fn new(kind: FindingKind, shard: Option<ShardId>, unit: Option<UnitId>, text: String) -> Self {
        let finding = Finding {
            kind,
            shard: shard.map(|id| id.0),
            unit: unit.map(|unit| unit.0),
            text,
            repair: None,
            effect: None,
            outcome: None,
        };
        Self { finding, cure: None }
    }

    fn cured(mut self, cure: Cure, repair: impl Into<String>, effect: impl Into<String>) -> Self {
        self.cure = Some(cure);
        self.finding.repair = Some(repair.into());
        self.finding.effect = Some(effect.into());
        self
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        let what = |found: &Self| (found.finding.kind, found.finding.shard, found.finding.unit);
        what(self) == what(other)
    }
}

/// What is told outside is late by more than that: the other side, or the way there, is out of order.
const LATE_MS: Millis = 15 * 60_000;

/// What the queue of what is told outside says: nothing, or that it is stuck.
pub(super) fn queue(what: &str, stats: ErrandStats, now: Millis) -> Option<Found> {
    let late = stats.oldest_due_at.map_or(0, |due_at| now.saturating_sub(due_at));
    (late > LATE_MS).then(|| {
        let text = format!(
            "{} {what} wait, the oldest for {} minutes; the log says why",
            stats.waiting,
            late / 60_000
        );
        Found::new(FindingKind::Push, None, None, text)
    })
}

/// All findings: shards, then units by number, then rows, leftovers, moves.
pub(super) fn of(look: &Look) -> Vec<Found> {
    let mut found = Vec::new();
    shards(look, &mut found);
    for (unit, home) in look.map.units() {
        if !look.moves(unit) {
            served(look, unit, home, &mut found);
        }
    }
    for ((shard, unit), state) in &look.states {
        let home = look.map.home(*unit);
        if !look.moves(*unit) && home.is_none_or(|home| home.shard != *shard) {
            astray(look, *shard, state, home, &mut found);
        }
    }
    rows(look, &mut found);
    garbage(look, &mut found);
    moves(look, &mut found);
    found
}

fn shards(look: &Look, found: &mut Vec<Found>) {
    for row in &look.rows {
        let text = match look.silent.get(&row.id) {
            Some(why) => format!("shard {} does not answer: {why}", row.id),
            None if !look.open.contains(&row.id) => format!("shard {} is not open here", row.id),
            None => continue,
        };
        found.push(Found::new(FindingKind::Shard, Some(row.id), None, text));
    }
    let known = |id: ShardId| look.rows.iter().any(|row| row.id == id);
    let unknown = look.map.units().filter(|(_, home)| !known(home.shard));
    for (unit, home) in unknown {
        let text = format!("the map gives unit {unit} to shard {}, which nobody knows", home.shard);
        found.push(Found::new(FindingKind::Shard, Some(home.shard), Some(unit), text));
    }
}

/// A unit at its home.
fn served(look: &Look, unit: UnitId, home: UnitHome, found: &mut Vec<Found>) {
    let id = home.shard;
    if look.silent.contains_key(&id) || !look.open.contains(&id) {
        return;
    }
    let state = look.states.get(&(id, unit)).copied();
    let says = |what: &str| {
        format!("the map says that shard {id} serves unit {unit} at epoch {}; {what}", home.epoch.0)
    };
    let new = |what: &str| Found::new(FindingKind::NotServed, Some(id), Some(unit), says(what));
    let steps = |state, way: &[UnitPhase]| Cure::Steps {
        shard: id,
        state,
        unit,
        epoch: home.epoch,
        way: way.to_vec(),
    };
    let Some(known) = state.filter(|state| state.epoch.0 > 0) else {
        let elsewhere = look.states.iter().any(|((other, of), state)| {
            *other != id && *of == unit && state.phase != UnitPhase::Moved
        });
        let strays = look.strays.iter().any(|(_, of)| *of == unit);
        let one = new("the shard knows nothing of it");
        found.push(if elsewhere || strays {
            one
        } else {
            one.cured(
                steps(state, &[UnitPhase::Importing, UnitPhase::Open]),
                format!("open unit {unit} on shard {id}, empty"),
                "its conversations can be used; what they held before is not anywhere and stays lost",
            )
        });
        return;
    };
    if known.epoch != home.epoch {
        // A directory older than its shards, or a shard older than its directory: which is right, a person must say.
        found.push(new(&format!("the shard has it at epoch {}, {:?}", known.epoch.0, known.phase)));
        return;
    }
    match known.phase {
        UnitPhase::Open => {}
        UnitPhase::Capturing => found.push(
            new("it serves it, but still notes changes for a move that is not there").cured(
                steps(state, &[UnitPhase::Open]),
                format!("set unit {unit} on shard {id} from capturing to open"),
                "nothing but that notes are dropped",
            ),
        ),
        UnitPhase::Frozen => found.push(
            new("it is frozen for a move that is not there, and nobody can use it").cured(
                steps(state, &[UnitPhase::Open]),
                format!("set unit {unit} on shard {id} from frozen to open"),
                "its conversations can be used again; what waits for it goes on",
            ),
        ),
        UnitPhase::Importing => {
            found.push(new("it takes rows of a move that is not there; they may not be complete"));
        }
        UnitPhase::Moved => found.push(new("the shard has given it away")),
    }
}

/// A unit elsewhere than at home.
fn astray(
    look: &Look,
    shard: ShardId,
    state: &UnitState,
    home: Option<UnitHome>,
    found: &mut Vec<Found>,
) {
    let unit = state.unit;
    if state.phase == UnitPhase::Moved {
        return;
    }
    let phase = format!("{:?}", state.phase).to_lowercase();
    let Some(home) = home else {
        let text = format!(
            "shard {shard} has unit {unit} {phase} at epoch {}, and the map does not know it",
            state.epoch.0
        );
        found.push(Found::new(FindingKind::Astray, Some(shard), Some(unit), text));
        return;
    };
    let text = format!(
        "shard {shard} has unit {unit} {phase} at epoch {}; the map says shard {} at epoch {}",
        state.epoch.0, home.shard, home.epoch.0
    );
    let one = Found::new(FindingKind::Astray, Some(shard), Some(unit), text);
    let serves = look
        .states
        .get(&(home.shard, unit))
        .is_some_and(|at| at.phase == UnitPhase::Open && at.epoch == home.epoch);
    // Only what is certainly older is closed.
    let older = state.epoch < home.epoch || state.phase == UnitPhase::Importing;
    found.push(if serves && older {
        let way: &[UnitPhase] = match state.phase {
            UnitPhase::Open => &[UnitPhase::Capturing, UnitPhase::Frozen, UnitPhase::Moved],
            UnitPhase::Capturing => {
                &[UnitPhase::Open, UnitPhase::Capturing, UnitPhase::Frozen, UnitPhase::Moved]
            }
            _ => &[UnitPhase::Moved],
        };
        let cure =
            Cure::Steps { shard, state: Some(*state), unit, epoch: state.epoch, way: way.to_vec() };
        one.cured(
            cure,
            format!("close unit {unit} on shard {shard}"),
            format!(
                "shard {shard} serves nothing of it any more; shard {} does already",
                home.shard
            ),
        )
    } else {
        one
    });
}

fn rows(look: &Look, found: &mut Vec<Found>) {
    for (shard, unit) in &look.strays {
        let Some(state) = look.states.get(&(*shard, *unit)) else { continue };
        let text = match look.map.home(*unit) {
            Some(home) => format!(
                "shard {shard} holds rows of unit {unit}, which lives on shard {}, and no leftover is noted",
                home.shard
            ),
            None => format!("shard {shard} holds rows of unit {unit}, which the map does not know"),
        };
        let one = Found::new(FindingKind::Rows, Some(*shard), Some(*unit), text);
        let serves = look.map.home(*unit).is_some_and(|home| {
            look.states
                .get(&(home.shard, *unit))
                .is_some_and(|at| at.phase == UnitPhase::Open && at.epoch == home.epoch)
        });
        found.push(if serves && state.phase == UnitPhase::Moved {
            one.cured(
                Cure::Purge { shard: *shard, unit: *unit, epoch: state.epoch },
                format!("remove the rows of unit {unit} from shard {shard}"),
                "those rows are gone for good; the ones at its home stay",
            )
        } else {
            one
        });
    }
    for ((shard, unit, right), subjects) in &look.labels {
        let many = if subjects.len() == 1 { "subject" } else { "subjects" };
        let text = format!(
            "{} {many} on shard {shard} carry unit {unit}; the map says unit {right}",
            subjects.len()
        );
        let one = Found::new(FindingKind::Label, Some(*shard), Some(*unit), text);
        let open = |of: &UnitId| {
            let state = look.states.get(&(*shard, *of))?;
            (state.phase == UnitPhase::Open).then_some(state.epoch)
        };
        let same = look.map.home(*right).is_some_and(|home| home.shard == *shard);
        found.push(match (open(unit), open(right)) {
            (Some(epoch), Some(_)) if same && !look.moves(*right) => one.cured(
                Cure::Relabel {
                    shard: *shard,
                    from: *unit,
                    epoch,
                    to: *right,
                    subjects: subjects.clone(),
                },
                format!("give them from unit {unit} to unit {right} on shard {shard}"),
                "they can be used again; unit and rows stand still for some milliseconds",
            ),
            _ => one,
        });
    }
}

fn garbage(look: &Look, found: &mut Vec<Found>) {
    for left in &look.garbage {
        let (shard, unit) = (left.shard, left.unit);
        let known = look.rows.iter().any(|row| row.id == shard);
        let at_home = look.map.home(unit).is_some_and(|home| home.shard == shard);
        let (why, effect) = if at_home {
            (
                "the unit lives there: its rows are no leftovers",
                "nothing is removed; the rows stay in use",
            )
        } else if !known {
            ("nobody knows that shard", "whatever is left there is not removed")
        } else {
            continue;
        };
        let text = format!(
            "leftover {} of unit {unit} on shard {shard} cannot be removed: {why}",
            left.id
        );
        let one = Found::new(FindingKind::Garbage, Some(shard), Some(unit), text);
        found.push(one.cured(
            Cure::Forget { garbage: left.id },
            format!("forget leftover {}", left.id),
            effect,
        ));
    }
}

fn moves(look: &Look, found: &mut Vec<Found>) {
    for row in &look.moves {
        for id in [row.source, row.destination] {
            if look.open.contains(&id) && !look.silent.contains_key(&id) {
                continue;
            }
            let text = format!(
                "move {} of job {} is {} and shard {id} does not answer: it goes on when that shard is back",
                row.id, row.job, row.phase
            );
            found.push(Found::new(FindingKind::Move, Some(id), None, text));
        }
        if look.at.saturating_sub(row.since) >= STILL_MS {
            still(look, row, found);
        }
    }
}

/// Units that a move has frozen and that nobody serves. There is no repair: only the move itself may thaw them.
fn still(look: &Look, row: &MoveRow, found: &mut Vec<Found>) {
    let phase = |shard, unit| look.states.get(&(shard, unit)).map(|state| state.phase);
    let mut frozen: Vec<UnitId> = row.units();
    frozen.retain(|unit| {
        phase(row.source, *unit) == Some(UnitPhase::Frozen)
            && !matches!(
                phase(row.destination, *unit),
                Some(UnitPhase::Open | UnitPhase::Capturing)
            )
    });
    let Some(first) = frozen.first().copied() else { return };
    let which = match frozen.as_slice() {
        [_] => format!("unit {first}"),
        units => format!("unit {first} and {} more", units.len() - 1),
    };
    let text = format!(
        "move {} of job {} is in its freeze since {} ({}): {which} on shard {} can be used by nobody until it goes on",
        row.id,
        row.job,
        rfc3339(row.since),
        row.phase,
        row.source
    );
    found.push(Found::new(FindingKind::Move, Some(row.source), Some(first), text));
}
