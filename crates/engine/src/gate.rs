//! A gate that tests close to hold something back, instead of sleeping and hoping.

use tokio::sync::watch;

pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(true))
    }

    pub(crate) fn close(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns at once while the gate is open.
    pub(crate) async fn pass(&self) {
        if *self.0.borrow() {
            return;
        }
        // The sender lives as long as this: an error cannot happen, and would mean "open".
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}
