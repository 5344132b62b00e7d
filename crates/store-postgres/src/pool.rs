//! Connections to a database. Each is checked before anybody uses it: the right cluster, the right shard, a known version,
//! a server that takes writes. A lost one is made anew when it is asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime,
};
use ostracon_domain::{Epoch, UnitId};
use ostracon_store::Incarnation;
use tokio_postgres::Row;

use crate::{
    complaints::Complaints,
    content::Content,
    error::{OpenError, PgError},
    fence::Fence,
    keeper::{Circuit, Keeper, Running},
    migration::{self, STEPS, check_owner},
    options::{Access, PostgresOptions},
    session::Session,
    value::get,
};

type Result<T> = std::result::Result<T, PgError>;

/// What a new connection to a shard tells of its server. A session that would not wait for the disk is told to.
const HELLO: &str = "SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()), \
     CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END, cluster, shard, \
     (SELECT max(version) FROM migration), current_schema()::regnamespace::oid, \
     set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
     ELSE current_setting('synchronous_commit') END, false) FROM meta";

/// The connections to one schema.
pub(crate) struct Connections {
    pool: Pool,
    circuit: Arc<Circuit>,
    answer_timeout: Duration,
    complaints: Complaints,
    _keeper: Running,
}

/// The database of one shard.
pub(crate) struct Database {
    connections: Connections,
    server: Arc<Server>,
}

/// A shard as its connections see it.
struct ShardContent {
    options: PostgresOptions,
    /// Those of a shard that has never known one.
    units: Vec<(UnitId, Epoch)>,
    server: Arc<Server>,
}

#[async_trait]
impl Content for ShardContent {
    fn label(&self) -> String {
        self.options.shard.to_string()
    }

    fn number(&self) -> u32 {
        self.options.shard.0
    }

    async fn migrate(&self) -> std::result::Result<(), OpenError> {
        migration::migrate(&self.options, &self.units).await
    }

    fn hello(&self) -> &'static str {
        HELLO
    }

    fn learn(&self, row: &Row) -> std::result::Result<(), OpenError> {
        self.server.learn(row, &self.options)
    }
}

/// What all connections know of the server.
#[derive(Debug, Default)]
pub(crate) struct Server {
    incarnation: AtomicU64,
    lock_key: AtomicI32,
    pub(crate) fence: Fence,
}

impl Server {
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation.load(Ordering::SeqCst)
    }

    /// The key of the shard's advisory locks in this database.
    pub(crate) fn lock_key(&self) -> i32 {
        self.lock_key.load(Ordering::SeqCst)
    }

    fn learn(&self, row: &Row, options: &PostgresOptions) -> std::result::Result<(), OpenError> {
        STEPS.check(options.schema(), get(row, 5)?)?;
        check_owner(options, get(row, 3)?, get(row, 4)?)?;
        let incarnation = incarnation(row)?;
        let oid: u32 = get(row, 6)?;
        self.lock_key.store(oid as i32, Ordering::SeqCst);
        if self.incarnation.swap(incarnation, Ordering::SeqCst) != incarnation {
            self.fence.restart(incarnation);
        }
        Ok(())
    }
}

/// Which server it is, by the first columns of a hello: whether it is a replica, its system's number, its segment.
pub(crate) fn incarnation(row: &Row) -> std::result::Result<Incarnation, OpenError> {
    let segment: Option<&str> = get(row, 2)?;
    let segment = segment.filter(|_| !matches!(get(row, 0), Ok(true)));
    let timeline = segment
        .and_then(|name| u32::from_str_radix(name.get(..8)?, 16).ok())
        .ok_or_else(|| OpenError::Unavailable("the server is a replica".to_owned()))?;
    let system: i64 = get(row, 1)?;
    Ok(incarnation_of(system as u64, timeline))
}

/// The timeline above, so that it rises when a replica takes over; 32 bits of the system's own number below,
/// so that another system is another one.
fn incarnation_of(system: u64, timeline: u32) -> Incarnation {
    let folded = (system ^ (system >> 32)) & 0xffff_ffff;
    (u64::from(timeline) << 32) | folded
}

