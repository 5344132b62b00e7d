//! What a run found out.

use hdrhistogram::Histogram;
use serde::Serialize;

/// A latency in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// Half are not slower.
    pub p50: f64,
    /// 99 % are not slower.
    pub p99: f64,
    /// 99.9 % are not slower.
    pub p999: f64,
    /// None is slower.
    pub max: f64,
}

impl Latency {
    /// From a histogram of microseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1_000.0;
        Self {
            p50: ms(histogram.value_at_quantile(0.5)),
            p99: ms(histogram.value_at_quantile(0.99)),
            p999: ms(histogram.value_at_quantile(0.999)),
            max: ms(histogram.max()),
        }
    }
}

/// A histogram of microseconds, up to ten minutes.
pub(crate) fn histogram() -> Histogram<u64> {
    // The bounds are constants that the library accepts; without a histogram there would be nothing to measure.
    Histogram::new_with_bounds(1, 600_000_000, 3).unwrap_or_else(|_| unreachable_histogram())
}

fn unreachable_histogram() -> Histogram<u64> {
    std::process::abort()
}

/// What a run found out. Figures that a workload does not have are zero.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The workload's name.
    pub workload: String,
    /// Seconds of load.
    pub seconds: f64,
    /// Operations that were answered: sends, pages, commands, devices.
    pub acked: u64,
    /// The same a second.
    pub acked_per_s: f64,
    /// Events that arrived at other connections, a second.
    pub delivered_per_s: f64,
    /// From the send to its answer.
    pub ack_ms: Latency,
    /// From the send to the event at another connection.
    pub delivery_ms: Latency,
    /// The server's CPU time for each operation, microseconds.
    pub server_cpu_us_per_message: f64,
    /// The server's CPU time for each delivery, microseconds.
    pub server_cpu_us_per_delivery: f64,
    /// The load tool's own CPU time for each operation, microseconds.
    pub client_cpu_us_per_message: f64,
    /// The server's resident memory at the end.
    pub server_rss_mib: f64,
    /// Operations a second in the last third of the run, as a share of the first third.
    pub last_third_ratio: f64,
    /// Messages that were answered but did not arrive.
    pub lost: u64,
    /// Messages that arrived twice.
    pub duplicated: u64,
    /// Messages that arrived out of order.
    pub reordered: u64,
    /// Operations that were refused.
    pub refused: u64,
    /// An fdatasync of 4 KiB on the data directory's disk, microseconds.
    pub fsync_us_p50: f64,
    /// Bytes that were not yet in the tables two seconds after the end.
    pub pending_bytes_after_2_s: u64,
    /// Figures that only this workload has.
    pub extra: std::collections::BTreeMap<String, f64>,
}

impl Report {
    /// Whether everything that was answered arrived once and in order, and nothing was refused.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0 && self.refused == 0
    }
}
