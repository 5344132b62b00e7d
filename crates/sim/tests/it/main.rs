//! Thousands of moves under every fault, and the promise that a seed replays exactly.

use ostracon_sim::{Fault, Report, Setup, Weather, run};

/// Moves of all the worlds of [`chaos`] together, at least.
const MOVES: u64 = 2_000;
const EACH: u64 = 50;

fn worlds(first: u64, moves: u64) -> Report {
    let mut sum = Report::default();
    for seed in first.. {
        let setup = Setup { seed, moves: EACH, weather: Weather::storm() };
        match run(setup) {
            Ok(report) => sum.add(&report),
            Err(failure) => panic!("{failure}"),
        }
        if sum.tally.done + sum.tally.aborted >= moves {
            break;
        }
    }
    sum
}

#[test]
fn chaos() {
    let sum = worlds(1, MOVES);
    let count = |fault| -> u64 {
        sum.faults.iter().filter(|((_, of), _)| *of == fault).map(|(_, count)| count).sum()
    };
    // A world in which little goes wrong proves little.
    for fault in [Fault::Crash, Fault::Stall, Fault::Late, Fault::Repeat, Fault::Lost] {
        assert!(count(fault) > MOVES / 20, "{fault:?}: {}", count(fault));
    }
    assert!(sum.tally.done > MOVES / 2 && sum.tally.relabelled > MOVES / 40, "{:?}", sum.tally);
    assert!(sum.tally.aborted > 0 && sum.parked > MOVES, "{:?}", sum.tally);
}

#[test]
fn a_seed_replays_exactly() {
    let setup = Setup { seed: 4_711, moves: EACH, weather: Weather::storm() };
    let [first, second] = [run(setup), run(setup)].map(|ended| match ended {
        Ok(report) => report,
        Err(failure) => panic!("{failure}"),
    });
    assert_eq!(first, second);
    let other = run(Setup { seed: 4_712, ..setup }).map(|report| report.journal);
    assert_ne!(other.ok(), Some(first.journal));
}

#[test]
fn without_faults_nobody_waits() {
    let setup = Setup { seed: 1, moves: EACH, weather: Weather::calm() };
    match run(setup) {
        Ok(report) => {
            assert!(report.longest.as_millis() < 1_500, "{:?}", report.longest);
            assert_eq!(report.counts.unknown, 0);
        }
        Err(failure) => panic!("{failure}"),
    }
}
