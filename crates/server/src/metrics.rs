//! Numbers for operators, as Prometheus text. The recorder is the process's: several servers in one process (tests)
//! count together.

mod names;
mod recorder;
mod window;

pub use names::{Kind, METRICS, Metric, PREFIX};

use std::{sync::OnceLock, time::Duration};

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{app::App, process, respond::typed};
use recorder::{COMMITS, Prefixed, REFUSED};

/// Seconds: from a tenth of a millisecond to ten seconds.
const SECONDS: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];
/// Bytes in one go.
const BYTES: &[f64] =
    &[64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];
/// Things in one go: commands of a batch, frames of a write.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// The facade of the libraries is global, so what it records to is as well.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// What is counted at every call, looked up once.
pub(crate) struct Metrics {
    handle: Option<PrometheusHandle>,
    seconds: Histogram,
    refused: Counter,
    failed: Counter,
}

impl Metrics {
    pub(crate) fn install() -> Self {
        let handle = RECORDER.get_or_init(install).clone();
        describe();
        Self {
            handle,
            seconds: metrics::histogram!("http_call_seconds"),
            refused: metrics::counter!("http_refused_total"),
            failed: metrics::counter!("http_failed_total"),
        }
    }

    pub(crate) fn called(&self, status: StatusCode, took: Duration) {
        self.seconds.record(took.as_secs_f64());
        if status.is_client_error() {
            self.refused.increment(1);
        } else if status.is_server_error() {
            self.failed.increment(1);
        }
    }

    /// Folds what histograms have gathered; to be called every few seconds.
    pub(crate) fn upkeep(&self) {
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
        }
    }

    /// Everything as Prometheus text.
    pub(crate) fn render(&self, app: &App) -> Response {
        let usage = process::usage();
        metrics::gauge!("websockets").set(app.engine.connection_count() as f64);
        let open = app.open_sockets.load(std::sync::atomic::Ordering::Relaxed);
        metrics::gauge!("open_sockets").set(open as f64);
        metrics::gauge!("pending_bytes").set(app.backends.pending_bytes() as f64);
        metrics::gauge!("process_resident_memory_bytes").set(usage.resident_bytes as f64);
        metrics::gauge!("process_cpu_seconds_total").set(usage.cpu_seconds);
        let text = self.handle.as_ref().map(PrometheusHandle::render);
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        typed(StatusCode::OK, kind, text.unwrap_or_default())
    }
}

/// How long commits of clients take at present, 99th percentile; none when there are too few.
pub(crate) fn commit_p99() -> Option<Duration> {
    COMMITS.p99()
}

/// Commands refused since the process began because too much waited.
pub(crate) fn refused_commands() -> u64 {
    REFUSED.load(std::sync::atomic::Ordering::Relaxed)
}

/// Says what each metric is. Those without a label are there from the start, so that an alert on them is never without data.
fn describe() {
    for metric in METRICS {
        let Metric { name, kind, about, label } = *metric;
        // Two are told apart by their names without the prefix.
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        match kind {
            Kind::Counter => metrics::describe_counter!(name, about),
            Kind::Gauge => metrics::describe_gauge!(name, about),
            Kind::Histogram => metrics::describe_histogram!(name, about),
        }
        match kind {
            Kind::Counter if label.is_empty() => metrics::counter!(name).increment(0),
            Kind::Gauge if label.is_empty() => metrics::gauge!(name).increment(0.0),
            _ => {}
        }
    }
}

/// None when the process has another recorder already.
fn install() -> Option<PrometheusHandle> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, SECONDS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)
        })
        .and_then(|builder| builder.set_buckets(COUNTS));
    let recorder = builder.ok()?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(Prefixed(recorder)).ok()?;
    Some(handle)
}
