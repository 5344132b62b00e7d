//! Brings a schema up to the present version: upwards only, one at a time, refused when it is newer.

use ostracon_domain::{Epoch, ShardId, UnitId};
use uuid::Uuid;

use crate::{
    error::OpenError,
    keeper::connect,
    options::{PostgresOptions, SchemaName},
    sql::{MIGRATION_LOCK, MigrationSql},
};

/// All steps from nothing to the present version. A released step never changes.
const STEPS: &[&str] =
    &[include_str!("../migrations/0001_shard.sql"), include_str!("../migrations/0002_moves.sql")];

/// The present version.
pub(crate) const VERSION: i32 = STEPS.len() as i32;

/// Settings of a connection that migrates: no time limit for a statement.
const SETTINGS: &str = "-c statement_timeout=0 -c lock_timeout=60000";

/// Makes the shard if it is not there, with these units open; brings it up to date if it is.
pub(crate) async fn format(
    options: &PostgresOptions,
    units: impl IntoIterator<Item = (UnitId, Epoch)> + Send,
) -> Result<(), OpenError> {
    let mut client = connect(options, SETTINGS).await?;
    let transaction = client.transaction().await?;
    lock(&transaction, options).await?;
    let sql = MigrationSql::new(&options.schema);
    transaction.batch_execute(&sql.create_schema).await?;
    if !has_table(&transaction, &options.schema, "migration").await? {
        let others: i64 = transaction
            .query_one(
                "SELECT count(*) FROM pg_class WHERE relnamespace = $1::text::regnamespace",
                &[&options.schema.as_str()],
            )
            .await?
            .try_get(0)?;
        if others > 0 {
            return Err(OpenError::Refused(format!(
                "schema {} holds something else: name another one",
                options.schema
            )));
        }
        transaction.batch_execute(MigrationSql::CREATE_VERSIONS).await?;
    }
    upgrade(&transaction, &options.schema).await?;
    let owner = transaction.query_opt(MigrationSql::OWNER, &[]).await?;
    match owner {
        Some(row) => {
            check_owner(options, row.try_get(0)?, row.try_get(1)?)?;
        }
        None => {
            let cluster = Uuid::from_u128(options.cluster);
            transaction
                .execute(MigrationSql::TAKE, &[&cluster, &i64::from(options.shard.0)])
                .await?;
        }
    }
    open_units(&transaction, units).await?;
    transaction.commit().await?;
    Ok(())
}

/// Gives a shard that has never known a unit those of its beginning.
async fn open_units(
    transaction: &Transaction<'_>,
    units: impl IntoIterator<Item = (UnitId, Epoch)>,
) -> Result<(), OpenError> {
    let (units, epochs): (Vec<i64>, Vec<i64>) =
        units.into_iter().map(|(unit, epoch)| (i64::from(unit.0), epoch.0 as i64)).unzip();
    if !units.is_empty() {
        transaction.execute(MigrationSql::OPEN_UNITS, &[&units, &epochs]).await?;
    }
    Ok(())
}

/// Brings a formatted shard up to date, if it is older, and gives one that has never known a unit these; nothing is
/// written otherwise.
pub(crate) async fn migrate(
    options: &PostgresOptions,
    units: &[(UnitId, Epoch)],
) -> Result<(), OpenError> {
    let mut client = connect(options, SETTINGS).await?;
    let transaction = client.transaction().await?;
    if !has_table(&transaction, &options.schema, "migration").await? {
        return Err(OpenError::Refused(format!(
            "schema {} holds no shard: format it first",
            options.schema
        )));
    }
    if version(&transaction, &options.schema).await? < VERSION {
        lock(&transaction, options).await?;
        upgrade(&transaction, &options.schema).await?;
    }
    let owner = transaction.query_opt(MigrationSql::OWNER, &[]).await?.ok_or_else(|| {
        OpenError::Refused(format!("schema {} belongs to no cluster", options.schema))
    })?;
    check_owner(options, owner.try_get(0)?, owner.try_get(1)?)?;
    if !units.is_empty() && is_new(&transaction).await? {
        lock(&transaction, options).await?;
        open_units(&transaction, units.iter().copied()).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn is_new(transaction: &Transaction<'_>) -> Result<bool, OpenError> {
    Ok(!transaction.query_one(MigrationSql::HAS_UNITS, &[]).await?.try_get::<_, bool>(0)?)
}

type Transaction<'a> = deadpool_postgres::tokio_postgres::Transaction<'a>;

/// One migration at a time; the lock goes with the transaction.
async fn lock(transaction: &Transaction<'_>, options: &PostgresOptions) -> Result<(), OpenError> {
    transaction
        .execute(
            "SELECT pg_advisory_xact_lock($1, hashtext($2))",
            &[&MIGRATION_LOCK, &options.schema.as_str()],
        )
        .await?;
    Ok(())
}

async fn has_table(
    transaction: &Transaction<'_>,
    schema: &SchemaName,
    table: &str,
) -> Result<bool, OpenError> {
    let found = transaction
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = $2)",
            &[&schema.as_str(), &table],
        )
        .await?;
    Ok(found.try_get(0)?)
}

/// The version that is there; a newer one is refused.
async fn version(transaction: &Transaction<'_>, schema: &SchemaName) -> Result<i32, OpenError> {
    let row = transaction.query_one(MigrationSql::VERSION, &[]).await?;
    let version: i32 = row.try_get(0)?;
    check_version(schema, version)?;
    Ok(version)
}

async fn upgrade(transaction: &Transaction<'_>, schema: &SchemaName) -> Result<(), OpenError> {
    let from = version(transaction, schema).await?;
    for (step, number) in STEPS.iter().zip(1..).skip(from as usize) {
        transaction.batch_execute(step).await?;
        transaction.execute(MigrationSql::DONE, &[&number]).await?;
        tracing::info!(%schema, version = number, "the schema of a shard was brought up");
    }
    Ok(())
}

/// Refuses a schema that a newer server has made.
pub(crate) fn check_version(schema: &SchemaName, version: i32) -> Result<(), OpenError> {
    if version > VERSION {
        return Err(OpenError::Refused(format!(
            "schema {schema} has version {version}, this server knows {VERSION}: use a newer server"
        )));
    }
    Ok(())
}

/// Refuses a shard of somebody else.
pub(crate) fn check_owner(
    options: &PostgresOptions,
    cluster: Uuid,
    shard: i64,
) -> Result<(), OpenError> {
    if cluster.as_u128() != options.cluster {
        return Err(OpenError::Refused(format!(
            "schema {} belongs to another cluster",
            options.schema
        )));
    }
    if u32::try_from(shard).ok().map(ShardId) != Some(options.shard) {
        return Err(OpenError::Refused(format!(
            "schema {} is shard {shard}, not shard {}",
            options.schema, options.shard
        )));
    }
    Ok(())
}
