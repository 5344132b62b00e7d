//! A server as a value: opened from a configuration, served on a listener, stopped in good order.

use std::{
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ostracon_engine::{
    Allowance, Clock, Engine, EngineError, EngineOptions, RateLimits, SystemClock,
};
use ostracon_proto::CloseCode;
use ostracon_store::{
    DirectoryError,
    directory::{AccountRole, NewUser},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::socket::AdminSocket,
    app::{App, SocketLimits},
    auth::Auth,
    backends,
    config::{Config, ConfigError, Moves as MovesConfig},
    error::ApiError,
    http1,
    media::{self, Media},
    metrics::Metrics,
    moves::{self, Moves},
    push::{self, Push},
    router,
};

/// How long open sockets get to end; those that do not are dropped.
const STOP_WAIT: Duration = Duration::from_secs(10);
const UPKEEP: Duration = Duration::from_secs(5);
/// Upkeeps between two writings of when sessions were last used.
const UPKEEPS_PER_SEEN: u32 = 12;
/// A client may send so many times its allowance before it is cut off.
const FLOOD_FACTOR: u32 = 4;

/// Why a server did not start. One sentence, which says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory is in use, foreign, newer or not accessible; nothing in it was changed.
    #[error("{0}")]
    DataDir(String),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The shards cannot be used.
    #[error("{0}")]
    Store(String),
    /// The live part could not start.
    #[error("could not start: {0}")]
    Engine(#[from] EngineError),
    /// A listener of the configuration could not be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
}

/// An open server that does not listen yet.
pub struct Server {
    app: Arc<App>,
    admin: AdminSocket,
    /// The operators' own address.
    own: Option<TcpListener>,
}

/// Opens the operators' own address, if there is to be one.
async fn listen_to_operators(address: &str) -> Result<Option<TcpListener>, StartError> {
    if address.is_empty() {
        return Ok(None);
    }
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(StartError::Listen { address: address.to_owned(), source }),
    }
}

/// An account for trying things out.
#[derive(Debug, Clone)]
pub struct DemoUser {
    /// Its name.
    pub username: String,
    /// Its password, which is not kept anywhere else.
    pub password: String,
}

impl Server {
    /// Opens everything stored, making it when the data directory is empty, and starts the live part.
    ///
    /// # Errors
    /// One sentence for people; what is stored was not changed.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        Box::pin(Self::open_with(config, Arc::new(SystemClock))).await
    }

    /// The same with a clock of the caller's.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_with(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        config.check()?;
        // Before anything counts: what was looked up without a recorder counts nowhere.
        let metrics = Metrics::install();
        let own = listen_to_operators(&config.admin.listen).await?;
        let opened = backends::open(&config, &*clock).await?;
        let auth = Auth::new(&config, Arc::clone(&opened.directory), Arc::clone(&clock))
            .map_err(ConfigError::new)?;
        let files = Media::open(&config, Arc::clone(&opened.directory)).await?;
        let allowance = allowance(&config);
        let options = EngineOptions {
            limits: config.rules(),
            rate_limits: allowance.map(RateLimits::new),
            max_frame_bytes: config.limits.frame_bytes_max as u64,
            heartbeat_s: config.connections.heartbeat_s,
            search: config.search.enabled,
            addresses: files.addresses(Arc::clone(&clock)),
            media_kept: files.deleted,
            retention: config.messages.retention(),
            away: push::away_options(&config),
        };
        let directory = opened.directory;
        let node = opened.ids.node();
        let engine = Engine::start(
            Arc::clone(&directory),
            opened.ids,
            opened.shards,
            Arc::clone(&clock),
            options,
        );
        // On the heap: whoever opens a server need not hold all of that.
        let engine = Box::pin(engine).await?;
        let options = move_options(&config.moves);
        let push = push::Setup::load(&config, &*directory).await?;
        let app = Arc::new_cyclic(|app| App {
            moves: Moves::new(app.clone(), Arc::clone(&directory), options, node),
            changing_shards: tokio::sync::Mutex::default(),
            push: Push::new(push, app.clone(), Arc::clone(&directory)),
            engine,
            directory,
            backends: opened.backends,
            auth,
            media: files,
            metrics,
            started_at: clock.now(),
            clock,
            behind_proxy: config.behind_proxy,
            body_bytes_max: config.limits.body_bytes_max,
            request_head: Duration::from_secs(u64::from(config.connections.request_head_s)),
            sockets: socket_limits(&config, allowance),
            rate_burst: allowance.map(|allowance| allowance.burst.get()),
            connections_max: config.limits.connections_max,
            open_sockets: 0.into(),
            stopping: false.into(),
            stop: CancellationToken::new(),
            tasks: tokio_util::task::TaskTracker::new(),
        });
        let admin = AdminSocket::bind(config.data_dir.join("admin.sock"))?;
        Ok(Self { app, admin, own })
    }

    /// Where the operator's socket is.
    pub fn admin_socket(&self) -> PathBuf {
        self.admin.path().to_owned()
    }

    /// Serves until `stop` is cancelled or an operator stops it. Then: nothing new is accepted, calls under way are
    /// answered, pending acks are sent, WebSockets are closed with 1001, everything stored is closed.
    ///
    /// Accepting never ends the server.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let app = self.app;
        let mut upkeep = tokio::spawn(upkeep(Arc::clone(&app)));
        let moves = tokio::spawn(move_units(Arc::clone(&app)));
        let collecting = tokio::spawn(media::collect::run(Arc::clone(&app)));
        let worker = app.push.worker.clone();
        let stop_push = app.stop.clone();
        let push = tokio::spawn(async move { worker.run(stop_push).await });
        let public = router::public(Arc::clone(&app), self.own.is_none());
        let operators = router::operators(Arc::clone(&app));
        if let Some(own) = self.own {
            tokio::spawn(http1::serve_tcp(Arc::clone(&app), own, operators.clone()));
        }
        tokio::spawn(http1::serve_unix(Arc::clone(&app), self.admin, operators));
        let public = tokio::spawn(http1::serve_tcp(Arc::clone(&app), listener, public));

        tokio::select! {
            () = stop.cancelled() => {}
            () = app.stop.cancelled() => {}
        }
        tracing::info!("stopping");
        app.stopping.store(true, Ordering::Release);
        app.stop.cancel();
        // Nothing is frozen any more for a move that this process will not end.
        drop(moves.await);
        // A collection under way ends, so that nothing is half done for long.
        drop(collecting.await);
        drop(push.await);
        drop(public.await);
        app.engine.close_all(CloseCode::GoingAway, "the server stops");
        app.tasks.close();
        if tokio::time::timeout(STOP_WAIT, app.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = app.tasks.len(), "some sockets did not end in time");
        }
        app.engine.stop().await;
        // It ends by itself; an abort could cut an upkeep in two.
        drop((&mut upkeep).await);
        app.auth.write_seen().await;
        app.backends.close().await;
        tracing::info!("stopped");
    }

    /// Creates alice, bob and carol, if there is no user at all. Their passwords are told this once.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub async fn demo_users(&self) -> Result<Vec<DemoUser>, StartError> {
        let directory = &self.app.directory;
        if !directory.find_users("", None, 1).await?.is_empty() {
            return Ok(Vec::new());
        }
        let mut made = Vec::new();
        for (name, shown) in [("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol")] {
            let password = crate::admin::users::new_password().map_err(inside)?;
            let hashed = self.app.auth.passwords.hash(password.clone()).await;
            let new = NewUser {
                username: Some(name.to_owned()),
                external_id: None,
                display_name: shown.to_owned(),
                password_hash: Some(hashed.map_err(inside)?),
                role: AccountRole::User,
            };
            directory.create_user(new, self.app.clock.now()).await?;
            let username = name.to_owned();
            made.push(DemoUser { username, password });
        }
        Ok(made)
    }

    /// Creates a user without a password and signs it in: its number and its token.
    ///
    /// # Errors
    /// When the name is taken or the directory does not answer.
    #[cfg(feature = "testing")]
    pub async fn create_user(
        &self,
        username: &str,
    ) -> Result<(ostracon_domain::UserId, String), StartError> {
        create_user(&self.app, username).await
    }

    #[cfg(feature = "testing")]
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }
}

