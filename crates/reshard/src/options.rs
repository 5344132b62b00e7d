//! Every bound of a move, with its unit and what happens beyond it.

use std::time::Duration;

/// Bounds of the coordinator. A server has the default, changed by its configuration; tests make them small.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// From the freeze to the opening elsewhere; beyond it the unit thaws and the freeze is tried again later.
    pub freeze_budget: Duration,
    /// Freezes of one attempt that may fail; then the move is given up.
    pub freezes_max: u32,
    /// Pause after a freeze that failed; doubles each time, up to `freeze_pause_max`.
    pub freeze_pause: Duration,
    /// The longest pause after a freeze that failed: a shard that is busy now is asked again in a calmer moment.
    pub freeze_pause_max: Duration,
    /// Notes left over below which a freeze is tried.
    pub backlog_small: usize,
    /// Rounds of catching up after which a freeze is tried whatever the backlog is.
    pub rounds_max: u32,
    /// Rows of a page, about.
    pub page_rows: u32,
    /// Subjects that are caught up or compared at once.
    pub subjects_at_once: usize,
    /// Rows copied in a second by all moves together, while nothing else suffers.
    pub rows_per_s: u64,
    /// Moves at once.
    pub moves_max: usize,
    /// Pause before a step is repeated that a shard or the directory did not answer.
    pub retry: Duration,
    /// How often the coordinator looks for work, renews its right and notes progress.
    pub tick: Duration,
    /// How long the right to coordinate lasts without renewal, milliseconds.
    pub lease_ms: u32,
    /// Rows removed in one page of a purge.
    pub purge_rows: u32,
    /// Leftovers are not purged before the new owner has served this long, milliseconds.
    pub purge_after_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            freeze_budget: Duration::from_millis(250),
            freezes_max: 30,
            freeze_pause: Duration::from_millis(50),
            freeze_pause_max: Duration::from_secs(30),
            backlog_small: 64,
            rounds_max: 20,
            page_rows: 2_000,
            subjects_at_once: 200,
            rows_per_s: 200_000,
            moves_max: 4,
            retry: Duration::from_millis(50),
            tick: Duration::from_millis(100),
            lease_ms: 2_000,
            purge_rows: 2_000,
            purge_after_ms: 0,
        }
    }
}
