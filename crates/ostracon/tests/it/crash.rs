//! Acked is durable: a server is killed -9 in the middle of mixed load, again and again, and everything that was
//! acked is there after each restart, once and in order.
//!
//! `OSTRACON_CRASH_ROUNDS` and `OSTRACON_CRASH_SEED` make it longer or other.

pub(crate) mod check;
pub(crate) mod ledger;
pub(crate) mod people;
pub(crate) mod random;
pub(crate) mod worker;

use std::time::Instant;

use ledger::Ledger;
use people::People;
use random::Dice;

use crate::support::{Data, Server, runtime};

const ROUNDS: u64 = 30;
/// Rounds between two checks of everything stored.
const ROUNDS_PER_VERIFY: u64 = 5;
/// Acked commands of a round before the kill, at most.
const ACKS_MAX: u64 = 250;

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn acked_is_durable_however_often_it_is_killed() {
    let rounds = setting("OSTRACON_CRASH_ROUNDS", ROUNDS);
    let seed = setting("OSTRACON_CRASH_SEED", 1);
    let begun = Instant::now();
    let data = Data::new();
    let dir = data.text("data");
    let runtime = runtime();

    let mut server = Server::start_with(&dir, "127.0.0.1:0", &["--no-rate-limits"]);
    let people = runtime.block_on(People::meet(&server));
    let mut ledger = Ledger::new(&people);
    let mut acked = 0;
    for round in 0..rounds {
        let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(round));
        let kill_after = 1 + dice.below(ACKS_MAX);
        let load = worker::load(&server, &people, &mut ledger, &mut dice, kill_after);
        acked += runtime.block_on(load);
        server.kill();
        if dice.below(3) == 0 {
            // Killed while it starts, too: at no moment in particular.
            Server::start_and_kill(&dir, dice.below(30_000));
        }
        server = Server::start_with(&dir, "127.0.0.1:0", &["--no-rate-limits"]);
        let check = check::all(&server, &people, &mut ledger, &mut dice);
        runtime
            .block_on(check)
            .unwrap_or_else(|wrong| panic!("seed {seed}, round {round}: {wrong}"));
        if (round + 1) % ROUNDS_PER_VERIFY == 0 || round + 1 == rounds {
            server.verify();
        }
    }
    assert!(server.stop().success());
    println!("{rounds} kills, {acked} acked commands, {:.1?}", begun.elapsed());
    assert!(acked > rounds * 10, "only {acked} commands were acked");
}
