//! Live moves in a running server: the coordinator beside the engine, jobs as operators ask for them, and who is told.
//! The protocol of a move is not here but in `reshard`; calls and their bodies are in `admin`.

mod facts;
mod host;
mod report;
mod runs;
mod watch;

use std::sync::{Arc, Weak};

use ostracon_reshard::{Coordinator, Options};
use ostracon_store::Directory;
use tokio_util::sync::CancellationToken;

pub(crate) use facts::{Facts, stats_of};
pub(crate) use report::{Asked, details, report};
pub(crate) use watch::watch;

use crate::app::App;
use host::EngineHost;
use runs::Runs;

/// The part of a server that moves units.
pub(crate) struct Moves {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) runs: Runs,
}

impl Moves {
    /// `holder` is this node's number: a process that restarts under it takes its right to coordinate back at once.
    pub(crate) fn new(
        app: Weak<App>,
        directory: Arc<dyn Directory>,
        options: Options,
        holder: u16,
    ) -> Self {
        let host = Arc::new(EngineHost { app });
        let coordinator = Coordinator::new(host, directory, options, u64::from(holder));
        Self { coordinator, runs: Runs::default() }
    }

    /// Runs until it is told to stop; what is under way then is taken over by the next start.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        Arc::clone(&self.coordinator).run(stop).await;
    }
}
