//! Breadth first over every schedule: each state is checked, and so is that every quiet run ends well.

use super::{Fault, configs::Config, tables::Tables, world::World};
use rustc_hash::FxHashMap;
use std::{collections::VecDeque, hash::Hasher};
use xxhash_rust::xxh3::xxh3_128;

/// More states than any configuration has.
const STATES_MAX: usize = 8_000_000;

pub(super) struct Outcome {
    /// What does not hold, with the schedule that shows it.
    pub(super) broken: Option<String>,
    pub(super) states: usize,
}

/// Collects what is hashed.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// 128 bits: that two states of one search agree by chance would need luck of one in 2^80 or so.
fn fingerprint(world: &World<'_>) -> u128 {
    let mut bytes = Bytes::default();
    world.hash_into(&mut bytes);
    xxh3_128(&bytes.0)
}

pub(super) fn search(config: &'static Config, fault: Option<Fault>) -> Outcome {
    let tables = Tables::new(config);
    let first = World::new(&tables, fault);
    let mut ids = FxHashMap::default();
    ids.insert(fingerprint(&first), 0_u32);
    let mut parents = vec![(0_u32, ("start", 0))];
    let mut todo = VecDeque::from([first]);
    let mut quiet: Vec<Vec<u32>> = Vec::new();
    let broken = |why: String, parents: &[(u32, (&str, usize))], at: usize, last: &str| Outcome {
        broken: Some(format!("{why}\n{}{last}", trace(parents, at))),
        states: parents.len(),
    };
    while let Some(world) = todo.pop_front() {
        let at = quiet.len();
        let mut followers = Vec::new();
        for step in world.steps() {
            let new = u32::try_from(parents.len()).unwrap();
            let next = *ids.entry(fingerprint(&step.world)).or_insert(new);
            if let Err(why) = world.check_step(&step.world).and_then(|()| step.world.check()) {
                return broken(why, &parents, at, &format!("{:?}", step.label));
            }
            if next == new {
                parents.push((u32::try_from(at).unwrap(), step.label));
                todo.push_back(step.world);
            }
            if step.quiet {
                followers.push(next);
            }
        }
        if followers.is_empty()
            && let Err(why) = world.good()
        {
            return broken(why, &parents, at, "");
        }
        quiet.push(followers);
        assert!(quiet.len() < STATES_MAX, "{}: too many states", config.name);
    }
    if let Some(at) = cycle(&quiet) {
        return broken("livelock: reactions never end".to_owned(), &parents, at, "");
    }
    Outcome { broken: None, states: parents.len() }
}

/// A state on or before a cycle of quiet steps.
fn cycle(quiet: &[Vec<u32>]) -> Option<usize> {
    let mut incoming = vec![0_u32; quiet.len()];
    for next in quiet.iter().flatten() {
        incoming[*next as usize] += 1;
    }
    let mut todo: Vec<usize> = (0..quiet.len()).filter(|at| incoming[*at] == 0).collect();
    let mut seen = 0;
    while let Some(at) = todo.pop() {
        seen += 1;
        for next in &quiet[at] {
            let next = *next as usize;
            incoming[next] -= 1;
            if incoming[next] == 0 {
                todo.push(next);
            }
        }
    }
    (seen < quiet.len()).then(|| incoming.iter().position(|left| *left > 0))?
}

fn trace(parents: &[(u32, (&str, usize))], mut at: usize) -> String {
    let mut labels = Vec::new();
    while at > 0 {
        let (before, label) = parents[at];
        labels.push(format!("{} {}\n", label.0, label.1));
        at = before as usize;
    }
    labels.reverse();
    labels.concat()
}
