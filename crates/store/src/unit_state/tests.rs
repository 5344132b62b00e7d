//! Every step from every state, and what pairs and incarnations do to it.

use ostracon_domain::{Epoch, UnitAt, UnitId};

use super::{
    Pair, UnitChange, UnitPhase,
    UnitPhase::{Capturing, Frozen, Importing, Moved, Open},
    UnitState, UnitVerdict, admit, relabelled,
};
use crate::shard::ShardError;

const UNIT: UnitId = UnitId(7);
const PHASES: [UnitPhase; 5] = [Open, Capturing, Frozen, Importing, Moved];

const fn pair(lease: u64, step: u64) -> Pair {
    Pair { lease, step }
}

const fn state(phase: UnitPhase, epoch: u64) -> UnitState {
    UnitState { unit: UNIT, epoch: Epoch(epoch), phase, incarnation: 1, pair: pair(1, 1) }
}

fn change(from: Option<(UnitPhase, u64)>, to: (UnitPhase, u64), pair: Pair) -> UnitChange {
    UnitChange {
        unit: UNIT,
        expect: from.map(|(phase, epoch)| (phase, Epoch(epoch))),
        phase: to.0,
        epoch: Epoch(to.1),
        pair,
    }
}

#[test]
fn exactly_the_legal_steps_run() {
    let legal = [
        // A move, at the source and at the destination.
        (Some((Open, 3)), (Capturing, 3)),
        (Some((Capturing, 3)), (Frozen, 3)),
        (Some((Frozen, 3)), (Moved, 3)),
        (None, (Importing, 3)),
        (None, (Importing, 2)),
        (None, (Importing, 4)),
        (Some((Moved, 3)), (Importing, 4)),
        (Some((Moved, 3)), (Importing, 3)),
        (Some((Importing, 3)), (Open, 3)),
        // Back.
        (Some((Capturing, 3)), (Open, 3)),
        (Some((Frozen, 3)), (Capturing, 3)),
        (Some((Frozen, 3)), (Open, 3)),
        (Some((Importing, 3)), (Moved, 3)),
        (None, (Moved, 3)),
        (None, (Moved, 2)),
        (None, (Moved, 4)),
        // A carve.
        (Some((Frozen, 3)), (Open, 4)),
        // Taken over.
        (Some((Open, 3)), (Open, 3)),
        (Some((Capturing, 3)), (Capturing, 3)),
        (Some((Frozen, 3)), (Frozen, 3)),
        (Some((Importing, 3)), (Importing, 3)),
        (Some((Moved, 3)), (Moved, 3)),
    ];
    let from = [None].into_iter().chain(PHASES.map(|p| Some((p, 3))));
    for from in from {
        for to in PHASES.into_iter().flat_map(|p| [2, 3, 4].map(|e| (p, e))) {
            let current = from.map(|(phase, epoch)| state(phase, epoch));
            let verdict = change(from, to, pair(2, 1)).apply(current, 1);
            let ran = matches!(verdict, UnitVerdict::Set(_));
            assert_eq!(ran, legal.contains(&(from, to)), "{from:?} to {to:?}");
            let stored = verdict.to_store().expect("a larger pair is always noted");
            assert_eq!(stored.pair, pair(2, 1));
            if ran {
                assert_eq!((stored.phase, stored.epoch.0), to);
                assert_eq!(verdict.answer().as_ref(), Ok(&stored));
            } else {
                let kept = from.unwrap_or((Moved, 0));
                assert_eq!((stored.phase, stored.epoch.0), kept);
                verdict.answer().expect_err("refused");
            }
        }
    }
}

#[test]
fn the_expected_state_must_be_there() {
    for (current, expect) in [
        (Some(state(Open, 3)), None),
        (Some(state(Open, 3)), Some((Open, 2))),
        (Some(state(Open, 3)), Some((Capturing, 3))),
        (None, Some((Open, 3))),
    ] {
        let verdict = change(expect, (Capturing, 3), pair(2, 1)).apply(current, 1);
        assert!(matches!(verdict, UnitVerdict::Refused { noted: true, .. }));
    }
}

#[test]
fn an_older_pair_is_stale_and_an_equal_one_is_answered_again() {
    let now = UnitState { pair: pair(2, 5), ..state(Capturing, 3) };
    for stale in [pair(2, 4), pair(1, 9)] {
        let verdict = change(Some((Capturing, 3)), (Frozen, 3), stale).apply(Some(now), 1);
        let refused = UnitVerdict::Refused { state: now, noted: false };
        assert_eq!(verdict, refused);
        assert_eq!(verdict.to_store(), None);
    }
    let again = change(Some((Open, 3)), (Capturing, 3), pair(2, 5)).apply(Some(now), 1);
    assert_eq!(again, UnitVerdict::Again(now));
    assert_eq!(again.to_store(), None);
    for newer in [pair(2, 6), pair(3, 0)] {
        let verdict = change(Some((Capturing, 3)), (Frozen, 3), newer).apply(Some(now), 1);
        assert!(matches!(verdict, UnitVerdict::Set(_)));
    }
}

