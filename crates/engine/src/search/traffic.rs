//! How much is committed at a node, and how long indexers rest for it. Knows nothing of indexes.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{INDEX_HEAVY_COMMANDS, INDEX_IDLE_AFTER};

/// Commands are counted over so long.
const WINDOW: Duration = Duration::from_secs(1);

/// What was committed lately.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    last: Option<Instant>,
    window: Option<Instant>,
    commands: usize,
    /// Whether the last window that ended was full.
    is_heavy: bool,
}

impl Traffic {
    /// So many commands were committed.
    pub(super) fn note(&mut self, now: Instant, commands: usize) {
        let window = *self.window.get_or_insert(now);
        if now - window >= WINDOW {
            self.is_heavy = self.commands >= INDEX_HEAVY_COMMANDS;
            (self.window, self.commands) = (Some(now), 0);
        }
        self.last = Some(now);
        self.commands += commands;
    }

    /// How long is rested after so much work; not at all while nobody else does anything.
    pub(super) fn rest(&self, now: Instant, worked: Duration) -> Duration {
        if self.last.is_none_or(|last| now - last >= INDEX_IDLE_AFTER) {
            Duration::ZERO
        } else if self.is_heavy {
            worked * 6
        } else {
            worked + worked / 4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexers_rest_as_long_as_there_is_traffic_and_longer_when_there_is_much() {
        let worked = Duration::from_millis(8);
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut traffic = Traffic::default();
        assert_eq!(traffic.rest(start, worked), Duration::ZERO);
        traffic.note(start, INDEX_HEAVY_COMMANDS);
        assert_eq!(traffic.rest(start, worked), Duration::from_millis(10));
        traffic.note(start + second, 1);
        assert_eq!(traffic.rest(start + second, worked), Duration::from_millis(48));
        traffic.note(start + second * 2, 1);
        assert_eq!(traffic.rest(start + second * 2, worked), Duration::from_millis(10));
        assert_eq!(traffic.rest(start + second * 3, worked), Duration::ZERO);
    }
}
