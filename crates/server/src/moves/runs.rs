//! When jobs began that this process knows of, and what clients were refused meanwhile. Gone with the process.

use std::collections::BTreeMap;

use ostracon_domain::Millis;
use parking_lot::Mutex;

use crate::metrics;

/// Jobs remembered; the oldest go.
const RUNS_MAX: usize = 1_000;

/// Safe from any task; locked for a few instructions only.
#[derive(Default)]
pub(crate) struct Runs(Mutex<BTreeMap<u64, Run>>);

#[derive(Debug, Clone, Copy)]
struct Run {
    began: Millis,
    /// Commands refused before it began.
    before: u64,
    /// Commands refused while it ran, once it is over.
    refused: Option<u64>,
    told: bool,
}

impl Runs {
    /// A job begins; of one that is known only the end is forgotten.
    pub(crate) fn begins(&self, job: u64, now: Millis) {
        let mut runs = self.0.lock();
        let before = metrics::refused_commands();
        let run = runs.entry(job).or_insert(Run { began: now, before, refused: None, told: false });
        (run.refused, run.told) = (None, false);
        while runs.len() > RUNS_MAX {
            runs.pop_first();
        }
    }

    /// A job is over; whether this is news of a job that ran here.
    pub(super) fn ends(&self, job: u64) -> bool {
        let mut runs = self.0.lock();
        let Some(run) = runs.get_mut(&job) else { return false };
        let refused = metrics::refused_commands().saturating_sub(run.before);
        run.refused.get_or_insert(refused);
        !std::mem::replace(&mut run.told, true)
    }

    pub(super) fn is_known(&self, job: u64) -> bool {
        self.0.lock().contains_key(&job)
    }

    /// When it began, and how many commands were refused since.
    pub(super) fn of(&self, job: u64) -> Option<(Millis, u64)> {
        let run = *self.0.lock().get(&job)?;
        let now = metrics::refused_commands().saturating_sub(run.before);
        Some((run.began, run.refused.unwrap_or(now)))
    }
}