/// Creates a user without a password and signs it in.
#[cfg(feature = "testing")]
pub(crate) async fn create_user(
    app: &App,
    username: &str,
) -> Result<(ostracon_domain::UserId, String), StartError> {
    let new = NewUser {
        username: Some(username.to_owned()),
        external_id: None,
        display_name: username.to_owned(),
        password_hash: None,
        role: AccountRole::User,
    };
    let user = app.directory.create_user(new, app.clock.now()).await?;
    let (_, token) = app.auth.sign_in(user.id, None).await.map_err(inside)?;
    Ok((user.id, token))
}

fn inside(error: ApiError) -> StartError {
    StartError::Store(format!("a user could not be created: {}", error.code()))
}

/// The coordinator and who follows it, until the server stops.
async fn move_units(app: Arc<App>) {
    let watching = tokio::spawn(moves::watch(Arc::clone(&app), app.stop.clone()));
    app.moves.run(app.stop.clone()).await;
    drop(watching.await);
}

fn move_options(config: &MovesConfig) -> ostracon_reshard::Options {
    ostracon_reshard::Options {
        rows_per_s: config.rows_per_s,
        moves_max: config.moves_max,
        freeze_budget: Duration::from_millis(u64::from(config.freeze_budget_ms)),
        ..ostracon_reshard::Options::default()
    }
}

fn allowance(config: &Config) -> Option<Allowance> {
    let rates = &config.rate_limits;
    let allowance = Allowance {
        burst: NonZeroU32::new(rates.burst)?,
        per_second: NonZeroU32::new(rates.per_second)?,
    };
    rates.enabled.then_some(allowance)
}

fn socket_limits(config: &Config, allowance: Option<Allowance>) -> SocketLimits {
    let connections = &config.connections;
    let seconds = |n: u32| Duration::from_secs(u64::from(n));
    let frames = |allowance: Allowance| {
        let in_a_heartbeat = allowance.per_second.get().saturating_mul(connections.heartbeat_s);
        let frames = allowance.burst.get().saturating_add(in_a_heartbeat);
        frames.saturating_mul(FLOOD_FACTOR)
    };
    SocketLimits {
        heartbeat: seconds(connections.heartbeat_s),
        silence: seconds(connections.silence_s),
        write_stall: seconds(connections.write_stall_s),
        frame_bytes_max: config.limits.frame_bytes_max,
        frames_per_heartbeat: allowance.map(frames),
    }
}

/// What has to be done now and then, until the server stops.
async fn upkeep(app: Arc<App>) {
    let mut rounds = 0u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP) => {}
            () = app.stop.cancelled() => return,
        }
        app.backends.maintain(app.clock.now()).await;
        app.metrics.upkeep();
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(UPKEEPS_PER_SEEN) {
            app.auth.write_seen().await;
            if let Some(attempts) = &app.auth.attempts {
                attempts.tidy();
            }
        }
    }
}