#[test]
fn a_refused_command_stays_refused_and_makes_older_ones_stale() {
    for current in [None, Some(state(Open, 3))] {
        let wrong = change(Some((Importing, 3)), (Capturing, 3), pair(2, 5));
        let refused = wrong.apply(current, 1);
        let noted = refused.to_store();
        refused.answer().expect_err("wrong state");
        let again = wrong.apply(noted, 1);
        assert_eq!(again.to_store(), None);
        assert_eq!(again.answer(), refused.answer());
        let older = change(current.map(|_| (Open, 3)), (Importing, 3), pair(2, 4));
        assert_eq!(older.apply(noted, 1).to_store(), None);
    }
    // What was noted of a unit that was never here counts as "never here".
    let noted = change(Some((Open, 1)), (Capturing, 1), pair(1, 1)).apply(None, 1).to_store();
    let import = change(None, (Importing, 1), pair(1, 2)).apply(noted, 1);
    assert!(matches!(import, UnitVerdict::Set(_)));
}

#[test]
fn a_capture_that_a_restart_forgot_cannot_be_frozen() {
    let step = |current: UnitState, to, step, incarnation| {
        let from = Some((current.phase, current.epoch.0));
        let change = change(from, (to, 3), pair(1, step));
        change.apply(Some(current), incarnation).answer()
    };
    let capturing = step(state(Open, 3), Capturing, 2, 5).expect("captures");
    assert_eq!(capturing.incarnation, 5);
    let frozen = step(capturing, Frozen, 3, 5).expect("freezes");
    assert_eq!(frozen.incarnation, 5);
    // Thawing and taking over after a restart keep the tag, so the next freeze still notices.
    let thawed = step(frozen, Capturing, 4, 6).expect("thaws");
    let taken = step(thawed, Capturing, 5, 6).expect("is taken over");
    assert_eq!((thawed.incarnation, taken.incarnation), (5, 5));
    step(taken, Frozen, 6, 6).expect_err("the capture is lost");
    let opened = step(taken, Open, 7, 6).expect("opens");
    let capturing = step(opened, Capturing, 8, 6).expect("captures anew");
    step(capturing, Frozen, 9, 6).expect("freezes");
}

#[test]
fn only_open_and_capturing_units_serve_and_only_at_their_epoch() {
    for phase in PHASES {
        let serves = |unit, epoch| state(phase, 3).serves(UnitAt { unit, epoch: Epoch(epoch) });
        assert_eq!(serves(UNIT, 3), matches!(phase, Open | Capturing));
        assert!(!serves(UNIT, 2) && !serves(UNIT, 4) && !serves(UnitId(8), 3));
    }
}

#[test]
fn an_import_that_is_taken_over_begins_anew() {
    let importing = UnitState { incarnation: 5, ..state(Importing, 3) };
    let again = change(Some((Importing, 3)), (Importing, 3), pair(2, 1)).apply(Some(importing), 6);
    assert_eq!(again.answer().map(|state| state.incarnation), Ok(6));
}

#[test]
fn a_command_inside_a_state_needs_the_state_its_epoch_its_start_and_its_turn() {
    let at = UnitAt { unit: UNIT, epoch: Epoch(3) };
    let now = UnitState { pair: pair(2, 5), ..state(Importing, 3) };
    let run = |current, at, new, tagged| admit(current, at, &[Importing], new, tagged);
    let ran = UnitState { pair: pair(2, 6), ..now };
    assert_eq!(run(Some(now), at, pair(2, 6), Some(1)), Ok(ran));
    // The same again is harmless.
    assert_eq!(run(Some(now), at, pair(2, 5), Some(1)), Ok(now));
    assert_eq!(run(None, at, pair(2, 6), None), Err((ShardError::Unexpected(None), None)));
    let stale = Err((ShardError::Unexpected(Some(now)), None));
    assert_eq!(run(Some(now), at, pair(2, 4), Some(1)), stale);
    assert_eq!(run(Some(now), at, pair(1, 9), None), stale);
    // Refused ones leave their pair behind.
    let other_epoch = UnitAt { unit: UNIT, epoch: Epoch(4) };
    let refused = Err((ShardError::Unexpected(Some(ran)), Some(ran)));
    assert_eq!(run(Some(now), other_epoch, pair(2, 6), None), refused);
    assert_eq!(run(Some(now), at, pair(2, 6), Some(2)), Err((ShardError::Restarted, Some(ran))));
    let open = UnitState { phase: Open, ..now };
    let noted = UnitState { phase: Open, ..ran };
    let refused = Err((ShardError::Unexpected(Some(noted)), Some(noted)));
    assert_eq!(run(Some(open), at, pair(2, 6), None), refused);
}

#[test]
fn a_child_is_born_by_its_first_rows_and_closed_when_it_gives_all_back() {
    let of = |known, away| {
        let row = relabelled(known, UNIT, away, pair(9, 9), 1);
        row.map(|row| (row.phase, row.epoch.0))
    };
    assert_eq!(of(None, true), Some((Importing, 1)));
    assert_eq!(of(Some(state(Moved, 1)), true), Some((Importing, 1)));
    assert_eq!(of(Some(state(Open, 1)), true), None);
    assert_eq!(of(Some(state(Importing, 1)), true), None);
    assert_eq!(of(Some(state(Importing, 1)), false), Some((Moved, 1)));
    assert_eq!(of(Some(state(Open, 4)), false), None);
    assert_eq!(of(None, false), None);
}
