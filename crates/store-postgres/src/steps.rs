//! The steps that make a schema: upwards only, one process at a time, refused when it is newer or holds something else.

use tokio_postgres::Transaction;

use crate::{
    error::OpenError,
    options::SchemaName,
    sql::{MIGRATION_LOCK, MigrationSql},
};

/// Settings of a connection that takes steps: no time limit for a statement.
pub(crate) const SETTINGS: &str = "-c statement_timeout=0 -c lock_timeout=60000";

/// All steps from nothing to the present version. A released step never changes.
pub(crate) struct Steps {
    /// What the schema holds, in a sentence: `a shard`.
    pub(crate) of: &'static str,
    /// A table that the first step makes, and that tells it from everything else with steps.
    pub(crate) mark: &'static str,
    /// The scripts, in order.
    pub(crate) list: &'static [&'static str],
}

impl Steps {
    /// The present version.
    pub(crate) const fn version(&self) -> i32 {
        self.list.len() as i32
    }

    /// Refuses a schema that a newer server has made.
    pub(crate) fn check(&self, schema: &SchemaName, version: i32) -> Result<(), OpenError> {
        let known = self.version();
        if version > known {
            return Err(OpenError::Refused(format!(
                "schema {schema} has version {version}, this server knows {known}: use a newer server"
            )));
        }
        Ok(())
    }

    /// Makes the schema if it is not there, and brings it up to date. The lock is the transaction's from here on.
    pub(crate) async fn make(
        &self,
        transaction: &Transaction<'_>,
        schema: &SchemaName,
    ) -> Result<(), OpenError> {
        lock(transaction, schema).await?;
        // Who may not make schemas can use one that was made for it.
        if !has_schema(transaction, schema).await? {
            let sql = MigrationSql::new(schema);
            transaction.batch_execute(&sql.create_schema).await?;
        }
        if !self.is_there(transaction, schema).await? {
            let others: i64 = transaction
                .query_one(
                    "SELECT count(*) FROM pg_class WHERE relnamespace = $1::text::regnamespace",
                    &[&schema.as_str()],
                )
                .await?
                .try_get(0)?;
            if others > 0 {
                return Err(holds_something_else(schema));
            }
            transaction.batch_execute(MigrationSql::CREATE_VERSIONS).await?;
        }
        self.upgrade(transaction, schema).await
    }

    /// Whether the schema was made by these steps.
    pub(crate) async fn is_there(
        &self,
        transaction: &Transaction<'_>,
        schema: &SchemaName,
    ) -> Result<bool, OpenError> {
        if !has_table(transaction, schema, "migration").await? {
            return Ok(false);
        }
        if !has_table(transaction, schema, self.mark).await? {
            return Err(holds_something_else(schema));
        }
        Ok(true)
    }

    /// The version that is there; a newer one is refused.
    pub(crate) async fn found(
        &self,
        transaction: &Transaction<'_>,
        schema: &SchemaName,
    ) -> Result<i32, OpenError> {
        let row = transaction.query_one(MigrationSql::VERSION, &[]).await?;
        let version: i32 = row.try_get(0)?;
        self.check(schema, version)?;
        Ok(version)
    }

    /// Takes the steps that are missing. The caller holds the lock.
    pub(crate) async fn upgrade(
        &self,
        transaction: &Transaction<'_>,
        schema: &SchemaName,
    ) -> Result<(), OpenError> {
        let from = self.found(transaction, schema).await?;
        for (step, number) in self.list.iter().zip(1..).skip(from as usize) {
            transaction.batch_execute(step).await?;
            transaction.execute(MigrationSql::DONE, &[&number]).await?;
            tracing::info!(%schema, version = number, "the schema of {} was brought up", self.of);
        }
        Ok(())
    }
}

/// One process at a time takes steps; the lock goes with the transaction.
pub(crate) async fn lock(
    transaction: &Transaction<'_>,
    schema: &SchemaName,
) -> Result<(), OpenError> {
    transaction
        .execute(
            "SELECT pg_advisory_xact_lock($1, hashtext($2))",
            &[&MIGRATION_LOCK, &schema.as_str()],
        )
        .await?;
    Ok(())
}

fn holds_something_else(schema: &SchemaName) -> OpenError {
    OpenError::Refused(format!("schema {schema} holds something else: name another one"))
}

async fn has_schema(transaction: &Transaction<'_>, schema: &SchemaName) -> Result<bool, OpenError> {
    let sql = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    Ok(transaction.query_one(sql, &[&schema.as_str()]).await?.try_get(0)?)
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
