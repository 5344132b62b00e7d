//! How fast a sender sends: as fast as answers come, or on a beat that does not wait for them.

use std::time::{Duration, Instant};

/// The beat of one sender.
#[derive(Debug)]
pub(crate) struct Pace {
    beat: Option<Duration>,
    next: Instant,
}

impl Pace {
    /// One of `senders` that send `rate` commands a second together, from now on; `None`: as fast as answers come.
    /// Their beats are spread: `index` is which of them it is.
    pub(crate) fn of(rate: Option<f64>, senders: usize, index: usize) -> Self {
        let beat = rate.map(|rate| Duration::from_secs_f64(senders as f64 / rate));
        let share = index as f64 / senders.max(1) as f64;
        Self { beat, next: Instant::now() + beat.unwrap_or_default().mul_f64(share) }
    }

    /// The moment that a command was due, if one is; the next one is due a beat later. A span that begins with it
    /// includes the time that the sender was late: who waits for a server waits from when he wanted to speak.
    pub(crate) fn take(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let Some(beat) = self.beat else { return Some(now) };
        let due = self.next;
        (due <= now).then(|| {
            self.next = due + beat;
            due
        })
    }

    /// How long until the next command is due; `None` when answers set the pace.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.beat.map(|_| self.next.saturating_duration_since(Instant::now()))
    }
}
