//! `ostracon-sim [--seed N] [--moves N] [--each N] [--calm]`: worlds from seeds until so many moves are over.

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use ostracon_sim::{Report, Setup, Weather, run};

struct Arguments {
    seed: u64,
    moves: u64,
    each: u64,
    weather: Weather,
}

fn arguments() -> Result<Arguments> {
    let mut known = Arguments { seed: 1, moves: 0, each: 200, weather: Weather::storm() };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        if name == "--calm" {
            known.weather = Weather::calm();
            continue;
        }
        let value = given.next().with_context(|| format!("{name} needs a number"))?;
        let value: u64 = value.parse().with_context(|| format!("{name} {value}"))?;
        match name.as_str() {
            "--seed" => known.seed = value,
            "--moves" => known.moves = value,
            "--each" => known.each = value.max(1),
            _ => bail!("unknown: {name}; there are --seed, --moves, --each, --calm"),
        }
    }
    Ok(known)
}

fn main() -> Result<ExitCode> {
    let Arguments { seed, moves, each, weather } = arguments()?;
    let began = Instant::now();
    let mut sum = Report::default();
    let mut worlds = 0;
    loop {
        let setup = Setup { seed: seed + worlds, moves: each, weather };
        match run(setup) {
            Ok(report) => sum.add(&report),
            Err(failure) => {
                writeln!(stderr(), "{failure}")?;
                writeln!(stderr(), "again: --seed {} --each {each}", failure.seed)?;
                return Ok(ExitCode::FAILURE);
            }
        }
        worlds += 1;
        if sum.tally.done + sum.tally.aborted >= moves {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let all = sum.tally.done + sum.tally.aborted;
    let mut out = stdout().lock();
    writeln!(
        out,
        "{worlds} worlds, {all} moves in {seconds:.1} s, {:.0} a second",
        all as f64 / seconds
    )?;
    writeln!(
        out,
        "done {} (relabelled {}), given up {}, freezes {}",
        sum.tally.done, sum.tally.relabelled, sum.tally.aborted, sum.tally.freezes
    )?;
    writeln!(out, "jobs {:?}", sum.tally.jobs)?;
    writeln!(out, "given up because {:#?}", sum.tally.reasons)?;
    writeln!(out, "{:?}", sum.counts)?;
    writeln!(
        out,
        "lost 0, doubled 0, refused 0; parked {}, longest wait {:?}; virtual time {:?}",
        sum.parked, sum.longest, sum.time
    )?;
    writeln!(out, "{} events, hash {:016x}", sum.journal.0, sum.journal.1)?;
    for ((step, fault), count) in &sum.faults {
        writeln!(out, "{count:>8} {fault:?} at {step}")?;
    }
    Ok(ExitCode::SUCCESS)
}
