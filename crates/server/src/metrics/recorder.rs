//! Everything that is counted gets the prefix of this program here and nowhere else. Two things are also kept for
//! ourselves: how long commits take, and how many commands were refused.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{names::PREFIX, window::Window};

/// The process's own: several servers in one process (tests) count together.
pub(super) static COMMITS: Window = Window::new();
pub(super) static REFUSED: AtomicU64 = AtomicU64::new(0);

pub(super) struct Prefixed(pub(super) PrometheusRecorder);

/// A histogram that also fills the window.
struct Commits(Histogram);

impl HistogramFn for Commits {
    fn record(&self, value: f64) {
        self.0.record(value);
        COMMITS.record(value);
    }
}

/// A counter that also counts for ourselves.
struct Refused(Counter);

impl CounterFn for Refused {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        REFUSED.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
    }
}

fn prefixed(name: &str) -> String {
    if name.starts_with(PREFIX) { name.to_owned() } else { format!("{PREFIX}{name}") }
}

fn key(key: &Key) -> Key {
    let (name, labels) = key.clone().into_parts();
    Key::from_parts(prefixed(name.as_str()), labels)
}

impl Recorder for Prefixed {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, about: SharedString) {
        self.0.describe_counter(prefixed(name.as_str()).into(), unit, about);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, about: SharedString) {
        self.0.describe_gauge(prefixed(name.as_str()).into(), unit, about);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, about: SharedString) {
        self.0.describe_histogram(prefixed(name.as_str()).into(), unit, about);
    }

    fn register_counter(&self, of: &Key, metadata: &Metadata<'_>) -> Counter {
        let counter = self.0.register_counter(&key(of), metadata);
        if of.name() == "commands_refused_busy_total" {
            return Counter::from_arc(Arc::new(Refused(counter)));
        }
        counter
    }

    fn register_gauge(&self, of: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.0.register_gauge(&key(of), metadata)
    }

    fn register_histogram(&self, of: &Key, metadata: &Metadata<'_>) -> Histogram {
        let histogram = self.0.register_histogram(&key(of), metadata);
        if of.name() == "commit_seconds" {
            return Histogram::from_arc(Arc::new(Commits(histogram)));
        }
        histogram
    }
}
