//! The search: breadth first, so that the first trace found is a shortest one. It keeps the
//! states of the frontier and only fingerprints of the rest; a trace is found by walking it again.

use std::collections::VecDeque;

use crate::{
    fingerprint::{Fingerprint, FingerprintMap},
    invariants::Violation,
    model::{Model, Successors},
    state::State,
};

/// States that a configuration may have. Beyond it the search ends as [`Violation::Unbounded`].
pub const STATES_MAX: usize = 3_000_000;

/// What a search found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// States seen, the last one included.
    pub states: usize,
    /// The first broken rule and how to get there; `None` if the protocol holds.
    pub refutation: Option<Refutation>,
}

/// A broken rule with a shortest way to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refutation {
    /// The rule.
    pub violation: Violation,
    /// The steps, first to last.
    pub trace: Vec<String>,
}

/// Searches every reachable state: the invariants of each, the rules of each step, and that from
/// each a clean end stays reachable.
pub fn search(model: &Model) -> Outcome {
    let first = model.first();
    let mut known = FingerprintMap::default();
    known.insert(Fingerprint::of(&first), 0);
    let mut walk = Walk { came: vec![Came { from: 0, choice: 0 }] };
    let mut clean = Vec::new();
    let mut edges = Vec::new();
    let mut frontier = VecDeque::from([first]);
    let mut number: u32 = 0;
    let mut successors = Successors::unlabelled();
    while let Some(state) = frontier.pop_front() {
        let found = |violation, walk: &Walk| Outcome {
            states: walk.came.len(),
            refutation: Some(Refutation { violation, trace: walk.trace(model, number) }),
        };
        if let Err(violation) = model.check(&state) {
            return found(violation, &walk);
        }
        clean.push(model.is_clean_end(&state));
        let broken = model.successors(&state, &mut successors).err();
        for (choice, next) in (0..).zip(successors.drain()) {
            let new = u32::try_from(walk.came.len()).unwrap_or(u32::MAX);
            let to = *known.entry(Fingerprint::of(&next)).or_insert(new);
            if to == new {
                walk.came.push(Came { from: number, choice });
                frontier.push_back(next);
            }
            edges.push((number, to));
        }
        if let Some(violation) = broken {
            let mut outcome = found(violation, &walk);
            if let Some(refutation) = &mut outcome.refutation {
                refutation.trace.push(violation.to_string());
            }
            return outcome;
        }
        if walk.came.len() > STATES_MAX {
            return found(Violation::Unbounded, &walk);
        }
        number += 1;
    }
    let refutation = stuck(&clean, &edges)
        .map(|number| Refutation { violation: Violation::Stuck, trace: walk.trace(model, number) });
    Outcome { states: clean.len(), refutation }
}

/// How a state was first reached: from which one, by which of its successors.
struct Came {
    from: u32,
    choice: u16,
}

struct Walk {
    came: Vec<Came>,
}

impl Walk {
    /// Walks to a state again, this time with labels.
    fn trace(&self, model: &Model, mut number: u32) -> Vec<String> {
        let mut choices = Vec::new();
        while number > 0 {
            let came = &self.came[number as usize];
            choices.push(came.choice);
            number = came.from;
        }
        let mut state: State = model.first();
        let mut labels = Vec::new();
        for choice in choices.into_iter().rev() {
            let mut successors = Successors::labelled();
            // A step that breaks a rule comes after the ones that were taken before it.
            let _broken = model.successors(&state, &mut successors);
            let (label, next) = successors.take(usize::from(choice));
            labels.push(label);
            state = next;
        }
        labels
    }
}

/// The first state from which no clean end can be reached.
fn stuck(clean: &[bool], edges: &[(u32, u32)]) -> Option<u32> {
    // Edges by their end: `starts[n]..starts[n + 1]` are the places of those that lead to `n`.
    let mut starts = vec![0u32; clean.len() + 2];
    for (_, to) in edges {
        starts[*to as usize + 2] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut sources = vec![0u32; edges.len()];
    for (from, to) in edges {
        let place = &mut starts[*to as usize + 1];
        sources[*place as usize] = *from;
        *place += 1;
    }
    let mut reaches = clean.to_vec();
    let mut open: Vec<usize> = (0..clean.len()).filter(|at| clean[*at]).collect();
    while let Some(at) = open.pop() {
        for from in &sources[starts[at] as usize..starts[at + 1] as usize] {
            let from = *from as usize;
            if !reaches[from] {
                reaches[from] = true;
                open.push(from);
            }
        }
    }
    let stuck = reaches.iter().position(|reaches| !reaches)?;
    u32::try_from(stuck).ok()
}
