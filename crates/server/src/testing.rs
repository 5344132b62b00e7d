//! A real server in a throw-away folder, on a port of its own: for the tests of this and of other crates.

#![expect(clippy::expect_used, reason = "a test that cannot have its server has failed")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use ostracon_domain::UserId;
use ostracon_engine::{Clock, SystemClock};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{Config, Server, app::App};

/// A server that runs. Its folder goes when it is dropped; [`stop`](Self::stop) ends it in good order before that.
pub struct TestServer {
    dir: TempDir,
    config: Config,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    running: Option<Running>,
}

struct Running {
    app: Arc<App>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl TestServer {
    /// A server with defaults, but without rate limits and without messages of its own in groups.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with changes of its configuration.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(Arc::new(SystemClock), change).await
    }

    /// The same with a clock of the test's.
    pub async fn start_at(clock: Arc<dyn Clock>, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        config.rate_limits.enabled = false;
        // The numbers in a story are those of what its people do.
        config.groups.system_messages = false;
        change(&mut config);
        let mut server = Self {
            dir,
            config,
            clock,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            running: None,
        };
        server.run().await;
        server
    }

    async fn run(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("a port");
        self.address = listener.local_addr().expect("an address");
        let server = Server::open_with(self.config.clone(), Arc::clone(&self.clock)).await;
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let app = Arc::clone(server.app());
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.serve(listener, stop.clone()));
        self.running = Some(Running { app, stop, task });
    }

    /// `http://127.0.0.1:port`; it stays the same over a restart.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `ws://127.0.0.1:port/api/v1/ws`.
    pub fn ws_url(&self) -> String {
        format!("ws://{}/api/v1/ws", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    /// A folder beside the data directory that goes with the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The operator's socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.config.data_dir.join("admin.sock")
    }

    /// Its configuration, to be changed before a restart.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// A new user without a password, signed in: number and token.
    pub async fn user(&self, name: &str) -> (UserId, String) {
        let server = self.running.as_ref().expect("it runs");
        crate::server::create_user(&server.app, name).await.expect("a user")
    }

    /// Another session of a user.
    pub async fn session(&self, user: UserId) -> String {
        let server = self.running.as_ref().expect("it runs");
        let signed_in = server.app.auth.sign_in(user, None).await;
        signed_in.expect("a session").1
    }

    /// Removes every message that has lived long enough, as far as the tables know of it.
    pub async fn sweep(&self) {
        let app = &self.running.as_ref().expect("it runs").app;
        app.engine.sweep().await.expect("shards answer");
    }

    /// The engine, to hold its dispatchers back.
    pub fn with_engine<T>(&self, work: impl FnOnce(&ostracon_engine::Engine) -> T) -> T {
        work(&self.running.as_ref().expect("it runs").app.engine)
    }

    /// Returns when every use of a file is noted.
    pub async fn settle_media(&self) {
        let app = &self.running.as_ref().expect("it runs").app;
        app.engine.settle_media().await.expect("shards answer");
    }

    /// Collects files that nothing uses, as of now.
    pub async fn collect_media(&self) {
        let app = &self.running.as_ref().expect("it runs").app;
        crate::media::collect::collect(app).await;
    }

    /// Stops it in good order; it can be started again.
    pub async fn stop(&mut self) {
        if let Some(Running { app, stop, task }) = self.running.take() {
            drop(app);
            stop.cancel();
            task.await.expect("no panic");
        }
    }

    /// Starts it again after a stop, at the same address, with the same data.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        self.run().await;
    }

    /// Stops and starts it.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
    }
}
