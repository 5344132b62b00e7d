//! Whether a move may have frozen units, and whether it may still freeze some. So that a coordinator that stops leaves
//! no unit behind that nobody serves: whoever waits for it is answered.

use tokio::sync::watch;

/// Shared by a move's task and its coordinator. Safe from any task.
#[derive(Debug)]
pub(crate) struct FreezeGate(watch::Sender<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    /// Units may be frozen.
    entered: bool,
    /// Nobody enters any more.
    closed: bool,
}

impl FreezeGate {
    /// `entered`: whoever drove the move before may have left units frozen.
    pub(crate) fn new(entered: bool) -> Self {
        Self(watch::Sender::new(State { entered, closed: false }))
    }

    /// To be awaited before anything is frozen. Does not return when the coordinator stops: the task ends here.
    pub(crate) async fn enter(&self) {
        let mut may = false;
        self.0.send_modify(|state| {
            may = !state.closed;
            state.entered |= may;
        });
        if !may {
            std::future::pending::<()>().await;
        }
    }

    /// The units serve.
    pub(crate) fn leave(&self) {
        self.0.send_modify(|state| state.entered = false);
    }

    /// Nobody enters any more.
    pub(crate) fn close(&self) {
        self.0.send_modify(|state| state.closed = true);
    }

    /// Returns when nothing is frozen.
    pub(crate) async fn left(&self) {
        // The sender is ours.
        let _ = self.0.subscribe().wait_for(|state| !state.entered).await;
    }
}
