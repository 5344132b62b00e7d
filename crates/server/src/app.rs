//! What every handler and every socket shares. Everything in it is safe from any task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ostracon_domain::Millis;
use ostracon_engine::{Clock, Engine};
use ostracon_store::Directory;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::Auth, backends::Backends, media::Media, metrics::Metrics, moves::Moves, push::Push,
};

pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) backends: Backends,
    pub(crate) moves: Moves,
    pub(crate) push: Push,
    /// Shards come and go one at a time.
    pub(crate) changing_shards: tokio::sync::Mutex<()>,
    pub(crate) auth: Auth,
    pub(crate) media: Media,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) started_at: Millis,
    pub(crate) behind_proxy: bool,
    pub(crate) body_bytes_max: usize,
    /// How long a request's head may take.
    pub(crate) request_head: Duration,
    pub(crate) sockets: SocketLimits,
    /// Burst of the allowance of users; none when there are no limits.
    pub(crate) rate_burst: Option<u32>,
    /// Largest number of open sockets.
    pub(crate) connections_max: usize,
    /// Open sockets: HTTP and WebSocket.
    pub(crate) open_sockets: AtomicUsize,
    /// No more WebSockets are opened.
    pub(crate) stopping: AtomicBool,
    /// Ends the server, from inside.
    pub(crate) stop: CancellationToken,
    /// Tasks of sockets.
    pub(crate) tasks: TaskTracker,
}

/// Bounds of a WebSocket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketLimits {
    pub(crate) heartbeat: Duration,
    pub(crate) silence: Duration,
    pub(crate) write_stall: Duration,
    pub(crate) frame_bytes_max: usize,
    /// Frames of one socket between two pings; beyond it the client is flooding. None: no limit.
    pub(crate) frames_per_heartbeat: Option<u32>,
}

impl App {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// One open socket, counted until it is dropped.
pub(crate) struct OpenSocket(Arc<App>);

impl OpenSocket {
    /// None when there are too many.
    pub(crate) fn count(app: &Arc<App>) -> Option<Self> {
        let before = app.open_sockets.fetch_add(1, Ordering::Relaxed);
        let one = Self(Arc::clone(app));
        (before < app.connections_max).then_some(one)
    }

    /// Also when there are too many.
    pub(crate) fn count_always(app: &Arc<App>) -> Self {
        app.open_sockets.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(app))
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.open_sockets.fetch_sub(1, Ordering::Relaxed);
    }
}
