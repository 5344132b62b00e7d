//! What operators see of the connections to a shard or the directory: how many are in use, and whether its circuit is open.

use deadpool_postgres::Status;
use metrics::Gauge;

/// Set by the keeper at every look; zero when it is closed.
pub(crate) struct Gauges {
    in_use: Gauge,
    idle: Gauge,
    waiting: Gauge,
    max: Gauge,
    open: Gauge,
}

impl Gauges {
    /// `shard`: its number, or `directory`.
    pub(crate) fn new(shard: String) -> Self {
        Self {
            in_use: metrics::gauge!("pool_connections_in_use", "shard" => shard.clone()),
            idle: metrics::gauge!("pool_connections_idle", "shard" => shard.clone()),
            waiting: metrics::gauge!("pool_requests_waiting", "shard" => shard.clone()),
            max: metrics::gauge!("pool_connections_max", "shard" => shard.clone()),
            open: metrics::gauge!("circuit_open", "shard" => shard),
        }
    }

    /// `is_open`: nothing is asked of the database but by its keeper.
    pub(crate) fn set(&self, pool: Status, is_open: bool) {
        self.in_use.set(pool.size.saturating_sub(pool.available) as f64);
        self.idle.set(pool.available as f64);
        self.waiting.set(pool.waiting as f64);
        self.max.set(pool.max_size as f64);
        self.open.set(if is_open { 1.0 } else { 0.0 });
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        for gauge in [&self.in_use, &self.idle, &self.waiting, &self.max, &self.open] {
            gauge.set(0.0);
        }
    }
}
