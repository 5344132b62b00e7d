//! Units move back to back between embedded and PostgreSQL shards while people talk, and server and database are killed:
//! everything that was acked is there, once and in order, wherever it lives by then.
//!
//! `OSTRACON_MOVES` and `OSTRACON_CRASH_SEED` make it longer or other.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use ostracon_store_postgres::testing::Server as Postgres;

use crate::{
    crash::{check, ledger::Ledger, people::People, random::Dice, setting, worker},
    support::{Data, Server, json, run, runtime},
};

/// Moves that must be done in all.
const MOVES: u64 = 60;
/// Acked commands of a round before the kill, at least; up to four times as many.
const ACKS: u64 = 500;
/// Rounds after which somebody looks, whatever the number of moves is.
const ROUNDS_MAX: u64 = 400;
const SHARDS: u64 = 4;
/// Slots that go along on each side: several moves of several units each.
const AROUND: u16 = 12;
const LAST_SLOT: u16 = 16_383;

/// Two shards in the data directory, two on a PostgreSQL server.
fn configuration(data: &Data, postgres: &Postgres) -> String {
    let url = postgres.url();
    let text = format!(
        "[[shards]]\nid = 0\nurl = \"embedded\"\n[[shards]]\nid = 1\nurl = \"embedded\"\n\
         [[shards]]\nid = 2\nurl = \"{url}\"\n[[shards]]\nid = 3\nurl = \"{url}\"\n"
    );
    let path = data.text("ostracon.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Moves one of these slots after the other, with those around it, to a shard by chance, until the server is gone.
fn move_about(dir: &str, slots: &[u16], mut dice: Dice, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let slot = slots[dice.below(slots.len() as u64) as usize];
        let slots = format!("{}..{}", slot.saturating_sub(AROUND), (slot + AROUND).min(LAST_SLOT));
        let to = dice.below(SHARDS).to_string();
        let arguments = [
            "shards",
            "move",
            "--slot",
            &slots,
            "--to",
            &to,
            "--wait",
            "--json",
            "--data-dir",
            dir,
        ];
        let output = run(&arguments);
        // The server may die at any moment; what it answers before must be true.
        if let Ok(report) = serde_json::from_slice::<serde_json::Value>(&output.stdout) {
            assert_eq!(report["refused"], 0, "{report}");
        }
    }
}

/// Notes how many moves of the newest jobs are done: a job goes on after a kill.
fn count(dir: &str, moves: &mut BTreeMap<u64, u64>) {
    let found = json(&["shards", "moves", "--json", "--data-dir", dir]);
    for job in found["jobs"].as_array().unwrap() {
        moves.insert(job["job_id"].as_u64().unwrap(), job["moves"].as_u64().unwrap());
    }
}

#[test]
fn acked_is_kept_while_units_move_and_everything_is_killed() {
    let wanted = setting("OSTRACON_MOVES", MOVES);
    let seed = setting("OSTRACON_CRASH_SEED", 1);
    let begun = Instant::now();
    let data = Data::new();
    let dir = data.text("data");
    let postgres = Postgres::start();
    let config = configuration(&data, &postgres);
    let more = ["--no-rate-limits", "--config", &config];
    let runtime = runtime();

    let mut server = Server::start_with(&dir, "127.0.0.1:0", &more);
    let people = runtime.block_on(People::meet(&server));
    let mut ledger = Ledger::new(&people);
    let mut slots: Vec<u16> = people.places.iter().map(|place| place.id.slot().get()).collect();
    slots.extend(people.people.iter().map(|person| person.id.slot().get()));
    let (mut acked, mut round) = (0, 0);
    let mut moves = BTreeMap::new();
    while moves.values().sum::<u64>() < wanted && round < ROUNDS_MAX {
        let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(round));
        let kill_after = ACKS + dice.below(ACKS * 3);
        let over = AtomicBool::new(false);
        let movers = dice.split();
        let load = worker::load(&server, &people, &mut ledger, &mut dice, kill_after);
        std::thread::scope(|scope| {
            scope.spawn(|| move_about(&dir, &slots, movers, &over));
            acked += runtime.block_on(load);
            over.store(true, Ordering::Relaxed);
        });
        server.kill();
        if round % 4 == 3 {
            postgres.tell("kill");
            postgres.tell("restart");
        }
        server = Server::start_with(&dir, "127.0.0.1:0", &more);
        let check = check::all(&server, &people, &mut ledger, &mut dice);
        runtime
            .block_on(check)
            .unwrap_or_else(|wrong| panic!("seed {seed}, round {round}: {wrong}"));
        count(&dir, &mut moves);
        round += 1;
    }
    settle(&dir);
    count(&dir, &mut moves);
    let moved: u64 = moves.values().sum();
    server.verify();
    let doctor = run(&["doctor", "--json", "--data-dir", &dir]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    assert!(server.stop().success());
    println!("{moved} moves, {round} kills, {acked} acked commands, {:.1?}", begun.elapsed());
    assert!(moved >= wanted, "only {moved} moves in {round} rounds");
}

/// Waits until no move is under way and nothing is left behind.
fn settle(dir: &str) {
    for _ in 0..600 {
        let status = json(&["shards", "status", "--json", "--data-dir", dir]);
        if status["garbage"] == 0 && status["moves"] == 0 {
            return;
        }
    }
    panic!("moves do not end: {}", json(&["shards", "status", "--json", "--data-dir", dir]));
}
