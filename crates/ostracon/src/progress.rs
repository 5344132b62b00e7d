//! Progress of long work: a bar on standard error, only on a terminal and only after two seconds.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

/// Work that is shorter shows nothing.
const QUIET_FOR: Duration = Duration::from_secs(2);

/// A bar that may never be seen.
pub(crate) struct Progress {
    bar: ProgressBar,
    since: Instant,
    shown: Mutex<bool>,
}

impl Progress {
    /// A bar with a title.
    pub(crate) fn new(title: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style =
            ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} %  {msg}  {eta}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(title);
        Self { bar, since: Instant::now(), shown: Mutex::new(false) }
    }

    /// One that is seen from the start.
    pub(crate) fn at_once(title: &'static str) -> Self {
        let progress = Self::new(title);
        if io::stderr().is_terminal() {
            progress.bar.set_draw_target(ProgressDrawTarget::stderr());
            *progress.shown.lock() = true;
        }
        progress
    }

    /// How far the work is; `total` 0 when that is not known.
    pub(crate) fn at(&self, done: u64, total: u64, text: String) {
        if !self.is_shown() {
            return;
        }
        self.bar.set_length(total.max(1));
        self.bar.set_position(done.min(total));
        self.bar.set_message(text);
    }

    fn is_shown(&self) -> bool {
        let mut shown = self.shown.lock();
        if !*shown && self.since.elapsed() >= QUIET_FOR && io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            *shown = true;
        }
        *shown
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
