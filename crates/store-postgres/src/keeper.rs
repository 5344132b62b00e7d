//! Watches over a database on a connection of its own: says when it does not serve, and when it does again.
//!
//! While it does not, every request is refused at once, also those that wait for an answer already: a server that hangs
//! costs its callers one short wait, not one each. Nobody but the keeper tries then, with growing pauses.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::Client;

use crate::{
    content::Content,
    error::{OpenError, PgError},
    gauges::Gauges,
    options::Access,
};

/// Pause between two looks at a server that serves.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// First and longest pause between two looks at one that does not.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// The cheapest statement that tells whether writes could work.
const LOOK: &str = "SELECT pg_is_in_recovery()";

/// Whether the database serves, for everybody who asks it something.
pub(crate) struct Circuit {
    /// Why it does not serve; none: it does.
    broken: watch::Sender<Option<Arc<str>>>,
    doubt: Notify,
}

impl Circuit {
    pub(crate) fn new() -> Self {
        let why = Some("not reached yet".into());
        Self { broken: watch::Sender::new(why), doubt: Notify::new() }
    }

    /// Refuses when the database does not serve.
    pub(crate) fn check(&self) -> Result<(), PgError> {
        match &*self.broken.borrow() {
            None => Ok(()),
            Some(why) => Err(PgError::Broken(Arc::clone(why))),
        }
    }

    /// Waits until the database does not serve; why.
    pub(crate) async fn broken(&self) -> PgError {
        let mut broken = self.broken.subscribe();
        match broken.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(why)) => PgError::Broken(Arc::clone(why)),
            // The sender is ours: this does not happen.
            Ok(None) | Err(_) => PgError::GivenUp,
        }
    }

    /// Waits until the database serves.
    pub(crate) async fn serves(&self) {
        // The sender is ours.
        let _ = self.broken.subscribe().wait_for(Option::is_none).await;
    }

    /// A connection failed: the keeper looks at once.
    pub(crate) fn doubt(&self) {
        self.doubt.notify_one();
    }

    fn set(&self, now: Option<Arc<str>>) {
        self.broken.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
    }
}

/// The keeper before it runs.
pub(crate) struct Keeper {
    access: Access,
    content: Arc<dyn Content>,
    is_migrated: bool,
    connection: Option<Client>,
    circuit: Arc<Circuit>,
    pool: Pool,
    gauges: Gauges,
}

/// A keeper that runs; dropping it ends it.
pub(crate) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    pub(crate) fn new(
        access: Access,
        content: Arc<dyn Content>,
        circuit: Arc<Circuit>,
        pool: Pool,
    ) -> Self {
        let gauges = Gauges::new(content.label());
        Self { access, content, is_migrated: false, connection: None, circuit, pool, gauges }
    }

    /// Looks after the server from now on.
    pub(crate) fn run(mut self) -> Running {
        Running(tokio::spawn(async move {
            let mut failures = 0;
            loop {
                if self.circuit.check().is_ok() {
                    // Connections that fail end the pause.
                    let _ = timeout(LOOK_PERIOD, self.circuit.doubt.notified()).await;
                } else {
                    tokio::time::sleep(self.pause(failures)).await;
                }
                failures = if self.look().await.is_ok() { 0 } else { failures + 1 };
            }
        }))
    }

    /// Pauses for several schemas are spread, so that a server that comes back is not met by all of them at once.
    fn pause(&self, failures: u32) -> Duration {
        let (first, longest) = BACK_OFF;
        let pause = first.saturating_mul(1 << failures.min(10)).min(longest);
        let spread = (self.content.number().wrapping_add(failures)).wrapping_mul(0x9e37_79b1) >> 24;
        pause - pause * spread / 1024
    }

    /// Looks once, and tells everybody.
    pub(crate) async fn look(&mut self) -> Result<(), OpenError> {
        let seen = self.ask().await;
        let was = self.circuit.check();
        let shard = self.content.label();
        match &seen {
            Ok(()) => {
                if was.is_err() {
                    tracing::info!(%shard, "a database serves");
                }
                self.circuit.set(None);
            }
            Err(error) => {
                self.connection = None;
                if was.is_ok() {
                    tracing::warn!(%shard, %error, "a database does not serve; what is elsewhere goes on");
                }
                self.circuit.set(Some(error.to_string().into()));
                // What the pool holds is of a server that may not be there any more.
                self.pool.retain(|_, _| false);
            }
        }
        self.gauges.set(self.pool.status(), seen.is_err());
        seen
    }

    async fn ask(&mut self) -> Result<(), OpenError> {
        if let Some(client) = &self.connection {
            let silent = |_| OpenError::Unavailable("the database does not answer".to_owned());
            let answer = timeout(self.access.silence, client.query_one(LOOK, &[]));
            match answer.await.map_err(silent)? {
                Ok(row) if row.try_get::<_, bool>(0)? => {
                    return Err(OpenError::Unavailable("the server is a replica".to_owned()));
                }
                Ok(_) => return Ok(()),
                // One connection may break while all is well.
                Err(_) => self.connection = None,
            }
        }
        if !self.is_migrated {
            self.content.migrate().await?;
            self.is_migrated = true;
        }
        let client = connect(&self.access, &self.access.serving()).await?;
        let silent = |_| OpenError::Unavailable("the database does not answer".to_owned());
        let row = timeout(self.access.silence, client.query_one(self.content.hello(), &[]));
        self.content.learn(&row.await.map_err(silent)??)?;
        self.connection = Some(client);
        Ok(())
    }
}

/// A connection of one's own; it ends with the client. `settings`: as `-c name=value`.
pub(crate) async fn connect(access: &Access, settings: &str) -> Result<Client, OpenError> {
    let config = access.config(settings);
    // The driver's own limit is for the socket alone; a server that hangs takes that and says nothing.
    let connected = timeout(access.connect_timeout, config.connect(access.tls.clone())).await;
    let silent = |_| OpenError::Unavailable("the server takes no connection".to_owned());
    let (client, connection) = connected.map_err(silent)??;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke");
        }
    });
    Ok(client)
}
