//! The newest commit latencies, for who wants to know how clients fare now. Lock-free; a reader may see a few samples
//! of before, which does no harm.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Samples kept; a power of two.
const SAMPLES: usize = 1_024;
/// Samples older than this do not count, milliseconds.
const RECENT_MS: u64 = 2_000;
/// Fewer say nothing.
const LEAST: usize = 20;

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A ring of samples. Each is its time in milliseconds since the process began (32 bits) and its length in microseconds.
pub(super) struct Window {
    samples: [AtomicU64; SAMPLES],
    next: AtomicUsize,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self { samples: [const { AtomicU64::new(0) }; SAMPLES], next: AtomicUsize::new(0) }
    }

    pub(super) fn record(&self, seconds: f64) {
        let micros = (seconds * 1e6).clamp(0.0, f64::from(u32::MAX)) as u64;
        self.put(now_ms(), micros);
    }

    fn put(&self, at_ms: u64, micros: u64) {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % SAMPLES;
        // Time 0 marks an empty place.
        let sample = (at_ms.max(1) << 32) | micros;
        if let Some(place) = self.samples.get(place) {
            place.store(sample, Ordering::Relaxed);
        }
    }

    /// The 99th percentile of what is recent; none when that is too little.
    pub(super) fn p99(&self) -> Option<Duration> {
        self.p99_at(now_ms())
    }

    fn p99_at(&self, now_ms: u64) -> Option<Duration> {
        let since = now_ms.saturating_sub(RECENT_MS);
        let samples = self.samples.iter().map(|sample| sample.load(Ordering::Relaxed));
        let mut recent: Vec<u32> = samples
            .filter(|sample| *sample > 0 && sample >> 32 >= since)
            .map(|sample| sample as u32)
            .collect();
        if recent.len() < LEAST {
            return None;
        }
        let rank = (recent.len() * 99 / 100).min(recent.len() - 1);
        let (_, p99, _) = recent.select_nth_unstable(rank);
        Some(Duration::from_micros(u64::from(*p99)))
    }
}

fn now_ms() -> u64 {
    let ms = BEGIN.elapsed().as_millis();
    u64::try_from(ms).unwrap_or(u64::MAX) & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn only_what_is_recent_counts() {
        let window = Window::new();
        assert_eq!(window.p99_at(10_000), None);
        for n in 1..=100 {
            window.put(10_000, n * 1_000);
        }
        assert_eq!(window.p99_at(10_500).map(|p99| p99.as_millis()), Some(100));
        assert_eq!(window.p99_at(20_000), None);
        for _ in 0..50 {
            window.put(20_000, 700);
        }
        assert_eq!(window.p99_at(20_000).map(|p99| p99.as_micros()), Some(700));
    }
}