/// A connection of a pool, or why there is none.
pub(crate) fn given(object: std::result::Result<Object, PoolError>) -> Result<Object> {
    object.map_err(|error| match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            PgError::Postgres(error)
        }
        PoolError::PostCreateHook(HookError::Message(why)) => {
            PgError::NoConnection(why.into_owned())
        }
        PoolError::Timeout(_) => PgError::NoConnection("none was free in time".to_owned()),
        other => PgError::NoConnection(other.to_string()),
    })
}

impl Connections {
    /// Opens them. What cannot be reached is refused if it `must_serve`; otherwise it serves when it can.
    pub(crate) async fn open(
        access: &Access,
        content: Arc<dyn Content>,
        must_serve: bool,
    ) -> std::result::Result<Self, OpenError> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager =
            Manager::from_config(access.config(&access.serving()), access.tls.clone(), config);
        let checked = Arc::clone(&content);
        let pool = Pool::builder(manager)
            .max_size(access.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(access.answer_timeout))
            .create_timeout(Some(access.connect_timeout))
            .post_create(Hook::async_fn(move |client: &mut ClientWrapper, _| {
                let content = Arc::clone(&checked);
                Box::pin(async move {
                    let row =
                        client.query_one(content.hello(), &[]).await.map_err(HookError::Backend)?;
                    content.learn(&row).map_err(|error| HookError::message(error.to_string()))
                })
            }))
            .build()
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let circuit = Arc::new(Circuit::new());
        let complaints = Complaints::new(content.label());
        let mut keeper =
            Keeper::new(access.clone(), Arc::clone(&content), Arc::clone(&circuit), pool.clone());
        match keeper.look().await {
            Err(OpenError::Unavailable(why)) if !must_serve => {
                tracing::warn!(
                    shard = %content.label(),
                    why,
                    "a database cannot be reached; what is elsewhere serves"
                );
            }
            looked => looked?,
        }
        let answer_timeout = access.answer_timeout;
        Ok(Self { pool, circuit, answer_timeout, complaints, _keeper: keeper.run() })
    }

    /// A connection of one's own.
    pub(crate) async fn session(&self) -> Result<Session> {
        Ok(Session::new(given(self.pool.get().await)?))
    }

    /// Does work, unless the server does not serve. It is given up when that turns out meanwhile, or when no answer
    /// comes in time; its connection goes with it.
    pub(crate) async fn timed<T>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.circuit.check()?;
        let done = tokio::select! {
            biased;
            done = tokio::time::timeout(self.answer_timeout, work) => {
                done.unwrap_or(Err(PgError::Silent(self.answer_timeout)))
            }
            why = self.circuit.broken() => Err(why),
        };
        if let Err(error) = &done {
            self.complaints.hear(error);
            if !error.leaves_session_usable() {
                self.circuit.doubt();
            }
        }
        done
    }
}

impl Database {
    /// Opens the database. `units`: those of a shard that has never known one.
    ///
    /// One that cannot be reached is refused if it `must_serve`; otherwise it serves when it can.
    pub(crate) async fn open(
        options: &PostgresOptions,
        units: Vec<(UnitId, Epoch)>,
        must_serve: bool,
    ) -> std::result::Result<Self, OpenError> {
        let server = Arc::new(Server::default());
        let content = ShardContent { options: options.clone(), units, server: Arc::clone(&server) };
        let connections = Connections::open(&options.access, Arc::new(content), must_serve).await?;
        Ok(Self { connections, server })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// A connection of one's own.
    pub(crate) async fn session(&self) -> Result<Session> {
        self.connections.session().await
    }

    /// See [`Connections::timed`].
    pub(crate) async fn timed<T>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.connections.timed(work).await
    }

    /// Waits until the database serves.
    pub(crate) async fn serves(&self) {
        self.connections.circuit.serves().await;
    }
}

#[cfg(test)]
mod tests {
    use super::incarnation_of;

    #[test]
    fn a_new_timeline_is_a_later_incarnation() {
        let system = 7_710_651_383_215_002_098;
        assert!(incarnation_of(system, 2) > incarnation_of(system, 1));
        assert_ne!(incarnation_of(system, 1), incarnation_of(system + 1, 1));
        assert_ne!(incarnation_of(system, 1), incarnation_of(system ^ (1 << 40), 1));
    }
}
