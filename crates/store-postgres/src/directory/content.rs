//! What the schema of a directory holds: its steps, whose it is, and what all connections know of it.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::{map::KnownMap, options::DirectoryOptions};
use crate::{
    content::Content,
    error::OpenError,
    keeper::connect,
    pool::incarnation,
    steps::{SETTINGS, Steps},
    value::get,
};

const STEPS: Steps = Steps {
    of: "a directory",
    mark: "cluster",
    list: &[
        include_str!("../../migrations/directory/0001_directory.sql"),
        include_str!("../../migrations/directory/0002_invites.sql"),
        include_str!("../../migrations/directory/0003_people.sql"),
        include_str!("../../migrations/directory/0004_media.sql"),
        include_str!("../../migrations/directory/0005_push.sql"),
        include_str!("../../migrations/directory/0006_errands.sql"),
    ],
};

/// What a new connection tells of its server. A session that would not wait for the disk is told to.
const HELLO: &str = "SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()), \
     CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END, id, \
     (SELECT max(version) FROM migration), \
     set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
     ELSE current_setting('synchronous_commit') END, false) FROM cluster";

/// A directory as its connections see it.
pub(super) struct DirectoryContent {
    options: DirectoryOptions,
    /// Whose it is, once a connection has told.
    cluster: OnceLock<u128>,
    incarnation: AtomicU64,
    pub(super) known_map: KnownMap,
}

impl DirectoryContent {
    pub(super) fn new(options: DirectoryOptions) -> Self {
        Self {
            options,
            cluster: OnceLock::new(),
            incarnation: AtomicU64::new(0),
            known_map: KnownMap::default(),
        }
    }

    /// The number that only this node has.
    pub(super) fn node(&self) -> Uuid {
        Uuid::from_u128(self.options.node)
    }

    fn refuse(&self, why: &str) -> OpenError {
        let schema = self.options.access.schema();
        OpenError::Refused(format!("the directory in schema {schema} {why}"))
    }

    async fn make(&self, transaction: &Transaction<'_>) -> Result<(), OpenError> {
        let schema = self.options.access.schema();
        if !STEPS.is_there(transaction, schema).await? && self.options.cluster.is_some() {
            return Err(
                self.refuse("is gone: name the database that holds it, or restore a backup")
            );
        }
        STEPS.make(transaction, schema).await?;
        if cluster_of(transaction).await?.is_none() {
            let mut id = [0; 16];
            getrandom::fill(&mut id).map_err(|e| {
                OpenError::Unavailable(format!("no randomness from the system: {e}"))
            })?;
            let sql = "INSERT INTO cluster (one, id, map_version) VALUES (1, $1, 0)";
            transaction.execute(sql, &[&Uuid::from_bytes(id)]).await?;
        }
        Ok(())
    }
}

async fn cluster_of(transaction: &Transaction<'_>) -> Result<Option<Uuid>, OpenError> {
    let row = transaction.query_opt("SELECT id FROM cluster", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

#[async_trait]
impl Content for DirectoryContent {
    fn label(&self) -> String {
        "directory".to_owned()
    }

    fn number(&self) -> u32 {
        u32::MAX
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let access = &self.options.access;
        let mut client = connect(access, SETTINGS).await?;
        let transaction = client.transaction().await?;
        // Usually there is nothing to do, and nobody waits for anybody.
        let is_ready = STEPS.is_there(&transaction, access.schema()).await?
            && STEPS.found(&transaction, access.schema()).await? == STEPS.version()
            && cluster_of(&transaction).await?.is_some();
        if !is_ready {
            self.make(&transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    fn hello(&self) -> &'static str {
        HELLO
    }

    fn learn(&self, row: &Row) -> Result<(), OpenError> {
        STEPS.check(self.options.access.schema(), get(row, 4)?)?;
        let cluster = get::<Uuid>(row, 3)?.as_u128();
        let is_expected = self.options.cluster.is_none_or(|expected| expected == cluster);
        if !is_expected || *self.cluster.get_or_init(|| cluster) != cluster {
            return Err(self.refuse("belongs to another cluster"));
        }
        let incarnation = incarnation(row)?;
        // A replica that took over may have lost the newest maps, and give their numbers to others.
        if self.incarnation.swap(incarnation, Ordering::SeqCst) != incarnation {
            self.known_map.forget();
        }
        Ok(())
    }
}
