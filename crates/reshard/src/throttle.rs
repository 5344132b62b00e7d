//! The pace of copies: a budget of rows a second, shared by all moves, that falls while clients wait longer than usual.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::host::Host;

/// The share of the budget that is always there: a move must come to an end.
const FLOOR: f64 = 0.05;
/// How often the pace is looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// A foreground latency up to this is nobody's trouble.
const CALM: Duration = Duration::from_millis(5);

/// Safe from any task; its lock is never held over an await.
pub(crate) struct Throttle {
    rows_per_s: f64,
    state: Mutex<State>,
}

struct State {
    /// Share of the budget that may be used now.
    share: f64,
    /// The usual latency: follows slowly.
    usual: Option<f64>,
    looked: Instant,
    /// When all that was taken is paid for.
    free_at: Instant,
}

impl Throttle {
    pub(crate) fn new(rows_per_s: u64) -> Self {
        let now = Instant::now();
        let state = State { share: 1.0, usual: None, looked: now, free_at: now };
        Self { rows_per_s: rows_per_s.max(1) as f64, state: Mutex::new(state) }
    }

    /// Waits until so many rows more may be copied.
    pub(crate) async fn take(&self, host: &dyn Host, rows: usize) {
        let wait = {
            let now = Instant::now();
            let mut state = self.state.lock();
            if now.duration_since(state.looked) >= PERIOD {
                state.looked = now;
                state.look(host.foreground_p99());
            }
            let cost = rows as f64 / (self.rows_per_s * state.share);
            let until = state.free_at.max(now);
            state.free_at = until + Duration::from_secs_f64(cost);
            // Whole milliseconds: a timer has no finer ones, and what is left over is paid the next time.
            Duration::from_millis(u64::try_from((until - now).as_millis()).unwrap_or(u64::MAX))
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl State {
    fn look(&mut self, p99: Option<Duration>) {
        let Some(p99) = p99 else {
            self.share = 1.0;
            return;
        };
        let now = p99.as_secs_f64();
        let usual = *self.usual.get_or_insert(now);
        // It follows improvements at once and troubles slowly, so that a move does not become the usual.
        self.usual = Some(if now < usual { now } else { usual * 0.995 + now * 0.005 });
        let troubled = p99 > CALM && now > usual * 1.5;
        self.share = if troubled { self.share * 0.7 } else { self.share * 1.1 }.clamp(FLOOR, 1.0);
    }
}
