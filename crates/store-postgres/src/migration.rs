//! Makes a shard's schema and brings it up to the present version, and knows whose it is.

use ostracon_domain::{Epoch, ShardId, UnitId};
use tokio_postgres::Transaction;
use uuid::Uuid;

use crate::{
    error::OpenError,
    keeper::connect,
    options::PostgresOptions,
    sql::MigrationSql,
    steps::{SETTINGS, Steps, lock},
};

/// The steps of a shard.
pub(crate) const STEPS: Steps = Steps {
    of: "a shard",
    mark: "meta",
    list: &[
        include_str!("../migrations/0001_shard.sql"),
        include_str!("../migrations/0002_moves.sql"),
        include_str!("../migrations/0003_annexes.sql"),
        include_str!("../migrations/0004_search.sql"),
    ],
};

/// Makes the shard if it is not there, with these units open; brings it up to date if it is.
pub(crate) async fn format(
    options: &PostgresOptions,
    units: impl IntoIterator<Item = (UnitId, Epoch)> + Send,
) -> Result<(), OpenError> {
    let mut client = connect(&options.access, SETTINGS).await?;
    let transaction = client.transaction().await?;
    STEPS.make(&transaction, options.schema()).await?;
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
    let schema = options.schema();
    let mut client = connect(&options.access, SETTINGS).await?;
    let transaction = client.transaction().await?;
    if !STEPS.is_there(&transaction, schema).await? {
        return Err(OpenError::Refused(format!("schema {schema} holds no shard: format it first")));
    }
    if STEPS.found(&transaction, schema).await? < STEPS.version() {
        lock(&transaction, schema).await?;
        STEPS.upgrade(&transaction, schema).await?;
    }
    let owner = transaction
        .query_opt(MigrationSql::OWNER, &[])
        .await?
        .ok_or_else(|| OpenError::Refused(format!("schema {schema} belongs to no cluster")))?;
    check_owner(options, owner.try_get(0)?, owner.try_get(1)?)?;
    if !units.is_empty() && is_new(&transaction).await? {
        lock(&transaction, schema).await?;
        open_units(&transaction, units.iter().copied()).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn is_new(transaction: &Transaction<'_>) -> Result<bool, OpenError> {
    Ok(!transaction.query_one(MigrationSql::HAS_UNITS, &[]).await?.try_get::<_, bool>(0)?)
}

/// Refuses a shard of somebody else.
pub(crate) fn check_owner(
    options: &PostgresOptions,
    cluster: Uuid,
    shard: i64,
) -> Result<(), OpenError> {
    let schema = options.schema();
    if cluster.as_u128() != options.cluster {
        return Err(OpenError::Refused(format!("schema {schema} belongs to another cluster")));
    }
    if u32::try_from(shard).ok().map(ShardId) != Some(options.shard) {
        return Err(OpenError::Refused(format!(
            "schema {schema} is shard {shard}, not shard {}",
            options.shard
        )));
    }
    Ok(())
}
